//! Streams that are none: noise, halves of events, another dialect's. They end in an error or as cut off, never in a panic
//! and never as an answer.

use proptest::prelude::*;

use super::*;

/// Whether a client was told that the answer is whole.
fn is_taken(client: Endpoint, backend: Dialect, stream: &[u8]) -> bool {
    matches!(flowed(&translation(client, backend, true), [stream]), Ok((_, true)))
}

#[test]
fn another_dialects_stream_is_never_an_answer() {
    for (backend, other) in BACKENDS.iter().flat_map(|backend| BACKENDS.map(|other| (*backend, other))) {
        for case in REPLIES.iter().filter(|_| backend != other) {
            let stream = fixture(other, &format!("{case}.stream.txt"));
            assert!(
                !is_taken(Endpoint::ChatCompletions, backend, stream.as_bytes()),
                "{case}: {other:?} as {backend:?}"
            );
            let whole = fixture(other, &format!("{case}.reply.json"));
            let told = pair::decode_reply(endpoint(backend, false), whole.as_bytes());
            assert!(told.is_err(), "{case}: {other:?} as {backend:?}: {told:?}");
        }
    }
}

#[test]
fn what_is_no_event_is_no_answer() {
    let shapes = ["null", "true", "0", "\"x\"", "[]", "{}", "[{}]", "{\"x\":1}", "", " ", "{", "data", "\u{feff}{}"];
    for (backend, shape) in BACKENDS.iter().flat_map(|backend| shapes.map(|shape| (*backend, shape))) {
        let frame = if backend == Dialect::Ollama { format!("{shape}\n") } else { format!("data: {shape}\n\n") };
        assert!(!is_taken(Endpoint::Messages, backend, frame.as_bytes()), "{backend:?}: {shape}");
        let told = pair::decode_reply(endpoint(backend, false), shape.as_bytes());
        assert!(told.is_err(), "{backend:?}: {shape}: {told:?}");
    }
}

/// An event that stands in a stream twice, or not at all, or elsewhere.
fn shuffled(stream: &str, backend: Dialect, order: &[prop::sample::Index]) -> String {
    let end = if backend == Dialect::Ollama { "\n" } else { "\n\n" };
    let events: Vec<&str> = stream.split_inclusive(end).collect();
    order.iter().map(|at| events[at.index(events.len())]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn noise_is_no_answer(
        client in 0..CLIENTS.len(), backend in 0..BACKENDS.len(), noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        prop_assert!(!is_taken(CLIENTS[client], BACKENDS[backend], &noise));
    }

    #[test]
    fn events_in_any_order_are_survived(
        client in 0..CLIENTS.len(), backend in 0..BACKENDS.len(), case in 0..REPLIES.len(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let backend = BACKENDS[backend];
        let stream = fixture(backend, &format!("{}.stream.txt", REPLIES[case])).replace("\r\n", "\n");
        let stream = shuffled(&stream, backend, &order);
        if let Ok((out, _)) = flowed(&translation(CLIENTS[client], backend, true), [stream.as_bytes()]) {
            prop_assert!(String::from_utf8(out).is_ok());
        }
    }

    #[test]
    fn broken_bytes_are_survived(
        client in 0..CLIENTS.len(), backend in 0..BACKENDS.len(), case in 0..REPLIES.len(),
        breaks in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let backend = BACKENDS[backend];
        let mut stream = fixture(backend, &format!("{}.stream.txt", REPLIES[case])).into_bytes();
        for (at, byte) in breaks {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        if let Ok((out, _)) = flowed(&translation(CLIENTS[client], backend, true), [&stream[..]]) {
            prop_assert!(String::from_utf8(out).is_ok());
        }
    }
}
