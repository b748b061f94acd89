//! `/nexus/v1/mesh/invite` and `/nexus/v1/mesh/join`: one peer more for this mesh, and this peer into another one. What is asked
//! for is written into the configuration file first, where that is asked for, and then taken up.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::settings::{self, Edit};
use super::{Membership as Member, audit, respond};
use crate::dialect::Fault;
use crate::env::Seed;
use crate::mesh::{Membership, Mesh, MeshKey, Token};

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

/// What lets peers in.
#[derive(Clone)]
pub(super) struct Doorway {
    pub(super) mesh: Option<Mesh>,
    pub(super) membership: Arc<dyn Member>,
    pub(super) settings: settings::Owner,
    pub(super) seed: Seed,
}

/// A wish for an invitation.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Invite {
    /// Give an open mesh a key first: from then on only who has it joins.
    #[serde(default)]
    make_key: bool,
}

/// A wish to join the mesh of a token.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invited {
    /// What `nexus mesh invite` prints.
    token: String,
    /// Written into the configuration file as well.
    #[serde(default)]
    save: bool,
}

/// What lets a machine in.
struct Invitation {
    token: Token,
    /// Whether the key was made for it.
    made: bool,
    notes: Vec<String>,
}

/// What `nexus mesh join` sends. The name and the key must be there, for without them a slip would lead a node out of its
/// mesh; an empty key asks for an open one.
#[derive(Deserialize)]
struct Told {
    name: String,
    key: String,
    #[serde(default)]
    seeds: Vec<String>,
    /// The key was made just now, for this node: the mesh begins here.
    #[serde(default)]
    made_here: bool,
}

pub(super) async fn invite(State(doorway): State<Doorway>, request: Request) -> Response {
    match doorway.invite(request).await {
        Ok(Invitation { token, made, notes }) => {
            let told = json!({
                "token": token.encode(), "mesh": token.name, "addresses": token.addresses, "made_key": made, "notes": notes,
            });
            let mut response = respond::json(StatusCode::OK, &told);
            audit::deed(&mut response, if made { "mesh_closed" } else { "mesh_invited" }, token.name);
            response
        }
        Err(fault) => respond::fault(&fault),
    }
}

pub(super) async fn join(State(doorway): State<Doorway>, request: Request) -> Response {
    match doorway.join(request).await {
        Ok((name, notes)) => {
            let told = json!({ "joined": true, "mesh": name, "notes": notes });
            let mut response = respond::json(StatusCode::OK, &told);
            audit::deed(&mut response, "mesh_joined", name);
            response
        }
        Err(fault) => respond::fault(&fault),
    }
}

impl Doorway {
    fn mesh(&self) -> Result<&Mesh, Fault> {
        let off = || "The mesh is off on this node: set `mesh.enabled = true` and restart it.".to_owned();
        self.mesh.as_ref().ok_or_else(|| Fault::conflict(off()))
    }

    /// An invitation into the mesh of this peer.
    async fn invite(&self, request: Request) -> Result<Invitation, Fault> {
        let mesh = self.mesh()?;
        let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
        let wish: Invite = if body.is_empty() { Invite::default() } else { read(&body)? };
        let mut membership = mesh.membership().as_ref().clone();
        let made = !membership.key.is_keyed();
        let mut notes = Vec::new();
        if made {
            if !wish.make_key {
                return Err(Fault::conflict(
                    "This mesh is open: whoever is on its network joins without a token. To let in only whom you invite, \
                     have a key made: `nexus mesh invite` on this machine, or `\"make_key\": true` in this call. The \
                     peers that are here now then join with the token."
                        .to_owned(),
                ));
            }
            membership.key = MeshKey::generate(&self.seed);
            notes = self.enter(membership.clone(), true, true).await?;
        }
        let addresses = mesh.myself().addresses.iter().map(ToString::to_string).collect();
        let token = Token { name: membership.name, key: membership.key.to_string(), addresses };
        Ok(Invitation { token, made, notes })
    }

    /// Joins; gives the name of the mesh, and what whoever asked should know.
    async fn join(&self, request: Request) -> Result<(String, Vec<String>), Fault> {
        let mesh = self.mesh()?;
        let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
        let is_invited = read::<serde_json::Value>(&body)?.get("token").is_some();
        let (Told { name, key, seeds, made_here }, save) = match is_invited {
            true => {
                let Invited { token, save } = read(&body)?;
                (told(&token, &mesh.membership())?, save)
            }
            false => (read(&body)?, false),
        };
        let membership =
            Membership::read(&name, &key, &seeds).map_err(|wrong| Fault::bad_request(format!("Invalid {wrong}")))?;
        if !membership.key.is_keyed() {
            let means = "any peer on this network may join, and see models and prompts; close it: nexus mesh invite";
            warn!(mesh = name, "Joining an open mesh: {means}");
        }
        let notes = self.enter(membership, made_here, save).await?;
        Ok((name, notes))
    }

    /// Gives what will not hold after the next start.
    async fn enter(&self, membership: Membership, made_here: bool, save: bool) -> Result<Vec<String>, Fault> {
        if save {
            let written = self.settings.write(Edit::Membership(membership.clone()), None, false).await;
            written.map_err(|declined| declined.fault())?;
        }
        let notes = self.settings.overruled(&membership);
        self.membership.join(membership, made_here).await.map_err(Fault::bad_request)?;
        Ok(notes)
    }
}

/// What a token says to a peer that is in the mesh of `now`.
fn told(token: &str, now: &Membership) -> Result<Told, Fault> {
    let no_token = || Fault::bad_request("`token` is none: `nexus mesh invite` prints one.".to_owned());
    let token = Token::decode(token).ok_or_else(no_token)?;
    let token = token.map_err(|error| Fault::bad_request(format!("`token`: {error}.")))?;
    // A key can be written in two ways.
    let key = MeshKey::configured(&token.key).map(|key| key.to_string()).unwrap_or_default();
    let token = Token { key, ..token };
    let seeds = token.seeds(&now.name, &now.key.to_string(), &now.seeds);
    Ok(Told { name: token.name, key: token.key, seeds, made_here: false })
}

fn read<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| Fault::bad_request(format!("Invalid request: {error}")))
}
