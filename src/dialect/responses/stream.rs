//! An answer as it is made, in the events that clients of this API read. Each item is opened, filled and closed before
//! the next, but for calls that are made side by side; the last event tells the whole answer once more.

use super::answer::Answer;
use super::event::Events;
use super::item::{Item, Piece, SIGNED_HERE, Status};
use crate::dialect::chat::{ChatEvent, Finish, Json, Label, Spoken, StreamEncoder};

/// Writes a client's stream.
#[derive(Debug)]
pub struct Encoder {
    label: Label,
    events: Events,
    has_begun: bool,
    /// Everything so far. Grows with the answer, which the backend bounds.
    items: Vec<Item>,
    /// The reasoning or the message that is open.
    current: Option<usize>,
    /// The calls that are open: the index of each in the answer, and its place among the items.
    calls: Vec<(usize, usize)>,
    finish: Option<Finish>,
    usage: Spoken,
}

impl Encoder {
    /// Of an answer that is told under `label`.
    pub fn new(label: Label) -> Self {
        Encoder {
            label,
            events: Events::default(),
            has_begun: false,
            items: Vec::new(),
            current: None,
            calls: Vec::new(),
            finish: None,
            usage: Spoken::default(),
        }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            for kind in ["response.created", "response.in_progress"] {
                self.events.answer(kind, &Answer::begun(&self.label), out);
            }
        }
    }

    /// Adds to the piece that is open, or opens one. `fresh` makes an empty piece.
    fn say(&mut self, more: &str, fresh: Piece, out: &mut Vec<u8>) {
        if more.is_empty() {
            return;
        }
        let at = self.holder(matches!(fresh, Piece::SummaryText { .. }), out);
        let item = &mut self.items[at];
        let is_same = |last: &Piece| std::mem::discriminant(last) == std::mem::discriminant(&fresh);
        if !item.pieces().and_then(|pieces| pieces.last()).is_some_and(is_same) {
            self.events.close_piece(at, item, out);
            self.events.open_piece(at, item, fresh, out);
        }
        self.events.more(at, item, more, out);
    }

    /// The open item that reasoning or words belong to, opened where it is not.
    fn holder(&mut self, is_reasoning: bool, out: &mut Vec<u8>) -> usize {
        if let Some(at) = self.current {
            let is_fitting = match &self.items[at] {
                Item::Reasoning { encrypted_content, .. } => is_reasoning && encrypted_content.is_none(),
                Item::Message { .. } => !is_reasoning,
                Item::FunctionCall { .. } => false,
            };
            if is_fitting {
                return at;
            }
        }
        self.close_before_next(out);
        let at = self.items.len();
        let item = if is_reasoning {
            Item::reasoning(&self.label, at, None, None)
        } else {
            Item::message(&self.label, at, None)
        };
        self.open(item, out);
        self.current = Some(at);
        at
    }

    fn sign(&mut self, more: &str, out: &mut Vec<u8>) {
        if more.is_empty() {
            return;
        }
        let at = match self.current {
            Some(at) if matches!(self.items[at], Item::Reasoning { .. }) => at,
            _ => self.holder(true, out),
        };
        if let Item::Reasoning { encrypted_content, .. } = &mut self.items[at] {
            encrypted_content.get_or_insert_with(|| SIGNED_HERE.to_owned()).push_str(more);
        }
    }

    fn call(&mut self, index: usize, id: String, name: String, out: &mut Vec<u8>) {
        self.close_before_next(out);
        let at = self.items.len();
        self.calls.push((index, at));
        self.open(Item::call(&self.label, at, index, id, name), out);
    }

    /// What comes after arguments that were whole, when something else began, is passed over: they were told as whole.
    fn argue(&mut self, index: usize, more: &str, out: &mut Vec<u8>) {
        let Some((_, at)) = self.calls.iter().rfind(|(call, _)| *call == index).copied() else { return };
        if !more.is_empty() {
            self.events.argue(at, &mut self.items[at], more, out);
        }
    }

    fn open(&mut self, item: Item, out: &mut Vec<u8>) {
        self.events.open(self.items.len(), &item, out);
        self.items.push(item);
    }

    /// Closes what another item ends: all but calls whose arguments are not whole, which may be made side by side.
    fn close_before_next(&mut self, out: &mut Vec<u8>) {
        let items = &self.items;
        let (open, whole): (Vec<_>, Vec<_>) = self.calls.drain(..).partition(|(_, at)| match &items[*at] {
            Item::FunctionCall { arguments, .. } => arguments.is_empty() || Json::object(arguments).is_none(),
            _ => false,
        });
        self.calls = open;
        for at in self.current.take().into_iter().chain(whole.into_iter().map(|(_, at)| at)) {
            self.events.close(at, &mut self.items[at], Status::Completed, out);
        }
    }

    fn close_all(&mut self, out: &mut Vec<u8>) {
        let status = Status::of(self.finish.as_ref());
        let mut open: Vec<usize> = self.calls.drain(..).map(|(_, at)| at).chain(self.current.take()).collect();
        open.sort_unstable();
        for at in open {
            self.events.close(at, &mut self.items[at], status, out);
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        self.begin(out);
        match event {
            ChatEvent::Start { .. } => {}
            ChatEvent::Text(more) => self.say(&more, Piece::text(String::new()), out),
            ChatEvent::Reasoning(more) => self.say(&more, Piece::SummaryText { text: String::new() }, out),
            ChatEvent::Refusal(more) => self.say(&more, Piece::Refusal { refusal: String::new() }, out),
            ChatEvent::Signature(more) => self.sign(&more, out),
            ChatEvent::ToolCall { index, id, name } => self.call(index, id, name, out),
            ChatEvent::Arguments { index, json } => self.argue(index, &json, out),
            ChatEvent::Usage(spoken) => self.usage.add(spoken),
            ChatEvent::Finish(finish) => {
                self.finish = Some(finish);
                self.close_all(out);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
        self.close_all(out);
        let finish = self.finish.as_ref();
        let kind = match Status::of(finish) {
            Status::Incomplete => "response.incomplete",
            _ => "response.completed",
        };
        let answer = Answer::ended(&self.label, finish, &self.items, self.usage);
        self.events.answer(kind, &answer, out);
    }
}

#[cfg(test)]
mod tests;
