//! Requests that are wrong, neutral, or say what no other dialect does.

use serde_json::{Value, json};

use super::super::*;
use crate::dialect::chat::{ChatRequest, Message, Part, Reasoning, Role, Sampling, ToolChoice};
use crate::dialect::inspect::BadRequest;

/// A body that asks for nothing special, with `more` fields.
fn body(more: Value) -> String {
    let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "x"}]});
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string()
}

fn path(body: &str) -> String {
    match decode_request(body) {
        Err(BadRequest::Value { path, problem }) => {
            assert!(!problem.contains("SECRET"), "{problem}");
            path
        }
        other => panic!("{body}: {other:?}"),
    }
}

#[test]
fn what_is_no_request_is_told_apart() {
    assert_eq!(decode_request(" "), Err(BadRequest::Empty));
    assert_eq!(decode_request("[1]"), Err(BadRequest::NotAnObject));
    assert_eq!(decode_request("7"), Err(BadRequest::NotAnObject));
    for body in ["{", "{\"a\":}", "nonsense", "{} {}"] {
        assert!(matches!(decode_request(body), Err(BadRequest::Syntax { .. })), "{body}");
    }
    for body in ["{}", r#"{"messages":[]}"#, r#"{"messages":null}"#] {
        assert!(matches!(decode_request(body), Err(BadRequest::Missing { field: "messages", .. })), "{body}");
    }
}

#[test]
fn wrong_messages_are_told_by_their_path() {
    let part = |part: Value| json!([{"role": "user", "content": [part]}]);
    for (messages, expected) in [
        (json!([{"role": "SECRET", "content": "x"}]), "messages[0].role"),
        (json!([{"content": "x"}]), "messages[0]"),
        (json!([{"role": "user"}]), "messages[0].content"),
        (json!([{"role": "user", "content": null}]), "messages[0].content"),
        (json!([{"role": "user", "content": 7}]), "messages[0].content"),
        (json!([{"role": "user", "content": "x", "refusal": "SECRET"}]), "messages[0].refusal"),
        (json!([{"role": "tool", "content": "x"}]), "messages[0].tool_call_id"),
        (json!([{"role": "tool", "content": "x", "tool_call_id": "SECRET"}]), "messages[0].tool_call_id"),
        (json!([{"role": "assistant", "tool_calls": [{"id": "a"}]}]), "messages[0].tool_calls[0].function"),
        (json!([{"role": "assistant", "tool_calls": [{"type": "function"}]}]), "messages[0].tool_calls[0].id"),
        (part(json!({"type": "SECRET"})), "messages[0].content[0].type"),
        (part(json!({"type": "text"})), "messages[0].content[0].text"),
        (part(json!({"type": "refusal", "refusal": "x"})), "messages[0].content[0].type"),
        (part(json!({"type": "image_url"})), "messages[0].content[0].image_url"),
        (part(json!({"type": "image_url", "image_url": {"url": "SECRET"}})), "messages[0].content[0].image_url"),
        (
            part(json!({"type": "image_url", "image_url": "data:image/png;base64,%"})),
            "messages[0].content[0].image_url",
        ),
        (
            part(json!({"type": "image_url", "image_url": "data:text/html;base64,AAAA"})),
            "messages[0].content[0].image_url",
        ),
        (
            part(json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "SECRET"}})),
            "messages[0].content[0].input_audio.format",
        ),
        (part(json!({"type": "file", "file": {"file_data": "AAAA"}})), "messages[0].content[0].file.file_data"),
    ] {
        assert_eq!(path(&json!({ "messages": messages }).to_string()), expected);
    }
}

#[test]
fn wrong_fields_are_told_by_their_path() {
    for (more, expected) in [
        (json!({"max_tokens": true}), "max_tokens"),
        (json!({"stop": 1}), "stop"),
        (json!({"reasoning_effort": "SECRET"}), "reasoning_effort"),
        (json!({"tool_choice": "SECRET"}), "tool_choice"),
        (json!({"tool_choice": {"type": "function"}}), "tool_choice.function"),
        (json!({"tools": [{"type": "function"}]}), "tools[0].function"),
        (json!({"tools": [{"function": {"name": "f", "parameters": 7}}]}), "tools[0].function.parameters"),
        (json!({"response_format": {"type": "SECRET"}}), "response_format.type"),
        (json!({"response_format": {"type": "json_schema"}}), "response_format.json_schema"),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}}),
            "response_format.json_schema.schema",
        ),
    ] {
        assert_eq!(path(&body(more)), expected);
    }
}

#[test]
fn what_is_neutral_or_a_hint_is_like_nothing() {
    let neutral = json!({
        "n": 1, "logit_bias": {}, "logprobs": false, "top_logprobs": 0, "modalities": ["text"], "verbosity": "medium",
        "frequency_penalty": 0, "presence_penalty": 0.0, "repeat_penalty": 1, "top_k": -1, "max_tokens": -1,
        "parallel_tool_calls": true, "stop": [], "tools": [], "tool_choice": "auto", "stream": false, "user": "",
        "response_format": {"type": "text"}, "stream_options": {"include_usage": true, "include_obfuscation": false},
        "store": true, "metadata": {"a": "b"}, "service_tier": "flex", "safety_identifier": "s",
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "cache_control": {"type": "ephemeral"},
    });
    let nothing = super::request(&body(json!({})));
    assert_eq!(super::request(&body(neutral.clone())), nothing);
    let nulls: serde_json::Map<_, _> =
        neutral.as_object().unwrap().keys().map(|key| (key.clone(), Value::Null)).collect();
    assert_eq!(super::request(&body(Value::Object(nulls))), nothing);
    let absent = ["audio", "prediction", "web_search_options", "function_call", "functions", "seed", "temperature"];
    let nulls = absent.iter().map(|key| ((*key).to_owned(), Value::Null)).collect();
    assert_eq!(super::request(&body(Value::Object(nulls))), nothing);
}

