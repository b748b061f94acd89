//! llama.cpp's `llama-server`: `/health` first, because it says when a model is still loading; `/props` for what the
//! server is really set up for.

use http::StatusCode;
use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Ask, ProbeError};
use super::listing::{self, Answer};
use crate::fleet::{Kind, Model, Support};

pub(super) async fn probe(ask: &Ask<'_>, started: Instant) -> Result<Answer, ProbeError> {
    let (status, _) = ask.get("/health").await?;
    let latency = started.elapsed();
    match status {
        StatusCode::SERVICE_UNAVAILABLE => return Err(ProbeError::Loading),
        status if !status.is_success() => return Err(ProbeError::Status(status)),
        _ => {}
    }
    let Some(mut models) = ask.get_maybe("/v1/models").await.and_then(|body| listing::read(&body, Kind::LlamaCpp))
    else {
        return Ok((latency, None));
    };
    // `--no-props` servers do not answer this: then the list alone must do.
    if let Some(props) = ask.get_maybe("/props").await {
        models.iter_mut().for_each(|model| apply(model, &props));
    }
    Ok((latency, Some(models)))
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
    fn absurd_answers_change_nothing() {
        let mut model = Model { context_length: Some(4096), ..Model::named("m") };
        apply(&mut model, &json!({"default_generation_settings": {"n_ctx": -1}, "modalities": "all"}));
        assert_eq!(model.context_length, Some(4096));
        assert_eq!(model.vision, Support::Unknown);
    }
}
