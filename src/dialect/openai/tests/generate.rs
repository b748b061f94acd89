//! Canonical requests that the dialect can say to the letter.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use crate::dialect::chat::{
    ChatRequest, Effort, Format, Json, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, Tool,
    ToolChoice,
};

/// Text that is not empty; quotes, controls and characters outside the first plane among it.
fn text() -> impl Strategy<Value = String> {
    "[a-zé🙂\"\\\\\n\u{1} ]{1,12}"
}

fn name() -> impl Strategy<Value = String> {
    "[a-z_]{1,8}"
}

fn object() -> impl Strategy<Value = Json> {
    (name(), text()).prop_map(|(key, value)| Json::from(&json!({ "type": "object", key: [value, 1, null] })))
}

/// Numbers that survive being written down by any parser.
fn number() -> impl Strategy<Value = f64> {
    (1..64_u32).prop_map(|eighths| f64::from(eighths) / 8.0)
}

fn source(media_type: &'static str) -> impl Strategy<Value = Source> {
    "([A-Za-z0-9+/]{4}){1,3}".prop_map(move |data| Source::Data { media_type: media_type.to_owned(), data })
}

fn media() -> impl Strategy<Value = Media> {
    let image = |source, detail| Media { kind: MediaKind::Image, source, detail, name: None };
    let detail = || of(prop_oneof![Just("low".to_owned()), Just("auto".to_owned())]);
    let audio = |source| Media { kind: MediaKind::Audio, source, detail: None, name: None };
    let file = |(source, name)| Media { kind: MediaKind::File, source, detail: None, name };
    prop_oneof![
        (source("image/png"), detail()).prop_map(move |(source, detail)| image(source, detail)),
        (name(), detail()).prop_map(move |(path, detail)| image(Source::Url(format!("https://x.test/{path}")), detail)),
        prop_oneof![source("audio/wav"), source("audio/mp3")].prop_map(audio),
        (source("application/pdf"), of(text())).prop_map(file),
    ]
}

fn said(role: Role) -> impl Strategy<Value = Message> {
    let one = prop_oneof![text(), Just(String::new())].prop_map(move |text| Message::text(role, text));
    let several = vec(text().prop_map(Part::Text), 2..4).prop_map(move |parts| Message { role, parts });
    prop_oneof![3 => one, 1 => several]
}

fn shown() -> impl Strategy<Value = Message> {
    let part = prop_oneof![text().prop_map(Part::Text), media().prop_map(Part::Media)];
    vec(part, 1..4).prop_map(|parts| Message { role: Role::User, parts })
}

/// An assistant's message and the results of its calls.
fn turn() -> impl Strategy<Value = Vec<Message>> {
    let result = vec(text().prop_map(Part::Text), 1..3);
    let calls = vec((name(), name(), object(), result), 0..3);
    (of(text()), vec(text(), 0..3), of(text()), calls).prop_map(|(thought, texts, refusal, calls)| {
        let mut parts: Vec<Part> = thought.map(|text| Part::Reasoning { text, signature: None }).into_iter().collect();
        parts.extend(texts.into_iter().map(Part::Text));
        parts.extend(refusal.map(Part::Refusal));
        let mut results = Vec::new();
        for (id, name, arguments, content) in calls {
            parts.push(Part::ToolCall { id: id.clone(), name, arguments });
            results.push(Message { role: Role::Tool, parts: vec![Part::ToolResult { id, content, is_error: false }] });
        }
        if parts.is_empty() {
            parts.push(Part::Text(String::new()));
        }
        let mut messages = vec![Message { role: Role::Assistant, parts }];
        messages.append(&mut results);
        messages
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let one = |message: Message| vec![message];
    let some =
        prop_oneof![said(Role::System).prop_map(one), said(Role::User).prop_map(one), shown().prop_map(one), turn(),];
    vec(some, 1..5).prop_map(|turns| turns.concat())
}

fn tools() -> impl Strategy<Value = (Vec<Tool>, Option<ToolChoice>, Option<bool>)> {
    let tool = (name(), of(text()), of(object()), of(Just(true)))
        .prop_map(|(name, description, parameters, strict)| Tool { name, description, parameters, strict });
    let choice = prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::None),
        Just(ToolChoice::Required),
        name().prop_map(ToolChoice::Named),
    ];
    prop_oneof![Just((Vec::new(), None, None)), (vec(tool, 1..4), of(choice), of(Just(false)))]
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let counts = (of(0..100_u64), of(any::<i64>()));
    let penalties =
        (of(number()), of(number().prop_map(|number| -number)), of(number().prop_map(|number| number + 1.0)));
    (of(number()), of(number()), of(number()), counts, penalties).prop_map(
        |(temperature, top_p, min_p, (top_k, seed), (frequency_penalty, presence_penalty, repeat_penalty))| Sampling {
            temperature,
            top_p,
            top_k,
            min_p,
            seed,
            frequency_penalty,
            presence_penalty,
            repeat_penalty,
        },
    )
}

fn format() -> impl Strategy<Value = Format> {
    let by_schema = (name(), of(text()), object(), of(Just(true))).prop_map(|(name, description, schema, strict)| {
        Format::JsonSchema { name: Some(name), description, schema, strict }
    });
    prop_oneof![Just(Format::JsonObject), by_schema]
}

fn reasoning() -> impl Strategy<Value = Reasoning> {
    let efforts = [Effort::None, Effort::Minimal, Effort::Low, Effort::Medium, Effort::High, Effort::Max];
    proptest::sample::select(efforts.to_vec())
        .prop_map(|effort| Reasoning { effort: Some(effort), budget_tokens: None })
}

/// A request of any kind.
pub(super) fn request() -> impl Strategy<Value = ChatRequest> {
    let limits = (of(0..100_000_u64), vec(text(), 0..3), of(text()));
    (messages(), tools(), sampling(), limits, of(format()), of(reasoning()), any::<bool>()).prop_map(
        |(messages, tools, sampling, (max_tokens, stop, user), format, reasoning, stream)| ChatRequest {
            messages,
            tools: tools.0,
            tool_choice: tools.1,
            parallel_tool_calls: tools.2,
            max_tokens,
            sampling,
            stop,
            format,
            reasoning,
            stream,
            include_usage: stream,
            user,
            ..ChatRequest::default()
        },
    )
}
