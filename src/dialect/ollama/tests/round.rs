//! Whatever this dialect can say comes back as it went.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;
use crate::dialect::chat::ToolChoice;

fn word() -> impl Strategy<Value = String> {
    "[a-z_\"\\\\ é🙂\n]{1,12}"
}

fn object() -> impl Strategy<Value = Json> {
    prop_oneof![Just("{}"), Just("{\"a\": [1, {\"b\": null}]}"), Just("{\n\"x\":\"\\u00e9\\n\"}")].prop_map(json)
}

fn picture() -> impl Strategy<Value = Part> {
    let known = [
        ("image/png", "iVBORw0KGgo="),
        ("image/jpeg", "/9j/AAAA"),
        ("image/gif", "R0lGODlh"),
        ("image/webp", "UklGRiQA"),
        ("application/octet-stream", "AA=="),
    ];
    prop::sample::select(known.to_vec()).prop_map(|(media_type, data)| {
        let source = Source::Data { media_type: media_type.to_owned(), data: data.to_owned() };
        Part::Media(Media { kind: MediaKind::Image, source, detail: None, name: None })
    })
}

/// A text, pictures, or both in this order.
fn content() -> impl Strategy<Value = Vec<Part>> {
    (of(word()), vec(picture(), 0..3)).prop_map(|(text, pictures)| {
        let text = if text.is_none() && pictures.is_empty() { Some(String::new()) } else { text };
        text.map(Part::Text).into_iter().chain(pictures).collect()
    })
}

fn plain() -> impl Strategy<Value = Vec<Message>> {
    let role = prop_oneof![Just(Role::System), Just(Role::User)];
    (role, content()).prop_map(|(role, parts)| vec![Message { role, parts }])
}

fn spoken() -> impl Strategy<Value = Vec<Message>> {
    (of(word()), word()).prop_map(|(thought, text)| {
        let thought = thought.map(|text| Part::Reasoning { text, signature: None });
        let parts = thought.into_iter().chain([Part::Text(text)]).collect();
        vec![Message { role: Role::Assistant, parts }]
    })
}

/// Calls and their results, in any order.
fn called() -> impl Strategy<Value = Vec<Message>> {
    vec((word(), object(), content()), 1..4).prop_shuffle().prop_map(|calls| {
        let (mut parts, mut results) = (Vec::new(), Vec::new());
        for (number, (name, arguments, content)) in calls.into_iter().enumerate() {
            let id = format!("id {number}");
            results.push(Part::ToolResult { id: id.clone(), content, is_error: false });
            parts.push(Part::ToolCall { id, name, arguments });
        }
        let asked = Message { role: Role::Assistant, parts };
        let answered = results.into_iter().rev().map(|result| Message { role: Role::Tool, parts: vec![result] });
        std::iter::once(asked).chain(answered).collect()
    })
}

