//! Bodies into requests, and back.

use serde_json::{Value, json};

use super::*;
use crate::dialect::chat::{
    Effort, Format, Json, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, Tool, ToolChoice,
};

fn get_weather() -> Tool {
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]});
    Tool {
        name: "get_weather".to_owned(),
        description: Some("Weather of a city.".to_owned()),
        parameters: Some(Json::from(&schema)),
        strict: None,
    }
}

fn call(id: &str, city: &str) -> Part {
    let arguments = Json::from(&json!({ "city": city }));
    Part::ToolCall { id: id.to_owned(), name: "get_weather".to_owned(), arguments }
}

fn result(id: &str, text: &str) -> Message {
    let content = vec![Part::Text(text.to_owned())];
    Message { role: Role::Tool, parts: vec![Part::ToolResult { id: id.to_owned(), content, is_error: false }] }
}

fn body(fields: Value) -> String {
    let mut body = json!({"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": "Hello."}]});
    let Value::Object(fields) = fields else { panic!("an object") };
    body.as_object_mut().expect("an object").extend(fields);
    body.to_string()
}

fn encoded(request: &ChatRequest) -> Value {
    serde_json::from_slice(&encode_request(request, "m").expect("nothing unsupported")).expect("JSON")
}

fn asking(fields: ChatRequest) -> ChatRequest {
    ChatRequest { messages: vec![Message::text(Role::User, "Hello.")], ..fields }
}

#[test]
fn the_fixture_of_text() {
    let expected = ChatRequest {
        messages: vec![
            Message::text(Role::System, "You are terse."),
            Message::text(Role::User, "Say hello."),
            Message::text(Role::Assistant, "Hello."),
            Message::text(Role::User, "And again, to Zoë 🙂."),
        ],
        max_tokens: Some(64),
        sampling: Sampling { temperature: Some(0.5), top_p: Some(0.9), ..Sampling::default() },
        stop: vec!["END".to_owned()],
        ..ChatRequest::default()
    };
    assert_eq!(request(fixture!("text.request.json")), expected);
    assert_eq!(again(&expected), expected);
}

#[test]
fn the_fixtures_of_tools() {
    let required = request(fixture!("tools.request.json"));
    let expected = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Weather in Paris?"),
            Message { role: Role::Assistant, parts: vec![call("call_1", "Paris")] },
            result("call_1", "18 °C"),
        ],
        tools: vec![get_weather()],
        tool_choice: Some(ToolChoice::Required),
        max_tokens: Some(64),
        ..ChatRequest::default()
    };
    assert_eq!(required, expected);

    let parallel = request(fixture!("parallel.request.json"));
    let said = Part::Text("Let me look.".to_owned());
    let expected = vec![
        Message::text(Role::User, "Weather in Paris and Rome?"),
        Message { role: Role::Assistant, parts: vec![said, call("call_1", "Paris"), call("call_2", "Rome")] },
        result("call_1", "18 °C"),
        result("call_2", "24 °C"),
        Message::text(Role::User, "Thanks."),
    ];
    assert_eq!(parallel.messages, expected);
    assert_eq!(parallel.tools, [get_weather()]);
    assert_eq!((again(&required), again(&parallel)), (required, parallel));
}

#[test]
fn the_fixtures_of_a_stream_and_an_image() {
    let streamed = request(fixture!("stream.request.json"));
    assert!(streamed.stream && streamed.include_usage);
    let image = request(fixture!("image.request.json"));
    let source = Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() };
    let picture = Part::Media(Media { kind: MediaKind::Image, source, detail: None, name: None });
    assert_eq!(image.messages[0].parts, [Part::Text("What is this?".to_owned()), picture]);
    assert_eq!((again(&streamed), again(&image)), (streamed, image));
}

#[test]
fn the_fixture_of_a_format_has_no_name() {
    let request = request(fixture!("format.request.json"));
    let Some(Format::JsonSchema { name: None, description: None, schema, strict: None }) = &request.format else {
        panic!("{:?}", request.format)
    };
    assert_eq!(schema.to_value()["additionalProperties"], false);
    assert_eq!(again(&request), request);
    let older = body(json!({"output_format": {"type": "json_schema", "schema": schema.to_value()}}));
    assert_eq!(super::request(&older).format, request.format);
}

