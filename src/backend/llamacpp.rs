//! llama.cpp's `llama-server`: `/health` first, because it says when a model is still loading; `/props` for what the
//! server is really set up for.

use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Ask, ProbeError};
use super::{Found, listing};
use crate::fleet::{Kind, Model, Support};

pub(super) async fn probe(ask: &Ask<'_>, started: Instant) -> Result<Found, ProbeError> {
    let (status, _) = ask.get("/health").await?;
    let latency = started.elapsed();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => return Err(ProbeError::Loading),
        status if !status.is_success() => return Err(ProbeError::Status(status)),
        _ => {}
    }
    let Some(mut models) = ask.get_maybe("/v1/models").await.and_then(|body| listing::read(&body, Kind::LlamaCpp))
    else {
        return Ok(Found { latency, models: None, slots: None });
    };
    // `--no-props` servers do not answer this: then the list alone must do.
    let props = ask.get_maybe("/props").await;
    if let Some(props) = &props {
        models.iter_mut().for_each(|model| apply(model, props));
    }
    Ok(Found { latency, models: Some(models), slots: props.as_ref().and_then(slots) })
}

/// More than any server has; a larger number is nonsense.
const MOST_SLOTS: u64 = 1024;

/// How many requests the running server serves at once.
fn slots(props: &Value) -> Option<u32> {
    let slots = props.get("total_slots").and_then(Value::as_u64)?;
    (1..=MOST_SLOTS).contains(&slots).then(|| u32::try_from(slots).unwrap_or(u32::MAX))
}

/// What the running server was started with holds over what the model was trained for.
fn apply(model: &mut Model, props: &Value) {
    let context = props.pointer("/default_generation_settings/n_ctx").and_then(Value::as_u64).filter(|n| *n > 0);
    model.context_length = context.or(model.context_length);
    let flag = |path: &str| Support::known(props.pointer(path).and_then(Value::as_bool));
    model.vision = flag("/modalities/vision").or(model.vision);
    model.tools = flag("/chat_template_caps/supports_tools").or(model.tools);
    // Grammars are part of every llama-server.
    model.json_mode = Support::Yes;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_context_that_was_set_holds_over_the_trained_one() {
        let mut model = Model { context_length: Some(131_072), ..Model::named("m") };
        apply(&mut model, &json!({"default_generation_settings": {"n_ctx": 8192}, "modalities": {"vision": false}}));
        assert_eq!(model.context_length, Some(8192));
        assert_eq!(model.vision, Support::No);
        assert_eq!(model.tools, Support::Unknown);
    }

    #[test]
    fn slots_are_believed_within_reason() {
        assert_eq!(slots(&json!({"total_slots": 4})), Some(4));
        for absurd in [json!({}), json!({"total_slots": 0}), json!({"total_slots": -1}), json!({"total_slots": 1e18})] {
            assert_eq!(slots(&absurd), None, "{absurd}");
        }
    }

    #[test]
    fn absurd_answers_change_nothing() {
        let mut model = Model { context_length: Some(4096), ..Model::named("m") };
        apply(&mut model, &json!({"default_generation_settings": {"n_ctx": -1}, "modalities": "all"}));
        assert_eq!(model.context_length, Some(4096));
        assert_eq!(model.vision, Support::Unknown);
    }
}
