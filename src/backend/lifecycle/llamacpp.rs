//! llama.cpp's `llama-server` as a router: it starts a server for each of its models, and says of each how it is.

use serde_json::{Value, json};

use super::{Standing, Trouble, told};
use crate::backend::ask::Ask;
use crate::backend::llamacpp::is_router;
use crate::fleet::Residency;

pub(super) async fn standing(ask: &Ask<'_>, model: &str) -> Result<Standing, Trouble> {
    let list = ask.get_ok("/v1/models").await?.unwrap_or_default();
    if !is_router(&list) {
        let instead = "this llama-server has one model for good: start it as a router, without --model, to have it load \
                       and unload models";
        return Err(Trouble::Impossible(instead.to_owned()));
    }
    let models = list.get("data").and_then(Value::as_array).into_iter().flatten();
    let is_it = |entry: &&Value| entry.get("id").and_then(Value::as_str) == Some(model);
    let status = models.into_iter().find(is_it).ok_or(Trouble::NoModel)?.get("status").cloned().unwrap_or_default();
    let residency = match status["value"].as_str() {
        Some("loaded") => Residency::Loaded,
        Some("loading") => Residency::Loading,
        _ => Residency::Unloaded,
    };
    let has_failed = residency == Residency::Unloaded && status["failed"].as_bool() == Some(true);
    Ok(Standing { residency, has_failed, is_certain: true })
}

pub(super) async fn load(ask: &Ask<'_>, model: &str) -> Result<(), Trouble> {
    told(ask, "/models/load", &json!({ "model": model })).await.map(drop)
}

pub(super) async fn unload(ask: &Ask<'_>, model: &str) -> Result<(), Trouble> {
    told(ask, "/models/unload", &json!({ "model": model })).await.map(drop)
}
