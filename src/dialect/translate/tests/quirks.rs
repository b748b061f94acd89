//! What engines really send where they differ from the API that they are compatible with: `tests/fixtures/quirks/quirks.toml`
//! holds a transcript of each.

use http::StatusCode;
use serde::Deserialize;

use super::*;
use crate::dialect::chat::{ChatReply, Finish, Json, ReplyPart};
use crate::dialect::fault::Fault;

#[derive(Deserialize)]
struct Quirks {
    quirk: Vec<Quirk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Quirk {
    engine: String,
    what: String,
    source: String,
    kind: String,
    #[serde(default)]
    status: u16,
    transcript: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    text: String,
    #[serde(default)]
    finish: String,
    #[serde(default)]
    calls: Vec<String>,
    /// Of prompt and answer, where it tells.
    tokens: Option<(u64, u64)>,
}

fn quirks() -> Vec<Quirk> {
    let text = include_str!("../../../../tests/fixtures/quirks/quirks.toml");
    toml::from_str::<Quirks>(text).expect("a table of quirks").quirk
}

#[test]
fn every_engine_is_understood_in_its_own_way() {
    for quirk in quirks() {
        let place = format!("{}: {} ({})", quirk.engine, quirk.what, quirk.source);
        let body = quirk.transcript.as_bytes();
        let reply = match quirk.kind.as_str() {
            "error" => {
                let fault = Fault::told(StatusCode::from_u16(quirk.status).expect("a status"), body);
                assert_eq!((fault.message, &*fault.code), (quirk.message, &*quirk.code), "{place}");
                continue;
            }
            "whole" => pair::decode_reply(Endpoint::ChatCompletions, body).expect(&place),
            "stream" => super::super::flow::fold(Endpoint::ChatCompletions, body).expect(&place),
            other => panic!("{place}: there is no kind {other}"),
        };
        let tokens = reply.usage.prompt_tokens.zip(reply.usage.completion_tokens);
        assert_eq!(tokens, quirk.tokens, "{place}");
        assert_eq!(finish(&reply), quirk.finish, "{place}");
        let (text, calls) = said(&reply);
        assert_eq!((text, calls), (quirk.text, quirk.calls), "{place}");
    }
}

fn finish(reply: &ChatReply) -> &'static str {
    match reply.finish {
        Some(Finish::Length) => "length",
        Some(Finish::ToolCalls) => "tool_calls",
        Some(Finish::ContentFilter) => "content_filter",
        Some(Finish::Stop | Finish::StopSequence(_)) => "stop",
        None => "",
    }
}

/// The text, and each call with its arguments in compact form.
fn said(reply: &ChatReply) -> (String, Vec<String>) {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for part in &reply.parts {
        match part {
            ReplyPart::Text(more) => text.push_str(more),
            ReplyPart::ToolCall { name, arguments, .. } => {
                calls.push(format!("{name} {}", Json::arguments(arguments).to_value()));
            }
            ReplyPart::Reasoning { .. } | ReplyPart::Refusal(_) => {}
        }
    }
    (text, calls)
}
