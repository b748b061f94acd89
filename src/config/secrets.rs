//! What the configuration names but does not hold: keys in the environment. Values are never logged or shown.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::Config;
use super::backends::Warning;
use super::environment::Lookup;
use crate::api::digest;

/// Where the admin token is where `auth.admin_token_env` names no other variable.
pub const ADMIN_TOKEN: &str = "NEXUS_ADMIN_TOKEN";

/// Who may come in, with everything looked up.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    /// What management asks for; `None`: loopback only.
    pub admin_token: Option<String>,
    /// Clients that may ask; empty: all.
    pub client_keys: Vec<ClientSecret>,
}

/// One client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its name, for people.
    pub name: String,
    /// SHA-256 of its key.
    pub sha256: [u8; 32],
    /// Globs of models it may use; `None`: all.
    pub models: Option<Vec<String>>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("admin_token", &self.admin_token.is_some())
            .field("client_keys", &self.client_keys.len())
            .finish()
    }
}

impl Config {
    /// The admin token and the clients' keys. A client whose key cannot be found is left out, and stays locked out;
    /// where that leaves no client at all, the error says so instead of opening the door.
    ///
    /// # Errors
    /// Client keys are configured and none could be found.
    pub fn secrets(&self, lookup: &Lookup<'_>) -> Result<(Secrets, Vec<Warning>), String> {
        let (mut client_keys, mut warnings) = (Vec::new(), Vec::new());
        for key in &self.auth.client_keys {
            let from_variable = key.key_env.as_deref().and_then(lookup).map(|key| digest(key.trim()));
            match key.key_sha256.as_deref().and_then(sha256).or(from_variable) {
                Some(sha256) => {
                    client_keys.push(ClientSecret { name: key.name.clone(), sha256, models: key.models.clone() });
                }
                None => warnings.push(format!(
                    "client `{}` is locked out: the variable {} is not set",
                    key.name,
                    key.key_env.as_deref().unwrap_or("of its key")
                )),
            }
        }
        if client_keys.is_empty() && !self.auth.client_keys.is_empty() {
            return Err(format!("auth.client_keys: no key could be found ({})", warnings.join("; ")));
        }
        let variable = match self.auth.admin_token_env.trim() {
            "" => ADMIN_TOKEN,
            named => named,
        };
        let admin_token = lookup(variable).map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        if admin_token.is_none() && variable != ADMIN_TOKEN {
            warnings.push(format!("the variable {variable} is not set: management answers this machine only"));
        }
        Ok((Secrets { admin_token, client_keys }, warnings))
    }
}

/// 64 hex digits.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("a literal configuration")
    }

    #[test]
    fn client_keys_never_fall_open() {
        let config = config("[[auth.client_keys]]\nname = 'a'\nkey_env = 'A'");
        assert!(config.secrets(&|_| None).is_err());
        let (secrets, _) = config.secrets(&|name| (name == "A").then(|| "key".to_owned())).expect("found");
        assert_eq!(secrets.client_keys[0].sha256, digest("key"));
        assert!(secrets.admin_token.is_none());
    }

    #[test]
    fn the_admin_token_has_a_usual_place_and_may_have_another() {
        let lookup = |name: &str| Some(format!("value of {name}"));
        let token = |text| config(text).secrets(&lookup).expect("no clients").0.admin_token;
        assert_eq!(token("").as_deref(), Some("value of NEXUS_ADMIN_TOKEN"));
        assert_eq!(token("auth.admin_token_env = 'T'").as_deref(), Some("value of T"));
    }
}
