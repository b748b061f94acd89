//! llama.cpp's `llama-server`: `/health` first, because it says when a model is still loading; `/props` for what the
//! server is really set up for. As a router it runs one server for each of its models, and loads them as they are asked for:
//! no question of ours may do that.

mod slots;

use futures_util::future::join_all;
use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;
use url::form_urlencoded::byte_serialize;

use super::ask::{Ask, ProbeError};
use super::doubt::{Doubt, MOST_TOKENS};
use super::{Found, listing};
use crate::fleet::{Kind, Model, Residency, Support};

pub(super) use slots::{SLOTS, Slots, busy};

pub(super) const PROPS: &str = "/props";

/// Models of a router that are asked about at each check; it seldom has more than four in memory.
const MOST_ASKED: usize = 16;

pub(super) async fn probe(
    ask: &Ask<'_>,
    started: Instant,
    slots: &mut Slots,
    doubt: &mut Doubt,
) -> Result<Found, ProbeError> {
    let health = ask.get("/health").await;
    if !health.as_ref().is_ok_and(|(status, _)| status.is_success()) {
        // After an outage it may be another server, or set up in another way.
        *slots = Slots::Nobody;
    }
    let (status, _) = health?;
    let latency = started.elapsed();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => return Err(ProbeError::Loading),
        status if !status.is_success() => return Err(ProbeError::Status(status)),
        _ => {}
    }
    let list = ask.get_maybe("/v1/models").await;
    let Some(mut models) = list.as_ref().and_then(|body| listing::read(body, Kind::LlamaCpp)) else {
        return Ok(Found { latency, models: None, slots: None });
    };
    let found = if list.as_ref().is_some_and(is_router) {
        router(ask, &mut models, slots, doubt).await
    } else {
        server(ask, &mut models, slots, doubt).await
    };
    Ok(Found { latency, models: Some(models), slots: found })
}

/// A server of one model, which may have more names than one.
async fn server(ask: &Ask<'_>, models: &mut [Model], slots: &mut Slots, doubt: &mut Doubt) -> Option<u32> {
    // Where this has no answer, the list alone must do.
    let props = ask.get_json(PROPS, doubt).await.unwrap_or_default();
    let sleeps = doubt.flag(props.get("is_sleeping")) == Some(true);
    for model in models {
        apply(model, &props, doubt);
        model.residency = if sleeps { Residency::Unloaded } else { Residency::Loaded };
    }
    *slots = if sleeps || *slots == Slots::Sleeper { Slots::Sleeper } else { Slots::Server };
    doubt.slots(props.get("total_slots"))
}

/// A router. It takes as many requests as the models in its memory have slots; where it has none, or one does not tell,
/// nobody knows.
async fn router(ask: &Ask<'_>, models: &mut [Model], slots: &mut Slots, doubt: &mut Doubt) -> Option<u32> {
    let loaded = models.iter_mut().filter(|model| model.residency == Residency::Loaded).take(MOST_ASKED);
    let asked = join_all(loaded.map(async |model| {
        let mut doubt = Doubt::default();
        let props = ask.get_json(&at_model(PROPS, &model.id), &mut doubt).await;
        (model, props.unwrap_or_default(), doubt)
    }));
    let mut total = None;
    let mut is_told = true;
    let mut names = Vec::new();
    for (model, props, mut odd) in asked.await {
        apply(model, &props, &mut odd);
        names.push(model.id.clone());
        match odd.slots(props.get("total_slots")) {
            Some(slots) => total = Some(total.unwrap_or(0_u32).saturating_add(slots)),
            None => is_told = false,
        }
        if odd != Doubt::default() {
            doubt.raise();
        }
    }
    *slots = Slots::Models(names);
    total.filter(|_| is_told)
}

/// A question to the server of one model of a router, and to nobody where it is not in memory.
fn at_model(path: &str, model: &str) -> String {
    let model: String = byte_serialize(model.as_bytes()).collect();
    format!("{path}?model={model}&autoload=false")
}

/// Only a router says of each model where it is.
pub(super) fn is_router(list: &Value) -> bool {
    let models = list.get("data").and_then(Value::as_array).into_iter().flatten();
    models.into_iter().any(|model| model.pointer("/status/value").is_some())
}

/// What the running server was started with holds over what the model was trained for.
fn apply(model: &mut Model, props: &Value, doubt: &mut Doubt) {
    let context = doubt.count(props.pointer("/default_generation_settings/n_ctx"), MOST_TOKENS);
    model.context_length = context.or(model.context_length);
    let flag = |path: &str| Support::known(props.pointer(path).and_then(Value::as_bool));
    model.vision = flag("/modalities/vision").or(model.vision);
    model.tools = flag("/chat_template_caps/supports_tools").or(model.tools);
    // Grammars are part of every llama-server.
    model.json_mode = Support::Yes;
}

#[cfg(test)]
mod tests;
