//! What can be asked of a backend, and in whose protocol. How each protocol looks is for [`crate::dialect`] to say.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// A protocol that clients or backends speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// OpenAI's, as most servers speak it: `/v1/chat/completions` and what belongs to it.
    OpenAi,
    /// OpenAI's Responses: `/v1/responses`.
    Responses,
    /// Anthropic's Messages: `/v1/messages`.
    Anthropic,
    /// Google's Gemini API: `/v1beta/models/{model}:generateContent`.
    Google,
    /// Ollama's own: `/api/chat`.
    Ollama,
}

impl Dialect {
    /// The word of logs, metrics and the wire between peers.
    pub fn as_str(self) -> &'static str {
        match self {
            Dialect::OpenAi => "openai",
            Dialect::Responses => "responses",
            Dialect::Anthropic => "anthropic",
            Dialect::Google => "google",
            Dialect::Ollama => "ollama",
        }
    }
}

/// What is asked. Every endpoint is a `POST`; the body is JSON, but for what [`Endpoint::is_form`] names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// OpenAI's `POST /v1/chat/completions`.
    ChatCompletions,
    /// OpenAI's `POST /v1/completions`.
    Completions,
    /// OpenAI's `POST /v1/embeddings`.
    Embeddings,
    /// OpenAI's `POST /v1/responses`.
    Responses,
    /// Anthropic's `POST /v1/messages`.
    Messages,
    /// Anthropic's `POST /v1/messages/count_tokens`.
    CountTokens,
    /// Ollama's `POST /api/chat`.
    OllamaChat,
    /// Ollama's `POST /api/generate`.
    OllamaGenerate,
    /// Ollama's `POST /api/embed`.
    OllamaEmbed,
    /// Ollama's older `POST /api/embeddings`.
    OllamaEmbeddings,
    /// Google's `POST /v1beta/models/{model}:generateContent`.
    GenerateContent,
    /// Google's `POST /v1beta/models/{model}:streamGenerateContent?alt=sse`.
    StreamContent,
    /// The same without `alt=sse`: the stream is one JSON array.
    StreamContentArray,
    /// Google's `POST /v1beta/models/{model}:countTokens`.
    CountContent,
    /// Google's `POST /v1beta/models/{model}:embedContent`.
    EmbedContent,
    /// Google's `POST /v1beta/models/{model}:batchEmbedContents`.
    BatchEmbedContents,
    /// `POST /v1/rerank`, as Cohere, Jina, vLLM and llama.cpp have it.
    Rerank,
    /// OpenAI's `POST /v1/audio/transcriptions`, a form.
    Transcriptions,
    /// OpenAI's `POST /v1/audio/translations`, a form.
    Translations,
    /// OpenAI's `POST /v1/audio/speech`.
    Speech,
    /// OpenAI's `POST /v1/images/generations`.
    Images,
    /// OpenAI's `POST /v1/images/edits`, a form.
    ImageEdits,
}

impl Endpoint {
    /// Whose protocol it belongs to.
    pub fn dialect(self) -> Dialect {
        use Endpoint as E;
        match self {
            E::ChatCompletions | E::Completions | E::Embeddings | E::Rerank => Dialect::OpenAi,
            E::Transcriptions | E::Translations | E::Speech | E::Images | E::ImageEdits => Dialect::OpenAi,
            E::Responses => Dialect::Responses,
            E::Messages | E::CountTokens => Dialect::Anthropic,
            E::OllamaChat | E::OllamaGenerate | E::OllamaEmbed | E::OllamaEmbeddings => Dialect::Ollama,
            E::GenerateContent | E::StreamContent | E::StreamContentArray | E::CountContent => Dialect::Google,
            E::EmbedContent | E::BatchEmbedContents => Dialect::Google,
        }
    }

