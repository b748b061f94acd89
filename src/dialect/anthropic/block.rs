//! One block of a client's stream, from its beginning to its end. Which block is written when is for
//! [`super::write`] to say.

use std::borrow::Cow;

use serde::Serialize;

use super::reply::Block;
use super::write::frame;
use crate::dialect::chat::Json;

/// What a block is.
pub(super) enum BlockKind {
    Text,
    Thinking { is_signed: bool },
    Call { index: usize, id: String, name: String },
}

/// A block that is not yet written to its end.
pub(super) struct Pending {
    kind: BlockKind,
    is_begun: bool,
    /// What is still to be written.
    kept: String,
    signature: String,
    arguments: Arguments,
}

/// How far the text of an object has come, by its brackets.
#[derive(Default)]
struct Arguments {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    has_begun: bool,
}

#[derive(Serialize)]
struct Start<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: usize,
    content_block: Block<'a>,
}

#[derive(Serialize)]
struct Go<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    index: usize,
    delta: Delta<'a>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    thinking: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partial_json: Option<&'a str>,
}

#[derive(Serialize)]
struct Stop {
    #[serde(rename = "type")]
    kind: &'static str,
    index: usize,
}

impl Pending {
    pub(super) fn new(kind: BlockKind) -> Self {
        Pending {
            kind,
            is_begun: false,
            kept: String::new(),
            signature: String::new(),
            arguments: Arguments::default(),
        }
    }

    /// Whether more of `kind` goes on here: nothing is thought in a block once it is signed.
    pub(super) fn takes(&self, kind: &BlockKind) -> bool {
        match (&self.kind, kind) {
            (BlockKind::Text, BlockKind::Text) => true,
            (BlockKind::Thinking { .. }, BlockKind::Thinking { is_signed }) => *is_signed || self.signature.is_empty(),
            _ => false,
        }
    }

    pub(super) fn is_call(&self, index: usize) -> bool {
        matches!(self.kind, BlockKind::Call { index: own, .. } if own == index)
    }

    pub(super) fn add(&mut self, more: &str) {
        if matches!(self.kind, BlockKind::Call { .. }) {
            self.arguments.add(more);
        }
        self.kept.push_str(more);
    }

    pub(super) fn sign(&mut self, more: &str) {
        self.signature.push_str(more);
    }

    /// Whether nothing more will come, once another block has begun.
    pub(super) fn is_whole(&self) -> bool {
        !matches!(self.kind, BlockKind::Call { .. }) || self.arguments.is_whole()
    }

    pub(super) fn write(&mut self, index: usize, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.is_begun, true) {
            let start = Start { kind: "content_block_start", index, content_block: self.empty() };
            frame("content_block_start", &start, out);
        }
        if !self.kept.is_empty() {
            write_delta(self.delta(&self.kept), index, out);
            self.kept.clear();
        }
    }

    pub(super) fn close(self, index: usize, out: &mut Vec<u8>) {
        if matches!(self.kind, BlockKind::Call { .. }) && !self.arguments.has_begun {
            write_delta(self.delta("{}"), index, out);
        }
        if !self.signature.is_empty() {
            let delta = Delta { kind: "signature_delta", signature: Some(&self.signature), ..Delta::default() };
            write_delta(delta, index, out);
        }
        frame("content_block_stop", &Stop { kind: "content_block_stop", index }, out);
    }

    fn empty(&self) -> Block<'_> {
        match &self.kind {
            BlockKind::Text => Block { kind: "text", text: Some(""), ..Block::default() },
            BlockKind::Thinking { .. } => {
                Block { kind: "thinking", thinking: Some(""), signature: Some(""), ..Block::default() }
            }
            BlockKind::Call { id, name, .. } => Block {
                kind: "tool_use",
                id: Some(Cow::Borrowed(id)),
                name: Some(name),
                input: Json::object(""),
                ..Block::default()
            },
        }
    }

    fn delta<'a>(&self, more: &'a str) -> Delta<'a> {
        match self.kind {
            BlockKind::Text => Delta { kind: "text_delta", text: Some(more), ..Delta::default() },
            BlockKind::Thinking { .. } => Delta { kind: "thinking_delta", thinking: Some(more), ..Delta::default() },
            BlockKind::Call { .. } => Delta { kind: "input_json_delta", partial_json: Some(more), ..Delta::default() },
        }
    }
}

fn write_delta(delta: Delta<'_>, index: usize, out: &mut Vec<u8>) {
    frame("content_block_delta", &Go { kind: "content_block_delta", index, delta }, out);
}

impl Arguments {
    fn add(&mut self, more: &str) {
        for byte in more.bytes() {
            self.has_begun |= !byte.is_ascii_whitespace();
            if std::mem::take(&mut self.is_escaped) {
                continue;
            }
            match byte {
                b'"' => self.in_string = !self.in_string,
                b'\\' => self.is_escaped = self.in_string,
                b'{' | b'[' if !self.in_string => self.depth += 1,
                b'}' | b']' if !self.in_string => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }
}
