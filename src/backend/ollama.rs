//! Ollama: `/api/tags` lists, `/api/show` describes, `/api/ps` says what is in memory. What was shown is remembered by
//! digest, so a check of a hundred unchanged models is two requests.

mod ps;

use std::collections::{HashMap, HashSet};

use futures_util::stream::{self, StreamExt};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Found;
use super::ask::{Ask, ProbeError};
use super::doubt::Doubt;
use crate::fleet::{Model, Support, Weights};

pub(super) use ps::{PS, tagged};

/// Models by name and digest, as they were shown.
#[derive(Default)]
pub(super) struct Shown(HashMap<(String, String), Model>);

pub(super) async fn probe(
    ask: &Ask<'_>,
    started: Instant,
    shown: &mut Shown,
    doubt: &mut Doubt,
) -> Result<Found, ProbeError> {
    let body = ask.get_ok("/api/tags").await?;
    let latency = started.elapsed();
    let Some(tags) = body.as_ref().and_then(read_tags) else {
        return Ok(Found { latency, models: None, slots: None });
    };
    shown.0.retain(|tag, _| tags.contains(tag));
    let ((), running) = tokio::join!(show(ask, &tags, shown), ps::ask(ask, doubt));
    // One that was not shown in time is asked for again at the next check; until then only its name is known.
    let model = |tag: &(String, String)| shown.0.get(tag).cloned().unwrap_or_else(|| Model::named(tag.0.as_str()));
    let mut models: Vec<Model> = tags.iter().map(model).collect();
    let mut weights = body.as_ref().map(weights).unwrap_or_default();
    models.iter_mut().for_each(|model| model.weights = weights.remove(model.id.as_str()).unwrap_or_default());
    let remote = body.as_ref().map(remote).unwrap_or_default();
    models.iter_mut().for_each(|model| model.remote = remote.contains(model.id.as_str()));
    if let Some(running) = running {
        models.iter_mut().for_each(|model| running.apply(model));
    }
    Ok(Found { latency, models: Some(models), slots: None })
}

/// How many models are asked about at once.
const SHOWN_AT_ONCE: usize = 8;

/// Asks about every model that is not known yet, for as long as the check may take.
async fn show(ask: &Ask<'_>, tags: &[(String, String)], shown: &mut Shown) {
    let unknown: Vec<_> = tags.iter().filter(|tag| !shown.0.contains_key(*tag)).cloned().collect();
    let answers = stream::iter(unknown).map(|tag| async move {
        let question = json!({"name": tag.0, "model": tag.0});
        let answer = ask.post_maybe("/api/show", &question).await;
        (tag, answer)
    });
    let mut answers = answers.buffer_unordered(SHOWN_AT_ONCE);
    while let Some((tag, answer)) = answers.next().await {
        if let Some(answer) = answer {
            let model = describe(&tag.0, &answer);
            shown.0.insert(tag, model);
        }
    }
}

/// What each of a list says of its weights, by name.
fn weights(body: &Value) -> HashMap<&str, Weights> {
    let list = body.get("models").and_then(Value::as_array).into_iter().flatten();
    let entry = |entry: &'_ Value| {
        let text = |path: &str| entry.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        Weights {
            digest: text("/digest"),
            bytes: entry.get("size").and_then(Value::as_u64).unwrap_or(0),
            format: text("/details/format"),
            family: text("/details/family"),
            parameters: text("/details/parameter_size"),
            quantisation: text("/details/quantization_level"),
        }
    };
    list.filter_map(|value| {
        let name = value.get("name").or_else(|| value.get("model")).and_then(Value::as_str)?;
        Some((name, entry(value)))
    })
    .collect()
}

