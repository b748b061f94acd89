//! What the configuration names but does not hold: keys in the environment. Values are never logged or shown.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::Config;
use super::backends::Warning;
use super::environment::Lookup;
use crate::api::{ConfiguredKey, digest};
use crate::telemetry::spans::Target;

/// Where the admin token is where `auth.admin_token_env` names no other variable.
pub const ADMIN_TOKEN: &str = "NEXUS_ADMIN_TOKEN";

/// A key that is shorter can be guessed.
const SHORTEST_KEY: usize = 16;

/// Who may come in, and who is told what happens, with everything looked up.
#[derive(Clone, Default)]
pub struct Secrets {
    /// What management asks for; `None`: loopback only.
    pub admin_token: Option<String>,
    /// Clients that may ask; empty: all.
    pub client_keys: Vec<ConfiguredKey>,
    /// Who is told the spans of requests; `None`: nobody.
    pub collector: Option<Target>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets")
            .field("admin_token", &self.admin_token.is_some())
            .field("client_keys", &self.client_keys.len())
            .field("collector", &self.collector.is_some())
            .finish()
    }
}

impl Config {
    /// The admin token, the clients' keys and the collector of traces. A client whose key cannot be found is left out, and stays locked out;
    /// where that leaves no client at all, the error says so instead of opening the door.
    ///
    /// # Errors
    /// Client keys are configured and none could be found, or one can be guessed.
    pub fn secrets(&self, lookup: &Lookup<'_>) -> Result<(Secrets, Vec<Warning>), String> {
        let (mut client_keys, mut warnings) = (Vec::new(), Vec::new());
        for key in &self.auth.client_keys {
            let from_variable = key.key_env.as_deref().and_then(lookup);
            if let Some(short) = from_variable.as_deref().map(str::trim).filter(|key| key.len() < SHORTEST_KEY) {
                return Err(format!(
                    "auth.client_keys: the key of client `{}` in the variable {} has {} characters and could be guessed: \
                     use at least {SHORTEST_KEY}. `openssl rand -hex 32` makes one; `nexus keys add NAME` makes one for \
                     the whole mesh, which needs no configuration",
                    key.name,
                    key.key_env.as_deref().unwrap_or_default(),
                    short.len()
                ));
            }
            let from_variable = from_variable.map(|key| digest(key.trim()));
            match key.key_sha256.as_deref().and_then(sha256).or(from_variable) {
                Some(sha256) => {
                    client_keys.push(ConfiguredKey {
                        name: key.name.clone(),
                        sha256,
                        models: key.models.clone(),
                        limits: key.limits(),
                    });
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
        let (collector, more) = self.tracing.target(lookup);
        warnings.extend(more);
        Ok((Secrets { admin_token, client_keys, collector }, warnings))
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
        let (secrets, _) =
            config.secrets(&|name| (name == "A").then(|| " a-key-of-16-char\n".to_owned())).expect("found");
        assert_eq!(secrets.client_keys[0].sha256, digest("a-key-of-16-char"));
        assert!(secrets.admin_token.is_none());
    }

    #[test]
    fn a_key_that_can_be_guessed_is_refused_without_repeating_it() {
        let config = config("[[auth.client_keys]]\nname = 'team'\nkey_env = 'TEAM'\nrequests_per_minute = 3");
        let secrets = |key: &str| config.secrets(&|_| Some(key.to_owned()));
        let error = secrets(" hunter2-hunter2   ").expect_err("15 characters");
        assert!(error.contains("`team`") && error.contains("TEAM") && error.contains("nexus keys add"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let (good, _) = secrets("hunter2-hunter22").expect("16 characters");
        assert_eq!(good.client_keys[0].limits.requests_per_minute, Some(3), "its limits go along");
    }

    #[test]
    fn the_admin_token_has_a_usual_place_and_may_have_another() {
        let lookup = |name: &str| Some(format!("value of {name}"));
        let token = |text| config(text).secrets(&lookup).expect("no clients").0.admin_token;
        assert_eq!(token("").as_deref(), Some("value of NEXUS_ADMIN_TOKEN"));
        assert_eq!(token("auth.admin_token_env = 'T'").as_deref(), Some("value of T"));
    }
}
