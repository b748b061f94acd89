//! Requests of real clients, and what they mean.

mod bad;
mod said;

use serde_json::{Value, json};

use super::*;
use crate::dialect::chat::{Media, MediaKind, Message, Part, Role, Source};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../../tests/fixtures/dialects/responses/", $name, ".request.json"))
    };
}

const BODIES: [&str; 3] = [fixture!("codex"), fixture!("parallel"), fixture!("image")];

/// What a body asks that is carried as a whole.
fn carried(body: &str) -> ChatRequest {
    let decoded = decode_request(body).unwrap();
    assert_eq!(decoded.uncarried, Vec::<String>::new());
    decoded.request
}

fn uncarried(body: &Value) -> Vec<String> {
    decode_request(&body.to_string()).unwrap().uncarried
}

fn call(id: &str, city: &str) -> Part {
    let arguments = Json::from(&json!({ "city": city }));
    Part::ToolCall { id: id.to_owned(), name: "get_weather".to_owned(), arguments }
}

fn result(id: &str, text: &str) -> Message {
    let content = vec![Part::Text(text.to_owned())];
    Message { role: Role::Tool, parts: vec![Part::ToolResult { id: id.to_owned(), content, is_error: false }] }
}

fn weather() -> Tool {
    let parameters = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
    Tool {
        name: "get_weather".to_owned(),
        description: Some("Weather of a city.".to_owned()),
        parameters: Some(Json::from(&parameters)),
        strict: None,
    }
}

#[test]
fn text() {
    let expected = ChatRequest {
        messages: vec![
            Message::text(Role::System, "You are terse."),
            Message::text(Role::User, "Say hello."),
            Message::text(Role::Assistant, "Hello."),
            Message::text(Role::User, "And again, to Zoë 🙂."),
        ],
        max_tokens: Some(64),
        sampling: Sampling { temperature: Some(0.5), top_p: Some(0.9), ..Sampling::default() },
        ..ChatRequest::default()
    };
    assert_eq!(carried(fixture!("text")), expected);
}

#[test]
fn stream() {
    let expected = ChatRequest {
        messages: vec![Message::text(Role::User, "Say hello.")],
        max_tokens: Some(64),
        stream: true,
        include_usage: true,
        ..ChatRequest::default()
    };
    assert_eq!(carried(fixture!("stream")), expected);
}

#[test]
fn image() {
    let source = Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() };
    let picture = Media { kind: MediaKind::Image, source, detail: None, name: None };
    let parts = vec![Part::Text("What is this?".to_owned()), Part::Media(picture)];
    let request = carried(fixture!("image"));
    assert_eq!(request.messages, [Message { role: Role::User, parts }]);
}

#[test]
fn tools() {
    let expected = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Weather in Paris?"),
            Message { role: Role::Assistant, parts: vec![call("call_1", "Paris")] },
            result("call_1", "18 °C"),
        ],
        tools: vec![weather()],
        tool_choice: Some(ToolChoice::Required),
        max_tokens: Some(64),
        ..ChatRequest::default()
    };
    assert_eq!(carried(fixture!("tools")), expected);
}

#[test]
fn parallel() {
    let said = Part::Text("Let me look.".to_owned());
    let turn = vec![said, call("call_1", "Paris"), call("call_2", "Rome")];
    let expected = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Weather in Paris and Rome?"),
            Message { role: Role::Assistant, parts: turn },
            result("call_1", "18 °C"),
            result("call_2", "24 °C"),
            Message::text(Role::User, "Thanks."),
        ],
        tools: vec![weather()],
        max_tokens: Some(64),
        ..ChatRequest::default()
    };
    assert_eq!(carried(fixture!("parallel")), expected);
}

#[test]
fn reasoning() {
    let request = carried(fixture!("reasoning"));
    let thought = Part::Reasoning { text: "The user greets.".to_owned(), signature: None };
    assert_eq!(request.messages[1].parts, [thought, Part::Text("Hello.".to_owned())]);
    assert_eq!(request.reasoning, Some(Reasoning { effort: Some(Effort::High), budget_tokens: None }));
    assert_eq!(request.max_tokens, Some(20000));
}

