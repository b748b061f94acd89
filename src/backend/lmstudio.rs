//! LM Studio: OpenAI's list, and a native one that knows context lengths, kinds and capabilities.

use serde_json::Value;
use tokio::time::Instant;

use super::ask::{Ask, ProbeError};
use super::{Found, listing};
use crate::fleet::{Kind, Model, Support};

pub(super) async fn probe(ask: &Ask<'_>, started: Instant) -> Result<Found, ProbeError> {
    let mut found = listing::probe(ask, started, Kind::LmStudio).await?;
    let Some(models) = &mut found.models else { return Ok(found) };
    if let Some(native) = ask.get_maybe("/api/v0/models").await {
        models.iter_mut().for_each(|model| apply(model, &native));
    }
    Ok(found)
}

fn apply(model: &mut Model, native: &Value) {
    let listed = native.get("data").and_then(Value::as_array).into_iter().flatten();
    let Some(entry) = listed.into_iter().find(|entry| entry.get("id").and_then(Value::as_str) == Some(&model.id))
    else {
        return;
    };
    let number = |key: &str| entry.get(key).and_then(Value::as_u64).filter(|number| *number > 0);
    model.context_length =
        number("loaded_context_length").or_else(|| number("max_context_length")).or(model.context_length);
    let kind = entry.get("type").and_then(Value::as_str);
    model.vision = Support::known(kind.map(|kind| kind == "vlm")).or(model.vision);
    model.embeddings = Support::known(kind.map(|kind| kind == "embeddings"));
    if let Some(capabilities) = entry.get("capabilities").and_then(Value::as_array) {
        model.tools = Support::known(Some(capabilities.iter().any(|capability| capability == "tool_use")));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_native_list_fills_what_openais_leaves_out() {
        let native = json!({"data": [
            {"id": "qwen2-vl-7b", "type": "vlm", "max_context_length": 32768, "capabilities": ["tool_use"]},
            {"id": "nomic-embed", "type": "embeddings", "max_context_length": 2048},
        ]});
        let mut vision = Model::named("qwen2-vl-7b");
        apply(&mut vision, &native);
        assert_eq!((vision.vision, vision.tools, vision.context_length), (Support::Yes, Support::Yes, Some(32_768)));
        let mut embed = Model::named("nomic-embed");
        apply(&mut embed, &native);
        assert_eq!((embed.embeddings, embed.tools), (Support::Yes, Support::Unknown));
        let mut other = Model::named("not-listed");
        apply(&mut other, &native);
        assert_eq!(other, Model::named("not-listed"));
    }
}
