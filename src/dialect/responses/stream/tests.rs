//! Streams of whole answers: what is in them, in which order, and that they end with what a whole answer would be.

mod order;

use serde_json::Value;

use super::super::encode_reply;
use super::*;
use crate::dialect::chat::{ChatReply, ReplyPart};

fn label() -> Label {
    Label { id: "reply-1".to_owned(), model: "m".to_owned(), created: 1_700_000_000, include_usage: true }
}

/// The stream that `events` make.
fn streamed(events: impl IntoIterator<Item = ChatEvent>) -> String {
    let (mut encoder, mut out) = (Encoder::new(label()), Vec::new());
    for event in events {
        encoder.event(event, &mut out);
    }
    encoder.end(&mut out);
    String::from_utf8(out).unwrap()
}

/// The answer that a stream ends with.
fn told(stream: &str) -> Value {
    let last = stream.trim_end().rsplit_once("data: ").expect("an event").1;
    let event: Value = serde_json::from_str(last).unwrap();
    event["response"].clone()
}

fn whole(reply: &ChatReply) -> Value {
    serde_json::from_slice(&encode_reply(reply, &label())).unwrap()
}

fn call(id: &str, city: &str) -> ReplyPart {
    let arguments = format!("{{\"city\":\"{city}\"}}");
    ReplyPart::ToolCall { id: id.to_owned(), name: "get_weather".to_owned(), arguments }
}

fn reply(parts: Vec<ReplyPart>, finish: Finish, prompt: u64, completion: u64) -> ChatReply {
    let usage = Spoken { prompt_tokens: Some(prompt), completion_tokens: Some(completion), ..Spoken::default() };
    ChatReply { parts, finish: Some(finish), usage, ..ChatReply::default() }
}

/// The answers that are the same in every dialect, and two that few have.
fn answers() -> Vec<(&'static str, ChatReply)> {
    let text = |text: &str| ReplyPart::Text(text.to_owned());
    let thought = ReplyPart::Reasoning { text: "The user greets.".to_owned(), signature: None };
    let signed = ReplyPart::Reasoning { text: "Hm.".to_owned(), signature: Some("c2ln".to_owned()) };
    let refusal = ReplyPart::Refusal("I will not.".to_owned());
    let mut hello = reply(vec![text("Hello, Zoë 🙂.")], Finish::Stop, 12, 5);
    hello.usage.cached_tokens = Some(4);
    let mut reasoned = reply(vec![thought, text("Hello.")], Finish::Stop, 12, 9);
    reasoned.usage.reasoning_tokens = Some(4);
    vec![
        ("text", hello),
        ("tools", reply(vec![text("Let me look."), call("call_1", "Paris")], Finish::ToolCalls, 20, 9)),
        ("parallel", reply(vec![call("call_1", "Paris"), call("call_2", "Rome")], Finish::ToolCalls, 20, 12)),
        ("reasoning", reasoned),
        ("length", reply(vec![text("Hello, Z")], Finish::Length, 12, 2)),
        ("refusal", reply(vec![text("Well. "), refusal], Finish::ContentFilter, 12, 4)),
        ("signed", reply(vec![signed, call("", "Rome"), text("And.")], Finish::Stop, 12, 4)),
    ]
}

/// What stands in the file of that name. `UPDATE=1` writes it.
fn golden(name: &str, now: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dialects/responses").join(name);
    if option_env!("UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let then = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!(now, then, "{name}");
}

#[test]
fn answers_are_written_as_their_files_have_them() {
    for (name, reply) in answers() {
        let pretty = serde_json::to_string_pretty(&whole(&reply)).unwrap();
        golden(&format!("{name}.reply.expected.json"), &format!("{pretty}\n"));
        golden(&format!("{name}.stream.expected.txt"), &streamed(reply.events()));
    }
}

#[test]
fn a_stream_ends_with_the_whole_answer() {
    for (name, reply) in answers() {
        let stream = streamed(reply.clone().events());
        order::check(&stream);
        assert_eq!(told(&stream), whole(&reply), "{name}");
    }
}

#[test]
fn an_answer_of_nothing_begins_and_ends() {
    let stream = streamed([]);
    order::check(&stream);
    assert_eq!(told(&stream), whole(&ChatReply::default()));
    assert_eq!(told(&stream)["usage"], Value::Null);
}

#[test]
fn calls_side_by_side_are_open_together() {
    let call = |index, id: &str| ChatEvent::ToolCall { index, id: id.to_owned(), name: "f".to_owned() };
    let more = |index, json: &str| ChatEvent::Arguments { index, json: json.to_owned() };
    let events = vec![
        ChatEvent::Text("a".to_owned()),
        call(0, "x"),
        call(1, "y"),
        more(0, "{\"n\""),
        more(1, "{}"),
        ChatEvent::Text("b".to_owned()),
        more(0, ":1}"),
        call(2, "z"),
        ChatEvent::Finish(Finish::ToolCalls),
    ];
    let stream = streamed(events.clone());
    order::check(&stream);
    let output = &told(&stream)["output"];
    assert_eq!(output[1]["arguments"], "{\"n\":1}");
    assert_eq!(output[2]["arguments"], "{}");
    assert_eq!(output[3]["content"][0]["text"], "b");
    assert_eq!(*output, whole(&ChatReply::fold(events))["output"]);
}

#[test]
fn a_call_without_arguments_has_an_empty_object() {
    let call = |index| ChatEvent::ToolCall { index, id: format!("call_{index}"), name: "f".to_owned() };
    let events = vec![call(0), call(1), ChatEvent::Finish(Finish::ToolCalls)];
    let stream = streamed(events.clone());
    order::check(&stream);
    let output = &told(&stream)["output"];
    assert_eq!((&output[0]["arguments"], &output[1]["arguments"]), (&"{}".into(), &"{}".into()));
    assert_eq!(*output, whole(&ChatReply::fold(events))["output"]);
}

#[test]
fn what_comes_of_no_call_is_passed_over() {
    let stream = streamed([ChatEvent::Arguments { index: 4, json: "{}".to_owned() }]);
    order::check(&stream);
    assert_eq!(told(&stream)["output"], serde_json::json!([]));
}

#[test]
fn usage_may_come_after_the_end_of_the_words() {
    let spoken = Spoken { prompt_tokens: Some(3), completion_tokens: Some(4), ..Spoken::default() };
    let stream =
        streamed([ChatEvent::Text("a".to_owned()), ChatEvent::Finish(Finish::Length), ChatEvent::Usage(spoken)]);
    order::check(&stream);
    let answer = told(&stream);
    assert_eq!(answer["usage"]["total_tokens"], 7);
    assert_eq!(answer["status"], "incomplete");
    assert_eq!(answer["incomplete_details"]["reason"], "max_output_tokens");
    assert_eq!(answer["output"][0]["status"], "incomplete");
}
