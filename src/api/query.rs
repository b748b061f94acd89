//! What stands behind the `?` of a request for something to see, or of a call of management. What nobody knows is refused, so that a slip does not pass
//! for an answer.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;

use super::respond;
use crate::dialect::Fault;

/// The pairs of a query.
#[derive(Debug)]
pub(super) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// # Errors
    /// It has a name that is not one of `known`.
    pub(super) fn read(query: Option<&'a str>, known: &[&str]) -> Result<Self, Fault> {
        let pairs: Vec<_> = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).collect();
        match pairs.iter().find(|(name, _)| !known.contains(&&**name)) {
            None => Ok(Query(pairs)),
            Some((name, _)) => {
                let name: String = name.chars().take(64).collect();
                let instead = if known.is_empty() {
                    "this call takes none".to_owned()
                } else {
                    format!("use {}", known.join(", "))
                };
                Err(Fault::bad_request(format!("There is no parameter '{name}' here: {instead}")))
            }
        }
    }

    /// The last value of this name, if it is not empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| &**value).filter(|value| !value.is_empty())
    }

    /// The value as a number.
    ///
    /// # Errors
    /// It is none, or not in `range`.
    pub(super) fn number(&self, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Fault> {
        let Some(text) = self.get(name) else { return Ok(None) };
        text.parse().ok().filter(|number| range.contains(number)).map(Some).ok_or_else(|| {
            let (least, most) = range.into_inner();
            Fault::bad_request(format!("'{name}' must be a number from {least} to {most}"))
        })
    }

    /// Whether the value says yes, or the name stands there without one.
    ///
    /// # Errors
    /// It says neither yes nor no.
    pub(super) fn flag(&self, name: &str) -> Result<bool, Fault> {
        match self.0.iter().rfind(|(known, _)| known == name).map(|(_, value)| &**value) {
            None | Some("false" | "0") => Ok(false),
            Some("" | "true" | "1") => Ok(true),
            Some(_) => Err(Fault::bad_request(format!("'{name}' must be true or false"))),
        }
    }

    /// Whether the whole mesh is asked for, and not this peer alone.
    ///
    /// # Errors
    /// Another scope than those two.
    pub(super) fn is_of_mesh(&self) -> Result<bool, Fault> {
        match self.get("scope") {
            None | Some("peer") => Ok(false),
            Some("mesh") => Ok(true),
            Some(_) => Err(Fault::bad_request("'scope' must be peer or mesh")),
        }
    }
}

/// Whether only what would happen is wanted.
pub(super) fn is_dry_run(uri: &http::Uri) -> bool {
    asks_for(uri, "dry_run")
}

/// Whether a call asks for `flag`. Who asks twice, and once for it, asks for it.
pub(super) fn asks_for(uri: &http::Uri, flag: &str) -> bool {
    let mut pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    // Whoever asks for a dry run in odd words must not get the real thing.
    pairs.any(|(name, value)| name == flag && !matches!(&*value, "false" | "0"))
}

/// Lets calls of management through that ask for nothing but what is known where they go: who asks for a dry run must not get
/// the real thing because nobody has read it.
pub(super) async fn check(request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    match judged(request.method(), &path, request.uri().query()) {
        Ok(()) => next.run(request).await,
        Err(fault) => respond::fault(&fault),
    }
}

fn judged(method: &Method, path: &str, query: Option<&str>) -> Result<(), Fault> {
    let query = Query::read(query, known(method, path))?;
    ["dry_run", "save"].iter().try_for_each(|flag| query.flag(flag).map(drop))
}

/// What a call of management may be asked besides, by its route. What is not named here takes nothing.
fn known(method: &Method, path: &str) -> &'static [&'static str] {
    let of_file = ["/nexus/v1/aliases/", "/nexus/v1/fallbacks/", "/nexus/v1/policies/"];
    let is_of_file = of_file.iter().any(|place| path.starts_with(place));
    match (method.as_str(), path) {
        ("DELETE", "/v1/models/{*id}") => &["backend_id", "backend", "peer"],
        ("DELETE", "/nexus/v1/backends/{*id}") => &["dry_run", "save", "peer"],
        ("DELETE", "/nexus/v1/keys/{*name}") | ("POST", "/nexus/v1/mesh/forget") => &["dry_run"],
        ("POST", "/nexus/v1/backends" | "/nexus/v1/config/reload") => &["dry_run", "peer"],
        ("POST" | "DELETE", "/nexus/v1/drain" | "/nexus/v1/drain/{*backend}") => &["dry_run", "peer"],
        ("PATCH", "/nexus/v1/budget") => &["dry_run", "peer"],
        ("PUT" | "PATCH" | "DELETE", _) if is_of_file => &["dry_run", "peer"],
        ("GET" | "HEAD", "/nexus/v1/drain" | "/nexus/v1/drain/{*backend}") | (_, "/nexus/v1/log") => &["peer"],
        ("GET" | "HEAD", "/nexus/v1/aliases" | "/nexus/v1/fallbacks" | "/nexus/v1/policies") => &["peer"],
        ("GET" | "HEAD", _) if is_of_file => &["peer"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_told_and_not_passed_over() {
        let read = |text| Query::read(Some(text), &["limit", "follow", "scope"]);
        let query = read("limit=5&follow=true&scope=mesh").expect("good");
        assert_eq!(query.number("limit", 1..=9).expect("a number"), Some(5));
        assert!(query.flag("follow").expect("a flag") && query.is_of_mesh().expect("a scope"));
        assert!(read("limits=5").is_err());
        let query = read("limit=10&follow=maybe&scope=moon").expect("known names");
        assert!(query.number("limit", 1..=9).is_err() && query.flag("follow").is_err() && query.is_of_mesh().is_err());
        let none = Query::read(None, &[]).expect("nothing");
        assert_eq!(none.number("limit", 1..=9).expect("nothing"), None);
    }
}
