//! What a model's name says: family, version, size, flavour, quantisation, revision. The same model goes by other names
//! on other servers; this reads them alike. It looks nothing up: what a name leaves open stays open.

mod draft;
mod likeness;
mod number;
mod quantisation;
mod size;
mod split;
mod words;

use std::fmt;

pub use likeness::Likeness;
pub use size::Size;

use draft::Draft;

/// How often a name is read again from its own key. Real names read the same the second time.
const MAX_READINGS: usize = 6;

/// What a model's name says of it. Publishers, folders, file formats and tags like `latest` are no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Identity {
    /// `llama`, `gpt-oss`, `deepseek-r1`: the words in front of version and size that are no flavour.
    pub family: String,
    /// `3.2`, `4o`, without a leading `v`.
    pub version: Option<String>,
    /// Parameters, where told.
    pub size: Option<Size>,
    /// `coder`, `distill-qwen`, `instruct`, `vl`, ...: sorted, each once.
    pub flavour: Vec<String>,
    /// Canonical and lower case: `q4_k_m`, `f16`, `gptq-int4`, `4bit`.
    pub quantisation: Option<String>,
    /// A date or number of a release: `2025-09-29`, `2507`, `08-2024`, `001`.
    pub revision: Option<String>,
}

impl Identity {
    /// Reads a name. Every name can be read: what is not understood is part of the family or the flavour.
    pub fn parse(name: &str) -> Self {
        let mut identity = Draft::read(name);
        for _ in 1..MAX_READINGS {
            let again = Draft::read(&identity.key());
            if again == identity {
                break;
            }
            identity = again;
        }
        identity
    }

    /// Fills what the name left open with what the server tells, as Ollama does in `/api/tags`: `3.2B`, `Q4_K_M`.
    /// What cannot be read says nothing.
    #[must_use]
    pub fn with_details(mut self, parameter_size: Option<&str>, quantization: Option<&str>) -> Self {
        self.size = self.size.or_else(|| parameter_size.and_then(Size::parse));
        self.quantisation = self.quantisation.or_else(|| quantization.and_then(quantisation::canonical));
        self
    }

    /// The canonical name, such as `llama-3.2-3b-instruct@q4_k_m`. Reading it gives this identity again.
    pub fn key(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.size.map(|size| size.to_string());
        let mut parts = vec![self.family.as_str()];
        parts.extend(self.version.as_deref());
        parts.extend(size.as_deref());
        parts.extend(self.flavour.iter().map(String::as_str));
        parts.extend(self.revision.as_deref());
        parts.retain(|part| !part.is_empty());
        out.write_str(&parts.join("-"))?;
        match &self.quantisation {
            Some(quantisation) => write!(out, "@{quantisation}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
