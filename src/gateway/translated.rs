//! The body of a translated stream: what the backend sends is told in the client's dialect as it arrives.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt;

use super::tally::Tally;
use crate::dialect::Flow;
use crate::exchange::{Body, Cut};

/// `inner` through `flow`, and what it says was used.
pub(super) fn translated(inner: Body, flow: Flow) -> (Body, Tally) {
    let tally = Tally::default();
    let body = Translating { inner, flow, tally: tally.clone(), ended: false };
    (body.boxed_unsync(), tally)
}

struct Translating {
    inner: Body,
    flow: Flow,
    tally: Tally,
    ended: bool,
}

impl http_body::Body for Translating {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        while !self.ended {
            let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
            let mut out = Vec::new();
            match frame {
                Some(Ok(frame)) => {
                    let Some(bytes) = frame.data_ref() else { continue };
                    if self.flow.push(bytes, &mut out).is_err() {
                        self.ended = true;
                        return Poll::Ready(Some(Err(Cut::Garbled)));
                    }
                    self.ended = self.flow.has_failed();
                }
                Some(Err(cut)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(cut)));
                }
                None => {
                    self.ended = true;
                    if !self.flow.end(&mut out) {
                        return Poll::Ready(Some(Err(Cut::Backend)));
                    }
                }
            }
            self.tally.set(self.flow.usage());
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(Frame::data(out.into()))));
            }
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}
