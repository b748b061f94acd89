//! `[server]` and `[auth]`: where clients come in, and which ones.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::KeyLimits;

/// `[server]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Address to listen on.
    pub host: String,
    /// Port to listen on.
    pub port: u16,
    /// Seconds to the first byte of an answer, and between its bytes. There is no limit on the whole of a stream.
    pub request_timeout_seconds: u64,
    /// Seconds between signs of life (SSE comments) to a client whose stream has nothing to say yet; 0 = none.
    pub heartbeat_seconds: u64,
    /// Requests served at once; further ones get 503 with `Retry-After`.
    pub max_concurrent_requests: u32,
    /// Largest request body, in MiB.
    pub max_body_mb: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            host: "0.0.0.0".to_owned(),
            port: 8000,
            request_timeout_seconds: 300,
            heartbeat_seconds: 10,
            max_concurrent_requests: 1000,
            max_body_mb: 10,
        }
    }
}

impl Config {
    /// Time to the first byte of an answer, and between its bytes.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds)
    }

    /// Time between signs of life, where they are wanted.
    pub fn heartbeat(&self) -> Option<Duration> {
        (self.heartbeat_seconds > 0).then(|| Duration::from_secs(self.heartbeat_seconds))
    }

    /// Largest request body, in bytes.
    pub fn max_body(&self) -> usize {
        self.max_body_mb as usize * 1024 * 1024
    }
}

/// `[auth]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Auth {
    /// Keys of clients that are good at this peer; `nexus keys add` makes those of the whole mesh. Where there are neither,
    /// every client may ask.
    pub client_keys: Vec<ClientKey>,
    /// The environment variable that holds the admin token. Unset: management that changes state answers loopback only.
    pub admin_token_env: String,
}

/// One entry of `[[auth.client_keys]]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClientKey {
    /// The name of the client, for people.
    pub name: String,
    /// The environment variable that holds the key, of at least 16 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_env: Option<String>,
    /// The SHA-256 of the key, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_sha256: Option<String>,
    /// Globs of models it may use. Absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// The most it may spend in a month, in USD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_limit_usd: Option<f64>,
    /// Requests it may make in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_minute: Option<u32>,
    /// Tokens it may use in a minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens_per_minute: Option<u64>,
}

impl ClientKey {
    /// What it may use.
    pub fn limits(&self) -> KeyLimits {
        KeyLimits {
            monthly_limit_usd: self.monthly_limit_usd,
            requests_per_minute: self.requests_per_minute,
            tokens_per_minute: self.tokens_per_minute,
        }
    }
}
