//! Models: what a client names, and what is known of them.

use serde::{Deserialize, Serialize};

/// Whether a model can do a thing. Unknown never excludes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Support {
    /// Its server says so.
    Yes,
    /// Its server says it cannot.
    No,
    /// Nobody said.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Support {
    /// What a server reported, if it reported anything.
    pub fn known(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Support::Yes,
            Some(false) => Support::No,
            None => Support::Unknown,
        }
    }

    /// For output that has only two values: unknown counts as no.
    pub fn is_yes(self) -> bool {
        self == Support::Yes
    }

    /// This answer, or `guess` where nobody said.
    #[must_use]
    pub fn or(self, guess: Support) -> Self {
        if self == Support::Unknown { guess } else { self }
    }
}

/// Whether a model is in its server's memory: what is not must be loaded before it can answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Residency {
    /// It is on disk only.
    Unloaded,
    /// It is on its way into memory.
    Loading,
    /// It can answer at once.
    Loaded,
    /// Nobody said.
    #[default]
    #[serde(other)]
    Unknown,
}

impl Residency {
    /// Whether it can answer at once, where that is known.
    pub fn is_loaded(self) -> Option<bool> {
        match self {
            Residency::Loaded => Some(true),
            Residency::Unloaded | Residency::Loading => Some(false),
            Residency::Unknown => None,
        }
    }

    fn is_unknown(&self) -> bool {
        *self == Residency::Unknown
    }
}

/// A model as one backend offers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Model {
    /// The name its backend answers to.
    pub id: String,
    /// Tokens of prompt and answer together, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// Tokens of answer at most, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u64>,
    /// Images in the prompt.
    pub vision: Support,
    /// Tool calls.
    pub tools: Support,
    /// `response_format` of JSON.
    pub json_mode: Support,
    /// Embeddings.
    pub embeddings: Support,
    /// Its server says that it passes prompts on to another one, whatever the model is called.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub remote: bool,
    /// Whether it is in memory there.
    #[serde(skip_serializing_if = "Residency::is_unknown")]
    pub residency: Residency,
    /// What its weights are, where its server says.
    #[serde(skip_serializing_if = "Weights::is_unknown")]
    pub weights: Weights,
}

/// What the weights of a model are, as its server says. What is empty nobody said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Weights {
    /// By which the same file is known everywhere.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub digest: String,
    /// Bytes on disk; 0 = nobody said.
    #[serde(skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// As `gguf`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// As `llama`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub family: String,
    /// As `3.2B`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub parameters: String,
    /// As `Q4_K_M`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub quantisation: String,
}

impl Weights {
    fn is_unknown(&self) -> bool {
        *self == Weights::default()
    }
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Model {
    /// What is shown where a context length must be a number and none is known.
    pub const DISPLAY_CONTEXT: u64 = 4096;

    /// A model of which only the name is known.
    pub fn named(id: impl Into<String>) -> Self {
        Model { id: id.into(), ..Model::default() }
    }

    /// Whether asking for this model sends the prompt to somebody's cloud whatever its backend is:
    /// Ollama's cloud models end in `:cloud` or `-cloud`, and a copy of one under another name is told by its server.
    pub fn leaves_the_machine(&self) -> bool {
        const SUFFIX: &[u8] = b"cloud";
        let ends_so =
            self.id.as_bytes().split_last_chunk::<5>().is_some_and(|(rest, end)| {
                end.eq_ignore_ascii_case(SUFFIX) && matches!(rest.last(), Some(b':' | b'-'))
            });
        self.remote || ends_so
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cloud_models_of_ollama_are_told_by_their_name() {
        assert!(Model::named("gpt-oss:120b-cloud").leaves_the_machine());
        assert!(Model::named("kimi-k2:cloud").leaves_the_machine());
        assert!(Model::named("Kimi-K2:Cloud").leaves_the_machine());
        assert!(!Model::named("cloudy:7b").leaves_the_machine());
        assert!(!Model::named("cloud").leaves_the_machine() && !Model::named("xcloud").leaves_the_machine());
        assert!(Model { remote: true, ..Model::named("copy:latest") }.leaves_the_machine());
    }

    #[test]
    fn fields_of_a_later_version_are_skipped() {
        let model: Model = serde_json::from_str(r#"{"id":"m","vision":"sometimes","smell":true}"#).expect("lenient");
        assert_eq!(model, Model::named("m"));
        let model: Model = serde_json::from_str(r#"{"id":"m","residency":"half"}"#).expect("lenient");
        assert_eq!(model.residency, Residency::Unknown);
    }

    #[test]
    fn residency_is_left_out_where_nobody_knows() {
        let told = |residency| serde_json::to_value(Model { residency, ..Model::named("m") }).expect("plain data");
        assert_eq!(told(Residency::Unknown).get("residency"), None);
        assert_eq!(told(Residency::Loaded)["residency"], "loaded");
        for (residency, loaded) in [
            (Residency::Loaded, Some(true)),
            (Residency::Loading, Some(false)),
            (Residency::Unloaded, Some(false)),
            (Residency::Unknown, None),
        ] {
            assert_eq!(residency.is_loaded(), loaded);
        }
    }
}
