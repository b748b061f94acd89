//! `/nexus/v1/keys`: the clients' keys of the whole mesh, to make, list and revoke. A key is in one answer only: that to
//! whoever had it made.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use tracing::info;

use super::path::Rest;
use super::query::is_dry_run;
use super::{Keys, audit, budget, respond};
use crate::access::{Error, Maker, Wish};
use crate::dialect::Fault;
use crate::fleet::KeyRecord;

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

/// A key as the command line and dashboards see it.
#[derive(Serialize)]
struct KeyView {
    id: String,
    name: String,
    /// Only where it has just been made.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    models: Option<Vec<String>>,
    monthly_limit_usd: Option<f64>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u64>,
    /// Seconds since 1970.
    made_at: u64,
    made_by: String,
    state: &'static str,
    revoked_at: Option<u64>,
    /// Only where it has just been made: what whoever made it should know.
    #[serde(skip_serializing_if = "Option::is_none")]
    notes: Option<Vec<String>>,
}

impl KeyView {
    fn of(record: KeyRecord) -> Self {
        KeyView {
            state: if record.is_active() { "active" } else { "revoked" },
            id: record.id,
            name: record.name,
            key: None,
            models: record.models,
            monthly_limit_usd: record.monthly_limit_usd,
            requests_per_minute: record.requests_per_minute,
            tokens_per_minute: record.tokens_per_minute,
            made_at: record.made_at,
            made_by: record.made_by,
            revoked_at: record.revoked_at,
            notes: None,
        }
    }
}

pub(super) async fn list(State(keys): State<Keys>) -> Response {
    let list: Vec<KeyView> = keys.clients.ring().list().into_iter().map(KeyView::of).collect();
    let mut notes = Vec::new();
    notes.extend(keys.is_locked().then(|| NOBODY.to_owned()));
    let configured = keys.clients.configured();
    if !configured.is_empty() {
        notes.push(format!("Of the configuration of this peer, and good at it alone: {}.", configured.join(", ")));
    }
    notes.extend((!list.is_empty()).then(|| keys.alone()).flatten());
    respond::json(StatusCode::OK, &json!({ "keys": list, "open": keys.clients.is_open(), "notes": notes }))
}

pub(super) async fn add(State(keys): State<Keys>, request: Request) -> Response {
    let made = async {
        let (_, body) = respond::whole_body_of(request, BODY_LIMIT).await?;
        let wish: Wish =
            serde_json::from_slice(&body).map_err(|error| Fault::bad_request(format!("Invalid request: {error}")))?;
        if keys.clients.configured().contains(&wish.name) {
            return Err(fault(&Error::Taken(wish.name)));
        }
        let limits = wish.check().map_err(|error| fault(&error))?;
        if limits.is_any() && keys.treasury.is_none() {
            return Err(budget::no_ledger());
        }
        let was_open = keys.clients.is_open();
        let (record, key) = keys.clients.ring().add(&wish, &keys.maker()).map_err(|error| fault(&error))?;
        Ok((record, key, was_open))
    };
    match made.await {
        Ok((record, key, was_open)) => {
            info!(key = record.id.as_str(), name = record.name.as_str(), "Client key made");
            let mut notes = Vec::new();
            notes.extend(was_open.then(|| "From now on every client must show a key.".to_owned()));
            notes.extend(keys.alone());
            let subject = format!("{} ({})", record.name, record.id);
            let view = KeyView { key: Some(key), notes: Some(notes), ..KeyView::of(record) };
            let mut response = respond::json(StatusCode::CREATED, &view);
            audit::deed(&mut response, "key_made", subject);
            response
        }
        Err(fault) => respond::fault(&fault),
    }
}

pub(super) async fn revoke(State(keys): State<Keys>, Rest(name): Rest, uri: http::Uri) -> Response {
    if is_dry_run(&uri) {
        let is_meant = |key: &KeyRecord| key.is_active() && (key.name == name || key.id == name);
        let meant: Vec<KeyView> = keys.clients.ring().list().into_iter().filter(is_meant).map(KeyView::of).collect();
        return match meant.as_slice() {
            [] => respond::fault(&Fault::not_found(format!("no good key is called '{name}'"))),
            _ => respond::json(StatusCode::OK, &json!({ "dry_run": true, "would_revoke": meant })),
        };
    }
    match keys.clients.ring().revoke(&name, keys.clock.unix_seconds()) {
        Ok(revoked) => {
            for record in &revoked {
                info!(key = record.id.as_str(), name = record.name.as_str(), "Client key revoked");
            }
            let mut notes = Vec::new();
            if keys.alone().is_none() {
                notes.push(
                    "A peer that cannot be reached now learns of it when it can, and lets the key in until then.",
                );
            }
            notes.extend(keys.is_locked().then_some(NOBODY));
            let views: Vec<KeyView> = revoked.into_iter().map(KeyView::of).collect();
            let mut response = respond::json(StatusCode::OK, &json!({ "revoked": views, "notes": notes }));
            audit::deed(&mut response, "key_revoked", name);
            response
        }
        Err(error) => respond::fault(&fault(&error)),
    }
}

const NOBODY: &str = "No key is good: every client is refused. Make one with `nexus keys add NAME`. To let every client in \
                      again, stop all peers and delete `keys.json` from their data directories.";

impl Keys {
    /// Whether keys are asked for and there is none.
    fn is_locked(&self) -> bool {
        let has_none = !self.clients.ring().list().iter().any(KeyRecord::is_active);
        has_none && !self.clients.is_open() && self.clients.configured().is_empty()
    }

    /// Why keys that are made here are good here alone, where that is so.
    fn alone(&self) -> Option<String> {
        match &self.mesh {
            None => Some("The mesh is off: keys that are made here are good at this node alone.".to_owned()),
            Some(mesh) if !mesh.is_keyed() => Some(
                "The mesh is open: peers tell each other of no keys, and those made here are good at this peer alone. \
                 `nexus mesh invite` gives the mesh a key."
                    .to_owned(),
            ),
            Some(_) => None,
        }
    }

    fn maker(&self) -> Maker {
        Maker {
            name: self.mesh.as_ref().map_or_else(|| self.name.to_string(), |mesh| mesh.name().to_string()),
            holder: self.treasury.as_ref().map(|treasury| treasury.holder().to_string()).unwrap_or_default(),
            now: self.clock.unix_seconds(),
        }
    }
}

fn fault(error: &Error) -> Fault {
    let message = error.to_string();
    match error {
        Error::Name | Error::Glob { .. } | Error::Globs | Error::Limit(_) => Fault::bad_request(message),
        Error::Taken(_) | Error::Full => Fault::conflict(message),
        Error::Unknown { .. } => Fault::not_found(message),
        Error::Disk(_) => Fault::unable(message),
    }
}