#[test]
fn what_no_other_dialect_has_is_named() {
    let more = json!({
        "n": 2, "logit_bias": {"1": 2}, "logprobs": true, "top_logprobs": 3, "modalities": ["text", "audio"],
        "verbosity": "low", "audio": {"voice": "x"}, "prediction": {"type": "content"}, "web_search_options": {},
        "function_call": "auto", "functions": [], "tool_choice": {"type": "allowed_tools", "allowed_tools": {}},
        "tools": [{"type": "custom", "custom": {"name": "f"}}, {"type": "function", "function": {"name": "g"}}],
        "guided_json": {"a": 1},
        "messages": [
            {"role": "user", "name": "Ann", "content": [
                {"type": "file", "file": {"file_id": "file-1"}}, {"type": "text", "text": "x"}]},
            {"role": "function", "name": "f", "content": "y"},
            {"role": "assistant", "audio": {"id": "a"}, "tool_calls": [
                {"id": "c", "type": "custom", "custom": {"name": "f", "input": "z"}}]},
            {"role": "tool", "name": "f", "tool_call_id": "c", "content": "x", "mood": "good"},
        ],
    });
    let mut uncarried = decode_request(&body(more)).unwrap().uncarried;
    uncarried.sort();
    let mut expected = vec![
        "audio",
        "function_call",
        "functions",
        "guided_json",
        "logit_bias",
        "logprobs",
        "messages[3].mood",
        "messages[0].content[0].file.file_id",
        "messages[0].name",
        "messages[1]",
        "messages[2].audio",
        "messages[2].tool_calls[0]",
        "modalities",
        "n",
        "prediction",
        "tool_choice",
        "tools[0]",
        "top_logprobs",
        "verbosity",
        "web_search_options",
    ];
    expected.sort_unstable();
    assert_eq!(uncarried, expected);
}

#[test]
fn what_compatible_servers_understand_is_understood() {
    let request = super::request(&body(json!({
        "max_tokens": 5, "max_completion_tokens": 7, "repetition_penalty": 1.5, "top_k": 4, "min_p": 0.25,
        "stop": "x", "tool_choice": {"type": "function", "function": {"name": "f"}},
        "tools": [{"function": {"name": "f"}}], "parallel_tool_calls": false, "reasoning_effort": "none",
    })));
    let sampling = Sampling { top_k: Some(4), min_p: Some(0.25), repeat_penalty: Some(1.5), ..Sampling::default() };
    let effort = Some(crate::dialect::chat::Effort::None);
    let expected = ChatRequest {
        max_tokens: Some(7),
        sampling,
        stop: vec!["x".to_owned()],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        parallel_tool_calls: Some(false),
        reasoning: Some(Reasoning { effort, budget_tokens: None }),
        tools: request.tools.clone(),
        messages: vec![Message::text(Role::User, "x")],
        ..ChatRequest::default()
    };
    assert_eq!(request, expected);
    let llama =
        super::request(&body(json!({"response_format": {"type": "json_object", "schema": {"type": "object"}}})));
    assert!(matches!(llama.format, Some(crate::dialect::chat::Format::JsonSchema { name: None, .. })));
}

#[test]
fn an_answer_may_be_sent_back_as_it_came() {
    let messages = json!([
        {"role": "developer", "content": [{"type": "text", "text": "a", "cache_control": {}}, {"type": "text", "text": ""}]},
        {"role": "assistant", "content": "", "refusal": null, "annotations": [], "audio": null, "function_call": null,
         "reasoning": "r", "reasoning_content": "r", "tool_calls": [
            {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 1, "id": "b", "type": "function", "function": {"name": "f", "arguments": {"x": 1}}}]},
        {"role": "tool", "tool_call_id": "a", "name": "f", "content": [{"type": "text", "text": "y"}]},
        {"role": "assistant", "content": null, "refusal": "no", "tool_calls": null},
    ]);
    let request = super::request(&json!({ "messages": messages }).to_string());
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::Assistant, Role::Tool, Role::Assistant]);
    assert_eq!(request.messages[0].parts, [Part::Text("a".to_owned())]);
    assert_eq!(request.messages[3].parts, [Part::Refusal("no".to_owned())]);
    let [Part::Reasoning { .. }, Part::ToolCall { arguments: none, .. }, Part::ToolCall { arguments: one, .. }] =
        request.messages[1].parts.as_slice()
    else {
        panic!("{:?}", request.messages[1])
    };
    assert_eq!((none.get(), one.get()), ("{}", r#"{"x":1}"#));
}

#[test]
fn nothing_makes_it_panic() {
    let fixture = include_str!("../../../../tests/fixtures/dialects/openai/parallel.request.json").trim_end();
    for end in (0..fixture.len()).filter(|end| fixture.is_char_boundary(*end)) {
        let cut = &fixture[..end];
        assert!(decode_request(cut).is_err());
        let _ = decode_request(&format!("{cut}null{}", &fixture[end..]));
    }
    let deep = format!("{{\"messages\":{}", "[".repeat(100_000));
    assert!(decode_request(&deep).is_err());
}
