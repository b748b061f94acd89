//! Everything that the fuzzers start from (`fuzz/corpus`), read by its decoder: what once broke one is tried ever after.

use super::hostile::{survive_reply, survive_request};
use super::*;

/// The files of a target, each with its name.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = format!("{}/fuzz/corpus/{target}", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let paths = entries.map(|entry| entry.unwrap().path());
    let files: Vec<_> = paths.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    assert!(files.len() >= REPLIES.len(), "{folder}");
    files
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
