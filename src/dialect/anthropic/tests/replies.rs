//! Whole answers and streams of the fixtures.

use serde_json::{Value, json};

use super::*;
use crate::dialect::chat::{Finish, ReplyPart, Spoken};

const REPLIES: [(&str, &str); 5] = [
    (fixture!("text.reply.json"), fixture!("text.stream.txt")),
    (fixture!("tools.reply.json"), fixture!("tools.stream.txt")),
    (fixture!("parallel.reply.json"), fixture!("parallel.stream.txt")),
    (fixture!("reasoning.reply.json"), fixture!("reasoning.stream.txt")),
    (fixture!("length.reply.json"), fixture!("length.stream.txt")),
];

fn reply(body: &str) -> ChatReply {
    decode_reply(body.as_bytes()).expect("a good answer")
}

#[test]
fn a_stream_folds_to_the_whole_answer() {
    for (whole, streamed) in REPLIES {
        assert_eq!(fold(streamed), reply(whole));
    }
}

#[test]
fn an_answer_that_is_written_reads_as_it_was() {
    for (whole, streamed) in REPLIES {
        let reply = reply(whole);
        assert_eq!(decode_reply(&encode_reply(&reply, &label())), Ok(reply.clone()));
        assert_eq!(fold(&stream(reply.clone().events())), reply);
        assert_eq!(fold(&stream(events(streamed))), reply);
    }
}

#[test]
fn the_fixtures_say_what_they_should() {
    let text = reply(fixture!("text.reply.json"));
    assert_eq!(text.parts, [ReplyPart::Text("Hello, Zoë 🙂.".to_owned())]);
    assert_eq!(text.finish, Some(Finish::Stop));
    let usage = Spoken { prompt_tokens: Some(12), completion_tokens: Some(5), ..Spoken::default() };
    assert_eq!(text.usage, Spoken { cached_tokens: Some(4), ..usage });

    let call = |id: &str, arguments: &str| ReplyPart::ToolCall {
        id: id.to_owned(),
        name: "get_weather".to_owned(),
        arguments: arguments.to_owned(),
    };
    let parallel = reply(fixture!("parallel.reply.json"));
    assert_eq!(parallel.parts, [call("call_1", r#"{"city":"Paris"}"#), call("call_2", r#"{"city":"Rome"}"#)]);
    assert_eq!(parallel.finish, Some(Finish::ToolCalls));

    let reasoning = reply(fixture!("reasoning.reply.json"));
    let thought = ReplyPart::Reasoning { text: "The user greets.".to_owned(), signature: None };
    assert_eq!(reasoning.parts, [thought, ReplyPart::Text("Hello.".to_owned())]);
    assert_eq!(reasoning.usage.reasoning_tokens, Some(4));
    assert_eq!(reply(fixture!("length.reply.json")).finish, Some(Finish::Length));
}

#[test]
fn reasons_are_translated_both_ways() {
    for (reason, sequence, finish) in [
        ("end_turn", None, Finish::Stop),
        ("stop_sequence", Some("END"), Finish::StopSequence("END".to_owned())),
        ("max_tokens", None, Finish::Length),
        ("tool_use", None, Finish::ToolCalls),
        ("refusal", None, Finish::ContentFilter),
    ] {
        let body = json!({"content": [], "stop_reason": reason, "stop_sequence": sequence});
        let reply = reply(&body.to_string());
        assert_eq!(reply.finish, Some(finish));
        let again: Value = serde_json::from_slice(&encode_reply(&reply, &label())).expect("JSON");
        assert_eq!((&again["stop_reason"], &again["stop_sequence"]), (&body["stop_reason"], &body["stop_sequence"]));
    }
    for (reason, finish) in [("pause_turn", Finish::Stop), ("model_context_window_exceeded", Finish::Length)] {
        assert_eq!(reply(&json!({"content": [], "stop_reason": reason}).to_string()).finish, Some(finish));
    }
}

#[test]
fn an_answer_is_read_past_what_only_servers_do() {
    let body = json!({"type": "message", "content": [
        {"type": "redacted_thinking", "data": "x"},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"type": "web_search_result"}]},
        {"type": "thinking", "thinking": "", "signature": "sig"},
        {"type": "tool_use", "id": null, "name": "f", "input": null},
    ], "usage": null, "stop_reason": null, "container": null});
    let reply = reply(&body.to_string());
    let call = ReplyPart::ToolCall { id: String::new(), name: "f".to_owned(), arguments: "{}".to_owned() };
    assert_eq!(reply.parts, [ReplyPart::Reasoning { text: String::new(), signature: Some("sig".to_owned()) }, call]);
    assert_eq!((reply.finish, reply.usage), (None, Spoken::default()));
}

#[test]
fn what_other_dialects_answer_is_put_into_words() {
    let call = |arguments: &str| ReplyPart::ToolCall {
        id: String::new(),
        name: "f".to_owned(),
        arguments: arguments.to_owned(),
    };
    let reply = ChatReply {
        parts: vec![ReplyPart::Refusal("No.".to_owned()), call(""), call("[1]")],
        finish: Some(Finish::ContentFilter),
        ..ChatReply::default()
    };
    let body: Value = serde_json::from_slice(&encode_reply(&reply, &label())).expect("JSON");
    assert_eq!(body["id"], "msg_reply-1");
    let expected = json!([
        {"type": "text", "text": "No."},
        {"type": "tool_use", "id": "toolu_reply-10", "name": "f", "input": {}},
        {"type": "tool_use", "id": "toolu_reply-11", "name": "f", "input": {"arguments": "[1]"}},
    ]);
    assert_eq!(body["content"], expected);
}

#[test]
fn a_prompt_holds_what_the_cache_read_and_wrote() {
    let usage = json!({"input_tokens": 3, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 5,
                       "output_tokens": 6});
    let reply = reply(&json!({"content": [], "usage": usage}).to_string());
    assert_eq!((reply.usage.prompt_tokens, reply.usage.cache_write_tokens), (Some(12), Some(5)));
    let again: Value = serde_json::from_slice(&encode_reply(&reply, &label())).expect("JSON");
    assert_eq!(again["usage"], usage);
}
