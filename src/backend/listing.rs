//! `GET /v1/models` as OpenAI-compatible servers answer it, with what each of them adds.

use serde_json::Value;
use tokio::time::Instant;

use super::Found;
use super::ask::{Ask, ProbeError};
use crate::fleet::{Kind, Model, Residency, Support};

pub(super) async fn probe(ask: &Ask<'_>, started: Instant, kind: Kind) -> Result<Found, ProbeError> {
    let body = ask.get_ok("/v1/models").await?;
    Ok(Found { latency: started.elapsed(), models: body.as_ref().and_then(|body| read(body, kind)), slots: None })
}

/// The models of a list; `None` where it is no list. Entries without an id are passed over.
pub(super) fn read(body: &Value, kind: Kind) -> Option<Vec<Model>> {
    let list = body.get("data").and_then(Value::as_array)?;
    Some(list.iter().filter_map(|entry| model(entry, kind)).collect())
}

fn model(entry: &Value, kind: Kind) -> Option<Model> {
    let id = entry.get("id").and_then(Value::as_str).filter(|id| !id.is_empty())?;
    let number = |path: &str| entry.pointer(path).and_then(Value::as_u64).filter(|number| *number > 0);
    let mut model = Model::named(id);
    model.context_length = number("/max_model_len")
        .or_else(|| number("/context_length"))
        .or_else(|| number("/context_window"))
        .or_else(|| number("/meta/n_ctx_train"));
    model.weights.bytes = number("/meta/size").unwrap_or(0);
    let capable = |key: &str| entry.pointer("/capabilities").and_then(|all| all.get(key)).and_then(Value::as_bool);
    model.vision = Support::known(capable("vision"));
    model.tools = Support::known(capable("tools"));
    model.json_mode = Support::known(capable("json_mode"));
    if kind == Kind::Vllm {
        // Guided decoding is part of every vLLM server, and what it lists it has in memory.
        model.json_mode = Support::Yes;
        model.residency = Residency::Loaded;
    }
    if kind == Kind::LlamaCpp {
        model.residency = residency(entry.pointer("/status/value").and_then(Value::as_str));
    }
    Some(model)
}

/// What llama.cpp's router says of where a model is.
fn residency(said: Option<&str>) -> Residency {
    match said {
        Some("loaded") => Residency::Loaded,
        Some("loading") => Residency::Loading,
        Some("unloaded" | "sleeping" | "downloading" | "downloaded") => Residency::Unloaded,
        _ => Residency::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn vllm_tells_the_context_length() {
        let body = json!({"object": "list", "data": [
            {"id": "Qwen/Qwen2.5-7B-Instruct", "object": "model", "owned_by": "vllm", "max_model_len": 32768},
        ]});
        let models = read(&body, Kind::Vllm).expect("a list");
        assert_eq!(models[0].id, "Qwen/Qwen2.5-7B-Instruct");
        assert_eq!(models[0].context_length, Some(32_768));
        assert_eq!(models[0].tools, Support::Unknown, "nobody said no");
        assert_eq!(models[0].residency, Residency::Loaded);
        assert_eq!(read(&body, Kind::Generic).expect("a list")[0].residency, Residency::Unknown);
    }

    #[test]
    fn nonsense_is_no_list_and_odd_entries_are_passed_over() {
        assert_eq!(read(&json!({"models": []}), Kind::Generic), None);
        assert_eq!(read(&json!([1, 2]), Kind::Generic), None);
        let body = json!({"data": [{"id": ""}, {"name": "x"}, 7, {"id": "m", "max_model_len": -3}]});
        assert_eq!(read(&body, Kind::Generic), Some(vec![Model::named("m")]));
    }
}
