//! What is seen of replies, however they are cut.

use proptest::prelude::*;

use super::*;

const FRAMES: &str = concat!(
    "data: {\"choices\":[{\"delta\":{\"content\":\"h\u{e9}llo \u{754c}\"}}],\"usage\":null}\n\n",
    ": ping\n\n",
    "data: {\"choices\":[{\"delta\":{\"content\":\"say \\\"usage\\\": {\\\"prompt_tokens\\\": 9}\"}}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":5,\"total_tokens\":16,",
    "\"prompt_tokens_details\":{\"cached_tokens\":8,\"audio_tokens\":0}}}\n\n",
    "data: [DONE]\n\n",
);

const USAGE: Usage = Usage {
    prompt_tokens: 11,
    completion_tokens: 5,
    total_tokens: 16,
    cached_tokens: Some(8),
    cache_write_tokens: None,
};

fn observed<'a>(kind: ReplyKind, chunks: impl IntoIterator<Item = &'a [u8]>) -> Observed {
    let mut observer = Observer::new(kind, Dialect::OpenAi);
    chunks.into_iter().for_each(|chunk| observer.push(chunk));
    observer.finish()
}

fn whole(body: &str) -> Option<Usage> {
    observed(ReplyKind::Whole, [body.as_bytes()]).usage
}

#[test]
fn a_stream_is_read_byte_by_byte() {
    let expected = Observed { usage: Some(USAGE), done: true, failed: false, events: 3, at_boundary: true };
    assert_eq!(observed(ReplyKind::Stream, [FRAMES.as_bytes()]), expected);
    assert_eq!(observed(ReplyKind::Stream, FRAMES.as_bytes().chunks(1)), expected);
    let crlf = FRAMES.replace('\n', "\r\n");
    assert_eq!(observed(ReplyKind::Stream, crlf.as_bytes().chunks(1)), expected);
}

#[test]
fn a_cut_stream_is_neither_done_nor_at_a_boundary() {
    let cut = &FRAMES.as_bytes()[..FRAMES.len() - 20];
    let found = observed(ReplyKind::Stream, [cut]);
    assert!(!found.done && !found.at_boundary);
    assert_eq!(found.events, 2);
    let between = FRAMES.find(": ping").expect("it is there");
    assert!(observed(ReplyKind::Stream, [&FRAMES.as_bytes()[..between]]).at_boundary);
}

