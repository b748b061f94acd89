//! Which mesh a node belongs to, and the rules that a name, a key and seeds follow wherever they come from. Pure: nothing
//! is resolved or dialled.

use super::key::MeshKey;

/// Which mesh a node belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: MeshKey,
    /// `host:port` of peers to try.
    pub seeds: Vec<String>,
}

/// A field of a membership that cannot be as it is. A key is not repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidField {
    /// Which: `name`, `key`, `seeds[1]`.
    pub field: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Membership {
    /// From text; an empty key is the one of an open mesh.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn read(name: &str, key: &str, seeds: &[String]) -> Result<Self, InvalidField> {
        if let Some(wrong) = wrong_fields(name, key, seeds).into_iter().next() {
            return Err(wrong);
        }
        let invalid = |error: super::KeyError| InvalidField { field: "key".to_owned(), reason: error.to_string() };
        let key = MeshKey::configured(key).map_err(invalid)?;
        Ok(Membership { name: name.to_owned(), key, seeds: seeds.to_vec() })
    }
}

/// Every field that is wrong.
pub fn wrong_fields(name: &str, key: &str, seeds: &[String]) -> Vec<InvalidField> {
    let mut wrong = Vec::new();
    let mut add = |field: String, reason: String| wrong.push(InvalidField { field, reason });
    if name.trim().is_empty() {
        add(
            "name".to_owned(),
            "is empty: name the mesh; without a choice of your own it is called `default`".to_owned(),
        );
    }
    if let Err(error) = MeshKey::configured(key) {
        add("key".to_owned(), error.to_string());
    }
    for (index, seed) in seeds.iter().enumerate() {
        if host_and_port(seed).is_none_or(|(_, port)| port == 0) {
            add(format!("seeds[{index}]"), not_an_address(seed));
        }
    }
    wrong
}

/// What to say of a text that is not `host:port`.
pub fn not_an_address(text: &str) -> String {
    format!("`{text}` is not `host:port` (an IPv6 address stands in brackets)")
}

/// Host and port of `host:port`; an IPv6 address stands in brackets. Port 0 is one to listen on and none to dial.
pub fn host_and_port(text: &str) -> Option<(&str, u16)> {
    let (host, port) = text.trim().rsplit_once(':')?;
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|bare| bare.parse::<std::net::Ipv6Addr>().is_ok())?,
        None if host.contains(':') => return None,
        None => host,
    };
    let fit =
        !bare.is_empty() && !bare.contains(|letter: char| letter.is_whitespace() || matches!(letter, '/' | '[' | ']'));
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok()).flatten()?;
    fit.then_some((bare, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_host_and_a_port() {
        assert_eq!(host_and_port("desk.local:8001"), Some(("desk.local", 8001)));
        assert_eq!(host_and_port(" [fd00::1]:8001 "), Some(("fd00::1", 8001)));
        assert_eq!(host_and_port("0.0.0.0:0"), Some(("0.0.0.0", 0)));
        for text in [
            "",
            ":1",
            "a",
            "a:",
            "a:b",
            "a:+1",
            "a:70000",
            "::1:8001",
            "[a]:1",
            "[::1:1",
            "a]:1",
            "a b:1",
            "http://a:1",
        ] {
            assert_eq!(host_and_port(text), None, "{text}");
        }
    }

    #[test]
    fn every_wrong_field_is_named_and_a_key_is_not_repeated() {
        let seeds = ["gpu:8001", "gpu:0", "fd00::1:8001"].map(str::to_owned);
        let wrong = wrong_fields(" ", "hunter2", &seeds);
        let fields: Vec<&str> = wrong.iter().map(|wrong| wrong.field.as_str()).collect();
        assert_eq!(fields, ["name", "key", "seeds[1]", "seeds[2]"]);
        assert!(!format!("{wrong:?}").contains("hunter2"));
        assert_eq!(Membership::read("home", "x", &[]).map_err(|wrong| wrong.field), Err("key".to_owned()));
        let open = Membership::read("home", "", &seeds[..1]).expect("nothing wrong");
        assert!(!open.key.is_keyed());
    }
}
