//! `[logging]`: what is written, and how.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[logging]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// `trace`, `debug`, `info`, `warn` or `error`.
    pub level: Level,
    /// `pretty` for people, `json` for machines.
    pub format: Format,
    /// Levels of single parts: `routing`, `api`, `health`, `discovery`, `mesh`.
    pub component_levels: BTreeMap<String, Level>,
    /// Write the first 100 characters of every prompt to the log. For debugging only.
    pub enable_content_logging: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            level: Level::Info,
            format: Format::Pretty,
            component_levels: BTreeMap::new(),
            enable_content_logging: false,
        }
    }
}

/// How much is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything.
    Trace,
    /// Decisions and their reasons.
    Debug,
    /// One line per request, and what changes.
    Info,
    /// What needs a look.
    Warn,
    /// What is broken.
    Error,
}

impl Level {
    /// The word of configuration and filters.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// For people.
    Pretty,
    /// One JSON object per line.
    Json,
}