#[test]
fn usage_of_whole_replies_is_found_wherever_it_stands() {
    let cases = [
        (
            r#"{"choices":[],"usage":{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16,"prompt_tokens_details":{"cached_tokens":8}},"id":"x"}"#,
            Some(USAGE),
        ),
        (
            r#"{"usage" : {"prompt_tokens":3,"total_tokens":3},"data":[[0.1]]}"#,
            Some(Usage { prompt_tokens: 3, total_tokens: 3, ..Usage::default() }),
        ),
        (
            r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            Some(Usage { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7, ..Usage::default() }),
        ),
        (r#"{"usage":null}"#, None),
        (r#"{"usage":{}}"#, None),
        (r#"{"usage":[1,2,3]}"#, None),
        (r#"{"usage":{"prompt_tokens":-1}}"#, None),
        (r#"{"usage":{"prompt_tokens":1"#, None),
        (r#"{"content":"\"usage\":{\"prompt_tokens\":3}"}"#, None),
        ("", None),
    ];
    for (body, expected) in cases {
        assert_eq!(whole(body), expected, "{body}");
    }
}

#[test]
fn large_replies_are_read_in_bounded_memory() {
    let filler = "0.5,".repeat(500_000);
    let head = format!(
        r#"{{"usage":{{"prompt_tokens":11,"completion_tokens":5,"prompt_tokens_details":{{"cached_tokens":8}}}},"data":[{filler}1]}}"#
    );
    let tail = format!(
        r#"{{"data":[{filler}1],"usage":{{"prompt_tokens":11,"completion_tokens":5,"total_tokens":16,"prompt_tokens_details":{{"cached_tokens":8}}}}}}"#
    );
    for body in [head, tail] {
        for size in [1000, 100_000, body.len()] {
            let mut observer = Observer::new(ReplyKind::Whole, Dialect::OpenAi);
            for chunk in body.as_bytes().chunks(size) {
                observer.push(chunk);
                let Form::Whole { head, tail } = &observer.form else { panic!("it is whole") };
                assert!(head.capacity() + tail.capacity() <= 8 * TAIL);
            }
            assert_eq!(observer.finish().usage, Some(USAGE));
        }
    }
}

#[test]
fn a_reply_made_of_nothing_but_usage_keys_ends_soon() {
    assert_eq!(whole(&"\"usage\":{".repeat(100_000)), None);
    let nested = format!("{{\"usage\":{{\"prompt_tokens\":1,\"x\":{}{}}}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert!(whole(&nested).is_some());
}

proptest! {
    #[test]
    fn where_a_stream_is_cut_into_chunks_changes_nothing(
        frames in proptest::collection::vec(
            prop_oneof![
                Just(FRAMES.to_owned()),
                "(data|event|id|: x)?:? ?[a-z\u{e9}\u{1f600}]{0,6}(\n|\r\n|\r){1,3}",
                "[\\PC\n\r]{0,12}",
            ],
            0..6,
        ),
        cuts in proptest::collection::vec(1_usize..9, 1..20),
    ) {
        let bytes = frames.concat().into_bytes();
        let mut rest = bytes.as_slice();
        let mut observer = Observer::new(ReplyKind::Stream, Dialect::OpenAi);
        for size in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (chunk, behind) = rest.split_at((*size).min(rest.len()));
            observer.push(chunk);
            rest = behind;
        }
        prop_assert_eq!(observer.finish(), observed(ReplyKind::Stream, [bytes.as_slice()]));
    }
}

#[test]
fn every_dialect_is_read_in_passing() {
    let read = |dialect, kind, bytes: &str| {
        let mut observer = Observer::new(kind, dialect);
        bytes.as_bytes().chunks(1).for_each(|byte| observer.push(byte));
        (observer.is_complete(), observer.finish())
    };
    let anthropic = concat!(
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":3,",
        "\"cache_read_input_tokens\":8,\"cache_creation_input_tokens\":0,\"output_tokens\":1}}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":5}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    );
    let google = concat!(
        "data: {\"candidates\":[{}]}\n\n",
        "data: {\"candidates\":[{\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":11,",
        "\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2,\"cachedContentTokenCount\":8}}\n\n",
    );
    let responses = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"usage\":null}}\n\n",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":11,",
        "\"input_tokens_details\":{\"cached_tokens\":8},\"output_tokens\":5,\"total_tokens\":16}}}\n\n",
    );
    let ollama = concat!(
        "{\"message\":{\"content\":\"a\"},\"done\":false}\n",
        "{\"done\":true,\"prompt_eval_count\":11,\"eval_count\":5}\n",
    );
    for (dialect, kind, bytes, done, cached) in [
        (Dialect::Anthropic, ReplyKind::Stream, anthropic, true, Some(8)),
        (Dialect::Google, ReplyKind::Stream, google, false, Some(8)),
        (Dialect::Responses, ReplyKind::Stream, responses, true, Some(8)),
        (Dialect::Ollama, ReplyKind::Lines, ollama, true, None),
    ] {
        let (is_complete, found) = read(dialect, kind, bytes);
        let usage = Usage { cached_tokens: cached, ..USAGE };
        assert_eq!(found.usage.map(|found| Usage { cache_write_tokens: None, ..found }), Some(usage), "{dialect:?}");
        assert_eq!((is_complete, found.done, found.at_boundary), (true, done, true), "{dialect:?}");
        let cut = &bytes[..bytes.len() - 3];
        assert!(!read(dialect, kind, cut).0, "{dialect:?} cut is not whole");
    }
}
