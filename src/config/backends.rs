//! `[[backends]]`: the servers that run models, as they are written down, and what a node makes of them. Keys are looked
//! up here and held nowhere in the configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Config;
use super::environment::Lookup;
use crate::fleet::{BackendSpec, InvalidUrl, Kind, Loading, Source, Tier, Zone, root_url};

/// Something that is left out, and why: one line.
pub type Warning = String;

/// One entry of `[[backends]]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Backend {
    /// Its stable id: not empty, unique.
    pub name: String,
    /// Its root: `http://host:port`.
    pub url: String,
    /// `ollama`, `vllm`, `llamacpp`, `exo`, `openai`, `lmstudio`, `generic`, `anthropic` or `google`.
    #[serde(rename = "type", alias = "backend_type")]
    pub kind: Kind,
    /// Lower wins.
    #[serde(default = "default_priority")]
    pub priority: i32,
    /// The environment variable that holds its key. Cloud backends need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_key_env: Option<String>,
    /// `restricted` or `open`. Absent: by type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// How capable it is, 1 to 5.
    #[serde(default)]
    pub tier: Tier,
    /// How many requests it may have at once. Absent: as many as its server says, or as it turns out to be good for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// How many requests it may have in a minute, of all peers together. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// How many tokens it may have in a minute, of all peers together. Absent: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
    /// Whether other peers may use it.
    #[serde(default = "yes")]
    pub share: bool,
    /// Whether a client's `Authorization` goes to it. Absent: only if it has no key and is configured by hand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward_client_auth: Option<bool>,
    /// Tokens of context that `ollama` is to load its models with. Absent: as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// How long `ollama` is to keep a model in memory, as `30m`; `-1` = for ever. Absent: as it likes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_alive: Option<String>,
}

fn default_priority() -> i32 {
    50
}

fn yes() -> bool {
    true
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
}

impl Backend {
    fn spec(&self, lookup: &Lookup<'_>) -> Result<BackendSpec, Warning> {
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
        spec.requests_per_minute = self.requests_per_minute;
        spec.tokens_per_minute = self.tokens_per_minute;
        spec.share = self.share;
        spec.forward_client_auth = self.forward_client_auth;
        spec.loading = Loading { context_length: self.context_length, keep_alive: self.keep_alive.clone() };
        Ok(spec)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(specs.len(), 3);
    }
}