#[test]
fn format() {
    let schema = json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false
    });
    let expected = Format::JsonSchema {
        name: Some("city".to_owned()),
        description: None,
        schema: Json::from(&schema),
        strict: Some(true),
    };
    assert_eq!(carried(fixture!("format")).format, Some(expected));
}

#[test]
fn codex_asks_for_nothing_that_is_not_carried_and_some_of_its_tools_are_left_out() {
    let decoded = decode_request(fixture!("codex")).unwrap();
    let tools = ["tools[1].type: custom", "tools[2].type: namespace", "tools[3].type: web_search"];
    assert_eq!((decoded.uncarried.as_slice(), decoded.left_out.as_slice()), (&[][..], &tools.map(str::to_owned)[..]));
    let request = decoded.request;
    assert_eq!(
        request.messages.iter().map(|message| message.role).collect::<Vec<_>>(),
        [Role::System, Role::System, Role::User, Role::User, Role::Assistant, Role::Tool]
    );
    assert_eq!(request.messages[4].parts.len(), 3);
    assert_eq!(request.tools.iter().map(|tool| tool.name.as_str()).collect::<Vec<_>>(), ["exec_command"]);
    assert_eq!(request.tool_choice, Some(ToolChoice::Auto));
    assert_eq!(request.reasoning.and_then(|reasoning| reasoning.effort), Some(Effort::Medium));
    assert!(request.stream && request.include_usage);
}

#[test]
fn null_and_neutral_values_are_like_none_at_all() {
    let body = json!({
        "model": "m", "input": "hi", "instructions": null, "stream": null, "max_output_tokens": null,
        "temperature": null, "top_p": null, "tools": [], "tool_choice": "auto", "parallel_tool_calls": false,
        "text": { "format": { "type": "text" }, "verbosity": null },
        "reasoning": { "effort": null, "mode": "standard" },
        "user": null, "previous_response_id": null, "conversation": null, "background": false, "top_logprobs": 0,
        "max_tool_calls": null, "prompt": null, "moderation": null, "store": true, "include": null, "metadata": null,
        "truncation": "disabled", "service_tier": "auto", "stream_options": { "include_obfuscation": false },
        "prompt_cache_key": "k", "prompt_cache_retention": "24h", "prompt_cache_options": {}, "safety_identifier": "s",
        "access_programs": { "cyber": "standard" }, "client_metadata": { "a": "b" }
    });
    let expected = ChatRequest { messages: vec![Message::text(Role::User, "hi")], ..ChatRequest::default() };
    assert_eq!(carried(&body.to_string()), expected);
}

