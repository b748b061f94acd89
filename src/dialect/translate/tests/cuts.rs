//! Streams cut into pieces: where they are cut changes nothing, and one that was cut off is never whole.

use std::collections::HashMap;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

/// Every stream of every backend.
static STREAMS: LazyLock<HashMap<(usize, usize), String>> = LazyLock::new(|| {
    let all = (0..BACKENDS.len()).flat_map(|backend| (0..REPLIES.len()).map(move |case| (backend, case)));
    all.map(|(backend, case)| ((backend, case), fixture(BACKENDS[backend], &format!("{}.stream.txt", REPLIES[case]))))
        .collect()
});

fn stream(backend: usize, case: usize) -> &'static [u8] {
    STREAMS[&(backend, case)].as_bytes()
}

/// Every pair of client and backend, and every stream.
fn all() -> impl Iterator<Item = (Translation, &'static [u8])> {
    let pairs = CLIENTS.iter().flat_map(|client| (0..BACKENDS.len()).map(|backend| (*client, backend)));
    pairs.flat_map(|(client, backend)| {
        (0..REPLIES.len()).map(move |case| (translation(client, BACKENDS[backend], true), stream(backend, case)))
    })
}

#[test]
fn byte_by_byte_is_the_same() {
    for (translation, stream) in all() {
        let whole = flowed(&translation, [stream]).unwrap();
        assert!(whole.1, "{translation:?}");
        let single = flowed(&translation, stream.chunks(1)).unwrap();
        assert_eq!(single, whole, "{translation:?}");
    }
}

/// Carriage returns are allowed in server-sent events, and blank lines between those of JSON.
#[test]
fn other_ends_of_lines_are_the_same() {
    for (translation, stream) in all() {
        let plain = String::from_utf8(stream.to_vec()).unwrap().replace("\r\n", "\n");
        let whole = flowed(&translation, [stream]);
        assert_eq!(flowed(&translation, [plain.as_bytes()]), whole, "{translation:?}");
        assert_eq!(flowed(&translation, [plain.replace('\n', "\r\n").as_bytes()]), whole, "{translation:?}");
    }
}

/// What comes after the reason why an answer ended is only what was used.
#[test]
fn a_stream_that_was_cut_off_is_never_whole() {
    for (backend, case) in (0..BACKENDS.len()).flat_map(|backend| (0..REPLIES.len()).map(move |case| (backend, case))) {
        let (to, stream) = (endpoint(BACKENDS[backend], true), stream(backend, case));
        let whole = flow::fold(to, stream).unwrap();
        let translation = translation(Endpoint::ChatCompletions, BACKENDS[backend], true);
        for end in 0..stream.len() {
            let Ok((_, true)) = flowed(&translation, [&stream[..end]]) else { continue };
            let cut = flow::fold(to, &stream[..end]).unwrap_or_default();
            let is_usage_cut = cut == ChatReply::default() && BACKENDS[backend] == Dialect::OpenAi;
            let has_all = cut.parts == whole.parts && cut.finish == whole.finish;
            assert!(has_all || is_usage_cut, "{:?} {} at {end}", BACKENDS[backend], REPLIES[case]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]

    #[test]
    fn where_a_stream_is_cut_changes_nothing(
        client in 0..CLIENTS.len(), backend in 0..BACKENDS.len(), case in 0..REPLIES.len(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
    ) {
        let (translation, stream) = (translation(CLIENTS[client], BACKENDS[backend], true), stream(backend, case));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let ends = cuts.iter().copied().chain([stream.len()]);
        let pieces = [0].into_iter().chain(cuts.iter().copied()).zip(ends).map(|(start, end)| &stream[start..end]);
        prop_assert_eq!(flowed(&translation, pieces), flowed(&translation, [stream]));
    }

    #[test]
    fn what_is_said_is_the_same_wherever_a_character_is_cut(
        text in "[ë🙂a\\\\\"\n\u{2028}]{1,24}", at in any::<prop::sample::Index>(), client in 0..CLIENTS.len(),
    ) {
        let line = serde_json::json!({ "message": { "role": "assistant", "content": text }, "done": false });
        let stream = format!("{line}\n{{\"message\":{{\"content\":\"\"}},\"done\":true,\"done_reason\":\"stop\"}}\n");
        let translation = translation(CLIENTS[client], Dialect::Ollama, true);
        let (before, after) = stream.as_bytes().split_at(at.index(stream.len()));
        prop_assert_eq!(flowed(&translation, [before, after]), flowed(&translation, [stream.as_bytes()]));
    }
}
