//! Fixtures, and what the tests share.

use super::{Decoder, Encoder};
use crate::dialect::chat::{ChatEvent, ChatReply, Garbled, Label, StreamDecoder, StreamEncoder};

mod bodies;
mod embeddings;
mod requests;
mod round_trips;
mod streams;

/// The text of a fixture.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/dialects/google/", $name))
    };
}
use fixture;

fn label() -> Label {
    Label { id: "reply-1".to_owned(), model: "m".to_owned(), created: 0, include_usage: true }
}

/// What the events of `stream` are, and whether it came to its end.
fn decoded(stream: &str) -> Result<(Vec<ChatEvent>, bool), Garbled> {
    let mut decoder = Decoder::default();
    let mut events = Vec::new();
    for line in stream.lines().filter_map(|line| line.strip_prefix("data: ")) {
        decoder.event(line.as_bytes(), &mut |event| events.push(event))?;
    }
    Ok((events, decoder.is_complete()))
}

fn encoded(events: impl IntoIterator<Item = ChatEvent>) -> String {
    let mut encoder = Encoder::new(label());
    let mut out = Vec::new();
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.end(&mut out);
    String::from_utf8(out).expect("text")
}

fn folded(stream: &str) -> ChatReply {
    ChatReply::fold(decoded(stream).expect("a stream").0)
}
