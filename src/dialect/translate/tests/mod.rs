//! What every dialect makes of what another one says: each canonical case, from every client to every backend and back.
//! The snapshots beside this file are to be read; what they show twice is written once.

mod cuts;
mod exceptions;
mod faults;
mod fuzz_corpus;
mod hostile;
mod quirks;
mod replies;
mod requests;
mod strange;

use bytes::Bytes;

use super::super::chat::{ChatRequest, Label};
use super::super::fault::Fault;
use super::*;

const DIALECTS: [Dialect; 5] =
    [Dialect::OpenAi, Dialect::Responses, Dialect::Anthropic, Dialect::Google, Dialect::Ollama];

/// Backends that speak Responses get their bytes relayed, or are asked in OpenAI's older dialect.
const BACKENDS: [Dialect; 4] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Google, Dialect::Ollama];

/// Every way in which a client is answered.
const CLIENTS: [Endpoint; 7] = [
    Endpoint::ChatCompletions,
    Endpoint::Responses,
    Endpoint::Messages,
    Endpoint::StreamContent,
    Endpoint::StreamContentArray,
    Endpoint::OllamaChat,
    Endpoint::OllamaGenerate,
];

const REQUESTS: [&str; 7] = ["text", "stream", "image", "tools", "parallel", "reasoning", "format"];

const REPLIES: [&str; 5] = ["text", "tools", "parallel", "reasoning", "length"];

/// A file of `tests/fixtures/dialects`.
fn fixture(dialect: Dialect, name: &str) -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dialects");
    let path = format!("{folder}/{}/{name}", dialect.as_str());
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Where a dialect asks for an answer; Google's path says whether a stream is wanted.
fn endpoint(dialect: Dialect, stream: bool) -> Endpoint {
    match dialect {
        Dialect::OpenAi => Endpoint::ChatCompletions,
        Dialect::Responses => Endpoint::Responses,
        Dialect::Anthropic => Endpoint::Messages,
        Dialect::Google if stream => Endpoint::StreamContent,
        Dialect::Google => Endpoint::GenerateContent,
        Dialect::Ollama => Endpoint::OllamaChat,
    }
}

/// Which endpoint a case is asked of.
fn of_case(dialect: Dialect, case: &str) -> Endpoint {
    endpoint(dialect, case == "stream")
}

/// What a body asks; nothing in it may be peculiar to its dialect.
fn decoded(from: Endpoint, body: &str) -> ChatRequest {
    let decoded = pair::decode_request(from, body).unwrap();
    assert_eq!(decoded.uncarried, Vec::<String>::new(), "{from:?}");
    decoded.request
}

/// A label that tells nothing of the moment.
fn label() -> Label {
    Label { id: "a".repeat(26), model: "m".to_owned(), created: 1_700_000_000, include_usage: true }
}

/// How an answer gets from a backend to a client.
fn translation(client: Endpoint, backend: Dialect, stream: bool) -> Translation {
    Translation { from: client, to: endpoint(backend, stream), label: label(), base64: false, took: None }
}

/// The bytes that a client gets of a backend's stream, and whether that came to its end.
fn flowed<'a>(
    translation: &Translation,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Vec<u8>, bool), Garbled> {
    let (mut flow, mut out) = (translation.flow(), Vec::new());
    for piece in pieces {
        flow.push(piece, &mut out)?;
    }
    let is_whole = flow.end(&mut out);
    Ok((out, is_whole))
}

/// JSON as people read it; what is none, as it is.
fn pretty(body: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(value) => serde_json::to_string_pretty(&value).unwrap(),
        Err(_) => String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// Each text once, under the names of all who say it.
fn gathered(said: &[(&str, String)]) -> String {
    let mut groups: Vec<(Vec<&str>, &str)> = Vec::new();
    for (who, text) in said {
        match groups.iter_mut().find(|(_, known)| known == text) {
            Some((names, _)) => names.push(who),
            None => groups.push((vec![who], text)),
        }
    }
    let is_one = groups.len() == 1;
    let shown = groups.iter().map(|(names, text)| {
        let names = if is_one { "all alike".to_owned() } else { names.join(", ") };
        format!("==== {names}\n{}\n", text.trim_end())
    });
    shown.collect::<Vec<_>>().join("\n")
}

/// Compares with the file `snapshots/<name>.snap`.
fn check(name: &str, text: String) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
