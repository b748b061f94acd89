//! The body of a stream that is changed on its way: translated into the client's dialect, or told without what the client did
//! not ask for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::scrub::Scrub;
use super::tally::Tally;
use crate::dialect::{Flow, Took, Usage, UsageSieve};
use crate::exchange::{Body, Cut};

/// `inner` through `flow`, and what it says was used. It was asked for when it `began`.
pub(super) fn translated(inner: Body, flow: Flow, began: Instant) -> (Body, Tally) {
    changed(inner, Timed { flow, began, first: None })
}

/// `inner` without its event of usage, and what that said.
pub(super) fn without_usage(inner: Body) -> (Body, Tally) {
    changed(inner, UsageSieve::default())
}

/// `inner` without a key of ours.
pub(super) fn scrubbed(inner: Body, scrub: Scrub) -> Body {
    changed(inner, scrub).0
}

fn changed(inner: Body, change: impl Change) -> (Body, Tally) {
    let tally = Tally::default();
    let body = Changing { inner, change, tally: tally.clone(), ended: false, cut: None };
    (body.boxed_unsync(), tally)
}

/// What is done to a stream.
trait Change: Send + Unpin + 'static {
    /// Takes the next bytes. `false`: nothing more is to come after what was written.
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Cut>;

    /// Nothing more comes.
    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Cut>;

    fn usage(&self) -> Option<Usage>;
}

/// A translation, and how long it takes.
struct Timed {
    flow: Flow,
    began: Instant,
    first: Option<Duration>,
}

impl Change for Timed {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Cut> {
        self.first.get_or_insert_with(|| self.began.elapsed());
        self.flow.push(bytes, out).map_err(|_| Cut::Garbled)?;
        Ok(!self.flow.has_failed())
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Cut> {
        let total = self.began.elapsed();
        self.flow.took(Took { first: self.first.unwrap_or(total), total });
        if self.flow.end(out) { Ok(()) } else { Err(Cut::Backend) }
    }

    fn usage(&self) -> Option<Usage> {
        self.flow.usage()
    }
}

impl Change for UsageSieve {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Cut> {
        UsageSieve::push(self, bytes, out);
        Ok(true)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Cut> {
        UsageSieve::end(self, out);
        Ok(())
    }

    fn usage(&self) -> Option<Usage> {
        UsageSieve::usage(self)
    }
}

impl Change for Scrub {
    fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<bool, Cut> {
        Scrub::push(self, bytes, out);
        Ok(true)
    }

    fn end(&mut self, out: &mut Vec<u8>) -> Result<(), Cut> {
        Scrub::end(self, out);
        Ok(())
    }

    fn usage(&self) -> Option<Usage> {
        None
    }
}

struct Changing<C> {
    inner: Body,
    change: C,
    tally: Tally,
    ended: bool,
    /// Why it ends, once what is there has been told.
    cut: Option<Cut>,
}

impl<C: Change> http_body::Body for Changing<C> {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(cut) = self.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        while !self.ended {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            let mut out = Vec::new();
            let goes_on = match frame {
                Some(Ok(frame)) => match frame.data_ref() {
                    Some(bytes) => self.change.push(bytes, &mut out),
                    None => Ok(true),
                },
                Some(Err(cut)) => Err(cut),
                None => self.change.end(&mut out).map(|()| false),
            };
            self.ended = !matches!(goes_on, Ok(true));
            self.tally.set(self.change.usage());
            if let Err(cut) = goes_on {
                // What had come whole before it is told first.
                if out.is_empty() {
                    return Poll::Ready(Some(Err(cut)));
                }
                self.cut = Some(cut);
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended && self.cut.is_none()
    }
}
