//! The endpoints: OpenAI's, plus `/slots` as llama.cpp has it and `/stats` for whoever tests with this server.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::pace::Pace;
use super::reply::{self, Form, Script};
use super::request::{self, Job, Refusal};
use super::slots::{Slots, Stats, Turn};
use super::stream::Flow;
use super::{CONTEXT, Options};

/// The largest body taken, in bytes: above what Nexus lets through, so that it is never the one to refuse.
const MAX_BODY: usize = 64 << 20;

/// What the handlers share.
pub(super) struct Service {
    pub(super) slots: Arc<Slots>,
    /// Name and the same as a JSON string.
    models: BTreeMap<String, String>,
    pace: Pace,
    head_first: bool,
    /// Unix seconds of the start. Every reply carries this one, so that the same request gets the same bytes.
    created: u64,
}

impl Service {
    pub(super) fn new(options: &Options, created: u64) -> Self {
        Service {
            slots: Arc::new(Slots::new(options.slots)),
            models: options.models.iter().map(|name| (name.clone(), Value::from(name.as_str()).to_string())).collect(),
            pace: Pace::new(options.prefill_per_second, options.tokens_per_second),
            head_first: options.head_first,
            created,
        }
    }

    fn model(&self, name: &str) -> Result<&str, Refusal> {
        self.models.get(name).map(String::as_str).ok_or_else(|| Refusal {
            status: StatusCode::NOT_FOUND,
            code: "model_not_found",
            param: Some("model"),
            message: format!("the model '{name}' does not exist"),
        })
    }

    fn enter(&self) -> Result<Turn, Refusal> {
        self.slots.enter().ok_or_else(|| Refusal {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "service_unavailable",
            param: None,
            message: "too many requests wait for a slot".to_owned(),
        })
    }

    async fn generate(&self, form: Form, job: Job) -> Result<Response, Refusal> {
        let model = self.model(&job.model)?.to_owned();
        let mut turn = self.enter()?;
        let script = Script { form, job, model, created: self.created };
        if script.job.stream {
            let mut flow = Flow::new(script, self.pace, turn);
            if !self.head_first {
                flow.ready().await;
            }
            return Ok(flow.response());
        }
        turn.begin().await;
        Pace::wait(Instant::now(), self.pace.decoded(script.job.prompt.tokens, script.job.tokens.into())).await;
        let whole = script.whole();
        turn.finish();
        Ok(reply::json_bytes(whole))
    }
}

type Shared = State<Arc<Service>>;
type Taken = Result<Bytes, BytesRejection>;

pub(super) fn router(service: Arc<Service>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completion))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/models", get(models))
        .route("/health", get(health))
        .route("/slots", get(slots))
        .route("/stats", get(stats))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .with_state(service)
}

async fn chat(State(service): Shared, body: Taken) -> Result<Response, Refusal> {
    service.generate(Form::Chat, request::chat(&taken(body)?)?).await
}

async fn completion(State(service): Shared, body: Taken) -> Result<Response, Refusal> {
    service.generate(Form::Completion, request::completion(&taken(body)?)?).await
}

async fn embeddings(State(service): Shared, body: Taken) -> Result<Response, Refusal> {
    let job = request::embeddings(&taken(body)?)?;
    service.model(&job.model)?;
    let mut turn = service.enter()?;
    turn.begin().await;
    let tokens = job.inputs.iter().map(|input| input.tokens).sum();
    Pace::wait(Instant::now(), service.pace.prefill(tokens)).await;
    let response = reply::embeddings(&job);
    turn.finish();
    Ok(response)
}

async fn models(State(service): Shared) -> Json<Value> {
    let one = |id: &String| {
        json!({
            "id": id, "object": "model", "created": service.created, "owned_by": "nexus-synthetic",
            "max_model_len": CONTEXT,
        })
    };
    Json(json!({"object": "list", "data": service.models.keys().map(one).collect::<Vec<_>>()}))
}

/// Not the word llama.cpp uses, by which it is told from others.
async fn health() -> Json<Value> {
    Json(json!({"status": "synthetic"}))
}

async fn slots(State(service): Shared) -> Json<Value> {
    let one = |(id, busy): (usize, bool)| json!({"id": id, "n_ctx": CONTEXT, "is_processing": busy});
    Json(service.slots.busy().into_iter().enumerate().map(one).collect())
}

async fn stats(State(service): Shared) -> Json<Stats> {
    Json(service.slots.stats())
}

async fn no_such_path(method: Method, uri: Uri) -> Response {
    refuse(StatusCode::NOT_FOUND, "not_found", format!("there is no {method} {}", uri.path()))
}

async fn no_such_method(method: Method, uri: Uri) -> Response {
    refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("{} does not take {method}", uri.path()))
}

fn refuse(status: StatusCode, code: &'static str, message: String) -> Response {
    Refusal { status, code, param: None, message }.into_response()
}

fn taken(body: Taken) -> Result<Bytes, Refusal> {
    body.map_err(|rejection| Refusal {
        status: rejection.status(),
        code: "bad_request",
        param: None,
        message: rejection.body_text(),
    })
}
