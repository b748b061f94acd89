//! The fixtures as canonical requests.

use serde_json::{Value, json};

use super::fixture;
use crate::dialect::chat::{
    ChatRequest, Format, Json, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, Tool, ToolChoice,
};
use crate::dialect::google::{decode_count, decode_request, encode_count, encode_request};

const REQUESTS: [&str; 7] = [
    fixture!("text.request.json"),
    fixture!("stream.request.json"),
    fixture!("image.request.json"),
    fixture!("tools.request.json"),
    fixture!("parallel.request.json"),
    fixture!("reasoning.request.json"),
    fixture!("format.request.json"),
];

fn request(body: &str) -> ChatRequest {
    let decoded = decode_request(body, false).expect("a request");
    assert_eq!(decoded.uncarried, Vec::<String>::new());
    decoded.request
}

fn weather() -> Tool {
    let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] });
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

#[test]
fn text_is_read() {
    let wanted = ChatRequest {
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
    assert_eq!(request(fixture!("text.request.json")), wanted);
}

#[test]
fn a_stream_is_asked_for_in_the_path() {
    let wanted = ChatRequest {
        messages: vec![Message::text(Role::User, "Say hello.")],
        max_tokens: Some(64),
        stream: true,
        include_usage: true,
        ..ChatRequest::default()
    };
    assert_eq!(decode_request(fixture!("stream.request.json"), true).expect("a request").request, wanted);
}

#[test]
fn an_image_is_read() {
    let source = Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() };
    let image = Media { kind: MediaKind::Image, source, detail: None, name: None };
    let parts = vec![Part::Text("What is this?".to_owned()), Part::Media(image)];
    assert_eq!(request(fixture!("image.request.json")).messages, [Message { role: Role::User, parts }]);
}

#[test]
fn tools_are_read() {
    let wanted = ChatRequest {
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
    assert_eq!(request(fixture!("tools.request.json")), wanted);
}

#[test]
fn parallel_calls_are_read() {
    let said = vec![Part::Text("Let me look.".to_owned()), call("call_1", "Paris"), call("call_2", "Rome")];
    let wanted = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Weather in Paris and Rome?"),
            Message { role: Role::Assistant, parts: said },
            result("call_1", "18 °C"),
            result("call_2", "24 °C"),
            Message::text(Role::User, "Thanks."),
        ],
        tools: vec![weather()],
        max_tokens: Some(64),
        ..ChatRequest::default()
    };
    assert_eq!(request(fixture!("parallel.request.json")), wanted);
}

#[test]
fn reasoning_is_read() {
    let read = request(fixture!("reasoning.request.json"));
    let thought = Part::Reasoning { text: "The user greets.".to_owned(), signature: None };
    let said = Message { role: Role::Assistant, parts: vec![thought, Part::Text("Hello.".to_owned())] };
    assert_eq!(read.messages[1], said);
    assert_eq!(read.reasoning, Some(Reasoning { effort: None, budget_tokens: Some(16384) }));
}

#[test]
fn a_format_is_read() {
    let schema = Json::from(&json!({
        "type": "object",
        "properties": { "city": { "type": "string" } },
        "required": ["city"],
        "additionalProperties": false
    }));
    let wanted = Format::JsonSchema { name: None, description: None, schema, strict: None };
    assert_eq!(request(fixture!("format.request.json")).format, Some(wanted));
}

#[test]
fn fixtures_come_back_as_they_were() {
    for body in REQUESTS {
        for stream in [false, true] {
            let decoded = decode_request(body, stream).expect("a request");
            let body = encode_request(&decoded.request, "m").expect("a body");
            let text = std::str::from_utf8(&body).expect("text");
            assert_eq!(decode_request(text, stream).expect("a request"), decoded);
        }
    }
}

#[test]
fn a_body_is_written_as_the_api_has_it() {
    let told = request(fixture!("parallel.request.json"));
    let body = encode_request(&told, "gemini-2.5-flash").expect("a body");
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let wanted: Value = serde_json::from_str(fixture!("parallel.request.json")).expect("JSON");
    assert_eq!(body, wanted);
}

#[test]
fn tokens_are_counted_of_the_whole_request() {
    let told = request(fixture!("tools.request.json"));
    let body = encode_count(&told, "m").expect("a body");
    let text = std::str::from_utf8(&body).expect("text");
    let value: Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(value["generateContentRequest"]["model"], "models/m");
    let counted = decode_count(text).expect("a request");
    assert_eq!(counted.uncarried, Vec::<String>::new());
    assert_eq!(counted.request.messages, told.messages);
    assert_eq!(counted.request.tools, told.tools);
    let bare = decode_count(r#"{"contents":[{"parts":[{"text":"hi"}]}]}"#).expect("a request");
    assert_eq!(bare.request.messages, [Message::text(Role::User, "hi")]);
}