    /// Where it is on a server that has it.
    pub fn path(self, model: &str) -> Cow<'static, str> {
        let google = |verb: &str| Cow::Owned(format!("/v1beta/models/{}:{verb}", escaped(model)));
        match self {
            Endpoint::ChatCompletions => "/v1/chat/completions".into(),
            Endpoint::Completions => "/v1/completions".into(),
            Endpoint::Embeddings => "/v1/embeddings".into(),
            Endpoint::Responses => "/v1/responses".into(),
            Endpoint::Messages => "/v1/messages".into(),
            Endpoint::CountTokens => "/v1/messages/count_tokens".into(),
            Endpoint::OllamaChat => "/api/chat".into(),
            Endpoint::OllamaGenerate => "/api/generate".into(),
            Endpoint::OllamaEmbed => "/api/embed".into(),
            Endpoint::OllamaEmbeddings => "/api/embeddings".into(),
            Endpoint::GenerateContent => google("generateContent"),
            Endpoint::StreamContent => google("streamGenerateContent?alt=sse"),
            Endpoint::StreamContentArray => google("streamGenerateContent"),
            Endpoint::CountContent => google("countTokens"),
            Endpoint::EmbedContent => google("embedContent"),
            Endpoint::BatchEmbedContents => google("batchEmbedContents"),
            Endpoint::Rerank => "/v1/rerank".into(),
            Endpoint::Transcriptions => "/v1/audio/transcriptions".into(),
            Endpoint::Translations => "/v1/audio/translations".into(),
            Endpoint::Speech => "/v1/audio/speech".into(),
            Endpoint::Images => "/v1/images/generations".into(),
            Endpoint::ImageEdits => "/v1/images/edits".into(),
        }
    }

    /// Whether the model is named in the path and not in the body.
    pub fn names_model_in_path(self) -> bool {
        self.dialect() == Dialect::Google
    }

    /// Whether the body is a form (`multipart/form-data`) and not JSON.
    pub fn is_form(self) -> bool {
        matches!(self, Endpoint::Transcriptions | Endpoint::Translations | Endpoint::ImageEdits)
    }

    /// Whether answers to it say how fast a backend reads prompts: where tokens are counted, nothing is read.
    pub fn is_read_by_model(self) -> bool {
        self.is_chat() || self.is_embedding() || self == Endpoint::Completions
    }

    /// Whether a whole answer is JSON. Sounds are none, and transcripts need not be.
    pub fn answers_json(self) -> bool {
        !self.is_form() && self != Endpoint::Speech
    }

    /// Whether it asks for the next turn of a conversation: these are translated into each other.
    pub fn is_chat(self) -> bool {
        use Endpoint as E;
        let by_openai = matches!(self, E::ChatCompletions | E::Responses);
        let by_others = matches!(self, E::Messages | E::OllamaChat | E::OllamaGenerate);
        by_openai || by_others || matches!(self, E::GenerateContent | E::StreamContent | E::StreamContentArray)
    }

    /// Whether it asks for embeddings: these are translated into each other.
    pub fn is_embedding(self) -> bool {
        use Endpoint as E;
        let by_google = matches!(self, E::EmbedContent | E::BatchEmbedContents);
        by_google || matches!(self, E::Embeddings | E::OllamaEmbed | E::OllamaEmbeddings)
    }

    /// Whether it asks how many tokens a prompt has.
    pub fn is_count(self) -> bool {
        matches!(self, Endpoint::CountTokens | Endpoint::CountContent)
    }
}

/// A model's name as a part of a path: what would end that part is escaped, but not the `/` that names have inside.
fn escaped(model: &str) -> String {
    let mut path = String::with_capacity(model.len());
    for byte in model.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b':' => {
                path.push(char::from(byte));
            }
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_leave_its_place_in_a_path() {
        let path = |model| Endpoint::GenerateContent.path(model);
        assert_eq!(path("gemini-2.5-flash"), "/v1beta/models/gemini-2.5-flash:generateContent");
        assert_eq!(path("a b?c#d%"), "/v1beta/models/a%20b%3Fc%23d%25:generateContent");
        assert_eq!(path("é"), "/v1beta/models/%C3%A9:generateContent");
    }
}
