//! Ollama: `/api/tags` lists, `/api/show` describes. What was shown is remembered by digest, so a check of a hundred
//! unchanged models is one request.

use std::collections::HashMap;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::Found;
use super::ask::{Ask, ProbeError};
use crate::fleet::{Model, Support};

/// Models by name and digest, as they were shown.
#[derive(Default)]
pub(super) struct Shown(HashMap<(String, String), Model>);

pub(super) async fn probe(ask: &Ask<'_>, started: Instant, shown: &mut Shown) -> Result<Found, ProbeError> {
    let body = ask.get_ok("/api/tags").await?;
    let latency = started.elapsed();
    let Some(tags) = body.as_ref().and_then(read_tags) else {
        return Ok(Found { latency, models: None, slots: None });
    };
    let mut models = Vec::with_capacity(tags.len());
    for tag in &tags {
        if !shown.0.contains_key(tag) {
            let question = json!({"name": tag.0, "model": tag.0});
            match ask.post_maybe("/api/show", &question).await {
                Some(answer) => drop(shown.0.insert(tag.clone(), describe(&tag.0, &answer))),
                // Asked again at the next check; until then only the name is known.
                None => {
                    models.push(Model::named(tag.0.as_str()));
                    continue;
                }
            }
        }
        models.extend(shown.0.get(tag).cloned());
    }
    shown.0.retain(|tag, _| tags.contains(tag));
    Ok(Found { latency, models: Some(models), slots: None })
}

/// (name, digest) of every model.
fn read_tags(body: &Value) -> Option<Vec<(String, String)>> {
    let list = body.get("models").and_then(Value::as_array)?;
    let text = |entry: &Value, key: &str| entry.get(key).and_then(Value::as_str).map(str::to_owned);
    let tag = |entry: &Value| {
        let name = text(entry, "name").or_else(|| text(entry, "model")).filter(|name| !name.is_empty())?;
        Some((name, text(entry, "digest").unwrap_or_default()))
    };
    Some(list.iter().filter_map(tag).collect())
}

fn describe(name: &str, answer: &Value) -> Model {
    let mut model = Model::named(name);
    if let Some(capabilities) = answer.get("capabilities").and_then(Value::as_array) {
        let has = |word: &str| Support::known(Some(capabilities.iter().any(|capability| capability == word)));
        (model.vision, model.tools, model.embeddings) = (has("vision"), has("tools"), has("embedding"));
    }
    let info = answer.get("model_info").and_then(Value::as_object).into_iter().flatten();
    model.context_length = info
        .filter(|(key, _)| key.ends_with(".context_length"))
        .find_map(|(_, value)| value.as_u64())
        .filter(|n| *n > 0);
    // `format` takes JSON and schemas for every model.
    model.json_mode = Support::Yes;
    model
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_described_by_what_ollama_shows() {
        let answer = json!({
            "capabilities": ["completion", "tools", "vision"],
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
        });
        let model = describe("llama3.2-vision:latest", &answer);
        assert_eq!((model.vision, model.tools, model.embeddings), (Support::Yes, Support::Yes, Support::No));
        assert_eq!(model.context_length, Some(131_072));
        assert_eq!(model.json_mode, Support::Yes, "W17: json_object on Ollama was refused for ever");
    }

    #[test]
    fn an_old_ollama_that_shows_no_capabilities_leaves_them_unknown() {
        let model = describe("m", &json!({"modelfile": "FROM x"}));
        assert_eq!((model.vision, model.tools, model.context_length), (Support::Unknown, Support::Unknown, None));
    }

    #[test]
    fn tags_without_a_name_are_passed_over() {
        let tags =
            read_tags(&json!({"models": [{"digest": "d"}, {"name": "m:latest", "digest": "d"}, {"model": "n"}]}));
        let expected = vec![("m:latest".to_owned(), "d".to_owned()), ("n".to_owned(), String::new())];
        assert_eq!(tags, Some(expected));
        assert_eq!(read_tags(&json!({"data": []})), None);
    }
}
