//! How to speak to each kind of backend: its paths, its key, what it says of its models. The only place that matches on
//! a backend's kind; it holds no state of its own.

mod anthropic;
mod ask;
mod busy;
mod call;
mod detect;
mod doubt;
mod google;
mod guess;
pub mod lifecycle;
mod listing;
mod llamacpp;
mod lmstudio;
mod ollama;
#[cfg(test)]
mod testing;
mod vllm;

use std::time::Duration;

use tokio::time::Instant;

use crate::env::HttpExchange;
use crate::fleet::{BackendSpec, Kind, Model};
use doubt::{Complaints, Doubt};

pub use ask::{Ask, ProbeError};
pub use busy::{Busy, busy};
pub use call::{Question, request, ways};
pub use detect::{Detected, detect};

/// What a check remembers from one time to the next, so that it need not ask again.
#[derive(Default)]
pub struct Memory {
    ollama: ollama::Shown,
    llamacpp: llamacpp::Slots,
    complaints: Complaints,
    /// Nobody had anything there when it was asked last.
    pub found_idle: bool,
    /// It said what it is, and it is no Nexus node.
    is_no_node: bool,
}

/// What a check has found.
#[derive(Debug)]
pub struct Found {
    /// How long the first answer took.
    pub latency: Duration,
    /// The models, sorted by id; `None` where the list could not be read: keep the previous one.
    pub models: Option<Vec<Model>>,
    /// How many requests it serves at once, where it says so.
    pub slots: Option<u32>,
}

/// Checks a backend: is it up, and what does it offer?
///
/// # Errors
/// It is not up, or not ready.
pub async fn probe(
    http: &dyn HttpExchange,
    spec: &BackendSpec,
    timeout: Duration,
    memory: &mut Memory,
) -> Result<Found, ProbeError> {
    let ask = Ask::new(http, spec, timeout);
    let started = Instant::now();
    let ask_what_it_is = async { if memory.is_no_node { Some(false) } else { detect::is_node(&ask).await } };
    let mut doubt = Doubt::default();
    let ask_what_it_has = async {
        match spec.kind {
            Kind::Ollama => (ollama::PS, ollama::probe(&ask, started, &mut memory.ollama, &mut doubt).await),
            Kind::LlamaCpp => (llamacpp::PROPS, llamacpp::probe(&ask, started, &mut memory.llamacpp, &mut doubt).await),
            Kind::LmStudio => (lmstudio::NATIVE, lmstudio::probe(&ask, started, &mut doubt).await),
            Kind::Anthropic => ("/v1/models", anthropic::probe(&ask, started).await),
            Kind::Google => ("/v1beta/models", google::probe(&ask, started).await),
            _ => ("/v1/models", listing::probe(&ask, started, spec.kind).await),
        }
    };
    let (is_node, (question, found)) = tokio::join!(ask_what_it_is, ask_what_it_has);
    memory.complaints.note(&spec.name, question, &doubt);
    // Another server may listen there after an outage.
    memory.is_no_node = is_node == Some(false) && found.is_ok();
    if is_node == Some(true) {
        return Err(ProbeError::Node);
    }
    let mut found = found?;
    if let Some(models) = &mut found.models {
        models.iter_mut().for_each(guess::fill);
        models.sort_by(|a, b| a.id.cmp(&b.id));
        models.dedup_by(|a, b| a.id == b.id);
    }
    Ok(found)
}
