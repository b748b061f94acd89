//! The reply on its way to whoever asked: bytes pass as they arrive, are watched in passing, and what the request held is
//! given back when it ends, breaks off, or nobody wants the rest.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, header};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::lesson::Lesson;
use super::outcome::Answer;
use super::record::{OF_THIS_PEER, Trip};
use super::rulebook::Present;
use super::tally::Tally;
use crate::budget::price::Price;
use crate::budget::{Hold, nanos};
use crate::dialect::{Fault, Observer, ReplyKind};
use crate::exchange::{Body, Cut, Dialect, Reply};
use crate::registry::{Away, InFlight};

/// What a request holds until its reply ends.
pub(super) struct Held {
    /// A slot of the backend, where it is our own.
    pub(super) lease: Option<InFlight>,
    /// That it is at another peer, where it is.
    #[expect(dead_code, reason = "held, not read: dropping it says that the request is back")]
    pub(super) away: Option<Away>,
    /// What is set aside for it, where it costs.
    pub(super) hold: Option<Hold>,
    /// What a token costs there, where it costs.
    pub(super) price: Option<Price>,
    /// What its end will teach, where the backend is our own.
    pub(super) lesson: Option<Lesson>,
    /// Its place in the count of this node.
    #[expect(dead_code, reason = "held, not read: dropping it ends the count")]
    pub(super) present: Present,
}

/// What ends a reply before its end.
pub(super) struct Bounds {
    /// Time between bytes.
    pub(super) patience: Duration,
    /// Cancelled when this node has no more time.
    pub(super) cutting: CancellationToken,
}

/// Who the reply is for.
pub(super) struct To {
    /// What they speak.
    pub(super) dialect: Dialect,
    /// They are a client, and no peer.
    pub(super) is_entry: bool,
    /// Streams of what they asked end with an event that says so.
    pub(super) tells_its_end: bool,
}

/// The reply with these headers. At the entry a stream that breaks off ends with an error event; between peers it breaks
/// off, so that the entry can tell.
pub(super) fn pass_on(answer: Answer, headers: HeaderMap, trip: Trip, held: Held, bounds: Bounds, to: To) -> Reply {
    let (mut parts, inner) = answer.reply.into_parts();
    parts.headers = headers;
    let content_type = parts.headers.get(header::CONTENT_TYPE).map(|value| value.as_bytes());
    let kind = match content_type {
        Some(value) if value.starts_with(b"text/event-stream") => ReplyKind::Stream,
        Some(value) if value.starts_with(b"application/x-ndjson") => ReplyKind::Lines,
        _ => ReplyKind::Whole,
    };
    let is_stream = kind != ReplyKind::Whole;
    let now = Instant::now();
    let body = Passing {
        inner,
        first: answer.first,
        observer: Some(Observer::new(kind, to.dialect)),
        tally: answer.tally,
        dialect: to.dialect,
        is_stream,
        speaks_events: is_stream && to.is_entry,
        tells_its_end: to.tells_its_end,
        is_success: parts.status.is_success(),
        patience: bounds.patience,
        last_byte: now,
        first_byte: now,
        idle: None,
        cut: Box::pin(bounds.cutting.clone().cancelled_owned()),
        cutting: bounds.cutting,
        waker: Waker::noop().clone(),
        held: Some(held),
        trip: Some(trip),
        ended: false,
    };
    Reply::from_parts(parts, body.boxed_unsync())
}

struct Passing {
    inner: Body,
    first: Option<Bytes>,
    observer: Option<Observer>,
    tally: Option<Tally>,
    dialect: Dialect,
    is_stream: bool,
    speaks_events: bool,
    /// A stream that ends without saying so was cut.
    tells_its_end: bool,
    is_success: bool,
    patience: Duration,
    last_byte: Instant,
    first_byte: Instant,
    /// Set when the body is first waited for: one that is all there needs no timer.
    idle: Option<Pin<Box<Sleep>>>,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    cutting: CancellationToken,
    waker: Waker,
    held: Option<Held>,
    trip: Option<Trip>,
    ended: bool,
}

impl http_body::Body for Passing {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(self.pass(Frame::data(first)))));
        }
        match Pin::new(&mut self.inner).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                self.last_byte = Instant::now();
                Poll::Ready(Some(Ok(self.pass(frame))))
            }
            Poll::Ready(None) if self.is_short() => Poll::Ready(self.broke_off(Cut::Backend)),
            Poll::Ready(None) => {
                self.end();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(cut))) => Poll::Ready(self.broke_off(cut)),
            Poll::Pending if self.is_cut(context) => Poll::Ready(self.broke_off(Cut::Shutdown)),
            Poll::Pending if self.is_idle(context) => Poll::Ready(self.broke_off(Cut::Idle)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        // An empty first chunk is never kept, so this cannot hide bytes. The end is settled in `poll_frame` or on drop.
        self.ended || (self.first.is_none() && self.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        if self.speaks_events {
            return SizeHint::default();
        }
        let first = self.first.as_ref().map_or(0, |first| first.len() as u64);
        let rest = self.inner.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + first);
        }
        hint.set_lower(rest.lower() + first);
        hint
    }
}

