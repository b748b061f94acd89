//! Answers: every backend's, whole and as a stream, as every client reads it.

use super::super::super::chat::ChatReply;
use super::*;

fn whole(backend: Dialect, case: &str) -> String {
    fixture(backend, &format!("{case}.reply.json"))
}

fn stream(backend: Dialect, case: &str) -> String {
    fixture(backend, &format!("{case}.stream.txt"))
}

/// What is the same in every dialect: neither ids nor counts, which not all tell.
fn bare(mut reply: ChatReply) -> ChatReply {
    reply.id = None;
    reply.usage.cached_tokens = None;
    reply.usage.cache_write_tokens = None;
    reply.usage.reasoning_tokens = None;
    reply
}

#[test]
fn every_backend_gives_the_same_answer_whole_and_streamed() {
    for case in REPLIES {
        let told =
            bare(pair::decode_reply(Endpoint::ChatCompletions, whole(Dialect::OpenAi, case).as_bytes()).unwrap());
        for backend in BACKENDS {
            let reply = pair::decode_reply(endpoint(backend, false), whole(backend, case).as_bytes()).unwrap();
            let streamed = flow::fold(endpoint(backend, true), stream(backend, case).as_bytes()).unwrap();
            assert_eq!(streamed, reply, "{case} of {backend:?}");
            assert_eq!(bare(reply), told, "{case} of {backend:?}");
        }
    }
}

#[test]
fn every_client_reads_every_backends_whole_answer() {
    for (case, client) in REPLIES.iter().flat_map(|case| CLIENTS.map(|client| (*case, client))) {
        let tell = |backend: Dialect| {
            let told = translation(client, backend, false).whole(whole(backend, case).as_bytes()).unwrap();
            (backend.as_str(), pretty(&told.body))
        };
        check(&format!("reply.{case}.for-{}", name(client)), gathered(&BACKENDS.map(tell)));
    }
}

#[test]
fn every_client_reads_every_backends_stream() {
    for (case, client) in REPLIES.iter().flat_map(|case| CLIENTS.map(|client| (*case, client))) {
        let tell = |backend: Dialect| {
            let translation = translation(client, backend, true);
            let (out, is_whole) = flowed(&translation, [stream(backend, case).as_bytes()]).unwrap();
            assert!(is_whole, "{case} of {backend:?}");
            agree(&translation, &out, case, backend);
            (backend.as_str(), String::from_utf8(out).unwrap())
        };
        check(&format!("stream.{case}.for-{}", name(client)), gathered(&BACKENDS.map(tell)));
    }
}

/// What a client makes of a stream is what it makes of the whole answer.
fn agree(translation: &Translation, out: &[u8], case: &str, backend: Dialect) {
    let body = translation.whole(whole(backend, case).as_bytes()).unwrap().body;
    let said = |reply: ChatReply| (reply.parts, reply.finish, reply.usage);
    let client = translation.from;
    let (streamed, told) = match client {
        Endpoint::Responses => {
            let last = String::from_utf8(out.to_vec()).unwrap();
            let last: serde_json::Value = serde_json::from_str(last.rsplit_once("data: ").unwrap().1).unwrap();
            let told: serde_json::Value = serde_json::from_slice(&body).unwrap();
            return assert_eq!(last["response"], told, "{case} of {backend:?}");
        }
        Endpoint::OllamaGenerate => return,
        Endpoint::StreamContentArray => {
            let all: Vec<serde_json::Value> = serde_json::from_slice(out).unwrap();
            let events: String = all.iter().map(|event| format!("data: {event}\n\n")).collect();
            (flow::fold(Endpoint::StreamContent, events.as_bytes()), pair::decode_reply(client, &body))
        }
        _ => (flow::fold(client, out), pair::decode_reply(client, &body)),
    };
    assert_eq!(said(streamed.unwrap()), said(told.unwrap()), "{case} of {backend:?} for {client:?}");
}

/// Whole answers told as a stream, and streams told whole, say the same as the others.
#[test]
fn a_backend_that_answers_in_the_other_way_is_read_too() {
    for (case, client) in REPLIES.iter().flat_map(|case| CLIENTS.map(|client| (*case, client))) {
        for backend in BACKENDS {
            let translation = translation(client, backend, true);
            let out = translation.stream_of_whole(whole(backend, case).as_bytes()).unwrap();
            agree(&translation, &out.body, case, backend);
            let told = translation.whole_of_stream(stream(backend, case).as_bytes()).unwrap();
            assert_eq!(told, translation.whole(whole(backend, case).as_bytes()).unwrap(), "{case}");
        }
    }
}

/// As a part of the name of a file.
pub(super) fn name(client: Endpoint) -> &'static str {
    match client {
        Endpoint::StreamContentArray => "google-array",
        Endpoint::OllamaGenerate => "ollama-generate",
        other => other.dialect().as_str(),
    }
}
