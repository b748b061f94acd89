//! A backend's stream as events. Streams of compatible servers end in many ways; what counts as their proper end is said
//! here.

use super::calls::Calls;
use super::loose::Scalar;
use super::said::{self, Answer, Choice};
use crate::dialect::chat::{ChatEvent, Finish, Garbled, StreamDecoder};

/// Reads a backend's stream.
#[derive(Debug, Default)]
pub struct Decoder {
    started: bool,
    /// Something was said.
    spoke: bool,
    finished: bool,
    done: bool,
    calls: Calls,
}

impl StreamDecoder for Decoder {
    fn event(&mut self, data: &[u8], each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        match data.trim_ascii() {
            b"" => Ok(()),
            b"[DONE]" => {
                self.end(each);
                Ok(())
            }
            data => self.chunk(said::read(data)?, each),
        }
    }

    /// Some servers end with the reason why, and never say `[DONE]`.
    fn is_complete(&self) -> bool {
        self.done || self.finished
    }
}

impl Decoder {
    fn chunk(&mut self, mut chunk: Answer<'_>, each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        let (choice, spoken) = (chunk.choice(), chunk.spoken());
        if choice.is_none() && spoken.is_empty() {
            // As Azure begins, with what it thinks of the prompt.
            return Ok(());
        }
        if !std::mem::replace(&mut self.started, true) {
            let owned = |text: Scalar<'_>| text.text().map(|text| text.into_owned());
            each(ChatEvent::Start { id: owned(chunk.id), model: owned(chunk.model) });
        }
        let finish = choice.map_or(Ok(None), |choice| self.choice(choice, each))?;
        if !spoken.is_empty() {
            each(ChatEvent::Usage(spoken));
        }
        if let Some(finish) = finish {
            self.finish(finish, each);
        }
        Ok(())
    }

    fn choice(&mut self, choice: Choice<'_>, each: &mut dyn FnMut(ChatEvent)) -> Result<Option<Finish>, Garbled> {
        let words = choice.delta.or(choice.message).unwrap_or_default().words();
        let mut speaks = !words.calls.is_empty();
        for (text, event) in [
            (words.reasoning, ChatEvent::Reasoning as fn(String) -> ChatEvent),
            (words.text, ChatEvent::Text),
            (words.refusal, ChatEvent::Refusal),
        ] {
            if !text.is_empty() {
                speaks = true;
                each(event(text.into_owned()));
            }
        }
        for call in words.calls {
            self.calls.take(call, each)?;
        }
        self.spoke |= speaks;
        // Some servers say an empty reason with every chunk: it is one where nothing else is said, and something was.
        let is_none_yet =
            matches!(&choice.finish_reason, Scalar::Text(word) if word.is_empty()) && (speaks || !self.spoke);
        Ok(if is_none_yet { None } else { said::finish(&choice.finish_reason, self.calls.any()) })
    }

    fn finish(&mut self, finish: Finish, each: &mut dyn FnMut(ChatEvent)) {
        if !std::mem::replace(&mut self.finished, true) {
            each(ChatEvent::Finish(finish));
        }
    }

    /// `[DONE]` says nothing itself, except to those who were never told why it ends.
    fn end(&mut self, each: &mut dyn FnMut(ChatEvent)) {
        self.done = true;
        if self.started && !self.finished {
            let finish = if self.calls.any() { Finish::ToolCalls } else { Finish::Stop };
            self.finish(finish, each);
        }
    }
}