impl Passing {
    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if let (Some(bytes), Some(observer)) = (frame.data_ref(), &mut self.observer) {
            observer.push(bytes);
        }
        frame
    }

    /// Whether this node has no more time. The wish to be woken is registered once, not with every chunk.
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        if !self.waker.will_wake(context.waker()) {
            self.waker.clone_from(context.waker());
            return self.cut.as_mut().poll(context).is_ready();
        }
        self.cutting.is_cancelled()
    }

    /// Whether nothing has come for too long. The timer is set anew only when it fires, not with every chunk.
    fn is_idle(&mut self, context: &mut Context<'_>) -> bool {
        let end = self.last_byte + self.patience;
        let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(end)));
        while idle.as_mut().poll(context).is_ready() {
            if end <= Instant::now() {
                return true;
            }
            idle.as_mut().reset(end);
        }
        false
    }

    /// Whether a stream ends without a word about its end: a backend that dies may close its connection in order.
    fn is_short(&self) -> bool {
        self.tells_its_end && self.observer.as_ref().is_some_and(|observer| !observer.is_complete())
    }

    fn is_done(&self) -> bool {
        self.observer.as_ref().is_some_and(Observer::is_done)
    }

    /// The reply is over, as whole as its backend made it.
    fn end(&mut self) {
        if !self.observer.as_ref().is_some_and(Observer::has_failed) {
            self.settle(None);
            return;
        }
        if let Some(lease) = self.held.as_mut().and_then(|held| held.lease.as_mut()) {
            lease.failed();
        }
        self.settle(Some(("backend_error", "the backend reported an error in its stream")));
    }

    fn broke_off(&mut self, cut: Cut) -> Option<Result<Frame<Bytes>, Cut>> {
        if self.is_done() {
            self.end();
            return None;
        }
        if let Some(lease) = self.held.as_mut().and_then(|held| held.lease.as_mut()) {
            match cut {
                Cut::Shutdown => {}
                Cut::Idle => lease.silent(),
                Cut::Backend | Cut::Garbled | Cut::Peer => lease.broken(),
            }
        }
        let kind = match cut {
            Cut::Idle => "timeout",
            Cut::Shutdown => OF_THIS_PEER,
            Cut::Backend | Cut::Garbled | Cut::Peer => "backend_error",
        };
        let at_boundary = self.settle(Some((kind, &cut.to_string())));
        if self.speaks_events {
            // What has been sent cannot be taken back; the client is told in the stream that it is not all.
            return Some(Ok(Frame::data(Fault::stream_cut(&cut.to_string()).event(self.dialect, at_boundary))));
        }
        Some(Err(cut))
    }

    /// Gives back what the request held and writes down what happened. Says whether a stream stood between two events.
    fn settle(&mut self, error: Option<(&'static str, &str)>) -> bool {
        self.ended = true;
        let mut observed = self.observer.take().map(Observer::finish).unwrap_or_default();
        observed.usage = self.tally.take().and_then(|tally| tally.get()).or(observed.usage);
        let mut cost = None;
        if let Some(Held { lease: Some(mut lease), lesson, hold, price, .. }) = self.held.take() {
            // What broke off may have cost more than it has told: then all that was set aside counts.
            let told = price.zip(observed.usage).filter(|_| error.is_none());
            cost = told.map(|(price, usage)| super::cost::cost_of(price, usage));
            if let Some((hold, cost)) = hold.zip(cost) {
                hold.settle(nanos(cost));
            }
            let is_whole = error.is_none() && self.is_success;
            if is_whole {
                lease.served();
            }
            // An answer in one piece may well arrive in several: that says nothing of how fast it was made.
            let rest = if self.is_stream { self.last_byte - self.first_byte } else { Duration::ZERO };
            let tokens = observed.usage.map_or(observed.events, |usage| usage.completion_tokens);
            if is_whole && tokens > 1 && !rest.is_zero() {
                let speed = (tokens - 1) as f32 / rest.as_secs_f32();
                lease.entry().decoded(speed);
                lease.flowed(tokens, speed);
            }
            if let Some(lesson) = lesson.filter(|_| is_whole) {
                lesson.learn(lease.entry(), &observed, rest);
            }
        }
        if let Some(trip) = self.trip.take() {
            trip.complete(&observed, error, cost);
        }
        observed.at_boundary
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // hyper does not poll past the end of a body whose length it knows, and many clients leave at `[DONE]`. Whoever
        // leaves earlier, the trip writes down.
        let is_whole = self.first.is_none() && self.inner.is_end_stream() || self.is_done();
        if !self.ended && is_whole {
            self.end();
        }
        if let (Some(observer), Some(trip)) = (self.observer.take(), self.trip.as_mut()) {
            trip.seen(&observer.finish());
        }
    }
}
