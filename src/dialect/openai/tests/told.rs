//! Answers: the fixtures, whole and as streams, and what clients are told.

use super::super::*;
use super::{data, label, streamed};
use crate::dialect::chat::{ChatEvent, ChatReply, Finish, Label, ReplyPart, Spoken, StreamEncoder};

macro_rules! fixture {
    ($case:literal) => {{
        let whole = include_str!(concat!("../../../../tests/fixtures/dialects/openai/", $case, ".reply.json"));
        let stream = include_str!(concat!("../../../../tests/fixtures/dialects/openai/", $case, ".stream.txt"));
        (whole, stream)
    }};
}

fn call(id: &str, city: &str) -> ReplyPart {
    let arguments = format!("{{\"city\":\"{city}\"}}");
    ReplyPart::ToolCall { id: id.to_owned(), name: "get_weather".to_owned(), arguments }
}

fn reply(parts: Vec<ReplyPart>, finish: Finish, prompt: u64, completion: u64) -> ChatReply {
    let usage = Spoken { prompt_tokens: Some(prompt), completion_tokens: Some(completion), ..Spoken::default() };
    let id = Some("chatcmpl-reply-1".to_owned());
    ChatReply { id, model: Some("m".to_owned()), parts, finish: Some(finish), usage }
}

fn text(text: &str) -> ReplyPart {
    ReplyPart::Text(text.to_owned())
}

fn fixtures() -> Vec<((&'static str, &'static str), ChatReply)> {
    let mut hello = reply(vec![text("Hello, Zoë 🙂.")], Finish::Stop, 12, 5);
    hello.usage.cached_tokens = Some(4);
    let thought = ReplyPart::Reasoning { text: "The user greets.".to_owned(), signature: None };
    let mut reasoned = reply(vec![thought, text("Hello.")], Finish::Stop, 12, 9);
    reasoned.usage.reasoning_tokens = Some(4);
    let tools = vec![text("Let me look."), call("call_1", "Paris")];
    let parallel = vec![call("call_1", "Paris"), call("call_2", "Rome")];
    vec![
        (fixture!("text"), hello),
        (fixture!("tools"), reply(tools, Finish::ToolCalls, 20, 9)),
        (fixture!("parallel"), reply(parallel, Finish::ToolCalls, 20, 12)),
        (fixture!("reasoning"), reasoned),
        (fixture!("length"), reply(vec![text("Hello, Z")], Finish::Length, 12, 2)),
    ]
}

/// What a client is streamed.
fn encoded(events: impl IntoIterator<Item = ChatEvent>, label: Label) -> String {
    let (mut encoder, mut out) = (Encoder::new(label), Vec::new());
    events.into_iter().for_each(|event| encoder.event(event, &mut out));
    encoder.end(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn fixtures_are_read_whole_and_as_streams() {
    for ((whole, stream), expected) in fixtures() {
        assert_eq!(decode_reply(whole.as_bytes()).as_ref(), Ok(&expected));
        assert_eq!(streamed(data(stream)), (expected, true));
    }
}

#[test]
fn what_clients_are_told_says_the_same() {
    for (_, reply) in fixtures() {
        let expected = ChatReply { id: Some("chatcmpl-0123".to_owned()), ..reply.clone() };
        assert_eq!(decode_reply(&encode_reply(&reply, &label())).as_ref(), Ok(&expected));
        assert_eq!(streamed(data(&encoded(reply.events(), label()))), (expected, true));
    }
}

#[test]
fn a_whole_answer_has_every_field_that_clients_insist_on() {
    let parts = vec![
        text("a"),
        text("b"),
        ReplyPart::ToolCall { id: String::new(), name: "f".to_owned(), arguments: String::new() },
    ];
    let reply = ChatReply { model: None, ..reply(parts, Finish::ToolCalls, 3, 4) };
    assert_eq!(
        String::from_utf8(encode_reply(&reply, &label())).unwrap(),
        concat!(
            r#"{"id":"chatcmpl-0123","object":"chat.completion","created":1700000000,"model":"m","choices":["#,
            r#"{"index":0,"message":{"role":"assistant","content":"ab","refusal":null,"tool_calls":["#,
            r#"{"id":"call_01230","type":"function","function":{"name":"f","arguments":"{}"}}]},"#,
            r#""logprobs":null,"finish_reason":"tool_calls"}],"#,
            r#""usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#
        )
    );
    let nothing = String::from_utf8(encode_reply(&ChatReply::default(), &label())).unwrap();
    assert!(nothing.contains(r#""content":"","refusal":null}"#), "{nothing}");
    assert!(nothing.contains(r#""finish_reason":"stop"}]}"#), "{nothing}");
}

#[test]
fn a_stream_is_written_as_openai_writes_it() {
    let events = [
        ChatEvent::Start { id: None, model: Some("b".to_owned()) },
        ChatEvent::Text("hi".to_owned()),
        ChatEvent::Usage(Spoken { prompt_tokens: Some(3), ..Spoken::default() }),
        ChatEvent::Finish(Finish::StopSequence("x".to_owned())),
        ChatEvent::Usage(Spoken { completion_tokens: Some(1), ..Spoken::default() }),
    ];
    let chunk = |choices: &str, usage: &str| {
        let head = r#"{"id":"chatcmpl-0123","object":"chat.completion.chunk","created":1700000000,"model":"b""#;
        format!("data: {head},\"choices\":[{choices}]{usage}}}\n\n")
    };
    let choice = |delta: &str, reason: &str| {
        format!(r#"{{"index":0,"delta":{{{delta}}},"logprobs":null,"finish_reason":{reason}}}"#)
    };
    let chunks = |usage: &str| {
        [
            chunk(&choice(r#""role":"assistant","content":"""#, "null"), usage),
            chunk(&choice(r#""content":"hi""#, "null"), usage),
            chunk(&choice("", r#""stop""#), usage),
        ]
        .concat()
    };
    let last = chunk("", r#","usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4}"#);
    let expected = format!("{}{last}data: [DONE]\n\n", chunks(r#","usage":null"#));
    assert_eq!(encoded(events.clone(), label()), expected);
    let silent = Label { include_usage: false, ..label() };
    assert_eq!(encoded(events, silent), format!("{}data: [DONE]\n\n", chunks("")));
}

#[test]
fn a_stream_without_its_start_or_end_is_whole_all_the_same() {
    let call = ChatEvent::ToolCall { index: 0, id: String::new(), name: "f".to_owned() };
    let stream = encoded([ChatEvent::Signature("s".to_owned()), call], label());
    let (reply, complete) = streamed(data(&stream));
    let arguments = "{}".to_owned();
    assert_eq!(reply.parts, [ReplyPart::ToolCall { id: "call_01230".to_owned(), name: "f".to_owned(), arguments }]);
    assert_eq!((reply.finish, complete), (Some(Finish::ToolCalls), true));
    assert!(stream.starts_with("data: {") && !stream.contains("usage\":{"), "{stream}");
}

#[test]
fn refusals_come_through() {
    let refused = reply(vec![ReplyPart::Refusal("no".to_owned())], Finish::ContentFilter, 1, 1);
    let body = encode_reply(&refused, &label());
    assert!(String::from_utf8_lossy(&body).contains(r#""content":null,"refusal":"no""#));
    assert_eq!(decode_reply(&body).unwrap().parts, refused.parts);
    assert_eq!(streamed(data(&encoded(refused.clone().events(), label()))).0.parts, refused.parts);
}
