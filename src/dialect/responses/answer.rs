//! An answer as clients read it: the object that a whole answer is, and that a stream begins and ends with. Options of
//! the request are not told back, but stand at the values that say least.

use serde::Serialize;

use super::item::{Item, NO_ARGUMENTS, Piece, SIGNED_HERE, Status};
use crate::dialect::chat::{ChatReply, Finish, Label, ReplyPart, Spoken};

/// A whole answer.
pub fn encode_reply(reply: &ChatReply, label: &Label) -> Vec<u8> {
    let items = items(reply, label);
    serde_json::to_vec(&Answer::ended(label, reply.finish.as_ref(), &items, reply.usage)).expect("strings and numbers")
}

fn items(reply: &ChatReply, label: &Label) -> Vec<Item> {
    let (mut items, mut calls) = (Vec::new(), 0);
    for part in &reply.parts {
        match part {
            ReplyPart::Text(text) => say(&mut items, label, Piece::text(text.clone())),
            ReplyPart::Refusal(text) => say(&mut items, label, Piece::Refusal { refusal: text.clone() }),
            ReplyPart::Reasoning { text, signature: None } if text.is_empty() => {}
            ReplyPart::Reasoning { text, signature } => {
                let summary = (!text.is_empty()).then(|| Piece::SummaryText { text: text.clone() });
                let signed = signature.as_ref().map(|signature| format!("{SIGNED_HERE}{signature}"));
                items.push(Item::reasoning(label, items.len(), summary, signed));
            }
            ReplyPart::ToolCall { id, name, arguments } => {
                let mut item = Item::call(label, items.len(), calls, id.clone(), name.clone());
                item.argue(arguments);
                if item.lacks_arguments() {
                    item.argue(NO_ARGUMENTS);
                }
                items.push(item);
                calls += 1;
            }
        }
    }
    let last = items.len().wrapping_sub(1);
    for (at, item) in items.iter_mut().enumerate() {
        item.end(if at == last { Status::of(reply.finish.as_ref()) } else { Status::Completed });
    }
    items
}

/// Adds to the message that is open, or opens one.
fn say(items: &mut Vec<Item>, label: &Label, piece: Piece) {
    if piece.words().is_empty() {
        return;
    }
    if let Some(Item::Message { content, .. }) = items.last_mut() {
        content.push(piece);
    } else {
        items.push(Item::message(label, items.len(), Some(piece)));
    }
}

/// The object that an answer is.
#[derive(Debug, Serialize)]
pub(super) struct Answer<'a> {
    id: String,
    object: &'static str,
    created_at: u64,
    status: Status,
    error: Option<()>,
    incomplete_details: Option<Cause>,
    instructions: Option<()>,
    max_output_tokens: Option<()>,
    model: &'a str,
    output: &'a [Item],
    parallel_tool_calls: bool,
    previous_response_id: Option<()>,
    reasoning: Depth,
    store: bool,
    temperature: Option<()>,
    tool_choice: &'static str,
    tools: [(); 0],
    top_p: Option<()>,
    truncation: &'static str,
    usage: Option<Used>,
    metadata: Nothing,
}

/// Why an answer is not whole.
#[derive(Debug, Serialize)]
struct Cause {
    reason: &'static str,
}

#[derive(Debug, Default, Serialize)]
struct Depth {
    effort: Option<()>,
    summary: Option<()>,
}

#[derive(Debug, Serialize)]
struct Nothing {}

#[derive(Debug, Serialize)]
struct Used {
    input_tokens: u64,
    input_tokens_details: InputDetails,
    output_tokens: u64,
    output_tokens_details: OutputDetails,
    total_tokens: u64,
}

#[derive(Debug, Serialize)]
struct InputDetails {
    cached_tokens: u64,
    cache_write_tokens: u64,
}

#[derive(Debug, Serialize)]
struct OutputDetails {
    reasoning_tokens: u64,
}

impl<'a> Answer<'a> {
    /// One that begins.
    pub(super) fn begun(label: &'a Label) -> Self {
        Answer {
            id: format!("resp_{}", label.id),
            object: "response",
            created_at: label.created,
            status: Status::InProgress,
            error: None,
            incomplete_details: None,
            instructions: None,
            max_output_tokens: None,
            model: &label.model,
            output: &[],
            parallel_tool_calls: true,
            previous_response_id: None,
            reasoning: Depth::default(),
            store: false,
            temperature: None,
            tool_choice: "auto",
            tools: [],
            top_p: None,
            truncation: "disabled",
            usage: None,
            metadata: Nothing {},
        }
    }

    /// One that is all said.
    pub(super) fn ended(label: &'a Label, finish: Option<&Finish>, items: &'a [Item], usage: Spoken) -> Self {
        let cause = match finish {
            Some(Finish::Length) => Some(Cause { reason: "max_output_tokens" }),
            Some(Finish::ContentFilter) => Some(Cause { reason: "content_filter" }),
            _ => None,
        };
        Answer {
            status: Status::of(finish),
            incomplete_details: cause,
            output: items,
            usage: (!usage.is_empty()).then(|| Used::from(usage)),
            ..Answer::begun(label)
        }
    }
}

impl From<Spoken> for Used {
    fn from(spoken: Spoken) -> Self {
        Used {
            input_tokens: spoken.prompt_tokens.unwrap_or(0),
            input_tokens_details: InputDetails {
                cached_tokens: spoken.cached_tokens.unwrap_or(0),
                cache_write_tokens: spoken.cache_write_tokens.unwrap_or(0),
            },
            output_tokens: spoken.completion_tokens.unwrap_or(0),
            output_tokens_details: OutputDetails { reasoning_tokens: spoken.reasoning_tokens.unwrap_or(0) },
            total_tokens: spoken.total_tokens(),
        }
    }
}
