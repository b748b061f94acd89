//! Tests of the whole codec, against the fixtures that every dialect has and against requests made up by chance.

mod bad;
mod replies;
mod requests;
mod round_trip;
mod streams;

use super::*;
use crate::dialect::chat::{ChatEvent, ChatReply, ChatRequest, Label, StreamDecoder, StreamEncoder};

/// A file of `tests/fixtures/dialects/anthropic`.
macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/dialects/anthropic/", $name))
    };
}
use fixture;

fn label() -> Label {
    Label { id: "reply-1".to_owned(), model: "m".to_owned(), created: 0, include_usage: false }
}

/// The request of a body in which nothing is uncarried.
fn request(body: &str) -> ChatRequest {
    let decoded = decode_request(body).expect("a good body");
    assert_eq!(decoded.uncarried, Vec::<String>::new());
    decoded.request
}

/// What comes back of a request that was written.
fn again(request: &ChatRequest) -> ChatRequest {
    let body = encode_request(request, "m").expect("nothing unsupported");
    self::request(std::str::from_utf8(&body).expect("text"))
}

/// The data of each event of a stream.
fn data(stream: &str) -> impl Iterator<Item = &str> {
    stream.lines().filter_map(|line| line.strip_prefix("data: "))
}

fn events(stream: &str) -> Vec<ChatEvent> {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for data in data(stream) {
        decoder.event(data.as_bytes(), &mut |event| events.push(event)).expect("a good event");
    }
    assert!(decoder.is_complete());
    events
}

fn stream(events: impl IntoIterator<Item = ChatEvent>) -> String {
    let (mut encoder, mut out) = (Encoder::new(label()), Vec::new());
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.end(&mut out);
    String::from_utf8(out).expect("text")
}

fn fold(stream: &str) -> ChatReply {
    ChatReply::fold(events(stream))
}
