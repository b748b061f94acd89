//! What compatible servers really send, each in its own way.

use serde_json::{Value, json};

use super::super::*;
use super::streamed;
use crate::dialect::chat::{ChatEvent, ChatReply, Finish, ReplyPart, Spoken, StreamDecoder};

fn chunk(delta: Value, finish: Value) -> String {
    json!({"id": "c", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).to_string()
}

fn stream(chunks: &[String]) -> (ChatReply, bool) {
    streamed(chunks.iter().map(String::as_str))
}

/// A stream of deltas of calls, and the calls that it makes: id, name, arguments.
fn calls(deltas: &[Value]) -> Vec<(String, String, String)> {
    let mut chunks: Vec<String> =
        deltas.iter().map(|delta| chunk(json!({ "tool_calls": [delta] }), Value::Null)).collect();
    chunks.push(chunk(json!({}), json!("stop")));
    let (reply, _) = stream(&chunks);
    assert_eq!(reply.finish, Some(Finish::ToolCalls), "an answer that calls waits for results");
    let call = |part| match part {
        ReplyPart::ToolCall { id, name, arguments } => (id, name, arguments),
        other => panic!("{other:?}"),
    };
    reply.parts.into_iter().map(call).collect()
}

fn made(calls: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    calls.iter().map(|(id, name, arguments)| ((*id).to_owned(), (*name).to_owned(), (*arguments).to_owned())).collect()
}

fn message(message: Value, finish: Value) -> ChatReply {
    let body = json!({"choices": [{"message": message, "finish_reason": finish}]}).to_string();
    decode_reply(body.as_bytes()).unwrap()
}

fn text(text: &str) -> ReplyPart {
    ReplyPart::Text(text.to_owned())
}

#[test]
fn a_stream_may_end_with_its_reason_or_with_done() {
    let hello = chunk(json!({"content": "hi"}), Value::Null);
    let end = chunk(json!({}), json!("length"));
    assert!(!stream(std::slice::from_ref(&hello)).1);
    let (reply, complete) = stream(&[hello.clone(), end.clone(), end]);
    assert_eq!((reply.finish, complete), (Some(Finish::Length), true));
    let (reply, complete) = stream(&[hello, " [DONE]".to_owned(), String::new()]);
    assert_eq!((reply.finish, reply.parts, complete), (Some(Finish::Stop), vec![text("hi")], true));
}

#[test]
fn done_says_nothing_to_those_who_know() {
    let mut decoder = Decoder::default();
    decoder.event(chunk(json!({"content": "hi"}), json!("stop")).as_bytes(), &mut |_| ()).unwrap();
    let mut seen = 0;
    decoder.event(b"[DONE]", &mut |_| seen += 1).unwrap();
    assert_eq!((seen, decoder.is_complete()), (0, true));
    let mut alone = Decoder::default();
    alone.event(b"[DONE]", &mut |event| panic!("{event:?}")).unwrap();
}

#[test]
fn usage_stands_in_the_last_chunk_or_behind_it_or_in_groqs_place() {
    let used = json!({"prompt_tokens": 3, "completion_tokens": 2.0, "total_tokens": 5, "queue_time": 0.1});
    let spoken = Spoken { prompt_tokens: Some(3), completion_tokens: Some(2), ..Spoken::default() };
    let choice = json!({"index": 0, "delta": {}, "finish_reason": "stop"});
    for last in [
        json!({"choices": [choice], "usage": used}),
        json!({"choices": [choice], "x_groq": {"id": "r", "usage": used}}),
        json!({"choices": [], "usage": used}),
        json!({"choices": null, "usage": used}),
        json!({"usage": used}),
    ] {
        let (reply, _) = stream(&[chunk(json!({"content": "hi"}), Value::Null), last.to_string()]);
        assert_eq!((reply.usage, reply.parts), (spoken, vec![text("hi")]), "{last}");
    }
    let llama = json!({"choices": [choice], "timings": {"prompt_n": 3}}).to_string();
    assert_eq!(streamed([llama.as_str()]).0.usage, Spoken::default());
}

#[test]
fn usage_is_counted_as_the_canonical_form_counts() {
    let used = |usage: Value| {
        let body = json!({"choices": [{"message": {"content": "x"}}], "usage": usage}).to_string();
        decode_reply(body.as_bytes()).unwrap().usage
    };
    let details = json!({"reasoning_tokens": 4});
    let beside = used(
        json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 9, "completion_tokens_details": details}),
    );
    assert_eq!((beside.completion_tokens, beside.reasoning_tokens), (Some(6), Some(4)));
    let within = used(
        json!({"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9, "completion_tokens_details": details}),
    );
    assert_eq!(within.completion_tokens, Some(6));
    assert_eq!(used(json!({"prompt_tokens": 3, "prompt_cache_hit_tokens": 2})).cached_tokens, Some(2));
    let router = used(json!({"prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1}}));
    assert_eq!((router.cached_tokens, router.cache_write_tokens), (Some(2), Some(1)));
    assert_eq!(used(json!({"prompt_tokens": "many", "completion_tokens": -1})), Spoken::default());
    assert_eq!(used(json!({"completion_tokens": 2})).completion_tokens, Some(2));
    assert_eq!(used(Value::Null), Spoken::default());
}

#[test]
fn calls_are_told_apart_by_index() {
    let f = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let side_by_side = [
        json!({"index": 0, "id": "a", "function": f("f", "")}),
        json!({"index": 1, "id": "b", "function": f("g", "")}),
        json!({"index": 0, "function": {"arguments": "{\"x\""}}),
        json!({"index": 1, "id": null, "function": {"name": null, "arguments": "{}"}}),
        json!({"index": 0, "id": "", "function": {"name": "", "arguments": ":1}"}}),
    ];
    assert_eq!(calls(&side_by_side), made(&[("a", "f", "{\"x\":1}"), ("b", "g", "{}")]));
    let repeated = [
        json!({"index": 0, "id": "a", "function": f("f", "{\"x\"")}),
        json!({"index": 0, "id": "a", "function": f("f", ":1}")}),
        json!({"index": 0, "id": "a", "function": f("f", "")}),
    ];
    assert_eq!(calls(&repeated), made(&[("a", "f", "{\"x\":1}")]));
    let one_index = [
        json!({"index": 0, "id": "a", "function": f("f", "{}")}),
        json!({"index": 0, "id": "b", "function": f("f", "{\"x\":1}")}),
    ];
    assert_eq!(calls(&one_index), made(&[("a", "f", "{}"), ("b", "f", "{\"x\":1}")]));
}

#[test]
fn calls_without_index_are_told_apart_by_id_or_name() {
    let f = |name: &str, arguments: &str| json!({"name": name, "arguments": arguments});
    let by_id = [
        json!({"id": "a", "function": f("f", "")}),
        json!({"function": {"arguments": "{\"x\""}}),
        json!({"id": "a", "function": {"arguments": ":1}"}}),
        json!({"id": "b", "function": f("f", "{}")}),
    ];
    assert_eq!(calls(&by_id), made(&[("a", "f", "{\"x\":1}"), ("b", "f", "{}")]));
    let by_name = [
        json!({"id": "", "function": f("f", "{\"x\":1}")}),
        json!({"id": "", "function": f("f", "{\"x\":2}")}),
        json!({"function": f("g", "{\"x\"")}),
        json!({"function": f("g", ":3}")}),
    ];
    assert_eq!(calls(&by_name), made(&[("", "f", "{\"x\":1}"), ("", "f", "{\"x\":2}"), ("", "g", "{\"x\":3}")]));
}

#[test]
fn arguments_may_be_an_object_and_names_may_come_late() {
    let object = json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": {"x": 1}}});
    assert_eq!(calls(&[object]), made(&[("a", "f", "{\"x\":1}")]));
    let late = [json!({"index": 0, "id": "a"}), json!({"index": 0, "function": {"name": "f", "arguments": "{}"}})];
    assert_eq!(calls(&late), made(&[("a", "f", "{}")]));
    let whole = message(
        json!({"content": null, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}),
        json!("stop"),
    );
    let arguments = "{\"x\":1}".to_owned();
    assert_eq!(whole.parts, [ReplyPart::ToolCall { id: String::new(), name: "f".to_owned(), arguments }]);
    assert_eq!(whole.finish, Some(Finish::ToolCalls));
}

#[test]
fn the_one_call_of_old_is_a_call() {
    let (reply, _) = stream(&[
        chunk(json!({"function_call": {"name": "f", "arguments": "{"}}), Value::Null),
        chunk(json!({"function_call": {"arguments": "}"}}), Value::Null),
        chunk(json!({}), json!("function_call")),
    ]);
    let call = ReplyPart::ToolCall { id: String::new(), name: "f".to_owned(), arguments: "{}".to_owned() };
    assert_eq!((reply.parts, reply.finish), (vec![call.clone()], Some(Finish::ToolCalls)));
    let whole = message(json!({"function_call": {"name": "f", "arguments": "{}"}}), json!("function_call"));
    assert_eq!((whole.parts, whole.finish), (vec![call], Some(Finish::ToolCalls)));
}

#[test]
fn every_reason_to_end_is_one() {
    for (reason, finish) in [
        (json!("stop"), Finish::Stop),
        (json!("eos"), Finish::Stop),
        (json!(""), Finish::Stop),
        (json!(null), Finish::Stop),
        (json!(7), Finish::Stop),
        (json!("length"), Finish::Length),
        (json!("max_tokens"), Finish::Length),
        (json!("content_filter"), Finish::ContentFilter),
    ] {
        assert_eq!(message(json!({"content": "x"}), reason.clone()).finish, Some(finish.clone()), "{reason}");
        let (reply, complete) =
            stream(&[chunk(json!({"content": "x"}), Value::Null), chunk(json!({}), reason.clone())]);
        let expected = (!reason.is_null()).then_some(finish);
        assert_eq!((&reply.finish, complete), (&expected, expected.is_some()), "{reason}");
    }
}

#[test]
fn an_empty_reason_with_every_chunk_ends_nothing() {
    let (reply, complete) = stream(&[
        chunk(json!({"role": "assistant", "content": ""}), json!("")),
        chunk(json!({"content": "a"}), json!("")),
        chunk(json!({"content": "b"}), json!("")),
    ]);
    assert_eq!((reply.finish, reply.parts, complete), (None, vec![text("ab")], false));
}

#[test]
fn content_may_be_parts_and_reasoning_goes_by_two_names() {
    let reasoned = |words: &str| ReplyPart::Reasoning { text: words.to_owned(), signature: None };
    let mistral = json!([
        {"type": "thinking", "thinking": [{"type": "text", "text": "h"}, {"type": "text", "text": "m"}]},
        {"type": "text", "text": "a"}, {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": "b"}]);
    assert_eq!(message(json!({ "content": mistral }), json!("stop")).parts, [reasoned("hm"), text("ab")]);
    for delta in [
        json!({"reasoning": "hm"}),
        json!({"reasoning_content": "hm", "content": null}),
        json!({"reasoning": "hm", "reasoning_content": "hm"}),
        json!({"reasoning": "hm", "reasoning_content": null, "content": ""}),
    ] {
        assert_eq!(message(delta.clone(), json!("stop")).parts, [reasoned("hm")]);
        assert_eq!(stream(&[chunk(delta, json!("stop"))]).0.parts, [reasoned("hm")]);
    }
    assert_eq!(message(json!({"content": "<think>x</think>"}), json!("stop")).parts, [text("<think>x</think>")]);
}

#[test]
fn chunks_that_say_nothing_are_passed_over() {
    let azure =
        json!({"choices": [], "id": "", "model": "", "object": "", "prompt_filter_results": [{"prompt_index": 0}]});
    let role = chunk(json!({"role": "assistant"}), Value::Null);
    let other = json!({"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]});
    let legacy = json!({"choices": [{"message": {"role": "assistant", "content": "hi"}, "finish_reason": null}]});
    let mut decoder = Decoder::default();
    let mut seen = Vec::new();
    for data in [azure.to_string(), role, other.to_string(), legacy.to_string()] {
        decoder.event(data.as_bytes(), &mut |event| seen.push(event)).unwrap();
    }
    let start = ChatEvent::Start { id: Some("c".to_owned()), model: Some("m".to_owned()) };
    assert_eq!(seen, [start, ChatEvent::Text("hi".to_owned())]);
    assert!(!decoder.is_complete());
}

#[test]
fn what_is_no_answer_is_garbled_and_not_repeated() {
    let garbled = [
        "",
        "SECRET",
        "[]",
        "{}",
        r#"{"choices":[]}"#,
        r#"{"error":{"message":"SECRET"}}"#,
        r#"{"choices":[{"index":1,"message":{"content":"x"}}]}"#,
        r#"{"choices":[{"index":0}]}"#,
        r#"{"choices":[{"message":{"content":7}}]}"#,
        r#"{"choices":[{"message":{"tool_calls":[{"id":"SECRET"}]}}]}"#,
        r#"{"choices":"SECRET"}"#,
    ];
    for body in garbled {
        let error = decode_reply(body.as_bytes()).expect_err(body);
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
    for event in [
        "SECRET",
        "[1]",
        r#"{"choices":"SECRET"}"#,
        r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":"SECRET"}}]}}]}"#,
    ] {
        let error = Decoder::default().event(event.as_bytes(), &mut |_| ()).expect_err(event);
        assert!(!error.to_string().contains("SECRET"), "{error}");
    }
}

#[test]
fn nothing_makes_it_panic() {
    let stream = include_str!("../../../../tests/fixtures/dialects/openai/parallel.stream.txt");
    for data in super::data(stream) {
        for end in (0..data.len()).filter(|end| data.is_char_boundary(*end)) {
            let (cut, rest) = data.split_at(end);
            for broken in
                [cut.to_owned(), format!("{cut}null{rest}"), format!("{cut}{{{rest}"), format!("{cut}\"{rest}")]
            {
                let _ = Decoder::default().event(broken.as_bytes(), &mut |_| ());
                let _ = decode_reply(broken.as_bytes());
                let _ = decode_embed_reply(broken.as_bytes());
            }
        }
    }
    assert!(decode_reply(&[0xff, 0xfe]).is_err());
    assert!(decode_reply(b"{\"id\":\"\xff\"}").is_err());
    let deep = format!("{{\"choices\":{}", "[".repeat(100_000));
    assert!(decode_reply(deep.as_bytes()).is_err());
}
