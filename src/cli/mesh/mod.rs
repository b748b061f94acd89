//! `nexus mesh`: seeing the mesh, the two halves of adding a machine to it, and taking one out of it for a while or for good.

mod events;
mod forget;
mod invite;
mod join;
mod screen;
mod status;
mod watch;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value as Json, json};

use super::client::{Client, ClientError};
use super::drain::{DrainPeer, UndrainPeer};
use super::render::clean;
use super::tell;
use super::turned::sentences;
use crate::config::{self, DEFAULT_FILE};
use crate::fleet::PeerState;

#[derive(Debug, Subcommand)]
pub(super) enum Mesh {
    Status(status::Status),
    Events(events::Events),
    Invite(invite::Invite),
    Join(join::Join),
    Drain(DrainPeer),
    Undrain(UndrainPeer),
    Forget(forget::Forget),
}

impl Mesh {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Mesh::Status(status) => status.run().await,
            Mesh::Events(events) => events.run().await,
            Mesh::Invite(invite) => invite.run().await,
            Mesh::Join(join) => join.run().await,
            Mesh::Drain(drain) => drain.run().await,
            Mesh::Undrain(undrain) => undrain.run().await,
            Mesh::Forget(forget) => forget.run().await,
        }
    }
}

/// The UDP port that a mesh takes where the host alone is known.
const USUAL_PORT: u16 = 8001;

/// The file to change: the one named, or the usual one.
fn file(named: Option<&Path>) -> PathBuf {
    let variable = || config::process("NEXUS_CONFIG").map(PathBuf::from);
    named.map(Path::to_owned).or_else(variable).unwrap_or_else(|| PathBuf::from(DEFAULT_FILE))
}

/// Whom the running peer loses sight of when it goes to another mesh, and until when; nothing where it is alone.
async fn parted(client: &Client, until: &str) -> String {
    let told: Json = client.get("/nexus/v1/mesh").await.unwrap_or_default();
    let living = |peers: &Vec<Json>| peers.iter().filter(|peer| peer["state"] != PeerState::Dead.as_str()).count();
    let others = match told["peers"].as_array().map_or(0, living) {
        0 => return String::new(),
        1 => "other peer that is".to_owned(),
        others => format!("{others} other peers that are"),
    };
    format!("The {others} here now and this one no longer see each other{until}.\n")
}

/// Has a running peer take up a membership. Without one, the file says it all.
async fn take_up(client: &Client, name: &str, key: &str, seeds: &[String], made_here: bool) -> anyhow::Result<()> {
    let body = json!({ "name": name, "key": key, "seeds": seeds, "made_here": made_here });
    match client.post::<Json>("/nexus/v1/mesh/join", &body).await {
        Ok(told) => {
            tell("The running peer has taken it up.");
            sentences(&told["notes"]).iter().for_each(|note| tell(&clean(&format!("Warning: {note}"))));
        }
        Err(ClientError::Unreachable { .. }) => {
            tell("No peer is running here: it takes effect at the next start.");
            // A running one says this of its own variables.
            for variable in ["NEXUS_MESH_NAME", "NEXUS_MESH_KEY", "NEXUS_MESH_SEEDS"] {
                if config::process(variable).is_some() {
                    tell(&format!("Warning: {variable} is set and wins over the file."));
                }
            }
        }
        Err(ClientError::Refused { message, .. }) => {
            anyhow::bail!("the file is written, but the running peer did not take it up: {message}")
        }
    }
    Ok(())
}

/// The file holds the key now.
fn warn_if_readable(path: &Path) {
    #[cfg(unix)]
    if let Ok(about) = std::fs::metadata(path)
        && std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o077 != 0
    {
        tell(&format!("Warning: others on this machine can read the key: chmod 600 {}", path.display()));
    }
    #[cfg(not(unix))]
    let _ = path;
}
