//! Requests made up by chance come back as they were.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::dialect::chat::{
    Effort, Format, Json, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, Tool, ToolChoice,
};

fn said() -> impl Strategy<Value = Part> {
    "[a-zë🙂\"\\\\\n]{1,6}".prop_map(Part::Text)
}

fn media() -> impl Strategy<Value = Part> {
    let plain = |data: &str| Source::Data { media_type: "text/plain".to_owned(), data: data.to_owned() };
    let sources = prop_oneof![
        Just(Source::Url("https://example.com/a".to_owned())),
        Just(Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() }),
        Just(plain("Wm/Dqw==")),
        Just(plain("/w==")),
    ];
    (any::<bool>(), sources, of("[a-z]{1,3}")).prop_map(|(is_image, source, name)| {
        let kind = if is_image { MediaKind::Image } else { MediaKind::File };
        Part::Media(Media { kind, source, detail: None, name: name.filter(|_| !is_image) })
    })
}

fn users() -> impl Strategy<Value = Message> {
    vec(prop_oneof![said(), media()], 1..4).prop_map(|parts| Message { role: Role::User, parts })
}

/// An assistant that calls, each call with a result, words between them.
fn turn() -> impl Strategy<Value = Vec<Message>> {
    let thought =
        ("[a-z]{0,4}", "[a-z]{1,4}").prop_map(|(text, signature)| Part::Reasoning { text, signature: Some(signature) });
    let content =
        prop_oneof![Just(Vec::new()), Just(vec![Part::Text(String::new())]), vec(prop_oneof![said(), media()], 1..3)];
    let call = ("[a-zA-Z0-9_-]{1,5}", "[a-z]{0,3}", content, any::<bool>(), of(users()));
    (of(thought), of(said()), vec(call, 0..3)).prop_map(|(thought, said, calls)| {
        let mut parts: Vec<Part> = thought.into_iter().chain(said).collect();
        let mut after = Vec::new();
        for (id, city, content, is_error, word) in calls {
            let arguments = Json::from(&json!({ "city": city }));
            parts.push(Part::ToolCall { id: id.clone(), name: "f".to_owned(), arguments });
            let result = Part::ToolResult { id, content, is_error };
            after.push(Message { role: Role::Tool, parts: vec![result] });
            after.extend(word);
        }
        let said = (!parts.is_empty()).then_some(Message { role: Role::Assistant, parts });
        said.into_iter().chain(after).collect()
    })
}

fn messages() -> impl Strategy<Value = Vec<Message>> {
    let instructions = vec(said(), 1..3).prop_map(|parts| Message { role: Role::System, parts });
    let turns = vec(prop_oneof![users().prop_map(|message| vec![message]), turn()], 0..5);
    (of(instructions), users(), turns).prop_map(|(instructions, first, turns)| {
        instructions.into_iter().chain([first]).chain(turns.into_iter().flatten()).collect()
    })
}

fn tool() -> impl Strategy<Value = Tool> {
    let schema = of(Just(Json::from(&json!({"type": "object", "properties": {"x": {"type": "string"}}}))));
    ("[a-z]{1,5}", of("[a-z]{0,5}"), schema, of(Just(true))).prop_map(|(name, description, parameters, strict)| Tool {
        name,
        description,
        parameters,
        strict,
    })
}

/// Tools, whether one must be called, whether one at a time. Nothing is chosen where there are none, `auto` is not said
/// beside one at a time, and of no call at all it is not asked.
fn tools() -> impl Strategy<Value = (Vec<Tool>, Option<ToolChoice>, Option<bool>)> {
    let choice = prop_oneof![
        Just((Some(ToolChoice::Auto), None)),
        Just((Some(ToolChoice::None), None)),
        (
            prop_oneof![Just(None), Just(Some(ToolChoice::Required)), Just(Some(ToolChoice::Named("f".to_owned())))],
            of(Just(false))
        ),
    ];
    (vec(tool(), 0..3), choice).prop_map(
        |(tools, (choice, parallel))| {
            if tools.is_empty() { (tools, None, None) } else { (tools, choice, parallel) }
        },
    )
}

fn reasoning() -> impl Strategy<Value = Option<Reasoning>> {
    let effort = prop_oneof![Just(Effort::None), Just(Effort::Adaptive)];
    prop_oneof![
        Just(None),
        effort.prop_map(|effort| Some(Reasoning { effort: Some(effort), budget_tokens: None })),
        (1024u64..4096).prop_map(|budget| Some(Reasoning { effort: None, budget_tokens: Some(budget) })),
    ]
}

fn requests() -> impl Strategy<Value = ChatRequest> {
    let share = || of((0..=16u8).prop_map(|sixteenths| f64::from(sixteenths) / 16.0));
    let sampling = (share(), share(), of(any::<u64>())).prop_map(|(temperature, top_p, top_k)| Sampling {
        temperature,
        top_p,
        top_k,
        ..Sampling::default()
    });
    let schema = Json::from(&json!({"type": "object"}));
    let format = of(Just(Format::JsonSchema { name: None, description: None, schema, strict: None }));
    let rest = (format, reasoning(), any::<bool>(), of("[a-z]{0,4}"), vec("[a-z]{1,4}", 0..3));
    (messages(), tools(), 4096u64.., sampling, rest).prop_map(|(messages, tools, max_tokens, sampling, rest)| {
        let (tools, tool_choice, parallel_tool_calls) = tools;
        let (format, reasoning, stream, user, stop) = rest;
        ChatRequest {
            messages,
            tools,
            tool_choice,
            parallel_tool_calls,
            max_tokens: Some(max_tokens),
            sampling,
            stop,
            format,
            reasoning,
            stream,
            include_usage: stream,
            user,
            context_length: None,
            keep_alive: None,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_request_comes_back_as_it_was(request in requests()) {
        prop_assert_eq!(again(&request), request);
    }

    #[test]
    fn a_body_never_panics(body in r#"[{}\[\]":,a-z0-9]{0,40}"#) {
        drop(decode_request(&body));
        drop(decode_reply(body.as_bytes()));
        drop(Decoder::default().event(body.as_bytes(), &mut drop));
    }
}
