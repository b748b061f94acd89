//! Models that took a request and said nothing. To find out whether they speak again is nobody's request's business: the
//! watch asks for one token, after a pause, and after longer ones for as long as nothing comes. At a vendor's every token
//! costs money: there a request is the probe, as it is where nobody watches.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use serde_json::json;
use tokio::time::Instant;
use tracing::debug;

use crate::backend::{self, Question};
use crate::env::{Env, ExchangeError};
use crate::exchange::{Endpoint, RequestId};
use crate::fleet::{Locality, Model, Status};
use crate::registry::Entry;

/// Until it is asked for the first time, and the longest until it is asked again.
const PAUSE: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long a token may take, and where the model has to be loaded first: some engines give a load up that nobody waits for.
const PATIENCE: Duration = Duration::from_secs(10);
const PATIENCE_WHEN_COLD: Duration = Duration::from_secs(120);

/// Whether it may be asked.
pub(super) fn is_watched(entry: &Entry) -> bool {
    entry.spec.kind.locality() == Locality::Local
}

/// Asks the models of `entry` that fall silent, for as long as it is there.
pub(super) async fn watch(entry: &Arc<Entry>, env: &Env) {
    loop {
        entry.fell_silent.notified().await;
        let mut pause = PAUSE;
        loop {
            if entry.silent(costs_nothing).is_empty() {
                break;
            }
            tokio::time::sleep(pause).await;
            // Whether it is there at all is for its checks to find out.
            if entry.is_withdrawn() || entry.condition().status == Status::Unhealthy {
                continue;
            }
            for model in entry.silent(costs_nothing) {
                ask(entry, &model, env).await;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn costs_nothing(model: &Model) -> bool {
    !model.leaves_the_machine()
}

/// Asks `model` for one token. What comes of it is told to its breakers.
async fn ask(entry: &Arc<Entry>, model: &Arc<Model>, env: &Env) {
    let Ok(mut lease) = entry.begin() else { return };
    debug!(target: "nexus::health", backend = entry.spec.name, model = model.id, "Backend is asked for a token");
    lease.sends(model);
    let (endpoint, body) = if model.embeddings.is_yes() {
        (Endpoint::Embeddings, json!({ "model": model.id, "input": "Hi" }))
    } else {
        let messages = json!([{ "role": "user", "content": "Hi" }]);
        (Endpoint::ChatCompletions, json!({ "model": model.id, "messages": messages, "max_tokens": 1 }))
    };
    let (id, body) = (RequestId::from_bits(0), Bytes::from(body.to_string()));
    let (client, model_name) = (HeaderMap::new(), model.id.as_str());
    let question =
        Question { endpoint, model: model_name, id: &id, client: &client, body, stream: false, is_translated: false };
    let request = backend::request(&entry.spec, question);
    let began = Instant::now();
    let answer = async {
        let reply = env.http.send(request).await?;
        let (status, mut body) = (reply.status(), reply.into_body());
        // Its first bytes are word enough, however many it would send.
        match body.frame().await {
            Some(Err(cut)) => Err(ExchangeError::Broken(cut.to_string())),
            _ => Ok(status),
        }
    };
    let is_cold = entry.residency_now(&model.id).is_loaded() == Some(false);
    match tokio::time::timeout(if is_cold { PATIENCE_WHEN_COLD } else { PATIENCE }, answer).await {
        Ok(Ok(status)) if status.is_server_error() => lease.failed(),
        Ok(Ok(status)) => lease.answered(began.elapsed(), status.is_success()),
        Ok(Err(ExchangeError::Connect(_))) => lease.refused(),
        Ok(Err(ExchangeError::Broken(_))) => lease.broken(),
        Err(_) => lease.silent(),
    }
}

#[cfg(test)]
mod tests;
