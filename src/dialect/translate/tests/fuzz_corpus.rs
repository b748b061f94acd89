//! Everything that the fuzzers start from (`fuzz/corpus`), read by its decoder: what once broke one is tried ever after.

use super::hostile::{survive_reply, survive_request};
use super::*;

/// The files of a target that has all cases, each with its name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let files = files(target);
    assert!(files.len() >= REPLIES.len(), "{target}");
    files
}

fn files(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect()
}

#[test]
fn what_is_no_chat_is_survived_too() {
    let embeds = [
        Endpoint::Embeddings,
        Endpoint::OllamaEmbed,
        Endpoint::OllamaEmbeddings,
        Endpoint::EmbedContent,
        Endpoint::BatchEmbedContents,
    ];
    let counts = [Endpoint::CountTokens, Endpoint::CountContent];
    for (target, from, to) in [
        ("request_embed", &embeds[..], [Endpoint::Embeddings, Endpoint::BatchEmbedContents]),
        ("request_count", &counts[..], counts),
    ] {
        for (name, body) in files(target) {
            let body = Bytes::from(body);
            let mut fits = 0;
            for (from, to) in from.iter().flat_map(|from| to.map(|to| (*from, to))) {
                if let Ok(asked) = translate(from, to, &body, label(), &Ways::default()) {
                    fits += 1;
                    let _ = asked.translation.whole(&body);
                }
            }
            assert_eq!(fits == 0, name.ends_with("reply.json"), "{name}");
        }
    }
}

#[test]
fn routing_reads_every_body_of_the_corpus() {
    let form = Some("multipart/form-data; boundary=xyz");
    for (name, body) in files("inspect") {
        let body = Bytes::from(body);
        let look = |endpoint: Endpoint| {
            let named = endpoint.names_model_in_path().then_some("m");
            crate::dialect::inspect(endpoint, named, if endpoint.is_form() { form } else { None }, &body)
        };
        let all = [Endpoint::ChatCompletions, Endpoint::Responses, Endpoint::GenerateContent, Endpoint::Transcriptions];
        assert!(all.into_iter().any(|endpoint| look(endpoint).is_ok()), "{name}");
    }
}

#[test]
fn every_request_of_the_corpus_is_survived() {
    for dialect in DIALECTS {
        for (_, body) in corpus(&format!("request_{}", dialect.as_str())) {
            let body = String::from_utf8_lossy(&body);
            survive_request(endpoint(dialect, false), &body);
            survive_request(endpoint(dialect, true), &body);
        }
    }
}

#[test]
fn every_answer_of_the_corpus_is_survived() {
    for backend in BACKENDS {
        for (_, body) in corpus(&format!("reply_{}", backend.as_str())) {
            survive_reply(backend, &body);
        }
    }
}

#[test]
fn every_stream_of_the_corpus_says_the_same_wherever_it_is_cut() {
    for backend in BACKENDS {
        for (name, stream) in corpus(&format!("stream_{}", backend.as_str())) {
            for client in CLIENTS {
                let translation = translation(client, backend, true);
                let whole = flowed(&translation, [&stream[..]]);
                assert_eq!(flowed(&translation, stream.chunks(1)), whole, "{name} for {client:?}");
            }
        }
    }
}
