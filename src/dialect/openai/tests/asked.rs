//! Requests: the fixtures, and that whatever can be said is read as it was meant.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::*;
use super::generate;
use crate::dialect::chat::{
    ChatRequest, Effort, Format, Json, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, Tool,
    ToolChoice, Unsupported,
};

macro_rules! fixture {
    ($case:literal) => {
        include_str!(concat!("../../../../tests/fixtures/dialects/openai/", $case, ".request.json"))
    };
}

fn schema() -> Json {
    Json::from(&json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}))
}

fn weather() -> Tool {
    Tool {
        name: "get_weather".to_owned(),
        description: Some("Weather of a city.".to_owned()),
        parameters: Some(schema()),
        strict: None,
    }
}

fn call(id: &str, city: &str) -> Part {
    let arguments = Json::from(&json!({"city": city}));
    Part::ToolCall { id: id.to_owned(), name: "get_weather".to_owned(), arguments }
}

fn result(id: &str, content: Vec<Part>, is_error: bool) -> Message {
    Message { role: Role::Tool, parts: vec![Part::ToolResult { id: id.to_owned(), content, is_error }] }
}

fn text(text: &str) -> Part {
    Part::Text(text.to_owned())
}

fn encoded(request: &ChatRequest) -> Value {
    serde_json::from_slice(&encode_request(request, "m").unwrap()).unwrap()
}

#[test]
fn fixtures_say_what_every_dialect_says() {
    let request = super::request;
    let said = ChatRequest {
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
    assert_eq!(request(fixture!("text")), said);
    let tools = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Weather in Paris?"),
            Message { role: Role::Assistant, parts: vec![call("call_1", "Paris")] },
            result("call_1", vec![text("18 °C")], false),
        ],
        tools: vec![weather()],
        tool_choice: Some(ToolChoice::Required),
        max_tokens: Some(64),
        ..ChatRequest::default()
    };
    assert_eq!(request(fixture!("tools")), tools);
    let thought = Part::Reasoning { text: "The user greets.".to_owned(), signature: None };
    let reasoning = ChatRequest {
        messages: vec![
            Message::text(Role::User, "Say hello."),
            Message { role: Role::Assistant, parts: vec![thought, text("Hello.")] },
            Message::text(Role::User, "Again."),
        ],
        max_tokens: Some(20_000),
        reasoning: Some(Reasoning { effort: Some(Effort::High), budget_tokens: None }),
        ..ChatRequest::default()
    };
    assert_eq!(request(fixture!("reasoning")), reasoning);
}

#[test]
fn fixtures_of_streams_images_and_formats_say_so() {
    let request = super::request;
    let stream = request(fixture!("stream"));
    assert!(stream.stream && stream.include_usage);
    let source = Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() };
    let image = Media { kind: MediaKind::Image, source, detail: None, name: None };
    assert_eq!(request(fixture!("image")).messages[0].parts, [text("What is this?"), Part::Media(image)]);
    let parts = &request(fixture!("parallel")).messages[1].parts;
    assert_eq!(*parts, [text("Let me look."), call("call_1", "Paris"), call("call_2", "Rome")]);
    let Some(Format::JsonSchema { name, description: None, schema, strict: Some(true) }) =
        request(fixture!("format")).format
    else {
        panic!("no strict schema")
    };
    assert_eq!((name.as_deref(), &schema.to_value()["additionalProperties"]), (Some("city"), &json!(false)));
}

#[test]
fn fixtures_are_the_same_after_a_turn() {
    for fixture in [
        fixture!("text"),
        fixture!("stream"),
        fixture!("image"),
        fixture!("tools"),
        fixture!("parallel"),
        fixture!("reasoning"),
        fixture!("format"),
    ] {
        let request = super::request(fixture);
        let body = encode_request(&request, "m").unwrap();
        assert_eq!(super::request(std::str::from_utf8(&body).unwrap()), request);
        let body: Value = serde_json::from_slice(&body).unwrap();
        let mut written: Value = serde_json::from_str(fixture).unwrap();
        if let Some(limit) = written.as_object_mut().unwrap().remove("max_completion_tokens") {
            written["max_tokens"] = limit;
        }
        assert_eq!(body, written, "written as OpenAI's own clients write it");
    }
}

proptest! {
    #[test]
    fn whatever_can_be_said_is_read_as_it_was_meant(request in generate::request()) {
        for limit in [Limit::MaxTokens, Limit::MaxCompletionTokens] {
            let body = encode_request_for(&request, "m", limit).unwrap();
            let decoded = decode_request(std::str::from_utf8(&body).unwrap()).unwrap();
            prop_assert_eq!(&decoded.request, &request);
            prop_assert!(decoded.uncarried.is_empty(), "{:?}", decoded.uncarried);
        }
    }
}

#[test]
fn a_stream_is_always_asked_what_was_used_and_a_limit_goes_by_the_name_that_is_known() {
    let request = ChatRequest { stream: true, max_tokens: Some(9), ..super::request(fixture!("text")) };
    assert_eq!(encoded(&request)["stream_options"], json!({"include_usage": true}));
    assert_eq!(encoded(&request)["max_tokens"], json!(9));
    let body = encode_request_for(&request, "m", Limit::MaxCompletionTokens).unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((body.get("max_tokens"), &body["max_completion_tokens"]), (None, &json!(9)));
}

