//! What Ollama's clients ask besides inference: what there is, what is in memory, what a model is like. Of the whole mesh.
//! What changes the models on a disk is not for here.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;

use super::models::{self, Seen};
use super::{View, respond};
use crate::dialect::Fault;
use crate::dialect::ollama::{Capability, Details, ModelInfo, Running, RunningModel, Show, Tag, Tags, Version};
use crate::exchange::Dialect;
use crate::fleet::{Model, Residency, Support};

/// How long a model is said to stay in memory: nobody here knows.
const STAYS_SECONDS: u64 = 300;

/// `HEAD /`, and `GET /` for whoever reads no HTML: clients of Ollama look whether anybody is there.
pub(super) async fn greeting() -> &'static str {
    "Nexus is running\n"
}

/// `GET /api/version`.
pub(super) async fn version() -> Response {
    respond::json(StatusCode::OK, &Version::new(env!("CARGO_PKG_VERSION")))
}

/// `GET /api/tags`.
pub(super) async fn tags(State(view): State<View>) -> Response {
    let tag = |model: &Model| Tag::new(&model.id, view.created, model.weights.bytes, &digest(model), details(model));
    let models = unique(models::seen(&view)).iter().map(|seen| tag(&seen.model)).collect();
    respond::json(StatusCode::OK, &Tags { models })
}

/// `GET /api/ps`.
pub(super) async fn running(State(view): State<View>) -> Response {
    let expires_at = view.created + view.started.elapsed().as_secs() + STAYS_SECONDS;
    let running = |model: &Model| {
        let (bytes, context) = (model.weights.bytes, model.context_length.unwrap_or(0));
        RunningModel::new(&model.id, &digest(model), details(model), (bytes, bytes), context, expires_at)
    };
    let loaded = models::seen(&view).into_iter().filter(|seen| seen.model.residency == Residency::Loaded).collect();
    let models = unique(loaded).iter().map(|seen| running(&seen.model)).collect();
    respond::json(StatusCode::OK, &Running { models })
}

/// `POST /api/show`.
pub(super) async fn show(State(view): State<View>, body: Bytes) -> Response {
    let asked: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
    let text = |key: &str| asked.as_ref()?.get(key)?.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let Some(name) = text("model").or_else(|| text("name")) else {
        let fault = Fault::bad_request("`model` is required: the name of a model");
        return respond::fault_in(Dialect::Ollama, &fault);
    };
    let all = models::seen(&view);
    let latest = format!("{name}:latest");
    let found = [name.as_str(), &latest].into_iter().find_map(|name| all.iter().find(|seen| seen.model.id == name));
    match found {
        Some(seen) => respond::json(StatusCode::OK, &shown(&seen.model, view.created)),
        None => {
            let names: Vec<&str> = unique_names(&all);
            respond::fault_in(Dialect::Ollama, &Fault::model_not_found(&name, names))
        }
    }
}

/// What fetches, makes or deletes models.
pub(super) async fn not_here(uri: http::Uri) -> Response {
    let fault = Fault::not_offered(format!(
        "{} is not offered: Nexus routes to models and does not keep any. Ask the Ollama server itself",
        uri.path()
    ));
    respond::fault_in(Dialect::Ollama, &fault)
}

fn shown(model: &Model, modified_at: u64) -> Show {
    let family = if model.weights.family.is_empty() { "unknown" } else { &model.weights.family };
    let told = |support: Support, capability| support.is_yes().then_some(capability);
    let writes = if model.embeddings.is_yes() { None } else { Some(Capability::Completion) };
    let capabilities = [
        writes,
        told(model.tools, Capability::Tools),
        told(model.vision, Capability::Vision),
        told(model.embeddings, Capability::Embedding),
    ];
    let info = ModelInfo::new(family, model.context_length);
    Show::new(details(model), info, capabilities.into_iter().flatten().collect(), modified_at)
}

/// Clients take models of one digest for one model: where no server tells it, it is made of the name.
fn digest(model: &Model) -> String {
    match model.weights.digest.as_str() {
        "" => data_encoding::HEXLOWER.encode(&super::digest(&model.id)),
        told => told.to_owned(),
    }
}

fn details(model: &Model) -> Details {
    let weights = &model.weights;
    Details::new(&weights.format, &weights.family, &weights.parameters, &weights.quantisation)
}

fn unique(mut seen: Vec<Seen>) -> Vec<Seen> {
    seen.dedup_by(|later, first| later.model.id == first.model.id);
    seen
}

fn unique_names(seen: &[Seen]) -> Vec<&str> {
    let mut names: Vec<&str> = seen.iter().map(|seen| seen.model.id.as_str()).collect();
    names.dedup();
    names
}
