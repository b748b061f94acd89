//! What each kind of backend can be asked, and how: in the client's own words, or in its own. A table, and the only place
//! that says which kind has which endpoint.

use super::{BackendSpec, Kind};
use crate::exchange::{Dialect, Endpoint};

/// How a kind of backend is asked for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// As the client asked: bytes are relayed.
    Relayed,
    /// Newer versions can be asked as the client asked; what is too old says that it has no such endpoint, and is asked
    /// for this instead.
    RelayedOr(Endpoint),
    /// By asking for this instead: the request and its answer are translated.
    Translated(Endpoint),
    /// It need not be asked: how many tokens a prompt has is estimated.
    Estimated,
    /// Not at all.
    Never,
}

impl Kind {
    /// How a backend of this kind is asked for `endpoint`.
    pub fn speech(self, endpoint: Endpoint) -> Speech {
        if self.has(endpoint) {
            return match self.may_lack(endpoint).then(|| self.instead_of(endpoint)).flatten() {
                Some(instead) => Speech::RelayedOr(instead),
                None => Speech::Relayed,
            };
        }
        match self.instead_of(endpoint) {
            Some(instead) => Speech::Translated(instead),
            None if endpoint.is_count() => Speech::Estimated,
            None => Speech::Never,
        }
    }

    /// Whether a request may tell it how to load its model.
    pub fn is_told_how_to_load(self) -> bool {
        self == Kind::Ollama
    }

    /// The dialect of its own.
    pub fn dialect(self) -> Dialect {
        match self {
            Kind::Anthropic => Dialect::Anthropic,
            Kind::Google => Dialect::Google,
            _ => Dialect::OpenAi,
        }
    }

    /// The kinds that have `endpoint` itself.
    pub fn having(endpoint: Endpoint) -> impl Iterator<Item = Kind> {
        Kind::all().filter(move |kind| kind.has(endpoint))
    }

    fn has(self, endpoint: Endpoint) -> bool {
        use Endpoint as E;
        match endpoint {
            E::ChatCompletions | E::Completions | E::Embeddings => self.dialect() == Dialect::OpenAi,
            E::Responses => {
                matches!(self, Kind::OpenAi | Kind::LlamaCpp | Kind::Vllm | Kind::LmStudio | Kind::Ollama)
            }
            E::Messages => {
                matches!(self, Kind::Anthropic | Kind::LlamaCpp | Kind::Vllm | Kind::LmStudio | Kind::Ollama)
            }
            E::CountTokens => matches!(self, Kind::Anthropic | Kind::LlamaCpp),
            E::OllamaChat | E::OllamaGenerate | E::OllamaEmbed | E::OllamaEmbeddings => self == Kind::Ollama,
            E::GenerateContent | E::StreamContent | E::StreamContentArray | E::CountContent => self == Kind::Google,
            E::EmbedContent | E::BatchEmbedContents => self == Kind::Google,
            E::Rerank => matches!(self, Kind::Vllm | Kind::LlamaCpp | Kind::Generic),
            E::Transcriptions => matches!(self, Kind::OpenAi | Kind::Vllm | Kind::LlamaCpp | Kind::Generic),
            E::Translations => matches!(self, Kind::OpenAi | Kind::Vllm | Kind::Generic),
            E::Speech | E::Images | E::ImageEdits => matches!(self, Kind::OpenAi | Kind::Generic),
        }
    }

    /// Whether older versions of it do without.
    fn may_lack(self, endpoint: Endpoint) -> bool {
        matches!(endpoint, Endpoint::Responses | Endpoint::Messages) && self != Kind::Anthropic
            || endpoint == Endpoint::OllamaEmbed
    }

    /// What it can be asked for in place of `endpoint`, if translation leads there.
    fn instead_of(self, endpoint: Endpoint) -> Option<Endpoint> {
        if endpoint.is_chat() {
            let stream = matches!(endpoint, Endpoint::StreamContent | Endpoint::StreamContentArray);
            return Some(match self {
                Kind::Anthropic => Endpoint::Messages,
                Kind::Google if stream => Endpoint::StreamContent,
                Kind::Google => Endpoint::GenerateContent,
                Kind::Ollama => Endpoint::OllamaChat,
                _ => Endpoint::ChatCompletions,
            });
        }
        if endpoint.is_embedding() {
            return match self {
                Kind::Anthropic => None,
                Kind::Google => Some(Endpoint::BatchEmbedContents),
                _ => Some(Endpoint::Embeddings),
            };
        }
        match (self, endpoint) {
            (Kind::Anthropic | Kind::LlamaCpp, Endpoint::CountContent) => Some(Endpoint::CountTokens),
            (Kind::Google, Endpoint::CountTokens) => Some(Endpoint::CountContent),
            _ => None,
        }
    }
}

impl BackendSpec {
    /// What had better be asked in place of `endpoint`, though the backend has that: only so can it be told how to load the
    /// model.
    pub fn prefers(&self, endpoint: Endpoint) -> Option<Endpoint> {
        let is_foreign = endpoint.is_chat() && endpoint.dialect() != Dialect::Ollama;
        let may_be_told = self.kind.is_told_how_to_load() && !self.loading.is_empty();
        (is_foreign && may_be_told).then_some(Endpoint::OllamaChat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_reaches_every_backend_for_a_chat() {
        use Endpoint as E;
        let chats =
            [E::ChatCompletions, E::Responses, E::Messages, E::OllamaChat, E::GenerateContent, E::StreamContent];
        for kind in Kind::all() {
            for endpoint in chats {
                assert_ne!(kind.speech(endpoint), Speech::Never, "{kind} {endpoint:?}");
            }
        }
    }

    #[test]
    fn what_speaks_the_clients_dialect_is_asked_in_it() {
        for (kind, endpoint, speech) in [
            (Kind::Generic, Endpoint::ChatCompletions, Speech::Relayed),
            (Kind::Anthropic, Endpoint::Messages, Speech::Relayed),
            (Kind::Google, Endpoint::StreamContent, Speech::Relayed),
            (Kind::Ollama, Endpoint::OllamaChat, Speech::Relayed),
            (Kind::LlamaCpp, Endpoint::Messages, Speech::RelayedOr(Endpoint::ChatCompletions)),
            (Kind::Generic, Endpoint::Messages, Speech::Translated(Endpoint::ChatCompletions)),
            (Kind::Ollama, Endpoint::Messages, Speech::RelayedOr(Endpoint::OllamaChat)),
            (Kind::Anthropic, Endpoint::ChatCompletions, Speech::Translated(Endpoint::Messages)),
            (Kind::Anthropic, Endpoint::Embeddings, Speech::Never),
            (Kind::Anthropic, Endpoint::Completions, Speech::Never),
            (Kind::Vllm, Endpoint::CountTokens, Speech::Estimated),
            (Kind::Ollama, Endpoint::Images, Speech::Never),
        ] {
            assert_eq!(kind.speech(endpoint), speech, "{kind} {endpoint:?}");
        }
    }
}
