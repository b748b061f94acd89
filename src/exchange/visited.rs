//! The way of a request past nodes that do not know each other: a backend may itself be a Nexus node, or lead to one, and
//! be ours in the end. Each node writes itself into a header that goes along to backends. Between peers of one mesh the
//! hop limit does the same; here is only what the hop limit cannot see.

use http::{HeaderMap, HeaderName, HeaderValue};

/// `ID` or `ID;backend=NAME` for each node passed, in order.
pub const VISITED: HeaderName = HeaderName::from_static("x-nexus-visited");

/// Nodes that a request may pass in all.
const MAX_VISITED: usize = 16;

/// A request has come back to where it was, or has passed too many nodes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the request goes in a circle")]
pub struct Circle {
    /// The backend by which it left.
    pub backend: Option<String>,
    /// The id of the other node whose backend that is; `None` where it is ours.
    pub node: Option<String>,
}

/// Notes that a request has come to the node `here`.
///
/// # Errors
/// It has been here before, or has passed too many nodes.
pub fn enter(headers: &mut HeaderMap, here: &HeaderValue) -> Result<(), Circle> {
    let mut last = None;
    let mut passed = 0;
    let mut ours = None;
    for (node, backend) in entries(headers) {
        passed += 1;
        if node.as_bytes() == here.as_bytes() {
            ours = Some(backend.map(str::to_owned));
        }
        if backend.is_some() {
            last = Some((node, backend));
        }
    }
    let circle = match (ours, last) {
        (Some(Some(backend)), _) => Circle { backend: Some(named(&backend)), node: None },
        (None, _) if passed < MAX_VISITED => {
            headers.append(VISITED, here.clone());
            return Ok(());
        }
        (_, Some((node, backend))) => Circle { backend: backend.map(named), node: Some(node.to_owned()) },
        (_, None) => Circle { backend: None, node: None },
    };
    Err(circle)
}

/// The way so far, for the request to `backend`: the last node on it is this one.
pub fn leave_by(way: &HeaderMap, backend: &str, outgoing: &mut HeaderMap) {
    let mut way = way.get_all(VISITED).iter().peekable();
    while let Some(node) = way.next() {
        let mut line = node.clone();
        if way.peek().is_none() {
            let name: String = url::form_urlencoded::byte_serialize(backend.as_bytes()).collect();
            let named = [node.as_bytes(), b";backend=", name.as_bytes()].concat();
            line = HeaderValue::from_maybe_shared(bytes::Bytes::from(named)).unwrap_or(line);
        }
        outgoing.append(VISITED, line);
    }
}

/// Proxies may write several lines as one.
fn entries(headers: &HeaderMap) -> impl Iterator<Item = (&str, Option<&str>)> {
    let lines = headers.get_all(VISITED).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).map(|entry| match entry.split_once(';') {
        Some((node, more)) => (node.trim(), more.trim().strip_prefix("backend=")),
        None => (entry.trim(), None),
    })
}

fn named(encoded: &str) -> String {
    let pair = ["backend=", encoded].concat();
    url::form_urlencoded::parse(pair.as_bytes()).next().map(|(_, name)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(id: &str) -> HeaderValue {
        HeaderValue::from_str(id).expect("literal")
    }

    /// What a backend of `id` called `backend` is sent of a request with these headers.
    fn pass(mut headers: HeaderMap, id: &str, backend: &str) -> Result<HeaderMap, Circle> {
        enter(&mut headers, &node(id))?;
        let mut outgoing = HeaderMap::new();
        leave_by(&headers, backend, &mut outgoing);
        Ok(outgoing)
    }

    #[test]
    fn a_node_that_is_its_own_backend_is_told_which() {
        for name in ["self", "my box; 1,2=%", "é"] {
            let sent = pass(HeaderMap::new(), "a", name).expect("not yet");
            let circle = Circle { backend: Some(name.to_owned()), node: None };
            assert_eq!(pass(sent, "a", "any"), Err(circle), "{name}");
        }
    }

    #[test]
    fn a_circle_through_others_is_found_by_whoever_began_it() {
        let sent = pass(HeaderMap::new(), "a", "to-b").expect("a");
        let sent = pass(sent, "b", "to-c").expect("b");
        let mut joined = HeaderMap::new();
        let line =
            sent.get_all(VISITED).iter().map(|line| line.to_str().expect("ASCII")).collect::<Vec<_>>().join(", ");
        joined.insert(VISITED, node(&line));
        for sent in [sent, joined] {
            let circle = pass(sent.clone(), "a", "any").expect_err("it was here");
            assert_eq!(circle, Circle { backend: Some("to-b".to_owned()), node: None });
            assert!(pass(sent, "c", "any").is_ok());
        }
    }

    /// `a` forwarded it to its peer `b`, whose backend is `a`.
    #[test]
    fn where_a_peers_backend_leads_back_that_one_is_named() {
        let mut headers = HeaderMap::new();
        enter(&mut headers, &node("a")).expect("a");
        let sent = pass(headers, "b", "back").expect("b");
        let circle = Circle { backend: Some("back".to_owned()), node: Some("b".to_owned()) };
        assert_eq!(pass(sent, "a", "any"), Err(circle));
    }

    #[test]
    fn no_way_is_endless_and_junk_is_only_junk() {
        let mut headers = HeaderMap::new();
        for number in 0..MAX_VISITED {
            headers = pass(headers, &format!("n{number}"), "next").expect("not too many yet");
        }
        assert!(pass(headers, "last", "next").is_err());
        for junk in ["", ",", ";", ";backend=", "a;backend", "\u{7f}"] {
            let Ok(value) = HeaderValue::from_bytes(junk.as_bytes()) else { continue };
            let headers = HeaderMap::from_iter([(VISITED, value)]);
            assert!(pass(headers, "here", "b").is_ok(), "{junk}");
        }
    }
}
