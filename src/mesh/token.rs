//! The invitation: mesh name, key and addresses in one line that survives chat windows and shells. Whoever holds it can
//! join. Pure: where a peer can be reached is found out elsewhere.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use super::{MeshKey, host_and_port};

const PREFIX: &str = "nexus1-";

/// The longest token that is read, in bytes.
const LONGEST: usize = 16 << 10;

/// What a machine must know to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// The name of the mesh.
    #[serde(rename = "n")]
    pub name: String,
    /// Its key.
    #[serde(rename = "k")]
    pub key: String,
    /// `host:port` of its peers.
    #[serde(rename = "a", default)]
    pub addresses: Vec<String>,
}

/// Why a text is no token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenToken {
    /// Its version is not known yet.
    #[error("this token is of a later version of nexus: upgrade this machine")]
    Later,
    /// It is not whole.
    #[error("this token is cut off or changed: copy the whole line that `nexus mesh invite` printed")]
    Damaged,
}

impl Token {
    /// The line that is passed on.
    pub fn encode(&self) -> String {
        let json = serde_json::to_vec(self).expect("text and lists of text are JSON");
        format!("{PREFIX}{}", BASE64URL_NOPAD.encode(&json))
    }

    /// Reads such a line. `None`: not meant as a token at all.
    pub fn decode(text: &str) -> Option<Result<Self, BrokenToken>> {
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else {
            let version = text.strip_prefix("nexus")?.split('-').next()?;
            let later = version.parse::<u32>().is_ok_and(|version| version > 1) && text.contains('-');
            return later.then_some(Err(BrokenToken::Later));
        };
        Some(Self::decode_body(body).ok_or(BrokenToken::Damaged))
    }

    /// The seeds of a peer that had `seeds` in the mesh of `name` and `key`, once it has followed this: those of the same
    /// mesh are kept; those of another are not peers of this one.
    pub fn seeds(&self, name: &str, key: &str, seeds: &[String]) -> Vec<String> {
        let is_same = self.name == name && MeshKey::are_same(&self.key, key);
        let mut all = if is_same { seeds.to_vec() } else { Vec::new() };
        for address in &self.addresses {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
        all
    }

    fn decode_body(body: &str) -> Option<Self> {
        if body.len() > LONGEST {
            return None;
        }
        let json = BASE64URL_NOPAD.decode(body.as_bytes()).ok()?;
        let token: Token = serde_json::from_slice(&json).ok()?;
        let fit = !token.name.trim().is_empty()
            && MeshKey::parse(&token.key).is_ok()
            && token.addresses.iter().all(|address| host_and_port(address).is_some());
        fit.then_some(token)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> Token {
        let addresses = vec!["192.168.1.2:8001".to_owned(), "[fe80::1]:8001".to_owned()];
        Token { name: "home".to_owned(), key: "a".repeat(52), addresses }
    }

    #[test]
    fn a_token_is_one_line_and_reads_back() {
        let text = token().encode();
        assert!(text.starts_with("nexus1-") && !text.contains(char::is_whitespace));
        assert!(Token::decode(&format!(" {text}\n")) == Some(Ok(token())));
    }

    #[test]
    fn a_token_of_a_later_version_says_so_and_more_fields_are_skipped() {
        assert!(Token::decode("nexus2-abc") == Some(Err(BrokenToken::Later)));
        let json = format!(r#"{{"n":"home","k":"{}","more":[1]}}"#, "a".repeat(52));
        let text = format!("nexus1-{}", BASE64URL_NOPAD.encode(json.as_bytes()));
        assert!(matches!(Token::decode(&text), Some(Ok(token)) if token.addresses.is_empty()));
    }

    #[test]
    fn seeds_of_the_same_mesh_stay_and_come_once() {
        let had = ["a:1".to_owned(), "192.168.1.2:8001".to_owned()];
        assert_eq!(token().seeds("home", &token().key, &had), ["a:1", "192.168.1.2:8001", "[fe80::1]:8001"]);
        assert_eq!(token().seeds("other", &token().key, &had), token().addresses);
    }

    #[test]
    fn an_address_is_no_token() {
        for text in ["desk:8001", "nexus:8001", "nexus-2:8001", "nexus2.local:8001", "10.0.0.1", ""] {
            assert!(Token::decode(text).is_none(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_damaged_token_is_never_taken_for_a_whole_one(cut in 0usize..200) {
            let text = token().encode();
            let cut = text.len().min(PREFIX.len() + cut);
            prop_assume!(cut < text.len());
            prop_assert!(Token::decode(&text[..cut]) == Some(Err(BrokenToken::Damaged)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*", body in "[A-Za-z0-9_-]*") {
            let _ = Token::decode(&text);
            let _ = Token::decode(&format!("nexus1-{body}"));
        }
    }
}
