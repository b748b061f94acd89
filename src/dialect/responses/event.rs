//! The events of a stream, one shape for all kinds, numbered as they are written. Which of them comes when is for the
//! encoder to say.

use serde::Serialize;

use super::answer::Answer;
use super::item::{Item, NO_ARGUMENTS, Piece, Status};

/// Numbers the events of a stream.
#[derive(Debug, Default)]
pub(super) struct Events {
    next: u64,
}

impl Events {
    /// Tells the whole answer, as far as it is.
    pub(super) fn answer(&mut self, kind: &'static str, answer: &Answer<'_>, out: &mut Vec<u8>) {
        self.write(out, Event { response: Some(answer), ..Event::of(kind) });
    }

    pub(super) fn open(&mut self, at: usize, item: &Item, out: &mut Vec<u8>) {
        self.write(out, Event { item: Some(item), ..Event::at("response.output_item.added", at) });
    }

    /// Adds to the arguments of a call.
    pub(super) fn argue(&mut self, at: usize, item: &mut Item, more: &str, out: &mut Vec<u8>) {
        item.argue(more);
        let kind = "response.function_call_arguments.delta";
        self.write(out, Event { item_id: Some(item.id()), delta: Some(more), ..Event::at(kind, at) });
    }

    pub(super) fn open_piece(&mut self, at: usize, item: &mut Item, piece: Piece, out: &mut Vec<u8>) {
        let id = item.id().to_owned();
        let Some(pieces) = item.pieces() else { return };
        let kind = match piece {
            Piece::SummaryText { .. } => "response.reasoning_summary_part.added",
            _ => "response.content_part.added",
        };
        self.write(out, Event { part: Some(&piece), ..Event::of_piece(kind, at, &id, pieces.len(), &piece) });
        pieces.push(piece);
    }

    /// Adds to the last piece.
    pub(super) fn more(&mut self, at: usize, item: &mut Item, more: &str, out: &mut Vec<u8>) {
        let (id, pieces) = match item {
            Item::Reasoning { id, summary, .. } => (id, summary),
            Item::Message { id, content, .. } => (id, content),
            Item::FunctionCall { .. } => return,
        };
        let index = pieces.len().saturating_sub(1);
        let Some(piece) = pieces.last_mut() else { return };
        piece.words_mut().push_str(more);
        let (kind, logprobs) = match piece {
            Piece::OutputText { .. } => ("response.output_text.delta", Some([])),
            Piece::Refusal { .. } => ("response.refusal.delta", None),
            Piece::SummaryText { .. } => ("response.reasoning_summary_text.delta", None),
        };
        self.write(out, Event { delta: Some(more), logprobs, ..Event::of_piece(kind, at, id, index, piece) });
    }

    /// Closes the last piece, where there is one.
    pub(super) fn close_piece(&mut self, at: usize, item: &mut Item, out: &mut Vec<u8>) {
        let id = item.id().to_owned();
        let Some(pieces) = item.pieces() else { return };
        let Some(piece) = pieces.last() else { return };
        let index = pieces.len() - 1;
        let said = Some(piece.words());
        let of = |kind| Event::of_piece(kind, at, &id, index, piece);
        let (done, part_done) = match piece {
            Piece::OutputText { .. } => {
                let event = Event { text: said, logprobs: Some([]), ..of("response.output_text.done") };
                (event, "response.content_part.done")
            }
            Piece::Refusal { .. } => {
                (Event { refusal: said, ..of("response.refusal.done") }, "response.content_part.done")
            }
            Piece::SummaryText { .. } => {
                let event = Event { text: said, ..of("response.reasoning_summary_text.done") };
                (event, "response.reasoning_summary_part.done")
            }
        };
        self.write(out, done);
        self.write(out, Event { part: Some(piece), ..of(part_done) });
    }

    pub(super) fn close(&mut self, at: usize, item: &mut Item, status: Status, out: &mut Vec<u8>) {
        self.close_piece(at, item, out);
        if item.lacks_arguments() {
            self.argue(at, item, NO_ARGUMENTS, out);
        }
        if let Item::FunctionCall { id, arguments, .. } = item {
            let kind = "response.function_call_arguments.done";
            self.write(out, Event { item_id: Some(id), arguments: Some(arguments), ..Event::at(kind, at) });
        }
        item.end(status);
        self.write(out, Event { item: Some(item), ..Event::at("response.output_item.done", at) });
    }

    fn write(&mut self, out: &mut Vec<u8>, mut event: Event<'_>) {
        event.sequence_number = self.next;
        self.next += 1;
        for text in ["event: ", event.kind, "\ndata: "] {
            out.extend_from_slice(text.as_bytes());
        }
        serde_json::to_writer(&mut *out, &event).expect("strings and numbers");
        out.extend_from_slice(b"\n\n");
    }
}

/// An event of whatever kind: what is `None` is not part of that kind.
#[derive(Default, Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    sequence_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    response: Option<&'a Answer<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary_index: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    item: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a Piece>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    logprobs: Option<[(); 0]>,
}

impl<'a> Event<'a> {
    fn of(kind: &'static str) -> Self {
        Event { kind, ..Event::default() }
    }

    fn at(kind: &'static str, output_index: usize) -> Self {
        Event { output_index: Some(output_index), ..Event::of(kind) }
    }

    /// Of the piece at `index` of an item.
    fn of_piece(kind: &'static str, output_index: usize, id: &'a str, index: usize, piece: &Piece) -> Self {
        let is_summary = matches!(piece, Piece::SummaryText { .. });
        Event {
            item_id: Some(id),
            content_index: (!is_summary).then_some(index),
            summary_index: is_summary.then_some(index),
            ..Event::at(kind, output_index)
        }
    }
}
