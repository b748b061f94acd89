//! What the configuration file says, read again (`/nexus/v1/config/reload`) or changed in it. Who reads, checks and writes the
//! file is plugged in; here is only what is asked and told.

pub(super) mod routing;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::query::is_dry_run;
use super::{audit, respond};
use crate::budget::{self, BudgetChange};
use crate::dialect::Fault;
use crate::fleet::{Kind, Tier, Zone};
use crate::mesh::Membership;
use crate::route::{self, PolicyChange, Turned};

/// Reads the configuration of a running node again, and writes into its file.
pub trait Settings: Send + Sync + 'static {
    /// Takes up what the file says now; with `dry_run` only says what that would change.
    ///
    /// # Errors
    /// Why everything is as it was.
    fn reload(&self, dry_run: bool) -> Result<Reloaded, Declined>;

    /// The section of routing that counts now, and what tells this state of the file from others; `None` where there is no
    /// file.
    fn routing(&self) -> (Arc<route::Config>, Option<String>);

    /// What of `membership` will not hold after the next start though the file says it, a sentence each: the environment of this
    /// node wins over its file.
    fn overruled(&self, membership: &Membership) -> Vec<String>;

    /// Where the file is wrong that could not be taken up; `None` while it is what counts.
    fn rejected(&self) -> Option<String>;

    /// Writes a change into the file and takes it up, if that is still as whoever asks has seen it.
    ///
    /// # Errors
    /// Why file and node are as they were.
    fn write(&self, edit: Edit, seen: Option<String>, dry_run: bool) -> BoxFuture<'_, Result<Reloaded, Declined>>;
}

/// A change of the configuration file. Without a new value the old one is removed.
#[derive(Clone, Debug)]
pub enum Edit {
    /// `routing.aliases`.
    Alias {
        /// The other name.
        name: String,
        /// The model it stands for.
        target: Option<String>,
    },
    /// `routing.fallbacks`.
    Fallback {
        /// The model.
        name: String,
        /// Those that may answer instead.
        models: Option<Vec<String>>,
    },
    /// `routing.policies`.
    Policy {
        /// The pattern that names it.
        pattern: String,
        /// What of it is to be another.
        change: Option<PolicyChange>,
    },
    /// `budget`.
    Budget(BudgetChange),
    /// `mesh.name`, `mesh.key` and `mesh.seeds`.
    Membership(Membership),
    /// `backends`.
    Backend {
        /// Its name.
        name: String,
        /// What it is.
        backend: Option<Saved>,
    },
}

/// A backend as it is written into the file.
#[derive(Clone, Debug)]
pub struct Saved {
    /// Its root.
    pub url: String,
    /// What it is.
    pub kind: Kind,
    /// Lower wins.
    pub priority: Option<u32>,
    /// Where its prompts may be read.
    pub zone: Option<Zone>,
    /// How capable it is.
    pub tier: Option<Tier>,
}

/// What a reload has changed, by key. Values stand here of policies and of the budget alone: others may be
/// secret.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Reloaded {
    /// The file.
    pub file: String,
    /// Whether this is only what would be.
    pub dry_run: bool,
    /// Keys that count with their new values.
    pub changed: Vec<String>,
    /// Keys that were changed and count with the next start.
    pub needs_restart: Vec<String>,
    /// Backends of the file.
    pub backends: Backends,
    /// Policies that are others now, as they were and as they are: nothing of them is secret.
    pub policies: Vec<Turned>,
    /// The budget where it is another now, as it was and as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<TurnedBudget>,
    /// What protects less than before, a sentence each.
    pub weakens: Vec<String>,
    /// What is right but probably not meant.
    pub warnings: Vec<String>,
    /// What tells this state of the file from others.
    #[serde(skip)]
    pub etag: Option<String>,
}

/// A budget that is another one now, has come or has gone.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TurnedBudget {
    /// What it was.
    pub before: Option<budget::Config>,
    /// What it is.
    pub after: Option<budget::Config>,
}

/// Backends that came, went or are something else now.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Backends {
    /// New ones.
    pub added: Vec<String>,
    /// Those that finish what they have.
    pub removed: Vec<String>,
    /// Those of which something is different.
    pub changed: Vec<String>,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Declined {
    /// The configuration would be wrong.
    Wrong(String),
    /// There is nothing of that name to remove.
    Unknown(String),
    /// The file is not what whoever asks has seen.
    Outdated(String),
    /// There is no file, or it cannot be written.
    NoFile(String),
}

impl Declined {
    pub(super) fn fault(&self) -> Fault {
        match self {
            Declined::Wrong(message) => Fault::bad_request(message.clone()),
            Declined::Unknown(message) => Fault::not_found(message.clone()),
            Declined::Outdated(message) => Fault::precondition(message.clone()),
            Declined::NoFile(message) => Fault::conflict(message.clone()),
        }
    }
}

/// Who is asked here.
pub(super) type Owner = Arc<dyn Settings>;

/// The largest body of a management call.
const BODY_LIMIT: usize = 64 << 10;

pub(super) async fn reload(State(settings): State<Owner>, uri: http::Uri) -> Response {
    let dry_run = is_dry_run(&uri);
    match settings.reload(dry_run) {
        Ok(reloaded) => done(&reloaded, "config_reloaded", reloaded.file.clone()),
        Err(declined) => respond::fault(&declined.fault()),
    }
}

/// What was changed, with the state of the file, to be written down unless nothing was.
fn done(reloaded: &Reloaded, action: &'static str, subject: String) -> Response {
    let mut response = tagged(respond::json(StatusCode::OK, reloaded), reloaded.etag.as_deref());
    if !reloaded.dry_run {
        audit::deed(&mut response, action, subject);
    }
    response
}

fn tagged(mut response: Response, etag: Option<&str>) -> Response {
    if let Some(etag) = etag.and_then(|etag| HeaderValue::try_from(format!("\"{etag}\"")).ok()) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// The state of the file that whoever asks has seen.
fn seen(headers: &HeaderMap) -> Option<String> {
    let tag = headers.get(header::IF_MATCH)?.to_str().ok()?.trim();
    (tag != "*").then(|| tag.trim_matches('"').to_owned())
}
