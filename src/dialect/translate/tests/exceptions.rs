//! What keeps a case from being the same in every dialect: what one of them has no word for, each with its reason. A
//! request that is in nobody's list here must be the same everywhere.

use super::super::super::chat::{Effort, Format, Part, Reasoning, Role, ToolChoice};
use super::*;

/// What is lost, or becomes something else, in some dialects.
pub(super) struct Exception {
    pub(super) dialects: &'static [Dialect],
    pub(super) why: &'static str,
    pub(super) change: fn(&mut ChatRequest),
}

/// All of them. Where a dialect refuses in place of losing, that is in [`refused`] too.
pub(super) const EXCEPTIONS: [Exception; 6] = [
    Exception {
        dialects: &[Dialect::Ollama],
        why: "Ollama has no choice of tools: its own requests never have one, and others are refused",
        change: |request| request.tool_choice = None,
    },
    Exception {
        dialects: &[Dialect::Responses],
        why: "Responses has no texts that end an answer",
        change: |request| request.stop.clear(),
    },
    Exception {
        dialects: &[Dialect::Anthropic, Dialect::Google],
        why: "how much to think is told as a budget",
        change: |request| {
            let Some(Reasoning { effort: Some(Effort::High), budget_tokens: None }) = request.reasoning else { return };
            request.reasoning = Some(Reasoning { effort: None, budget_tokens: Some(16384) });
        },
    },
    Exception {
        dialects: &[Dialect::OpenAi, Dialect::Responses, Dialect::Ollama],
        why: "how much to think is told in a word",
        change: |request| {
            let Some(Reasoning { effort: None, budget_tokens: Some(16384) }) = request.reasoning else { return };
            request.reasoning = Some(Reasoning { effort: Some(Effort::High), budget_tokens: None });
        },
    },
    Exception {
        dialects: &[Dialect::Anthropic, Dialect::Google, Dialect::Ollama],
        why: "a schema has no name, and is always followed to the letter",
        change: |request| {
            if let Some(Format::JsonSchema { name, strict, .. }) = &mut request.format {
                (*name, *strict) = (None, None);
            }
        },
    },
    Exception {
        dialects: &[Dialect::OpenAi],
        why: "a schema must have a name: one without is called `answer`",
        change: |request| {
            if let Some(Format::JsonSchema { name, .. }) = &mut request.format {
                name.get_or_insert_with(|| "answer".to_owned());
            }
        },
    },
];

/// What is lost on the way to a backend of some dialects, though its clients may say it.
pub(super) const LOSSES: [Exception; 5] = [
    Exception {
        dialects: &[Dialect::Anthropic],
        why: "Anthropic takes no thoughts but those that it has signed",
        change: |request| {
            let is_signed = |part: &Part| !matches!(part, Part::Reasoning { signature: None, .. });
            request.messages.iter_mut().for_each(|message| message.parts.retain(is_signed));
        },
    },
    Exception {
        dialects: &[Dialect::OpenAi, Dialect::Ollama],
        why: "signatures of thoughts mean nothing there",
        change: |request| {
            for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
                if let Part::Reasoning { signature, .. } = part {
                    *signature = None;
                }
            }
        },
    },
    Exception {
        dialects: &[Dialect::Anthropic, Dialect::Google],
        why: "instructions stand apart from the conversation, and are one message",
        change: |request| {
            request.messages.dedup_by(|next, message| {
                let are_instructions = next.role == Role::System && message.role == Role::System;
                if are_instructions {
                    message.parts.append(&mut next.parts);
                }
                are_instructions
            })
        },
    },
    Exception {
        dialects: &[Dialect::Ollama],
        why: "a message has one text: those beside each other are joined by an empty line",
        change: |request| request.messages.iter_mut().for_each(|message| join_texts(&mut message.parts)),
    },
    Exception {
        dialects: &[Dialect::OpenAi, Dialect::Ollama],
        why: "that a tool failed is told in the text of its result alone",
        change: |request| {
            for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
                if let Part::ToolResult { is_error, .. } = part {
                    *is_error = false;
                }
            }
        },
    },
];

fn join_texts(parts: &mut Vec<Part>) {
    parts.dedup_by(|next, text| match (text, next) {
        (Part::Text(text), Part::Text(next)) => {
            text.push_str("\n\n");
            text.push_str(next);
            true
        }
        _ => false,
    });
}

/// What a backend of `dialect` refuses of a case, if anything.
pub(super) fn refused(request: &ChatRequest, dialect: Dialect) -> Option<&'static str> {
    let must_call = request.tool_choice == Some(ToolChoice::Required);
    (dialect == Dialect::Ollama && must_call).then_some("tool_choice")
}

/// `request` as clients of `dialect` can say it.
pub(super) fn as_said(request: ChatRequest, dialect: Dialect) -> ChatRequest {
    changed(request, dialect, &EXCEPTIONS)
}

/// `request` as a backend of `dialect` can be asked.
pub(super) fn as_asked(request: ChatRequest, dialect: Dialect) -> ChatRequest {
    changed(as_said(request, dialect), dialect, &LOSSES)
}

fn changed(mut request: ChatRequest, dialect: Dialect, exceptions: &[Exception]) -> ChatRequest {
    for exception in exceptions.iter().filter(|exception| exception.dialects.contains(&dialect)) {
        (exception.change)(&mut request);
    }
    request
}
