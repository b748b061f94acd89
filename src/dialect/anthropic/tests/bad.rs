//! Bodies that are no requests, requests that this dialect cannot say, and answers that are none.

use serde_json::{Value, json};

use super::*;
use crate::dialect::chat::{Format, Media, MediaKind, Message, Part, Role, Sampling, Source};
use crate::dialect::inspect::BadRequest;

/// Where a body with these messages is wrong.
fn wrong(messages: Value) -> String {
    wrong_body(json!({"max_tokens": 1, "messages": messages}))
}

fn wrong_body(body: Value) -> String {
    match decode_request(&body.to_string()) {
        Err(BadRequest::Value { path, problem }) => {
            assert!(!problem.contains("SECRET"), "{problem}");
            path
        }
        other => panic!("{other:?}"),
    }
}

fn one(block: Value) -> Value {
    json!([{"role": "user", "content": [block]}])
}

#[test]
fn bad_messages_are_told_by_their_path() {
    assert_eq!(wrong(json!([{"role": "SECRET", "content": "a"}])), "messages[0].role");
    assert_eq!(wrong(json!([{"role": "user"}])), "messages[0].content");
    assert_eq!(wrong(json!([{"role": "user", "content": {}}])), "messages[0].content");
    assert_eq!(wrong(json!([{"role": "user", "content": 5}])), "messages[0].content");
    assert_eq!(wrong(one(json!({"type": "SECRET"}))), "messages[0].content[0].type");
    assert_eq!(wrong(one(json!({"text": "a"}))), "messages[0].content[0].type");
    assert_eq!(wrong(one(json!({"type": "text"}))), "messages[0].content[0].text");
    assert_eq!(wrong(one(json!({"type": "tool_use", "id": "a", "name": "f"}))), "messages[0].content[0].type");
    let orphan = json!({"type": "tool_result", "tool_use_id": "SECRET"});
    assert_eq!(wrong(one(orphan)), "messages[0].content[0].tool_use_id");
    let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": "{}"});
    assert_eq!(wrong(json!([{"role": "assistant", "content": [call]}])), "messages[0].content[0].input");
}

#[test]
fn bad_media_are_told_by_their_path() {
    let image = |source: Value| wrong(one(json!({"type": "image", "source": source})));
    let data = json!({"type": "base64", "media_type": "image/png", "data": "SECRET!!"});
    assert_eq!(image(data), "messages[0].content[0].source.data");
    assert_eq!(image(json!({"type": "base64", "data": "AAAA"})), "messages[0].content[0].source.media_type");
    assert_eq!(image(json!({"type": "url", "url": "data:image/png,x"})), "messages[0].content[0].source.url");
    assert_eq!(image(json!({"type": "text", "data": "x"})), "messages[0].content[0].source.type");
    assert_eq!(image(json!("x")), "messages[0].content[0].source.type");
}

#[test]
fn bad_settings_are_told_by_their_path() {
    for (field, value, path) in [
        ("tool_choice", json!({"type": "SECRET"}), "tool_choice.type"),
        ("tool_choice", json!({"type": "tool"}), "tool_choice.name"),
        ("thinking", json!({"type": "SECRET"}), "thinking.type"),
        ("thinking", json!({"type": "enabled"}), "thinking.budget_tokens"),
        ("output_config", json!({"effort": "SECRET"}), "output_config.effort"),
        ("output_config", json!({"format": {"type": "json_schema"}}), "output_config.format.schema"),
        ("output_format", json!({"type": "SECRET"}), "output_format.type"),
        ("tools", json!([{"name": "f"}]), "tools[0].input_schema"),
        ("tools", json!([{"input_schema": {}}]), "tools[0].name"),
        ("system", json!([{"type": "image"}]), "system[0].type"),
        ("max_tokens", json!(-1), "max_tokens"),
    ] {
        let mut body = json!({"max_tokens": 1, "messages": [{"role": "user", "content": "a"}]});
        body[field] = value;
        assert_eq!(wrong_body(body), path);
    }
}

#[test]
fn what_must_be_there_is_missed() {
    let missing = |body: &str| match decode_request(body) {
        Err(BadRequest::Missing { field, .. }) => field,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing("{}"), "messages");
    assert_eq!(missing(r#"{"messages":[],"max_tokens":1}"#), "messages");
    assert_eq!(missing(r#"{"messages":[{"role":"user","content":"a"}],"max_tokens":null}"#), "max_tokens");
    assert!(matches!(decode_request("{"), Err(BadRequest::Syntax { .. })));
}

#[test]
fn deep_nesting_is_refused_and_not_followed() {
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"max_tokens":1,"messages":[{{"role":"user","content":{deep}}}]}}"#);
    assert!(decode_request(&body).is_err());
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let media = |kind| {
        let source = Source::Url("https://example.com".to_owned());
        Part::Media(Media { kind, source, detail: None, name: None })
    };
    let request = ChatRequest {
        messages: vec![
            Message::text(Role::User, "a"),
            Message { role: Role::User, parts: vec![media(MediaKind::Audio), media(MediaKind::Video)] },
            Message::text(Role::System, "b"),
            Message { role: Role::Assistant, parts: vec![media(MediaKind::Image)] },
        ],
        sampling: Sampling {
            temperature: Some(1.5),
            min_p: Some(0.1),
            seed: Some(1),
            frequency_penalty: Some(1.0),
            presence_penalty: Some(1.0),
            repeat_penalty: Some(1.1),
            ..Sampling::default()
        },
        stop: vec!["\n".to_owned()],
        format: Some(Format::JsonObject),
        ..ChatRequest::default()
    };
    let expected = [
        "temperature above 1",
        "min_p",
        "seed",
        "frequency_penalty",
        "presence_penalty",
        "repeat_penalty",
        "stop: a text of white space alone",
        "messages[1]: audio",
        "messages[1]: video",
        "messages[2]: instructions after the conversation has begun",
        "messages[3]: media that neither the user nor a tool sends",
        "response_format json_object",
    ];
    assert_eq!(encode_request(&request, "m").expect_err("refused").0, expected);
    let silent = ChatRequest { messages: vec![Message::text(Role::System, "a")], ..ChatRequest::default() };
    assert_eq!(encode_request(&silent, "m").expect_err("refused").0, ["messages: none but instructions"]);
}

#[test]
fn answers_that_are_none_are_garbled() {
    for body in ["", "[]", "{}", r#"{"content":5}"#, r#"{"content":[{"type":"tool_use"}]}"#] {
        assert!(decode_reply(body.as_bytes()).is_err(), "{body}");
    }
    for event in ["", "{}", r#"{"type":"content_block_start"}"#, r#"{"type":"content_block_delta"}"#] {
        assert!(Decoder::default().event(event.as_bytes(), &mut drop).is_err(), "{event}");
    }
}