#[test]
fn what_no_other_dialect_has_is_told_by_its_path() {
    let item = |item: Value| json!({ "input": [{ "role": "user", "content": "hi" }, item] });
    let part = |part: Value| json!({ "input": [{ "role": "user", "content": [part] }] });
    let tool = |field: &str, value: Value| {
        let tool = json!({ "type": "function", "name": "f", "parameters": {}, field: value });
        json!({ "input": "hi", "tools": [tool] })
    };
    let cases = [
        (json!({ "input": "hi", "top_logprobs": 3 }), vec!["top_logprobs"]),
        (json!({ "input": "hi", "prompt": { "id": "p" }, "max_tool_calls": 2 }), vec!["max_tool_calls", "prompt"]),
        (json!({ "input": "hi", "moderation": {}, "image": {} }), vec!["moderation", "image"]),
        (json!({ "input": "hi", "reasoning": { "mode": "pro" } }), vec!["reasoning.mode"]),
        (json!({ "input": "hi", "stop": ["END"] }), vec!["stop"]),
        (
            json!({ "input": "hi", "tool_choice": { "type": "allowed_tools", "mode": "auto", "tools": [] } }),
            vec!["tool_choice.type: allowed_tools"],
        ),
        (tool("defer_loading", json!(true)), vec!["tools[0].defer_loading"]),
        (tool("allowed_callers", json!(["programmatic"])), vec!["tools[0].allowed_callers"]),
        (tool("allowed_callers", json!(["direct"])), vec![]),
        (
            json!({ "input": "hi", "tools": [{ "type": "mcp", "server_label": "s" }, { "type": "new", "a": 1 }] }),
            vec!["tools[0].type: mcp", "tools[1].type"],
        ),
        (item(json!({ "id": "msg_1" })), vec!["input[1].type: item_reference"]),
        (item(json!({ "type": "item_reference", "id": "msg_1" })), vec!["input[1].type: item_reference"]),
        (
            item(json!({ "type": "custom_tool_call", "call_id": "c", "name": "p", "input": "x" })),
            vec!["input[1].type: custom_tool_call"],
        ),
        (
            item(json!({ "type": "computer_call_output", "call_id": "c", "output": { "a": { "b": 1 } } })),
            vec!["input[1].type: computer_call_output"],
        ),
        (
            item(json!({ "type": "tool_search_call", "arguments": { "q": [1] }, "execution": "client" })),
            vec!["input[1].type: tool_search_call"],
        ),
        (
            item(json!({ "type": "shell_call_output", "output": [{ "stdout": "", "outcome": {} }] })),
            vec!["input[1].type: shell_call_output"],
        ),
        (item(json!({ "type": "brand_new", "what": 1 })), vec!["input[1].type"]),
        (
            item(json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", "namespace": "n" })),
            vec!["input[1].namespace"],
        ),
        (
            part(json!({ "type": "input_image", "file_id": "file_1", "detail": "low" })),
            vec!["input[0].content[0].file_id"],
        ),
        (part(json!({ "type": "input_file", "file_id": "file_1" })), vec!["input[0].content[0].file_id"]),
        (
            part(json!({ "type": "computer_screenshot", "image_url": "x" })),
            vec!["input[0].content[0].type: computer_screenshot"],
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(uncarried(&body), expected, "{body}");
    }
}

#[test]
fn files_sounds_and_addresses_are_media() {
    let parts = json!([
        { "type": "input_image", "image_url": "https://example.com/a.png", "detail": "low" },
        { "type": "input_file", "file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf" },
        { "type": "input_file", "file_data": "JVBERi0=" },
        { "type": "input_file", "file_url": "https://example.com/b.pdf" },
        { "type": "input_audio", "input_audio": { "data": "QUJD", "format": "mp3" } }
    ]);
    let request = carried(&json!({ "input": [{ "role": "user", "content": parts }] }).to_string());
    let data = |media_type: &str, data: &str| Source::Data { media_type: media_type.to_owned(), data: data.to_owned() };
    let media = |kind, source, detail: Option<&str>, name: Option<&str>| {
        Part::Media(Media { kind, source, detail: detail.map(str::to_owned), name: name.map(str::to_owned) })
    };
    let url = |address: &str| Source::Url(address.to_owned());
    assert_eq!(
        request.messages[0].parts,
        [
            media(MediaKind::Image, url("https://example.com/a.png"), Some("low"), None),
            media(MediaKind::File, data("application/pdf", "JVBERi0="), None, Some("a.pdf")),
            media(MediaKind::File, data("application/pdf", "JVBERi0="), None, None),
            media(MediaKind::File, url("https://example.com/b.pdf"), None, None),
            media(MediaKind::Audio, data("audio/mpeg", "QUJD"), None, None),
        ]
    );
}

#[test]
fn arguments_that_are_no_object_do_not_end_a_conversation() {
    for (text, expected) in
        [("{\"x\":", json!({ "arguments": "{\"x\":" })), ("", json!({})), ("7", json!({ "arguments": "7" }))]
    {
        let item = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": text });
        let decoded = decode_request(&json!({ "input": [item] }).to_string()).unwrap();
        let call = Part::ToolCall { id: "c".to_owned(), name: "f".to_owned(), arguments: Json::from(&expected) };
        assert_eq!(decoded.request.messages[0].parts, [call], "{text}");
    }
}

#[test]
fn only_signatures_that_were_told_here_come_back() {
    for (content, signature) in [("nexus1.c2ln", Some("c2ln")), ("gAAAAABo", None), ("nexus1.", None)] {
        let summary = json!([{ "type": "summary_text", "text": "Hm." }]);
        let item = json!({ "type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": content });
        let decoded = decode_request(&json!({ "input": [item] }).to_string()).unwrap();
        let thought = Part::Reasoning { text: "Hm.".to_owned(), signature: signature.map(str::to_owned) };
        assert_eq!(decoded.request.messages[0].parts, [thought], "{content}");
    }
}
