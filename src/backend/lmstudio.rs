//! LM Studio: OpenAI's list, and native ones that know what is in memory, with how much context and for how many requests
//! at once: `/api/v1/models` since version 0.4, before that `/api/v0/models`.

use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Ask, ProbeError};
use super::doubt::{Doubt, MOST_TOKENS};
use super::{Found, listing};
use crate::fleet::{Kind, Model, Residency, Support};

pub(super) const NATIVE: &str = "/api/v1/models";

pub(super) async fn probe(ask: &Ask<'_>, started: Instant, doubt: &mut Doubt) -> Result<Found, ProbeError> {
    let mut found = listing::probe(ask, started, Kind::LmStudio).await?;
    let Some(models) = &mut found.models else { return Ok(found) };
    let native = ask.get_json(NATIVE, doubt).await;
    if let Some(native) = native.as_ref().and_then(|native| doubt.list(native, "/models")) {
        models.iter_mut().for_each(|model| apply(model, native, doubt));
        found.slots = slots(native, doubt);
    } else if let Some(native) = ask.get_json("/api/v0/models", doubt).await {
        let native = doubt.list(&native, "/data").unwrap_or_default();
        models.iter_mut().for_each(|model| apply_older(model, native, doubt));
    }
    Ok(found)
}

fn instances(entry: &Value) -> impl Iterator<Item = &Value> {
    entry.get("loaded_instances").and_then(Value::as_array).into_iter().flatten()
}

fn text<'v>(entry: &'v Value, key: &str) -> Option<&'v str> {
    entry.get(key).and_then(Value::as_str)
}

/// A model is listed by its key, an instance of it in memory by the name that it was loaded under.
fn apply(model: &mut Model, native: &[Value], doubt: &mut Doubt) {
    let is_it = |instance: &&Value| text(instance, "id") == Some(&model.id);
    let listed = native.iter().find(|entry| text(entry, "key") == Some(&model.id));
    let Some(entry) = listed.or_else(|| native.iter().find(|entry| instances(entry).any(|one| is_it(&one)))) else {
        return;
    };
    let instance = instances(entry).find(is_it).or_else(|| instances(entry).next());
    if entry.get("loaded_instances").is_some_and(Value::is_array) {
        model.residency = if instance.is_some() { Residency::Loaded } else { Residency::Unloaded };
    } else {
        doubt.raise();
    }
    let set = instance.and_then(|instance| doubt.count(instance.pointer("/config/context_length"), MOST_TOKENS));
    let most = doubt.count(entry.get("max_context_length"), MOST_TOKENS);
    model.context_length = set.or(most).or(model.context_length);
    model.embeddings = Support::known(text(entry, "type").map(|kind| kind == "embedding"));
    model.vision = Support::known(doubt.flag(entry.pointer("/capabilities/vision"))).or(model.vision);
    // Models that were not trained for tools are given them by the prompt: that is no known no.
    if doubt.flag(entry.pointer("/capabilities/trained_for_tool_use")) == Some(true) {
        model.tools = Support::Yes;
    }
}

/// What the language models in memory take at once, all together; `None` where one does not tell.
fn slots(native: &[Value], doubt: &mut Doubt) -> Option<u32> {
    let speaking = native.iter().filter(|entry| text(entry, "type") != Some("embedding"));
    let mut total = None;
    for instance in speaking.flat_map(instances) {
        let slots = doubt.slots(instance.pointer("/config/parallel"))?;
        total = Some(total.unwrap_or(0_u32).saturating_add(slots));
    }
    total
}

fn apply_older(model: &mut Model, native: &[Value], doubt: &mut Doubt) {
    let Some(entry) = native.iter().find(|entry| text(entry, "id") == Some(&model.id)) else { return };
    let context = doubt.count(entry.get("loaded_context_length"), MOST_TOKENS);
    let context = context.or_else(|| doubt.count(entry.get("max_context_length"), MOST_TOKENS));
    model.context_length = context.or(model.context_length);
    let kind = text(entry, "type");
    model.vision = Support::known(kind.map(|kind| kind == "vlm")).or(model.vision);
    model.embeddings = Support::known(kind.map(|kind| kind == "embeddings"));
    if let Some(capabilities) = entry.get("capabilities").and_then(Value::as_array) {
        model.tools = Support::known(Some(capabilities.iter().any(|capability| capability == "tool_use")));
    }
    model.residency = match text(entry, "state") {
        Some("loaded") => Residency::Loaded,
        Some("loading") => Residency::Loading,
        Some("not-loaded") => Residency::Unloaded,
        _ => Residency::Unknown,
    };
}

#[cfg(test)]
mod tests;
