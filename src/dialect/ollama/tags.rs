//! Answers that describe models and the server: `/api/tags`, `/api/ps`, `/api/show` and `/api/version`. Only their
//! shapes: what is in them is for others to know. An unknown text is empty, an unknown size 0.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::clock::rfc3339;

/// The answer of `/api/tags`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Tags {
    /// What may be asked for.
    pub models: Vec<Tag>,
}

/// A model that may be asked for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tag {
    name: String,
    model: String,
    modified_at: String,
    size: u64,
    digest: String,
    details: Details,
}

/// The answer of `/api/ps`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Running {
    /// What is loaded.
    pub models: Vec<RunningModel>,
}

/// A model that is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunningModel {
    name: String,
    model: String,
    size: u64,
    digest: String,
    details: Details,
    expires_at: String,
    size_vram: u64,
    context_length: u64,
}

/// The answer of `/api/show`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Show {
    modelfile: String,
    parameters: String,
    template: String,
    details: Details,
    model_info: ModelInfo,
    capabilities: Vec<Capability>,
    modified_at: String,
}

/// The answer of `/api/version`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Version {
    version: String,
}

/// What a model is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Details {
    parent_model: String,
    format: String,
    family: String,
    families: Vec<String>,
    parameter_size: String,
    quantization_level: String,
}

/// What the file of a model says about it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    architecture: String,
    context_length: Option<u64>,
}

/// What a model can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Capability {
    /// It writes text.
    Completion,
    /// It calls tools.
    Tools,
    /// It looks at pictures.
    Vision,
    /// It makes embeddings.
    Embedding,
    /// It thinks before it writes.
    Thinking,
}

impl Tag {
    /// The model of this name; `modified_at` in seconds since 1970, `size` in bytes.
    pub fn new(name: &str, modified_at: u64, size: u64, digest: &str, details: Details) -> Self {
        let (model, modified_at) = (name.to_owned(), rfc3339(modified_at));
        Tag { name: name.to_owned(), model, modified_at, size, digest: digest.to_owned(), details }
    }
}

impl RunningModel {
    /// The model of this name; `expires_at` in seconds since 1970, sizes in bytes, the context in tokens.
    pub fn new(
        name: &str,
        digest: &str,
        details: Details,
        (size, size_vram): (u64, u64),
        context_length: u64,
        expires_at: u64,
    ) -> Self {
        let (model, expires_at) = (name.to_owned(), rfc3339(expires_at));
        let (name, digest) = (name.to_owned(), digest.to_owned());
        RunningModel { name, model, size, digest, details, expires_at, size_vram, context_length }
    }
}

impl Show {
    /// A model; `modified_at` in seconds since 1970.
    pub fn new(details: Details, model_info: ModelInfo, capabilities: Vec<Capability>, modified_at: u64) -> Self {
        let nothing = String::new;
        let (modelfile, parameters, template) = (nothing(), nothing(), nothing());
        let modified_at = rfc3339(modified_at);
        Show { modelfile, parameters, template, details, model_info, capabilities, modified_at }
    }
}

impl Version {
    /// A server of this version, as `0.12.0`.
    pub fn new(version: &str) -> Self {
        Version { version: version.to_owned() }
    }
}

impl Details {
    /// A model of this kind of file (`gguf`), family (`llama`), size (`8.0B`) and quantization (`Q4_K_M`).
    pub fn new(format: &str, family: &str, parameter_size: &str, quantization_level: &str) -> Self {
        Details {
            parent_model: String::new(),
            format: format.to_owned(),
            family: family.to_owned(),
            families: if family.is_empty() { Vec::new() } else { vec![family.to_owned()] },
            parameter_size: parameter_size.to_owned(),
            quantization_level: quantization_level.to_owned(),
        }
    }
}

impl ModelInfo {
    /// A model of this architecture (`llama`), trained for so many tokens of context.
    pub fn new(architecture: &str, context_length: Option<u64>) -> Self {
        ModelInfo { architecture: architecture.to_owned(), context_length }
    }
}

impl Serialize for ModelInfo {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("general.architecture", &self.architecture)?;
        if let Some(length) = self.context_length {
            map.serialize_entry(&format!("{}.context_length", self.architecture), &length)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value(of: &impl Serialize) -> Value {
        serde_json::to_value(of).unwrap()
    }

    #[test]
    fn models_are_described_as_ollama_does() {
        let details = Details::new("gguf", "llama", "8.0B", "Q4_K_M");
        let made_of = json!({
            "parent_model": "", "format": "gguf", "family": "llama", "families": ["llama"],
            "parameter_size": "8.0B", "quantization_level": "Q4_K_M",
        });
        let tags = Tags { models: vec![Tag::new("m", 1_700_000_000, 7, "d", details.clone())] };
        let tag = json!({
            "name": "m", "model": "m", "modified_at": "2023-11-14T22:13:20Z", "size": 7, "digest": "d",
            "details": made_of,
        });
        assert_eq!(value(&tags), json!({ "models": [tag] }));
        let running = RunningModel::new("m", "", details.clone(), (7, 6), 4096, 1_700_000_000);
        let loaded = json!({
            "name": "m", "model": "m", "size": 7, "digest": "", "details": made_of,
            "expires_at": "2023-11-14T22:13:20Z", "size_vram": 6, "context_length": 4096,
        });
        assert_eq!(value(&Running { models: vec![running] }), json!({ "models": [loaded] }));
        let can = vec![Capability::Completion, Capability::Thinking];
        let show = json!({
            "modelfile": "", "parameters": "", "template": "", "details": made_of,
            "model_info": { "general.architecture": "llama", "llama.context_length": 8192 },
            "capabilities": ["completion", "thinking"], "modified_at": "1970-01-01T00:00:00Z",
        });
        assert_eq!(value(&Show::new(details, ModelInfo::new("llama", Some(8192)), can, 0)), show);
        assert_eq!(value(&Version::new("0.12.0")), json!({ "version": "0.12.0" }));
        assert_eq!(value(&ModelInfo::default()), json!({ "general.architecture": "" }));
    }
}
