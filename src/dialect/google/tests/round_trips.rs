//! Whatever the dialect can say comes back as it was said.

use proptest::prelude::*;
use serde_json::json;

use super::{encoded, folded, label};
use crate::dialect::chat::{
    ChatReply, ChatRequest, Effort, Finish, Format, Json, Media, MediaKind, Message, Part, Reasoning, ReplyPart, Role,
    Sampling, Source, Spoken, Tool, ToolChoice,
};
use crate::dialect::google::{decode_reply, decode_request, encode_reply, encode_request};

fn text() -> impl Strategy<Value = String> {
    "[ -~é🙂\\n\"\\\\]{1,12}"
}

fn signature() -> impl Strategy<Value = Option<String>> {
    prop_oneof![Just(None), "[A-Za-z0-9+/]{8}".prop_map(Some)]
}

fn json_object() -> impl Strategy<Value = Json> {
    (text(), any::<i32>()).prop_map(|(key, value)| Json::from(&json!({ key: [value, null, { "x": "y" }] })))
}

fn media() -> impl Strategy<Value = Part> {
    let data = |kind, media_type: &str| {
        let source = Source::Data { media_type: media_type.to_owned(), data: "iVBORw0KGgo=".to_owned() };
        Part::Media(Media { kind, source, detail: None, name: None })
    };
    let url =
        |kind, url: &str| Part::Media(Media { kind, source: Source::Url(url.to_owned()), detail: None, name: None });
    prop_oneof![
        Just(data(MediaKind::Image, "image/png")),
        Just(data(MediaKind::Audio, "audio/wav")),
        Just(data(MediaKind::File, "application/pdf")),
        Just(url(MediaKind::Image, "https://x.org/a.jpeg?b#c")),
        Just(url(MediaKind::Video, "https://x.org/a.mp4")),
        Just(url(MediaKind::File, "https://x.org/a")),
    ]
}

fn user() -> impl Strategy<Value = Message> {
    let part = prop_oneof![text().prop_map(Part::Text), media()];
    prop::collection::vec(part, 1..3).prop_map(|parts| Message { role: Role::User, parts })
}

/// The name of a function, arguments, and what came of it: whether it failed is last.
type Call = (String, Json, Part, bool);

/// What the model says and calls.
fn turn() -> impl Strategy<Value = (Vec<Part>, Vec<Call>)> {
    let thought = (text(), signature()).prop_map(|(text, signature)| Part::Reasoning { text, signature });
    let said = prop_oneof![text().prop_map(Part::Text), thought];
    let content = prop_oneof![text().prop_map(Part::Text), Just(String::new()).prop_map(Part::Text)];
    let call = ("[a-z]{1,3}", json_object(), content, any::<bool>());
    (prop::collection::vec(said, 1..3), prop::collection::vec(call, 0..3))
}

prop_compose! {
    fn messages()(
        system in prop::option::of(prop::collection::vec(text().prop_map(Part::Text), 1..3)),
        turns in prop::collection::vec((user(), turn()), 1..4),
    ) -> Vec<Message> {
        let mut messages: Vec<_> = system.into_iter().map(|parts| Message { role: Role::System, parts }).collect();
        for (at, (user, (mut said, calls))) in turns.into_iter().enumerate() {
            messages.push(user);
            let mut results = Vec::new();
            for (number, (name, arguments, content, is_error)) in calls.into_iter().enumerate() {
                let id = format!("id{at}-{number}");
                said.push(Part::ToolCall { id: id.clone(), name, arguments });
                let result = Part::ToolResult { id, content: vec![content], is_error };
                results.push(Message { role: Role::Tool, parts: vec![result] });
            }
            messages.push(Message { role: Role::Assistant, parts: said });
            messages.append(&mut results);
        }
        messages
    }
}

prop_compose! {
    fn sampling()(
        temperature in prop::option::of(0_u8..200),
        top_k in prop::option::of(0_u64..100),
        seed in prop::option::of(any::<i32>()),
        penalty in prop::option::of(1_u8..200),
    ) -> Sampling {
        Sampling {
            temperature: temperature.map(|number| f64::from(number) / 100.0),
            top_k,
            seed: seed.map(i64::from),
            presence_penalty: penalty.map(|number| f64::from(number) / 100.0),
            ..Sampling::default()
        }
    }
}

