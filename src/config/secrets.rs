//! What the configuration names but does not hold: keys in the environment. Values are never logged or shown.

use std::fmt;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::environment::Lookup;
use super::{Backend, Config, check};
use crate::api::digest;
use crate::fleet::{BackendSpec, InvalidUrl, Source, root_url};

/// Something that is left out, and why: one line.
pub type Warning = String;

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
    /// The configured backends that can be used, keys looked up, and why others cannot.
    pub fn backend_specs(&self, lookup: &Lookup<'_>) -> (Vec<BackendSpec>, Vec<Warning>) {
        let (mut specs, mut warnings) = (Vec::new(), Vec::new());
        for backend in &self.backends {
            match backend.spec(lookup) {
                Ok(spec) => specs.push(spec),
                Err(warning) => warnings.push(warning),
            }
        }
        (specs, warnings)
    }

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

impl Backend {
    fn spec(&self, lookup: &Lookup<'_>) -> Result<BackendSpec, Warning> {
        if !check::is_spoken(self.kind) {
            return Err(format!("backend `{}` is left out: type `{}` is not served yet", self.name, self.kind));
        }
        let url = root_url(&self.url).map_err(|InvalidUrl(problem)| format!("backend `{}`: {problem}", self.name))?;
        let key = match self.api_key_env.as_deref().map(str::trim).filter(|name| !name.is_empty()) {
            None => None,
            Some(variable) => {
                let value = lookup(variable).map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
                let warning = || format!("backend `{}` is left out: its key variable {variable} is not set", self.name);
                Some(value.ok_or_else(warning)?)
            }
        };
        let mut spec = BackendSpec::new(self.name.clone(), url, self.kind, Source::Static);
        spec.priority = u32::try_from(self.priority).unwrap_or(0);
        spec.zone = self.zone.unwrap_or(spec.zone);
        spec.tier = self.tier;
        spec.key = key;
        spec.concurrency = self.concurrency;
        spec.share = self.share;
        spec.forward_client_auth = self.forward_client_auth;
        Ok(spec)
    }
}

/// 64 hex digits.
pub(super) fn sha256(text: &str) -> Option<[u8; 32]> {
    HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::Zone;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("a literal configuration")
    }

    #[test]
    fn a_backend_whose_key_is_not_there_is_left_out() {
        let config = config(
            "[[backends]]\nname = 'here'\nurl = 'http://h:1/v1/'\ntype = 'ollama'\npriority = -3\n\
             [[backends]]\nname = 'cloud'\nurl = 'https://api.openai.com/v1'\ntype = 'openai'\napi_key_env = 'K'\n\
             [[backends]]\nname = 'later'\nurl = 'https://a.example'\ntype = 'anthropic'\napi_key_env = 'K'\n",
        );
        let (specs, warnings) = config.backend_specs(&|_| None);
        assert_eq!(specs.len(), 1);
        assert_eq!((specs[0].priority, specs[0].url.as_str()), (0, "http://h:1/"));
        assert!(warnings[0].contains("cloud") && warnings[0].contains('K'), "{warnings:?}");

        let (specs, _) = config.backend_specs(&|name| (name == "K").then(|| "sk-1\n".to_owned()));
        assert_eq!(specs[1].key.as_deref(), Some("sk-1"));
        assert_eq!((specs[1].zone, specs[1].url.as_str()), (Zone::Open, "https://api.openai.com/"));
        assert_eq!(specs.len(), 2, "no part speaks to anthropic yet");
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
