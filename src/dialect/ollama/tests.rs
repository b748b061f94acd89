//! The fixtures that every dialect has, and what must hold of any request.

mod bad;
mod round;

use super::{Decoder, Encoder, decode_reply, decode_request, encode_reply, encode_request};
use crate::dialect::chat::{
    ChatEvent, ChatReply, ChatRequest, Decoded, Effort, Finish, Format, Json, Label, Media, MediaKind, Message, Part,
    Reasoning, ReplyPart, Role, Sampling, Source, Spoken, StreamDecoder, StreamEncoder, Tool,
};

macro_rules! fixture {
    ($name:literal) => {
        include_str!(concat!("../../../tests/fixtures/dialects/ollama/", $name))
    };
}

const REQUESTS: [(&str, &str); 7] = [
    ("text", fixture!("text.request.json")),
    ("stream", fixture!("stream.request.json")),
    ("image", fixture!("image.request.json")),
    ("tools", fixture!("tools.request.json")),
    ("parallel", fixture!("parallel.request.json")),
    ("reasoning", fixture!("reasoning.request.json")),
    ("format", fixture!("format.request.json")),
];

const REPLIES: [(&str, &str, &str); 5] = [
    ("text", fixture!("text.reply.json"), fixture!("text.stream.txt")),
    ("tools", fixture!("tools.reply.json"), fixture!("tools.stream.txt")),
    ("parallel", fixture!("parallel.reply.json"), fixture!("parallel.stream.txt")),
    ("reasoning", fixture!("reasoning.reply.json"), fixture!("reasoning.stream.txt")),
    ("length", fixture!("length.reply.json"), fixture!("length.stream.txt")),
];

pub(super) fn label() -> Label {
    Label { id: "a".repeat(26), model: "m".to_owned(), created: 1_700_000_000, include_usage: true }
}

/// What a fixture asks; nothing in one is peculiar to Ollama.
fn asked(name: &str) -> ChatRequest {
    let body = REQUESTS.iter().find(|(each, _)| *each == name).unwrap().1;
    let Decoded { request, uncarried, .. } = decode_request(body).unwrap();
    assert_eq!(uncarried, Vec::<String>::new(), "{name}");
    request
}

fn json(text: &str) -> Json {
    Json::parse(text).unwrap()
}

fn read_stream(stream: &str) -> ChatReply {
    let (mut decoder, mut events) = (Decoder::default(), Vec::new());
    for line in stream.lines() {
        assert!(!decoder.is_complete());
        decoder.event(line.as_bytes(), &mut |event| events.push(event)).unwrap();
    }
    assert!(decoder.is_complete());
    assert!(matches!(events[0], ChatEvent::Start { .. }));
    ChatReply::fold(events)
}

fn write_stream(mut encoder: Encoder, reply: ChatReply) -> String {
    let mut out = Vec::new();
    for event in reply.events() {
        encoder.event(event, &mut out);
    }
    encoder.end(&mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_text_is_asked_for() {
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
    assert_eq!(asked("text"), expected);
    let stream = asked("stream");
    assert!(stream.stream && stream.include_usage);
}

#[test]
fn tools_are_offered_called_and_answered() {
    let id = || "call_1".to_owned();
    let called = Part::ToolCall { id: id(), name: "get_weather".to_owned(), arguments: json(r#"{"city":"Paris"}"#) };
    let content = vec![Part::Text("18 °C".to_owned())];
    let schema = r#"{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"#;
    let expected = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Weather in Paris?"),
            Message { role: Role::Assistant, parts: vec![called] },
            Message { role: Role::Tool, parts: vec![Part::ToolResult { id: id(), content, is_error: false }] },
        ],
        tools: vec![Tool {
            name: "get_weather".to_owned(),
            description: Some("Weather of a city.".to_owned()),
            parameters: Some(json(schema)),
            strict: None,
        }],
        max_tokens: Some(64),
        ..ChatRequest::default()
    };
    assert_eq!(asked("tools"), expected);
    assert_eq!(asked("parallel").messages.len(), 5);
    assert_eq!(asked("parallel").messages[1].parts.len(), 3);
}

#[test]
fn pictures_thoughts_and_formats_are_asked_for() {
    let source = Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() };
    let picture = Media { kind: MediaKind::Image, source, detail: None, name: None };
    assert_eq!(asked("image").messages[0].parts, [Part::Text("What is this?".to_owned()), Part::Media(picture)]);
    let reasoning = asked("reasoning");
    assert_eq!(reasoning.reasoning, Some(Reasoning { effort: Some(Effort::High), budget_tokens: None }));
    let thought = Part::Reasoning { text: "The user greets.".to_owned(), signature: None };
    assert_eq!(reasoning.messages[1].parts, [thought, Part::Text("Hello.".to_owned())]);
    let Some(Format::JsonSchema { name: None, strict: None, schema, .. }) = asked("format").format else { panic!() };
    assert_eq!(schema.to_value()["required"][0], "city");
}

#[test]
fn fixtures_come_back_as_they_went() {
    for (name, body) in REQUESTS {
        let request = asked(name);
        let written = encode_request(&request, "m").unwrap();
        assert_eq!(decode_request(std::str::from_utf8(&written).unwrap()).unwrap().request, request, "{name}");
        let (written, body): (serde_json::Value, serde_json::Value) =
            (serde_json::from_slice(&written).unwrap(), serde_json::from_str(body).unwrap());
        if !matches!(name, "tools" | "parallel") {
            assert_eq!(written, body, "{name}");
        }
    }
}

#[test]
fn a_reply_is_the_same_whole_and_as_a_stream() {
    for (name, whole, stream) in REPLIES {
        let reply = decode_reply(whole.as_bytes()).unwrap();
        assert_eq!(read_stream(stream), reply, "{name}");
        assert_eq!(decode_reply(&encode_reply(&reply, &label())), Ok(reply.clone()), "{name}");
        assert_eq!(read_stream(&write_stream(Encoder::new(label()), reply.clone())), reply, "{name}");
    }
}

#[test]
fn a_reply_says_what_was_called_and_used() {
    let called = |id: &str, city: &str| ReplyPart::ToolCall {
        id: id.to_owned(),
        name: "get_weather".to_owned(),
        arguments: format!(r#"{{"city":"{city}"}}"#),
    };
    let usage = Spoken { prompt_tokens: Some(20), completion_tokens: Some(12), ..Spoken::default() };
    let expected = ChatReply {
        id: None,
        model: Some("m".to_owned()),
        parts: vec![called("call_1", "Paris"), called("call_2", "Rome")],
        finish: Some(Finish::ToolCalls),
        usage,
    };
    assert_eq!(read_stream(fixture!("parallel.stream.txt")), expected);
    let length = decode_reply(fixture!("length.reply.json").as_bytes()).unwrap();
    assert_eq!(length.finish, Some(Finish::Length));
}