fn reasoning() -> impl Strategy<Value = Reasoning> {
    let effort = |effort| Reasoning { effort: Some(effort), budget_tokens: None };
    prop_oneof![
        Just(effort(Effort::None)),
        Just(effort(Effort::Adaptive)),
        (1_u64..100_000).prop_map(|budget| Reasoning { effort: None, budget_tokens: Some(budget) }),
    ]
}

fn format() -> impl Strategy<Value = Format> {
    let by_schema = |schema| Format::JsonSchema { name: None, description: None, schema, strict: None };
    prop_oneof![Just(Format::JsonObject), json_object().prop_map(by_schema)]
}

prop_compose! {
    fn requests()(
        messages in messages(),
        tools in prop::collection::vec(("[a-z]{1,3}", prop::option::of(text()), prop::option::of(json_object())), 0..3),
        tool_choice in prop::option::of(prop_oneof![
            Just(ToolChoice::Auto), Just(ToolChoice::None), Just(ToolChoice::Required),
            "[a-z]{1,3}".prop_map(ToolChoice::Named),
        ]),
        max_tokens in prop::option::of(1_u64..100_000),
        sampling in sampling(),
        stop in prop::collection::vec(text(), 0..3),
        format in prop::option::of(format()),
        reasoning in prop::option::of(reasoning()),
        stream in any::<bool>(),
    ) -> ChatRequest {
        let tool = |(name, description, parameters)| Tool { name, description, parameters, strict: None };
        ChatRequest {
            messages, tools: tools.into_iter().map(tool).collect(), tool_choice, max_tokens, sampling, stop, format,
            reasoning, stream, include_usage: stream, ..ChatRequest::default()
        }
    }
}

fn reply_part() -> impl Strategy<Value = ReplyPart> {
    prop_oneof![
        text().prop_map(ReplyPart::Text),
        (text(), signature()).prop_map(|(text, signature)| ReplyPart::Reasoning { text, signature }),
        ("[a-z]{1,3}", "[a-z]{1,3}", json_object()).prop_map(|(id, name, arguments)| ReplyPart::ToolCall {
            id,
            name,
            arguments: arguments.get().to_owned(),
        }),
    ]
}

prop_compose! {
    fn replies()(
        parts in prop::collection::vec(reply_part(), 0..5),
        length in any::<bool>(),
        (prompt, said, thought) in (0_u64..99, 0_u64..99, prop::option::of(0_u64..99)),
    ) -> ChatReply {
        let calls = parts.iter().any(|part| matches!(part, ReplyPart::ToolCall { .. }));
        let finish = match (length, calls) {
            (true, _) => Finish::Length,
            (false, true) => Finish::ToolCalls,
            (false, false) => Finish::Stop,
        };
        let usage = Spoken {
            prompt_tokens: Some(prompt), completion_tokens: Some(said + thought.unwrap_or(0)), reasoning_tokens: thought,
            ..Spoken::default()
        };
        let reply = ChatReply {
            id: Some("reply-1".to_owned()), model: Some("m".to_owned()), parts, finish: Some(finish), usage,
        };
        ChatReply::fold(reply.events())
    }
}

proptest! {
    #[test]
    fn requests_come_back_as_they_were(request in requests()) {
        let body = encode_request(&request, "m").expect("sayable");
        let decoded = decode_request(std::str::from_utf8(&body).expect("text"), request.stream).expect("a request");
        prop_assert_eq!(decoded.uncarried, Vec::<String>::new());
        prop_assert_eq!(decoded.request, request);
    }

    #[test]
    fn replies_come_back_as_they_were(reply in replies()) {
        let again = decode_reply(&encode_reply(&reply, &label())).expect("a reply");
        prop_assert_eq!(&again, &reply);
        prop_assert_eq!(&folded(&encoded(reply.clone().events())), &reply);
    }

    #[test]
    fn no_body_makes_it_panic(text in "[\\[\\]{}:,\"a-z0-9 -]{0,40}") {
        let _ = decode_request(&text, false);
        let _ = decode_request(&format!("{{\"contents\":{text}}}"), true);
        let _ = decode_reply(text.as_bytes());
    }
}
