//! A reply in pieces: each chunk when it is due, each in a write of its own, and the slot free before the last one goes.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use tokio::time::Instant;

use super::pace::Pace;
use super::reply::{Form, Script};
use super::slots::Turn;

/// One stream under way.
pub(super) struct Flow {
    script: Script,
    head: String,
    pace: Pace,
    turn: Turn,
    begin: Option<Instant>,
    started: bool,
    next: Step,
}

#[derive(Clone, Copy)]
enum Step {
    Role,
    Word(u32),
    Finish,
    Usage,
    Done,
    End,
}

impl Flow {
    pub(super) fn new(script: Script, pace: Pace, turn: Turn) -> Self {
        let next = if script.form == Form::Chat { Step::Role } else { word_or_finish(&script, 0) };
        Flow { head: script.frame_head(), script, pace, turn, begin: None, started: false, next }
    }

    /// Waits for a slot and for the prompt to be read. Says when that began.
    pub(super) async fn ready(&mut self) -> Instant {
        if let Some(begin) = self.begin {
            return begin;
        }
        self.turn.begin().await;
        let begin = Instant::now();
        Pace::wait(begin, self.pace.prefill(self.script.job.prompt.tokens)).await;
        *self.begin.insert(begin)
    }

    /// The response that carries the stream.
    pub(super) fn response(self) -> Response {
        let chunks = stream::unfold(self, |flow| flow.step());
        let mut response = Response::new(Body::from_stream(chunks));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }

    async fn step(mut self) -> Option<(Result<Bytes, Infallible>, Self)> {
        if std::mem::replace(&mut self.started, true) {
            // Chunks that are ready together would leave in one write.
            tokio::task::yield_now().await;
        }
        let begin = self.ready().await;
        let script = &self.script;
        let (chunk, next) = match self.next {
            Step::Role => (script.role_frame(&self.head), word_or_finish(script, 0)),
            Step::Word(index) => {
                let due = self.pace.decoded(script.job.prompt.tokens, u64::from(index) + 1);
                Pace::wait(begin, due).await;
                (script.word_frame(&self.head, index), word_or_finish(script, index + 1))
            }
            Step::Finish => (script.finish_frame(&self.head), if script.job.usage { Step::Usage } else { Step::Done }),
            Step::Usage => (script.usage_frame(), Step::Done),
            Step::Done => {
                self.turn.finish();
                (Bytes::from_static(b"data: [DONE]\n\n"), Step::End)
            }
            Step::End => return None,
        };
        self.next = next;
        Some((Ok(chunk), self))
    }
}

fn word_or_finish(script: &Script, index: u32) -> Step {
    if index < script.job.tokens { Step::Word(index) } else { Step::Finish }
}