#[test]
fn effort_is_said_in_words_and_budgets_become_words() {
    let word = |effort, budget_tokens| {
        let reasoning = Some(Reasoning { effort, budget_tokens });
        encoded(&ChatRequest { reasoning, ..ChatRequest::default() })["reasoning_effort"].clone()
    };
    for (budget, expected) in
        [(0, "none"), (1024, "minimal"), (2048, "low"), (8192, "medium"), (16384, "high"), (16385, "xhigh")]
    {
        assert_eq!(word(None, Some(budget)), json!(expected), "{budget}");
    }
    assert_eq!(word(Some(Effort::Low), Some(50_000)), json!("low"));
    assert_eq!(word(Some(Effort::Adaptive), Some(50_000)), json!(null));
}

#[test]
fn a_failed_tool_says_so_in_words() {
    let content = |parts: Vec<Part>| {
        let messages = vec![result("a", parts, true)];
        encoded(&ChatRequest { messages, ..ChatRequest::default() })["messages"][0]["content"].clone()
    };
    assert_eq!(content(vec![text("no such file")]), json!("Error: no such file"));
    assert_eq!(content(vec![text("ERROR 7")]), json!("ERROR 7"));
    assert_eq!(content(vec![text("<tool_use_error>x")]), json!("<tool_use_error>x"));
    assert_eq!(content(Vec::new()), json!("Error"));
    assert_eq!(content(vec![text("é"), text("b")])[0]["text"], json!("Error: é"));
}

#[test]
fn signatures_hints_of_other_dialects_and_empty_thoughts_are_dropped() {
    let thought = |text: &str| Part::Reasoning { text: text.to_owned(), signature: Some("s".to_owned()) };
    let parts = vec![thought(""), thought("a"), text("x"), thought("b")];
    let request = ChatRequest {
        messages: vec![Message { role: Role::Assistant, parts }],
        keep_alive: Json::parse("\"5m\""),
        context_length: Some(4096),
        ..ChatRequest::default()
    };
    let messages = json!([{"role": "assistant", "content": "x", "reasoning_content": "a\n\nb"}]);
    assert_eq!(encoded(&request), json!({"model": "m", "messages": messages}));
}

#[test]
fn what_the_dialect_has_no_word_for_is_refused_by_name() {
    let media = |kind, source: Source| Media { kind, source, detail: None, name: None };
    let here = |media_type: &str| Source::Data { media_type: media_type.to_owned(), data: "AAAA".to_owned() };
    let there = || Source::Url("https://x.test/a".to_owned());
    let image = || Part::Media(media(MediaKind::Image, there()));
    let user = |part| Message { role: Role::User, parts: vec![part] };
    let messages = vec![
        Message { role: Role::System, parts: vec![image()] },
        Message { role: Role::Assistant, parts: vec![image()] },
        user(Part::Media(media(MediaKind::Video, there()))),
        user(Part::Media(media(MediaKind::Audio, there()))),
        user(Part::Media(media(MediaKind::Audio, here("audio/ogg")))),
        user(Part::Media(media(MediaKind::File, there()))),
        result("a", vec![image()], false),
        user(call("a", "b")),
        user(Part::Media(Media { name: Some("a.png".to_owned()), ..media(MediaKind::Image, there()) })),
        user(Part::Media(Media { detail: Some("low".to_owned()), ..media(MediaKind::File, here("text/plain")) })),
    ];
    let Unsupported(what) =
        encode_request(&ChatRequest { messages, ..ChatRequest::default() }, "m").expect_err("refused");
    assert_eq!(
        what,
        [
            "messages[0]: media in instructions",
            "messages[1]: media from the assistant",
            "messages[2]: video",
            "messages[3]: audio by its address",
            "messages[4]: audio other than wav and mp3",
            "messages[5]: a file by its address",
            "messages[6]: tool results with media",
            "messages[7]: a part that its role cannot have",
            "messages[8]: the name of what is no file",
            "messages[9]: detail of what is no image",
        ]
    );
}

#[test]
fn arguments_that_are_no_object_do_not_end_a_conversation() {
    for (arguments, expected) in [
        (json!("{\"x\":1}"), json!({"x": 1})),
        (json!({"x": 1}), json!({"x": 1})),
        (json!(""), json!({})),
        (json!(null), json!({})),
        (json!("{\"x\":"), json!({"arguments": "{\"x\":"})),
        (json!("[1]"), json!({"arguments": "[1]"})),
        (json!([1]), json!({"arguments": "[1]"})),
    ] {
        let call = json!({"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}});
        let body = json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [call]}]});
        let request = super::request(&body.to_string());
        let [Part::ToolCall { arguments: read, .. }] = &request.messages[0].parts[..] else { panic!("{body}") };
        assert_eq!(*read, Json::from(&expected), "{body}");
    }
}