#[test]
fn reasoning_without_a_signature_is_read_but_never_sent() {
    let request = request(fixture!("reasoning.request.json"));
    assert_eq!(request.reasoning, Some(Reasoning { effort: None, budget_tokens: Some(16384) }));
    let thought = Part::Reasoning { text: "The user greets.".to_owned(), signature: None };
    assert_eq!(request.messages[1].parts, [thought, Part::Text("Hello.".to_owned())]);
    let mut without = request.clone();
    without.messages[1].parts.remove(0);
    assert_eq!(again(&request), without);
}

#[test]
fn claude_code_is_understood_whole() {
    let body = fixture!("claude_code.request.json");
    let request = request(body);
    assert_eq!(request.tools.len(), 24);
    assert_eq!(request.reasoning, Some(Reasoning { effort: Some(Effort::Medium), budget_tokens: None }));
    assert_eq!(request.user.as_deref(), Some("user_0f3a_account_6f1e_session_9b2c"));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::Assistant, Role::Tool, Role::Tool, Role::User]);
    assert_eq!(request.messages[0].parts.len(), 2);

    let mut expected = request.clone();
    expected.reasoning = Some(Reasoning { effort: None, budget_tokens: Some(8192) });
    assert_eq!(again(&request), expected);
}

#[test]
fn tool_choices_say_whether_calls_may_be_made_side_by_side() {
    for (choice, expected) in [
        (json!({"type": "auto"}), (Some(ToolChoice::Auto), None)),
        (json!({"type": "auto", "disable_parallel_tool_use": true}), (None, Some(false))),
        (json!({"type": "any", "disable_parallel_tool_use": false}), (Some(ToolChoice::Required), None)),
        (json!({"type": "any", "disable_parallel_tool_use": true}), (Some(ToolChoice::Required), Some(false))),
        (json!({"type": "tool", "name": "f"}), (Some(ToolChoice::Named("f".to_owned())), None)),
        (json!({"type": "none"}), (Some(ToolChoice::None), None)),
    ] {
        let tools = json!([{"name": "f", "type": "custom", "input_schema": {"type": "object", "properties": {}}}]);
        let request = request(&body(json!({"tools": tools, "tool_choice": choice})));
        assert_eq!((request.tool_choice.clone(), request.parallel_tool_calls), expected);
        assert_eq!(request.tools[0].parameters, None);
        assert_eq!(again(&request), request);
    }
}

#[test]
fn an_effort_becomes_a_budget_that_fits() {
    let thinking = |effort, budget_tokens, max_tokens| {
        let reasoning = Some(Reasoning { effort, budget_tokens });
        encoded(&asking(ChatRequest { reasoning, max_tokens, ..ChatRequest::default() }))["thinking"].clone()
    };
    let enabled = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
    assert_eq!(thinking(Some(Effort::High), None, Some(20000)), enabled(16384));
    assert_eq!(thinking(Some(Effort::High), None, Some(10000)), enabled(5000));
    assert_eq!(thinking(Some(Effort::High), None, Some(1500)), enabled(1024));
    assert_eq!(thinking(Some(Effort::High), None, Some(1024)), Value::Null);
    assert_eq!(thinking(Some(Effort::High), None, None), enabled(2048));
    assert_eq!(thinking(Some(Effort::Low), Some(5), Some(3000)), enabled(1024));
    assert_eq!(thinking(Some(Effort::None), None, None), json!({"type": "disabled"}));
    assert_eq!(thinking(Some(Effort::Adaptive), None, None), json!({"type": "adaptive"}));
}

#[test]
fn what_was_thought_is_said_in_the_words_of_the_client() {
    let reasoning = |fields| request(&body(fields)).reasoning;
    let said = |effort, budget_tokens| Some(Reasoning { effort, budget_tokens });
    assert_eq!(reasoning(json!({"thinking": {"type": "adaptive"}})), said(Some(Effort::Adaptive), None));
    assert_eq!(reasoning(json!({"thinking": {"type": "disabled"}})), said(Some(Effort::None), None));
    assert_eq!(reasoning(json!({"output_config": {"effort": "xhigh"}})), said(Some(Effort::Max), None));
    let both = json!({"thinking": {"type": "adaptive", "display": "omitted"}, "output_config": {"effort": "low"}});
    assert_eq!(reasoning(both), said(Some(Effort::Low), None));
}