fn sampling() -> impl Strategy<Value = Sampling> {
    let some = || of((1u8..200).prop_map(|parts| f64::from(parts) / 128.0));
    let penalty = || of((129u8..255).prop_map(|parts| f64::from(parts) / 128.0));
    (some(), some(), of(0u64..100), some(), of(any::<i64>()), penalty(), penalty(), penalty()).prop_map(
        |(temperature, top_p, top_k, min_p, seed, frequency_penalty, presence_penalty, repeat_penalty)| Sampling {
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

fn tool() -> impl Strategy<Value = Tool> {
    (word(), of(word()), of(object())).prop_map(|(name, description, parameters)| Tool {
        name,
        description,
        parameters,
        strict: None,
    })
}

fn format() -> impl Strategy<Value = Format> {
    let schema = object().prop_map(|schema| Format::JsonSchema { name: None, description: None, schema, strict: None });
    prop_oneof![Just(Format::JsonObject), schema]
}

fn request() -> impl Strategy<Value = ChatRequest> {
    let effort = [Effort::None, Effort::Low, Effort::Medium, Effort::High, Effort::Adaptive];
    let messages = vec(prop_oneof![plain(), spoken(), called()], 0..5).prop_map(|turns| {
        let mut seen = 0;
        turns.into_iter().flat_map(|turn| own_ids(turn, &mut seen)).collect::<Vec<_>>()
    });
    let keep_alive = prop::sample::select(vec!["\"5m\"", "-1", "0", "3.5"]).prop_map(json);
    (
        (messages, vec(tool(), 0..3), sampling(), vec(word(), 0..3), of(format())),
        (of(prop::sample::select(effort.to_vec())), any::<bool>(), of(keep_alive)),
        (of(1u64..1 << 40), of(1u64..1 << 40)),
    )
        .prop_map(|((messages, tools, sampling, stop, format), (effort, stream, keep_alive), (most, context))| {
            ChatRequest {
                messages,
                tools,
                max_tokens: most,
                sampling,
                stop,
                format,
                reasoning: effort.map(|effort| Reasoning { effort: Some(effort), budget_tokens: None }),
                stream,
                include_usage: stream,
                context_length: context,
                keep_alive,
                ..ChatRequest::default()
            }
        })
}

/// The same turn with ids that no other turn has.
fn own_ids(mut turn: Vec<Message>, seen: &mut usize) -> Vec<Message> {
    *seen += 1;
    for part in turn.iter_mut().flat_map(|message| &mut message.parts) {
        if let Part::ToolCall { id, .. } | Part::ToolResult { id, .. } = part {
            *id = format!("{seen} {id}");
        }
    }
    turn
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_went(request in request()) {
        let body = encode_request(&request, "m").unwrap();
        let decoded = decode_request(std::str::from_utf8(&body).unwrap()).unwrap();
        prop_assert_eq!(decoded, Decoded { request, ..Decoded::default() });
    }

    #[test]
    fn a_reply_comes_back_as_it_went(
        thought in of(word()),
        text in of(word()),
        calls in vec((word(), word(), object()), 0..3),
        prompt_tokens in of(any::<u64>()),
        is_cut in any::<bool>(),
    ) {
        let mut parts = Vec::new();
        parts.extend(thought.map(|text| ReplyPart::Reasoning { text, signature: None }));
        parts.extend(text.map(ReplyPart::Text));
        let ended = if calls.is_empty() { Finish::Stop } else { Finish::ToolCalls };
        parts.extend(calls.into_iter().map(|(id, name, arguments)| {
            ReplyPart::ToolCall { id, name, arguments: arguments.get().replace('\n', "") }
        }));
        let finish = Some(if is_cut { Finish::Length } else { ended });
        let usage = Spoken { prompt_tokens, ..Spoken::default() };
        let reply = ChatReply { id: None, model: Some("m".to_owned()), parts, finish, usage };
        prop_assert_eq!(decode_reply(&encode_reply(&reply, &label())), Ok(reply.clone()));
        prop_assert_eq!(read_stream(&write_stream(Encoder::new(label()), reply.clone())), reply);
    }

    #[test]
    fn nothing_that_is_sent_panics(text in "\\PC{0,60}", at in any::<prop::sample::Index>(), which in 0usize..7) {
        let body = REQUESTS[which].1;
        let mut cut = at.index(body.len());
        while !body.is_char_boundary(cut) {
            cut -= 1;
        }
        let spoiled = format!("{}{text}{}", &body[..cut], &body[cut..]);
        let _ = decode_request(&spoiled);
        let _ = super::super::decode_generate(&spoiled);
        let _ = decode_reply(spoiled.as_bytes());
    }
}

#[test]
fn a_tool_that_may_not_be_called_is_left_out() {
    let mut request = asked("parallel");
    request.tool_choice = Some(ToolChoice::None);
    let body = encode_request(&request, "m").unwrap();
    assert!(decode_request(std::str::from_utf8(&body).unwrap()).unwrap().request.tools.is_empty());
    request.tool_choice = Some(ToolChoice::Auto);
    assert!(encode_request(&request, "m").is_ok());
}
