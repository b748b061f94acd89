//! `/api/ps`: the models that Ollama has in memory, and with how much context.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::backend::ask::Ask;
use crate::backend::doubt::{Doubt, MOST_TOKENS};
use crate::fleet::{Model, Residency};

pub(in crate::backend) const PS: &str = "/api/ps";

/// What is in memory: names, each with its context where that was told.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Running(BTreeMap<String, Option<u64>>);

/// `None` where it does not say.
pub(super) async fn ask(ask: &Ask<'_>, doubt: &mut Doubt) -> Option<Running> {
    read(&ask.get_json(PS, doubt).await?, doubt)
}

/// Entries without a name are passed over.
fn read(answer: &Value, doubt: &mut Doubt) -> Option<Running> {
    let mut running = BTreeMap::new();
    for entry in doubt.list(answer, "/models")? {
        let name = ["name", "model"].iter().find_map(|key| entry.get(key).and_then(Value::as_str));
        match name.filter(|name| !name.is_empty()) {
            Some(name) => {
                let context = doubt.count(entry.get("context_length"), MOST_TOKENS);
                running.insert(tagged(name), context);
            }
            None => doubt.raise(),
        }
    }
    Some(Running(running))
}

impl Running {
    /// What is in memory has the context that it was loaded with, whatever it was trained for.
    pub(super) fn apply(&self, model: &mut Model) {
        let Some(context) = self.0.get(&tagged(&model.id)) else {
            model.residency = Residency::Unloaded;
            return;
        };
        model.residency = Residency::Loaded;
        model.context_length = context.or(model.context_length);
    }
}

/// A name without a tag means the tag `latest`.
pub(in crate::backend) fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or(name);
    if last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Answers, check};
    use super::*;
    use crate::fleet::Kind;

    const TAGS: (&str, &str) = (
        "/api/tags",
        r#"{"models":[
        {"name":"gemma3:4b","digest":"a2af"},{"name":"llama3.2:latest","digest":"a80c"},{"name":"mistral","digest":"f974"}]}"#,
    );
    const SHOWN: (&str, &str) =
        ("/api/show", r#"{"capabilities":["completion"],"model_info":{"gemma3.context_length":131072}}"#);
    const RUNNING: &str = r#"{"models":[
        {"name":"gemma3:4b","model":"gemma3:4b","size":6591830464,"digest":"a2af","details":{"parent_model":"","format":"gguf",
         "family":"gemma3","families":["gemma3"],"parameter_size":"4.3B","quantization_level":"Q4_K_M"},
         "expires_at":"2025-10-17T16:47:07.93355-07:00","size_vram":5333539264,"context_length":4096},
        {"name":"mistral:latest","model":"mistral:latest","size":5137025024,"expires_at":"2024-06-04T14:38:31.83753-07:00"}]}"#;

    #[tokio::test]
    async fn what_runs_is_loaded_and_the_rest_is_not() {
        let seen = check(Kind::Ollama, &Answers::of(&[TAGS, SHOWN, (PS, RUNNING)])).await;
        let told: Vec<_> = seen.models().iter().map(|model| (model.residency, model.context_length)).collect();
        let trained = Some(131_072);
        assert_eq!(
            told,
            [(Residency::Loaded, Some(4096)), (Residency::Unloaded, trained), (Residency::Loaded, trained)]
        );
        assert_eq!((seen.busy, seen.complaints), (None, 0));
    }

    #[tokio::test]
    async fn an_ollama_that_does_not_say_leaves_it_unknown() {
        for (answers, complaints) in [
            (Answers::of(&[TAGS, SHOWN]), 0),
            (Answers::of(&[TAGS, SHOWN, (PS, r#"{"error":"no"}"#)]), 0),
            (Answers::of(&[TAGS, SHOWN, (PS, "<html>")]), 1),
            (Answers::of(&[TAGS, SHOWN, (PS, r#"{"models":"all"}"#)]), 1),
            (Answers::of(&[TAGS, SHOWN, (PS, "[]")]), 1),
        ] {
            let seen = check(Kind::Ollama, &answers).await;
            assert!(seen.models().iter().all(|model| model.residency == Residency::Unknown));
            assert_eq!(seen.complaints, complaints);
        }
    }

    #[tokio::test]
    async fn absurd_entries_are_left_out_of_account() {
        for (entry, residency) in [
            (r#"{"name":"mistral","context_length":-4096}"#, Residency::Loaded),
            (r#"{"name":"mistral","context_length":"4k"}"#, Residency::Loaded),
            (r#"{"name":"mistral","context_length":1e300}"#, Residency::Loaded),
            (r#"{"name":7}"#, Residency::Unloaded),
            (r#"{"name":""}"#, Residency::Unloaded),
            ("null", Residency::Unloaded),
            ("[[]]", Residency::Unloaded),
        ] {
            let running = format!(r#"{{"models":[{entry}]}}"#);
            let seen = check(Kind::Ollama, &Answers::of(&[TAGS, SHOWN, (PS, &running)])).await;
            let model = seen.models().last().expect("three models");
            assert_eq!((model.residency, model.context_length), (residency, Some(131_072)), "{entry}");
            assert_eq!(seen.complaints, 1, "{entry}");
        }
    }
}
