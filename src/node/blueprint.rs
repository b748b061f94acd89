//! What a node is made from, and why none comes of it.

use std::net::SocketAddr;

use crate::access;
use crate::config::{Config, Lookup, Origin, Secrets, Warning};
use crate::fleet::BackendSpec;
use crate::mesh;
use crate::telemetry::Levels;

/// All that a node is made from: the configuration, and what it only names.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// The checked configuration.
    pub config: Config,
    /// The configured backends, keys looked up.
    pub backends: Vec<BackendSpec>,
    /// Who may ask and who may manage.
    pub secrets: Secrets,
    /// Where the configuration can be read again, and written; `None`: nowhere.
    pub origin: Option<Origin>,
    /// The levels of the log of this process.
    pub levels: Levels,
}

impl Blueprint {
    /// Looks up what the configuration names, and says in one line each what is left out.
    ///
    /// # Errors
    /// Something without which the node would be open to those it should be closed to.
    pub fn new(config: Config, lookup: &Lookup<'_>) -> Result<(Self, Vec<Warning>), StartError> {
        let (backends, mut warnings) = config.backend_specs(lookup);
        let (secrets, more) = config.secrets(lookup).map_err(StartError::Secrets)?;
        warnings.extend(more);
        Ok((Blueprint { config, backends, secrets, origin: None, levels: Levels::default() }, warnings))
    }

    /// The same, for a node that reads its configuration again when it changes.
    #[must_use]
    pub fn from(self, origin: Origin) -> Self {
        Blueprint { origin: Some(origin), ..self }
    }

    /// The same, with the log of the process.
    #[must_use]
    pub fn logging_by(self, levels: Levels) -> Self {
        Blueprint { levels, ..self }
    }
}

/// Why a node does not start. Each is one line that says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The clock cannot be right.
    #[error("the system clock says {0}, which cannot be right: set it, certificates and budgets go by it")]
    Clock(String),
    /// The routing rules contradict themselves.
    #[error("{0}")]
    Rules(String),
    /// The data directory is under a home directory, and nobody says where that is.
    #[error(
        "data_dir: `{0}` is under the home directory, and HOME is not set: name another in data_dir or NEXUS_DATA_DIR"
    )]
    DataDir(String),
    /// Keys that are named cannot be found.
    #[error("{0}")]
    Secrets(String),
    /// An address cannot be understood.
    #[error("cannot listen on '{0}': it is no address")]
    Address(String),
    /// An address is taken, or not ours.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, String),
    /// The identity of this node cannot be had.
    #[error(transparent)]
    Identity(#[from] mesh::IdentityError),
    /// The clients' keys cannot be had.
    #[error(transparent)]
    Keys(#[from] access::OpenError),
    /// The mesh cannot start.
    #[error(transparent)]
    Mesh(#[from] mesh::StartError),
}
