//! The dialect as a whole: fixtures that every dialect has, every request that can be said, and what servers really send.

mod asked;
mod backends;
mod bad;
mod generate;
mod told;

use super::*;
use crate::dialect::chat::{ChatReply, ChatRequest, Label, StreamDecoder};

/// A label that tells nothing of the moment.
fn label() -> Label {
    Label { id: "0123".to_owned(), model: "m".to_owned(), created: 1_700_000_000, include_usage: true }
}

fn request(body: &str) -> ChatRequest {
    let decoded = decode_request(body).unwrap();
    assert_eq!(decoded.uncarried, Vec::<String>::new(), "{body}");
    decoded.request
}

/// The answer that a stream makes, given as the data of its events.
fn streamed<'a>(events: impl IntoIterator<Item = &'a str>) -> (ChatReply, bool) {
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for data in events {
        decoder.event(data.as_bytes(), &mut |event| seen.push(event)).unwrap();
    }
    (ChatReply::fold(seen), decoder.is_complete())
}

/// The data of the events of a stream.
fn data(stream: &str) -> impl Iterator<Item = &str> {
    stream.split("\n\n").filter_map(|event| event.strip_prefix("data: "))
}