#[test]
fn documents_are_files() {
    let content = json!([
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Zoë"}, "title": "a.txt",
         "citations": {"enabled": false}},
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "cache_control": null},
        {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERg=="}},
    ]);
    let request = request(&body(json!({"messages": [{"role": "user", "content": content}]})));
    let Part::Media(text) = &request.messages[0].parts[0] else { panic!("a file") };
    assert_eq!((text.kind, text.name.as_deref()), (MediaKind::File, Some("a.txt")));
    assert_eq!(text.source, Source::Data { media_type: "text/plain".to_owned(), data: "Wm/Dqw==".to_owned() });
    assert_eq!(encoded(&request)["messages"][0]["content"][0]["source"]["data"], "Zoë");
    assert_eq!(again(&request), request);
}

#[test]
fn results_and_words_of_one_message_keep_their_order() {
    let tool_use = |id: &str| json!({"type": "tool_use", "id": id, "name": "f", "input": {}});
    let messages = json!([
        {"role": "user", "content": "Go."},
        {"role": "assistant", "content": [tool_use("a"), tool_use("b")]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": "1"}]},
            {"type": "text", "text": "and"},
            {"type": "tool_result", "tool_use_id": "b", "is_error": true},
            {"type": "text", "text": ""},
            {"type": "text", "text": "so"},
        ]},
        {"role": "user", "content": "Well?"},
    ]);
    let request = request(&body(json!({ "messages": messages })));
    let expected = [
        result("a", "1"),
        Message::text(Role::User, "and"),
        Message {
            role: Role::Tool,
            parts: vec![Part::ToolResult { id: "b".to_owned(), content: Vec::new(), is_error: true }],
        },
        Message::text(Role::User, "so"),
        Message::text(Role::User, "Well?"),
    ];
    assert_eq!(request.messages[2..], expected);
    assert_eq!(again(&request), request);
    assert_eq!(encoded(&request)["messages"].as_array().map(Vec::len), Some(4));
}

#[test]
fn instructions_inside_the_conversation_stay_where_they_stand() {
    let messages = json!([{"role": "user", "content": "Hello."}, {"role": "system", "content": "Be terse."}]);
    let request = request(&body(json!({"system": [{"type": "text", "text": "Be kind."}], "messages": messages})));
    let roles: Vec<Role> = request.messages.iter().map(|message| message.role).collect();
    assert_eq!(roles, [Role::System, Role::User, Role::System]);
}

#[test]
fn ids_are_made_of_what_the_api_takes() {
    let mut request = request(fixture!("tools.request.json"));
    for message in &mut request.messages {
        for part in &mut message.parts {
            if let Part::ToolCall { id, .. } | Part::ToolResult { id, .. } = part {
                *id = "functions.f:0".to_owned();
            }
        }
    }
    let body = encoded(&request);
    assert_eq!(body["messages"][1]["content"][0]["id"], "functions_f_0");
    assert_eq!(body["messages"][2]["content"][0]["tool_use_id"], "functions_f_0");
}

#[test]
fn what_only_this_dialect_has_is_named() {
    let fields = json!({
        "container": "c", "mcp_servers": [{"name": "x"}], "fallbacks": [], "speed": "fast",
        "tools": [{"type": "bash_20250124", "name": "bash"}],
        "messages": [{"role": "user", "content": "Hello."}, {"role": "assistant", "content": [
            {"type": "redacted_thinking", "data": "x"},
            {"type": "web_search_tool_result", "tool_use_id": "a", "content": {"type": "error"}},
            {"type": "search_result", "source": "https://a", "title": "a", "content": [{"type": "text", "text": "a"}]},
            {"type": "text", "text": "Hi.", "citations": [{"type": "char_location"}]},
        ]}],
    });
    let mut decoded = decode_request(&body(fields)).expect("a good body");
    decoded.uncarried.sort();
    let expected = [
        "container",
        "fallbacks",
        "mcp_servers",
        "messages[1].content[0]",
        "messages[1].content[0].data",
        "messages[1].content[1]",
        "messages[1].content[2]",
        "tools[0]",
    ];
    assert_eq!(decoded.uncarried, expected);
    assert_eq!(decoded.request.messages[1], Message::text(Role::Assistant, "Hi."));
}

#[test]
fn counting_needs_no_room_for_an_answer() {
    let messages = json!({"model": "m", "messages": [{"role": "user", "content": "Hello."}]}).to_string();
    let request = decode_count(&messages).expect("a good body").request;
    assert_eq!(request.max_tokens, None);
    let seeded = ChatRequest { sampling: Sampling { seed: Some(1), ..Sampling::default() }, stream: true, ..request };
    let counted: Value = serde_json::from_slice(&encode_count(&seeded, "n").expect("supported")).expect("JSON");
    assert_eq!(counted, json!({"model": "n", "messages": [{"role": "user", "content": "Hello."}]}));
}
