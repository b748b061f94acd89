//! `[discovery]`: how backends are found without being named.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[discovery]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Look for backends by mDNS and on the usual ports of this machine.
    pub enabled: bool,
    /// mDNS service types to browse; the trailing dot is optional.
    pub service_types: Vec<String>,
    /// Seconds until a backend that went away is forgotten.
    pub grace_period_seconds: u64,
    /// Ports of this machine where inference servers usually listen.
    pub local_ports: Vec<u16>,
    /// IP addresses whose backends, found by mDNS, count as this fleet's own; others are of the zone `open`.
    pub trusted_hosts: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            service_types: vec!["_ollama._tcp.local".to_owned(), "_llm._tcp.local".to_owned()],
            grace_period_seconds: 60,
            local_ports: vec![11434, 1234, 8080, 8000, 52415],
            trusted_hosts: Vec::new(),
        }
    }
}

impl Config {
    /// How long a backend that went away is kept.
    pub fn grace_period(&self) -> Duration {
        Duration::from_secs(self.grace_period_seconds)
    }
}
