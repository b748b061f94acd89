//! The order of a client's stream, and streams of servers that keep to less than Anthropic does.

use serde_json::{Value, json};

use super::*;
use crate::dialect::chat::{Finish, ReplyPart, Spoken};

fn begin(index: usize, id: &str) -> ChatEvent {
    ChatEvent::ToolCall { index, id: id.to_owned(), name: "f".to_owned() }
}

fn arguments(index: usize, json: &str) -> ChatEvent {
    ChatEvent::Arguments { index, json: json.to_owned() }
}

fn text(text: &str) -> ChatEvent {
    ChatEvent::Text(text.to_owned())
}

/// The stream in short: what happens, and to which block.
fn steps(stream: &str) -> Vec<String> {
    let names = stream.lines().filter_map(|line| line.strip_prefix("event: "));
    let step = |(name, data): (&str, &str)| {
        let event: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(event["type"], name);
        let more =
            ["text", "thinking", "partial_json", "signature"].iter().find_map(|key| event["delta"][*key].as_str());
        match (name, more) {
            ("content_block_start", _) => {
                format!("{} {}", event["index"], event["content_block"]["type"].as_str().expect("a type"))
            }
            ("content_block_stop", _) => format!("{} stop", event["index"]),
            (_, Some(more)) => format!("{} {more}", event["index"]),
            _ => name.to_owned(),
        }
    };
    names.zip(data(stream)).map(step).collect()
}

#[test]
fn blocks_stand_one_after_the_other() {
    let events = [
        ChatEvent::Start { id: None, model: None },
        ChatEvent::Reasoning("hm".to_owned()),
        ChatEvent::Signature("s1".to_owned()),
        ChatEvent::Signature("s2".to_owned()),
        text("a"),
        ChatEvent::Refusal("b".to_owned()),
        begin(0, "x"),
        ChatEvent::Finish(Finish::ToolCalls),
        ChatEvent::Usage(Spoken { prompt_tokens: Some(3), ..Spoken::default() }),
    ];
    let stream = stream(events);
    let expected = [
        "message_start",
        "0 thinking",
        "0 hm",
        "0 s1s2",
        "0 stop",
        "1 text",
        "1 a",
        "1 b",
        "1 stop",
        "2 tool_use",
        "2 {}",
        "2 stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(steps(&stream), expected);
    let ending: Value = serde_json::from_str(data(&stream).nth(12).expect("an ending")).expect("JSON");
    assert_eq!(ending["delta"], json!({"stop_reason": "tool_use", "stop_sequence": null}));
    assert_eq!(ending["usage"]["input_tokens"], 3);
}

#[test]
fn calls_that_interleave_are_sorted_out() {
    let events = [
        begin(0, "x"),
        begin(1, "y"),
        arguments(0, "{\"a\":"),
        arguments(1, "{}"),
        text("late"),
        arguments(0, "\"}\\\"\"}"),
        begin(2, "z"),
        arguments(2, "{\"c\":1}"),
    ];
    let expected = [
        "message_start",
        "0 tool_use",
        "0 {\"a\":",
        "0 \"}\\\"\"}",
        "0 stop",
        "1 tool_use",
        "1 {}",
        "1 stop",
        "2 text",
        "2 late",
        "2 stop",
        "3 tool_use",
        "3 {\"c\":1}",
        "3 stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(steps(&stream(events)), expected);
}

#[test]
fn a_call_is_passed_on_as_soon_as_the_one_before_is_whole() {
    let (mut encoder, mut out) = (Encoder::new(label()), Vec::new());
    for event in [begin(0, "x"), arguments(0, "{}"), begin(1, "y"), arguments(1, "{\"b\"")] {
        encoder.event(event, &mut out);
    }
    let so_far = String::from_utf8(out).expect("text");
    assert_eq!(steps(&so_far), ["message_start", "0 tool_use", "0 {}", "0 stop", "1 tool_use", "1 {\"b\""]);
}

#[test]
fn an_answer_of_nothing_is_still_an_answer() {
    assert_eq!(steps(&stream([])), ["message_start", "message_delta", "message_stop"]);
    assert_eq!(fold(&stream([])).finish, Some(Finish::Stop));
}

#[test]
fn what_is_known_of_the_prompt_stands_in_front() {
    let usage = Spoken { prompt_tokens: Some(9), cached_tokens: Some(4), ..Spoken::default() };
    let stream = stream([ChatEvent::Usage(usage), text("a")]);
    let start: Value = serde_json::from_str(data(&stream).next().expect("a start")).expect("JSON");
    assert_eq!(start["message"]["usage"]["input_tokens"], 5);
    assert_eq!(start["message"]["id"], "msg_reply-1");
}

#[test]
fn a_server_may_leave_things_out() {
    let reply = fold(
        r#"
data: {"type":"message_start","message":{"usage":{"input_tokens":0,"cache_read_input_tokens":4}}}
data: {"type":"new","index":"none of ours"}
data: {"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","name":"s","input":{}}}
data: {"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{}"}}
data: {"type":"content_block_start","index":1,"content_block":{"type":"text","text":"a"}}
data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":null}}
data: {"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{}}}
data: {"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"x","name":"f","input":{"a":1}}}
data: {"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"y","name":"f"}}
data: {"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":""}}
data: {"type":"message_delta","usage":{"input_tokens":8,"output_tokens":2}}
data: {"type":"message_stop"}
"#
        .replace(r#""index":"none of ours""#, r#""x":0"#)
        .as_str(),
    );
    let call = |id: &str, arguments: &str| ReplyPart::ToolCall {
        id: id.to_owned(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(reply.parts, [ReplyPart::Text("a".to_owned()), call("x", r#"{"a":1}"#), call("y", "{}")]);
    assert_eq!(reply.finish, Some(Finish::ToolCalls));
    assert_eq!((reply.usage.prompt_tokens, reply.usage.cached_tokens), (Some(12), Some(4)));
}

#[test]
fn an_event_that_is_new_is_passed_over_whatever_it_holds() {
    let mut decoder = Decoder::default();
    let event = br#"{"type":"news","index":"a","message":[],"delta":5,"usage":"b","content_block":{"type":1}}"#;
    assert_eq!(decoder.event(event, &mut |event| panic!("{event:?}")), Ok(()));
}
