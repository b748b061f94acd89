//! What is done with the bytes that a fuzzer makes up. It must not panic, and what is cut elsewhere must say the same.

use bytes::Bytes;
use nexus::dialect::{Flow, Label, Translation, Ways, translate};
use nexus::exchange::Endpoint;

const BACKENDS: [Endpoint; 4] =
    [Endpoint::ChatCompletions, Endpoint::Messages, Endpoint::GenerateContent, Endpoint::OllamaChat];

const CLIENTS: [(Endpoint, &str); 7] = [
    (Endpoint::ChatCompletions, r#"{"messages":[{"role":"user","content":"a"}],"stream":true}"#),
    (Endpoint::Responses, r#"{"input":"a","stream":true}"#),
    (Endpoint::Messages, r#"{"max_tokens":1,"messages":[{"role":"user","content":"a"}],"stream":true}"#),
    (Endpoint::StreamContent, r#"{"contents":[{"parts":[{"text":"a"}]}]}"#),
    (Endpoint::StreamContentArray, r#"{"contents":[{"parts":[{"text":"a"}]}]}"#),
    (Endpoint::OllamaChat, r#"{"messages":[{"role":"user","content":"a"}]}"#),
    (Endpoint::OllamaGenerate, r#"{"prompt":"a"}"#),
];

fn label() -> Label {
    Label { id: "a".repeat(26), model: "m".to_owned(), created: 0, include_usage: true }
}

/// Puts a client's request to every backend, and what that is asked once more to every other.
pub fn request(from: Endpoint, data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for to in BACKENDS {
        let Ok(once) = translate(from, to, &body, label(), &Ways::default()) else { continue };
        for other in BACKENDS {
            let _ = translate(once.translation.to(), other, &once.body, label(), &Ways::default());
        }
    }
}

/// Puts a request for embeddings to every backend that makes them, and reads it as an answer.
pub fn embed(data: &[u8]) {
    let from = [
        Endpoint::Embeddings,
        Endpoint::OllamaEmbed,
        Endpoint::OllamaEmbeddings,
        Endpoint::EmbedContent,
        Endpoint::BatchEmbedContents,
    ];
    between(&from, &[Endpoint::Embeddings, Endpoint::OllamaEmbed, Endpoint::BatchEmbedContents], data);
}

/// The same for counting tokens.
pub fn count(data: &[u8]) {
    between(&[Endpoint::CountTokens, Endpoint::CountContent], &[Endpoint::CountTokens, Endpoint::CountContent], data);
}

fn between(from: &[Endpoint], to: &[Endpoint], data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    for (from, to) in from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))) {
        let _ = nexus::dialect::prompt_bytes(from, data);
        if let Ok(asked) = translate(from, to, &body, label(), &Ways::default()) {
            let _ = asked.translation.whole(data);
        }
    }
}

/// What routing reads of a body, at every endpoint.
pub fn inspect(data: &[u8]) {
    let body = Bytes::copy_from_slice(data);
    let form = Some("multipart/form-data; boundary=xyz");
    for endpoint in [
        Endpoint::ChatCompletions,
        Endpoint::Completions,
        Endpoint::Embeddings,
        Endpoint::Responses,
        Endpoint::Messages,
        Endpoint::OllamaChat,
        Endpoint::OllamaGenerate,
        Endpoint::GenerateContent,
        Endpoint::CountContent,
        Endpoint::Rerank,
        Endpoint::Transcriptions,
    ] {
        let named = endpoint.names_model_in_path().then_some("m");
        let content_type = if endpoint.is_form() { form } else { None };
        if let Ok(found) = nexus::dialect::inspect(endpoint, named, content_type, &body) {
            let _ = nexus::dialect::splice(&body, &found.model_at, "another");
        }
    }
}

fn translations(backend: Endpoint) -> impl Iterator<Item = Translation> {
    CLIENTS.iter().map(move |(client, asking)| {
        let asking = Bytes::from_static(asking.as_bytes());
        let asked = translate(*client, backend, &asking, label(), &Ways::default());
        asked.expect("every backend can be asked for a word").translation
    })
}

/// Tells a backend's whole answer to every client, in both ways.
pub fn reply(backend: Endpoint, data: &[u8]) {
    for translation in translations(backend) {
        let _ = translation.whole(data);
        let _ = translation.stream_of_whole(data);
    }
}

/// Tells a backend's stream to every client, at once and byte by byte: both must give the same.
pub fn stream(backend: Endpoint, data: &[u8]) {
    for translation in translations(backend) {
        let whole = told(translation.flow(), [data]);
        assert_eq!(told(translation.flow(), data.chunks(1)), whole);
        let _ = translation.whole_of_stream(data);
    }
}

/// What a client is told, and whether it is all; `None` where it was no stream.
fn told<'a>(mut flow: Flow, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<(Vec<u8>, bool)> {
    let mut out = Vec::new();
    for piece in pieces {
        flow.push(piece, &mut out).ok()?;
    }
    let is_whole = flow.end(&mut out);
    Some((out, is_whole))
}
