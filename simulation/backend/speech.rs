//! An answer of a scripted backend, word by word, whole or as a stream.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream;
use http::{Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use nexus::exchange::Cut;
use serde_json::{Value, json};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::{Mood, Reply, Scripted, json_reply};
use crate::book::{Act, Ending};

/// An answer being given.
pub(super) struct Speech {
    backend: Arc<Scripted>,
    messages: Vec<Value>,
    model: String,
    act: Act,
    _slot: OwnedSemaphorePermit,
    text: String,
    said: u32,
    tokens: u32,
    /// Tokens of the prompt, where usage is told.
    usage: Option<u64>,
    over: bool,
}

impl Speech {
    /// An answer of so many words to `messages`, and the tokens of the prompt where usage is told.
    pub(super) fn new(
        backend: Arc<Scripted>,
        messages: Vec<Value>,
        model: String,
        act: Act,
        slot: OwnedSemaphorePermit,
        (tokens, usage): (u32, Option<u64>),
    ) -> Self {
        Speech { backend, messages, model, act, _slot: slot, text: String::new(), said: 0, tokens, usage, over: false }
    }

    /// The next word; `None` after the last one.
    async fn word(&mut self) -> Result<Option<String>, Cut> {
        if self.said == self.tokens {
            return Ok(None);
        }
        if self.said > 0 {
            sleep(self.backend.paced(self.backend.character.per_token)).await;
        }
        if self.backend.is(Mood::Hang) {
            std::future::pending::<()>().await;
        }
        if matches!(*self.backend.mood.borrow(), Mood::DieAfter(count) if self.said >= count) {
            self.act.end(Ending::Broken);
            return Err(Cut::Backend);
        }
        self.said += 1;
        let word = format!("{}:{} ", self.backend.character.name, self.said - 1);
        self.text.push_str(&word);
        Ok(Some(word))
    }

    /// All is said: the conversation is held from now on.
    fn end(&mut self) -> Value {
        self.act.end(Ending::Whole);
        let message = json!({ "role": "assistant", "content": self.text });
        let mut messages = std::mem::take(&mut self.messages);
        messages.push(message.clone());
        self.backend.memory().keep(messages);
        message
    }

    fn usage(&self) -> Option<Value> {
        let (prompt, answer) = (self.usage?, self.tokens);
        let total = prompt + u64::from(answer);
        Some(json!({ "prompt_tokens": prompt, "completion_tokens": answer, "total_tokens": total }))
    }

    /// Everything at once, when it is all there.
    pub(super) async fn whole(mut self) -> Result<Reply, Cut> {
        while self.word().await?.is_some() {}
        let message = self.end();
        let choices = json!([{ "index": 0, "message": message, "finish_reason": "stop" }]);
        let mut body = json!({ "id": "c", "object": "chat.completion", "model": self.model, "choices": choices });
        if let Some(usage) = self.usage() {
            body["usage"] = usage;
        }
        Ok(json_reply(StatusCode::OK, &body))
    }

    /// Word by word.
    pub(super) fn stream(self) -> Reply {
        let events = stream::unfold(self, |mut speech| async move {
            if speech.over {
                return None;
            }
            let event = match speech.word().await {
                Ok(Some(word)) => Ok(Frame::data(chunk(&speech.model, &word))),
                Ok(None) => {
                    speech.over = true;
                    speech.end();
                    let usage = speech.usage().map(|usage| last_chunk(&speech.model, &usage)).unwrap_or_default();
                    Ok(Frame::data(format!("{usage}data: [DONE]\n\n").into()))
                }
                Err(cut) => {
                    speech.over = true;
                    Err(cut)
                }
            };
            Some((event, speech))
        });
        let mut reply = Response::new(StreamBody::new(events).boxed_unsync());
        reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/event-stream"));
        reply
    }
}

fn chunk(model: &str, word: &str) -> Bytes {
    let choices = json!([{ "index": 0, "delta": { "content": word } }]);
    let body = json!({ "id": "c", "object": "chat.completion.chunk", "model": model, "choices": choices });
    format!("data: {body}\n\n").into()
}

fn last_chunk(model: &str, usage: &Value) -> String {
    let body = json!({ "id": "c", "object": "chat.completion.chunk", "model": model, "choices": [], "usage": usage });
    format!("data: {body}\n\n")
}
