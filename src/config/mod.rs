//! The configuration: one field per section, each section's type beside its user. `load` merges file, environment and
//! flags; `check` finds every problem at once; after that no part validates again.

mod backends;
mod change;
mod check;
mod differ;
mod edit;
mod environment;
mod example;
mod later;
mod load;
mod origin;
mod place;
mod repair;
mod secrets;
mod shape;

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::budget::price::Price;

pub use backends::{Backend, Warning};
pub use change::{ChangeError, changed};
pub use check::check;
pub use differ::{MOST_KEYS, differing};
pub use edit::{Editor, WriteError};
pub(crate) use edit::{create, replace};
pub use environment::{Lookup, process};
pub use example::{example, first, minimal};
pub use load::{DEFAULT_FILE, LoadError, Loaded, Problems, Sources, load, whereabouts};
pub use origin::{Origin, Variables};
pub use secrets::{ADMIN_TOKEN, Secrets};

/// Everything that can be configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// The version of this file's form.
    pub version: u32,
    /// Where this peer keeps its identity and its ledger.
    pub data_dir: String,
    /// Where clients come in.
    pub server: crate::api::Config,
    /// How backends are found without being named.
    pub discovery: crate::discovery::Config,
    /// How backends are watched.
    pub health_check: crate::health::Config,
    /// How a backend is chosen.
    pub routing: crate::route::Config,
    /// What may be spent on cloud backends in a month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<crate::budget::Config>,
    /// What cloud models cost, in USD per million tokens, where it is not what the list in this program says. A name may end
    /// in `*`.
    pub prices: BTreeMap<String, Price>,
    /// Which mesh this node is a peer of.
    pub mesh: crate::mesh::Config,
    /// Who may ask, and who may manage.
    pub auth: crate::api::Auth,
    /// What is written to the log.
    pub logging: crate::telemetry::Config,
    /// Who is told the spans of requests (OpenTelemetry).
    pub tracing: crate::telemetry::spans::Config,
    /// When a backend counts as bad.
    pub quality: crate::registry::Quality,
    /// How requests wait for a slot.
    pub queue: crate::queue::Config,
    /// How models are loaded and unloaded.
    pub lifecycle: crate::lifecycle::Config,
    /// Advice on what to load where.
    pub fleet: crate::advice::Config,
    /// The servers that run models.
    pub backends: Vec<Backend>,
}

/// The version of the configuration file that this program reads.
pub const VERSION: u32 = 1;

impl Default for Config {
    fn default() -> Self {
        Config {
            version: VERSION,
            data_dir: "~/.local/share/nexus".to_owned(),
            server: Default::default(),
            discovery: Default::default(),
            health_check: Default::default(),
            routing: Default::default(),
            budget: None,
            prices: BTreeMap::new(),
            mesh: Default::default(),
            auth: Default::default(),
            logging: Default::default(),
            tracing: Default::default(),
            quality: Default::default(),
            queue: Default::default(),
            lifecycle: Default::default(),
            fleet: Default::default(),
            backends: Vec::new(),
        }
    }
}

/// One thing that is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key: `backends[1].url`.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl Problem {
    fn at((path, message): (place::KeyPath, String)) -> Self {
        Problem { path: path.to_string(), message }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.path, self.message) }
    }
}
