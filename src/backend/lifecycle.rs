//! Models into memory and out of it: what each kind of server is told for that, and where it says a model is. One call
//! or one question each; how long anybody waits, and for what, is not decided here.

mod llamacpp;
mod lmstudio;
mod ollama;
mod pull;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::ask::{Ask, ProbeError};
use crate::dialect::Fault;
use crate::env::HttpExchange;
use crate::fleet::{BackendSpec, Kind, Model, Residency};

/// Kinds of servers that load and unload models when they are told to.
const ABLE: [Kind; 3] = [Kind::Ollama, Kind::LlamaCpp, Kind::LmStudio];

/// Why a server does not do what it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It never will.
    #[error("{0}")]
    Impossible(String),
    /// It has no such model.
    #[error("it has no such model")]
    NoModel,
    /// It has no room for it, as it says.
    #[error("{0}")]
    NoRoom(String),
    /// It is not there, or failed.
    #[error("{0}")]
    Failed(String),
}

/// Where a model is, as its server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// In memory or not.
    pub residency: Residency,
    /// It was to be loaded, and that went wrong.
    pub has_failed: bool,
    /// The server tells one that is loaded from one that is only about to be.
    pub is_certain: bool,
}

impl Standing {
    fn of(is_loaded: bool) -> Self {
        let residency = if is_loaded { Residency::Loaded } else { Residency::Unloaded };
        Standing { residency, has_failed: false, is_certain: true }
    }
}

/// Asks where `model` is.
///
/// # Errors
/// It is no model of this server, or no server of a kind that can be told to load one.
pub async fn standing(
    http: &dyn HttpExchange,
    spec: &BackendSpec,
    model: &str,
    timeout: Duration,
) -> Result<Standing, Trouble> {
    let ask = Ask::new(http, spec, timeout);
    match spec.kind {
        Kind::Ollama => ollama::standing(&ask, model).await,
        Kind::LlamaCpp => llamacpp::standing(&ask, model).await,
        Kind::LmStudio => lmstudio::standing(&ask, model).await,
        kind => Err(impossible(kind)),
    }
}

/// Has `model` loaded. Some servers answer when it is there, others at once.
///
/// # Errors
/// The server refuses, or fails.
pub async fn load(
    http: &dyn HttpExchange,
    spec: &BackendSpec,
    model: &Model,
    timeout: Duration,
) -> Result<(), Trouble> {
    let ask = Ask::new(http, spec, timeout);
    match spec.kind {
        Kind::Ollama => ollama::load(&ask, model).await,
        Kind::LlamaCpp => llamacpp::load(&ask, &model.id).await,
        Kind::LmStudio => lmstudio::load(&ask, model).await,
        kind => Err(impossible(kind)),
    }
}

/// Has `model` unloaded.
///
/// # Errors
/// The server refuses, or fails.
pub async fn unload(
    http: &dyn HttpExchange,
    spec: &BackendSpec,
    model: &str,
    timeout: Duration,
) -> Result<(), Trouble> {
    let ask = Ask::new(http, spec, timeout);
    match spec.kind {
        Kind::Ollama => ollama::unload(&ask, model).await,
        Kind::LlamaCpp => llamacpp::unload(&ask, model).await,
        Kind::LmStudio => lmstudio::unload(&ask, model).await,
        kind => Err(impossible(kind)),
    }
}

/// Has `model` fetched from the server's library. `tell` hears how much of it is there, 0 to 1; `patience` is for each
/// piece of news.
///
/// # Errors
/// The server cannot, refuses, or fails.
pub async fn pull(
    http: &dyn HttpExchange,
    spec: &BackendSpec,
    model: &str,
    patience: Duration,
    tell: impl Fn(f32),
) -> Result<(), Trouble> {
    match spec.kind {
        Kind::Ollama => pull::pull(http, spec, model, patience, tell).await,
        kind => {
            Err(Trouble::Impossible(format!("a backend of type {kind} cannot be told to pull a model: ollama can")))
        }
    }
}

/// Whether servers of this kind load and unload models when they are told to.
pub fn can_load(kind: Kind) -> bool {
    ABLE.contains(&kind)
}

/// Whether servers of this kind fetch models that they do not have.
pub fn can_pull(kind: Kind) -> bool {
    kind == Kind::Ollama
}

fn impossible(kind: Kind) -> Trouble {
    let able: Vec<_> = ABLE.iter().map(|kind| kind.as_str()).collect();
    Trouble::Impossible(format!(
        "a backend of type {kind} cannot be told to load or unload models. Those of these types can: {}",
        able.join(", ")
    ))
}

/// What a server answers to an order, where it follows it.
async fn told(ask: &Ask<'_>, path: &str, body: &Value) -> Result<Value, Trouble> {
    let (status, answer) = ask.post(path, body).await?;
    let value = serde_json::from_slice::<Value>(&answer).unwrap_or_default();
    // LM Studio answers so to what it does not know.
    let is_error = value.get("error").is_some_and(|error| !error.is_null());
    if status.is_success() && !is_error { Ok(value) } else { Err(trouble(status, &answer)) }
}

/// What is wrong, by what the server says.
fn trouble(status: StatusCode, body: &Bytes) -> Trouble {
    let said: String = Fault::told(status, body).message.chars().take(MOST_SAID).collect();
    if is_of_memory(&said) {
        return Trouble::NoRoom(said);
    }
    match status {
        StatusCode::NOT_FOUND => Trouble::NoModel,
        status if status.is_success() => Trouble::Failed(said),
        status => Trouble::Failed(format!("it answered {status}: {said}")),
    }
}

/// Characters of a server's words that are passed on.
const MOST_SAID: usize = 300;

/// Whether a server says that there is not enough memory.
fn is_of_memory(said: &str) -> bool {
    let said = said.to_ascii_lowercase();
    let memory = ["memory", "vram", "system resources"].iter().any(|word| said.contains(word));
    let lacks = ["insufficient", "requires more", "not enough", "out of", "failed to allocate", "unable to allocate"];
    memory && lacks.iter().any(|word| said.contains(word))
}

impl From<ProbeError> for Trouble {
    fn from(error: ProbeError) -> Self {
        Trouble::Failed(error.to_string())
    }
}