/// The names of those of a list that are served by another server: `remote_host` says which. A copy of a cloud model may be
/// called anything (<https://github.com/ollama/ollama/blob/main/api/types.go>, `ListModelResponse`).
fn remote(body: &Value) -> HashSet<&str> {
    let list = body.get("models").and_then(Value::as_array).into_iter().flatten();
    let says = |entry: &&Value, key: &str| entry.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let remote = list.filter(|entry| says(entry, "remote_host") || says(entry, "remote_model"));
    remote.filter_map(|entry| entry.get("name").or_else(|| entry.get("model")).and_then(Value::as_str)).collect()
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
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use bytes::Bytes;
    use futures_util::future::BoxFuture;
    use http_body_util::Full;

    use super::*;
    use crate::env::{ExchangeError, HttpExchange};
    use crate::exchange::{Reply, full};
    use crate::fleet::{BackendSpec, Kind, Source};

    /// An Ollama with many models, each of which takes its time to be shown.
    #[derive(Default)]
    struct Slow {
        models: usize,
        per_model: Duration,
        at_once: Arc<AtomicUsize>,
        most_at_once: Arc<AtomicUsize>,
    }

    impl HttpExchange for Slow {
        fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
            if request.uri().path() == PS {
                return Box::pin(async { Ok(http::Response::new(full(r#"{"models":[]}"#))) });
            }
            if request.uri().path() == "/api/tags" {
                let tags: Vec<_> =
                    (0..self.models).map(|n| json!({"name": format!("m{n:02}"), "digest": "d"})).collect();
                let body = json!({ "models": tags }).to_string();
                return Box::pin(async { Ok(http::Response::new(full(body))) });
            }
            let (per_model, at_once, most) = (self.per_model, self.at_once.clone(), self.most_at_once.clone());
            Box::pin(async move {
                most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::time::sleep(per_model).await;
                at_once.fetch_sub(1, Ordering::SeqCst);
                Ok(http::Response::new(full(r#"{"capabilities":["tools"]}"#)))
            })
        }
    }

    async fn check(slow: &Slow, shown: &mut Shown) -> (Vec<Model>, Duration) {
        let url = "http://h:1".parse().expect("literal");
        let spec = BackendSpec::new("o", url, Kind::Ollama, Source::Static);
        let began = Instant::now();
        let ask = Ask::new(slow, &spec, Duration::from_secs(5));
        let found = probe(&ask, began, shown, &mut Doubt::default()).await;
        let Found { models, .. } = found.expect("it answers");
        (models.expect("a list"), began.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn models_are_shown_side_by_side() {
        let slow = Slow { models: 20, per_model: Duration::from_secs(1), ..Slow::default() };
        let (models, took) = check(&slow, &mut Shown::default()).await;
        assert!(models.iter().all(|model| model.tools == Support::Yes), "{models:?}");
        assert_eq!((took, slow.most_at_once.load(Ordering::SeqCst)), (Duration::from_secs(3), 8));
    }

    /// The deadline was once one of each question: a hundred models took minutes, and none was known until the end.
    #[tokio::test(start_paused = true)]
    async fn a_check_keeps_its_time_and_knows_the_names() {
        let slow = Slow { models: 20, per_model: Duration::from_secs(2), ..Slow::default() };
        let mut shown = Shown::default();
        let (models, took) = check(&slow, &mut shown).await;
        assert_eq!((models.len(), took), (20, Duration::from_secs(5)));
        let described = models.iter().filter(|model| model.tools == Support::Yes).count();
        assert_eq!((models[0].id.as_str(), described), ("m00", 16), "what came in time is kept");
        let (models, _) = check(&slow, &mut shown).await;
        assert!(models.iter().all(|model| model.tools == Support::Yes), "the rest comes with the next check");
    }

    #[test]
    fn a_model_is_described_by_what_ollama_shows() {
        let answer = json!({
            "capabilities": ["completion", "tools", "vision"],
            "model_info": {"general.architecture": "llama", "llama.context_length": 131072},
        });
        let model = describe("llama3.2-vision:latest", &answer);
        assert_eq!((model.vision, model.tools, model.embeddings), (Support::Yes, Support::Yes, Support::No));
        assert_eq!(model.context_length, Some(131_072));
        assert_eq!(model.json_mode, Support::Yes, "json_object on Ollama was refused for ever");
    }

    #[test]
    fn an_old_ollama_that_shows_no_capabilities_leaves_them_unknown() {
        let model = describe("m", &json!({"modelfile": "FROM x"}));
        assert_eq!((model.vision, model.tools, model.context_length), (Support::Unknown, Support::Unknown, None));
    }

    #[test]
    fn a_copy_of_a_cloud_model_is_known_by_its_host() {
        let body = json!({"models": [
            {"name": "copy:latest", "remote_model": "gpt-oss:120b", "remote_host": "https://ollama.com:443"},
            {"name": "here:latest", "remote_host": ""}, {"name": "plain:7b"},
        ]});
        assert_eq!(remote(&body), HashSet::from(["copy:latest"]));
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
