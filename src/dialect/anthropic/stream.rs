//! A backend's stream into canonical events. Its framing is not read here.

use serde::Deserialize;

use super::reply::{Heard, Message, finish};
use super::shapes::Word;
use super::usage::Told;
use super::{garbled, unreadable};
use crate::dialect::chat::{ChatEvent, Finish, Garbled, StreamDecoder};

/// Reads the events of `/v1/messages` with `stream`, each by its own `type`; those that it does not know are passed
/// over.
#[derive(Default)]
pub struct Decoder {
    is_begun: bool,
    is_finished: bool,
    is_complete: bool,
    calls: usize,
    /// The calls whose blocks have not ended.
    open: Vec<Call>,
    usage: Told,
}

struct Call {
    /// The number of its block.
    block: u64,
    index: usize,
    /// What stood in the block as it began: the arguments, where no more come.
    input: String,
    has_more: bool,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", borrow)]
    kind: Word<'a>,
    index: Option<u64>,
    message: Option<Message>,
    content_block: Option<Heard>,
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    usage: Option<Told>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(rename = "type", borrow)]
    kind: Option<Word<'a>>,
    text: Option<String>,
    thinking: Option<String>,
    signature: Option<String>,
    partial_json: Option<String>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
}

impl StreamDecoder for Decoder {
    fn event(&mut self, data: &[u8], each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        let event: Event<'_> = match serde_json::from_slice(data) {
            Ok(event) => event,
            Err(_) if is_new(data) => return Ok(()),
            Err(error) => return Err(unreadable(&error)),
        };
        let block = event.index.unwrap_or(0);
        match &*event.kind.0 {
            "message_start" => self.begin(event.message, each),
            "content_block_start" => {
                self.begin(None, each);
                let heard =
                    event.content_block.ok_or_else(|| garbled("a block that begins without `content_block`"))?;
                return self.begin_block(block, heard, each);
            }
            "content_block_delta" => {
                self.begin(None, each);
                self.go_on(block, event.delta.ok_or_else(|| garbled("no `delta`"))?, each);
            }
            "content_block_stop" => self.end_block(block, each),
            "message_delta" => {
                self.begin(None, each);
                self.end_calls(each);
                self.spend(event.usage, each);
                if let Some(delta) = event.delta
                    && let Some(reason) = delta.stop_reason
                {
                    self.finish(finish(&reason, delta.stop_sequence), each);
                }
            }
            "message_stop" => {
                self.begin(None, each);
                self.end_calls(each);
                self.finish(if self.calls > 0 { Finish::ToolCalls } else { Finish::Stop }, each);
                self.is_complete = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.is_complete
    }
}

/// Whether it is an event that this decoder does not know, and may hold anything.
fn is_new(data: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(rename = "type", borrow)]
        kind: Word<'a>,
    }
    let is_known = |name: &str| name.starts_with("message_") || name.starts_with("content_block_");
    serde_json::from_slice(data).is_ok_and(|named: Named<'_>| !is_known(&named.kind.0))
}

impl Decoder {
    fn begin(&mut self, message: Option<Message>, each: &mut dyn FnMut(ChatEvent)) {
        if std::mem::replace(&mut self.is_begun, true) {
            return;
        }
        let (id, model, usage) =
            message.map_or((None, None, None), |message| (message.id, message.model, message.usage));
        each(ChatEvent::Start { id, model });
        self.spend(usage, each);
    }

    fn begin_block(&mut self, block: u64, mut heard: Heard, each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        if heard.tell(self.calls, each)? {
            self.open.push(Call { block, index: self.calls, input: heard.arguments(), has_more: false });
            self.calls += 1;
        }
        Ok(())
    }

    fn go_on(&mut self, block: u64, delta: Delta<'_>, each: &mut dyn FnMut(ChatEvent)) {
        let some = |piece: Option<String>| piece.filter(|piece| !piece.is_empty());
        match delta.kind.as_ref().map(|kind| &*kind.0) {
            Some("text_delta") => some(delta.text).map(ChatEvent::Text).into_iter().for_each(each),
            Some("thinking_delta") => some(delta.thinking).map(ChatEvent::Reasoning).into_iter().for_each(each),
            Some("signature_delta") => some(delta.signature).map(ChatEvent::Signature).into_iter().for_each(each),
            Some("input_json_delta") => {
                let call = self.open.iter_mut().rfind(|call| call.block == block);
                if let (Some(call), Some(json)) = (call, some(delta.partial_json)) {
                    call.has_more = true;
                    each(ChatEvent::Arguments { index: call.index, json });
                }
            }
            _ => {}
        }
    }

    fn end_block(&mut self, block: u64, each: &mut dyn FnMut(ChatEvent)) {
        if let Some(at) = self.open.iter().rposition(|call| call.block == block) {
            self.open.remove(at).end(each);
        }
    }

    /// Of a stream that does not say where its blocks end.
    fn end_calls(&mut self, each: &mut dyn FnMut(ChatEvent)) {
        self.open.drain(..).for_each(|call| call.end(each));
    }

    fn spend(&mut self, usage: Option<Told>, each: &mut dyn FnMut(ChatEvent)) {
        if let Some(usage) = usage {
            self.usage.add(usage);
            each(ChatEvent::Usage(self.usage.into()));
        }
    }

    fn finish(&mut self, finish: Finish, each: &mut dyn FnMut(ChatEvent)) {
        if !std::mem::replace(&mut self.is_finished, true) {
            each(ChatEvent::Finish(finish));
        }
    }
}

impl Call {
    fn end(self, each: &mut dyn FnMut(ChatEvent)) {
        if !self.has_more {
            each(ChatEvent::Arguments { index: self.index, json: self.input });
        }
    }
}
