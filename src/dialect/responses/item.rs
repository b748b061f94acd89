//! The items of an answer and their pieces, as they grow. Where they stand in a stream is for others to keep.

use serde::Serialize;

use crate::dialect::chat::{Finish, Label};

/// What a call without arguments is told with: clients read an object.
pub(super) const NO_ARGUMENTS: &str = "{}";

/// What `encrypted_content` begins with where it is a backend's signature that was told here. OpenAI's own, which clients
/// that change between backends send too, begins otherwise.
pub(super) const SIGNED_HERE: &str = "nexus1.";

/// How far an answer or an item of it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    InProgress,
    Completed,
    Incomplete,
}

impl Status {
    /// Of what `finish` ends.
    pub(super) fn of(finish: Option<&Finish>) -> Self {
        match finish {
            Some(Finish::Length | Finish::ContentFilter) => Status::Incomplete,
            _ => Status::Completed,
        }
    }
}

/// A piece of an answer. Its number in `output` is part of its id.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Item {
    Reasoning { id: String, summary: Vec<Piece>, encrypted_content: Option<String> },
    Message { id: String, status: Status, role: &'static str, content: Vec<Piece> },
    FunctionCall { id: String, call_id: String, name: String, arguments: String, status: Status },
}

/// A piece of an item.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Piece {
    OutputText { text: String, annotations: [(); 0], logprobs: [(); 0] },
    Refusal { refusal: String },
    SummaryText { text: String },
}

impl Piece {
    pub(super) fn text(text: String) -> Self {
        Piece::OutputText { text, annotations: [], logprobs: [] }
    }

    pub(super) fn words(&self) -> &str {
        match self {
            Piece::OutputText { text, .. } | Piece::SummaryText { text } => text,
            Piece::Refusal { refusal } => refusal,
        }
    }

    pub(super) fn words_mut(&mut self) -> &mut String {
        match self {
            Piece::OutputText { text, .. } | Piece::SummaryText { text } => text,
            Piece::Refusal { refusal } => refusal,
        }
    }
}

impl Item {
    /// What the model thought, with the `summary` that holds its words.
    pub(super) fn reasoning(label: &Label, at: usize, summary: Option<Piece>, signature: Option<String>) -> Self {
        let id = format!("rs_{}_{at}", label.id);
        Item::Reasoning { id, summary: summary.into_iter().collect(), encrypted_content: signature }
    }

    /// What the model said, beginning with `first`.
    pub(super) fn message(label: &Label, at: usize, first: Option<Piece>) -> Self {
        let id = format!("msg_{}_{at}", label.id);
        let content = first.into_iter().collect();
        Item::Message { id, status: Status::InProgress, role: "assistant", content }
    }

    /// A call, which is given an id where the backend has none.
    pub(super) fn call(label: &Label, at: usize, index: usize, call_id: String, name: String) -> Self {
        let call_id = if call_id.is_empty() { format!("call_{}{index}", label.id) } else { call_id };
        let id = format!("fc_{}_{at}", label.id);
        Item::FunctionCall { id, call_id, name, arguments: String::new(), status: Status::InProgress }
    }

    pub(super) fn id(&self) -> &str {
        match self {
            Item::Reasoning { id, .. } | Item::Message { id, .. } | Item::FunctionCall { id, .. } => id,
        }
    }

    /// Adds to the arguments of a call.
    pub(super) fn argue(&mut self, more: &str) {
        if let Item::FunctionCall { arguments, .. } = self {
            arguments.push_str(more);
        }
    }

    /// Whether it is a call that nothing was said of.
    pub(super) fn lacks_arguments(&self) -> bool {
        matches!(self, Item::FunctionCall { arguments, .. } if arguments.trim().is_empty())
    }

    /// The pieces of an item that has any.
    pub(super) fn pieces(&mut self) -> Option<&mut Vec<Piece>> {
        match self {
            Item::Reasoning { summary, .. } => Some(summary),
            Item::Message { content, .. } => Some(content),
            Item::FunctionCall { .. } => None,
        }
    }

    pub(super) fn end(&mut self, how: Status) {
        match self {
            Item::Reasoning { .. } => {}
            Item::Message { status, .. } | Item::FunctionCall { status, .. } => *status = how,
        }
    }
}
