//! Our request there: one stream per request, the client's own bytes, and the reply's bytes as they arrive. It tries one
//! peer once; whether to try another is the gateway's decision.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Frame;
use http_body_util::BodyExt;
use quinn::{Connection, ReadError, RecvStream, SendStream};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::counters::{ANSWERED, Counters};
use super::endpoint::Endpoint;
use super::links::close;
use super::wire::{self, Answer, FrameError, Head, ReplyHead};
use crate::exchange::{Body, Cut, Hop, Refusal, Reply, Request};
use crate::fleet::PeerId;

/// A peer that is there answers a head within this: with the reply, a refusal, or a word that it is working on it.
pub const ADMISSION_DEADLINE: Duration = Duration::from_millis(800);

/// Where there is no connection, one must come about within this.
pub(super) const DIAL_DEADLINE: Duration = Duration::from_millis(700);

/// Answers before the reply: more are not read.
pub(super) const MAX_ANSWERS: usize = 16;

/// Pieces of a body that are passed on as one, where they have arrived together.
const PIECES: usize = 32;

/// Why a forwarded request has no reply.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ForwardError {
    /// There is no connection to it, for this reason.
    #[error("cannot reach the peer: {0}")]
    Unreachable(String),
    /// It did not say a word within [`ADMISSION_DEADLINE`], or had no reply within the deadline it was given.
    #[error("the peer did not answer in time")]
    Silent,
    /// It will not serve the request.
    #[error("the peer refused: {}", .0.message)]
    Refused(Refusal),
    /// The connection or the stream broke before the reply began.
    #[error("the connection to the peer was lost")]
    Lost,
}

/// What is needed to forward.
pub(super) struct Forward {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) counters: Arc<Counters>,
}

impl Forward {
    /// Forwards `request` to `to`, and gives its reply as soon as the head of it is there. Dropping the future or the body
    /// of the reply cancels the request there.
    pub(super) async fn forward(
        &self,
        to: &PeerId,
        hop: &Hop,
        request: &Request,
        deadline: Duration,
    ) -> Result<Reply, ForwardError> {
        let started = Instant::now();
        let mut outcome = Outcome { counters: &self.counters, to, result: "cancelled", refusal: None, started };
        let result = self.exchange(to, hop, request, started + deadline).await;
        if let Err(ForwardError::Refused(refusal)) = &result {
            outcome.refusal = Some(refusal.reason.as_str());
        }
        outcome.result = match &result {
            Ok(_) => ANSWERED,
            Err(ForwardError::Unreachable(_)) => "unreachable",
            Err(ForwardError::Silent) => "silent",
            Err(ForwardError::Refused(_)) => "refused",
            Err(ForwardError::Lost) => "lost",
        };
        result
    }

    async fn exchange(
        &self,
        to: &PeerId,
        hop: &Hop,
        request: &Request,
        deadline: Instant,
    ) -> Result<Reply, ForwardError> {
        let head = wire::frame(&Head::new(hop, request)).ok_or_else(too_long)?;
        if request.body.len() as u64 > wire::MAX_BODY {
            return Err(too_long());
        }
        let limit = DIAL_DEADLINE.min(deadline.saturating_duration_since(Instant::now()));
        let connection = self.endpoint.connection(to, limit).await.map_err(ForwardError::Unreachable)?;
        let acked = AtomicU64::new(acknowledgements(&connection));
        let mut sampling = pin!(sample(&connection, &acked));

        let admission = deadline.min(Instant::now() + ADMISSION_DEADLINE);
        let opened = timeout_at(admission, connection.open_bi()).await;
        let Ok(opened) = opened else { return Err(self.silent(to, &connection, &acked)) };
        let (send, mut receive) = opened.map_err(|_| ForwardError::Lost)?;
        let mut sending = pin!(send_all(Sending { stream: send, done: false }, head, request.body.clone()));
        let mut limit = admission;
        for _ in 0..MAX_ANSWERS {
            let next = async {
                tokio::select! {
                    biased;
                    frame = wire::read_frame(&mut receive) => frame,
                    never = &mut sending => match never {},
                    never = &mut sampling => match never {},
                }
            };
            let frame = match timeout_at(limit, next).await {
                Err(_) if limit == admission => return Err(self.silent(to, &connection, &acked)),
                Err(_) => return Err(ForwardError::Silent),
                Ok(Err(error)) => return Err(self.broken(to, &error)),
                Ok(Ok(frame)) => frame,
            };
            match Answer::read(&frame) {
                Err(error) => return Err(self.broken(to, &error)),
                Ok(Answer { refused: Some(refusal), .. }) => return Err(ForwardError::Refused(refusal)),
                Ok(Answer { reply: Some(head), .. }) => return reply(&head, receive).ok_or(ForwardError::Lost),
                Ok(_) => limit = deadline,
            }
        }
        Err(self.broken(to, &FrameError::Malformed))
    }

    /// Gives up on a connection that has nothing to say, so that the next request dials anew at once. Where the other end
    /// has acknowledged anything, it is only slow: what is under way there may still end well. Where it has not, nothing
    /// of ours arrives; the connection is closed, or the request would arrive yet, when nobody waits for it any more.
    fn silent(&self, to: &PeerId, connection: &Connection, acked: &AtomicU64) -> ForwardError {
        self.endpoint.links.retire(to);
        if acknowledgements(connection) == acked.load(Ordering::Relaxed) {
            connection.close(close::SILENT, b"silent");
        }
        self.endpoint.ensure(to, true);
        ForwardError::Silent
    }

    fn broken(&self, to: &PeerId, error: &FrameError) -> ForwardError {
        if *error != FrameError::Cut {
            self.endpoint.junk.complain(to.as_str(), "malformed answer", error);
        }
        ForwardError::Lost
    }
}

/// What was on its way before the request was sent is acknowledged within this.
const SETTLED: Duration = Duration::from_millis(200);

/// Notes how much was acknowledged once all that was sent earlier has had its time.
async fn sample(connection: &Connection, acked: &AtomicU64) -> std::convert::Infallible {
    sleep_until(Instant::now() + SETTLED).await;
    acked.store(acknowledgements(connection), Ordering::Relaxed);
    std::future::pending().await
}

fn acknowledgements(connection: &Connection) -> u64 {
    connection.stats().frame_rx.acks
}

fn too_long() -> ForwardError {
    ForwardError::Refused(Refusal {
        reason: crate::exchange::RefusalReason::Malformed,
        message: "the request is too long to be forwarded".to_owned(),
        load: None,
        left_alone: false,
        fault: None,
    })
}

/// Counts how a forward ended, also where nobody waited for the end.
struct Outcome<'a> {
    counters: &'a Counters,
    to: &'a PeerId,
    result: &'static str,
    refusal: Option<&'static str>,
    started: Instant,
}

impl Drop for Outcome<'_> {
    fn drop(&mut self) {
        self.counters.forwarded(self.to, self.result, self.refusal, self.started.elapsed());
    }
}

/// The sending half of a stream. Dropped before its end it is reset: quinn alone would end it as if it were whole.
pub(super) struct Sending {
    pub(super) stream: SendStream,
    pub(super) done: bool,
}

impl Drop for Sending {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.stream.reset(wire::CANCELLED);
        }
    }
}

/// Sends head and body and then stays, so that it can be polled beside the answer. A failure shows there.
async fn send_all(mut sending: Sending, head: Bytes, body: Bytes) -> std::convert::Infallible {
    if sending.stream.write_all_chunks(&mut [head, body]).await.is_ok() && sending.stream.finish().is_ok() {
        sending.done = true;
    }
    std::future::pending().await
}

fn reply(head: &ReplyHead<'_>, stream: RecvStream) -> Option<Reply> {
    let (status, headers) = head.parts()?;
    let body: Body = Arriving { stream, ended: false }.boxed_unsync();
    let mut reply = Reply::new(body);
    *reply.status_mut() = status;
    *reply.headers_mut() = headers;
    if let Some(load) = head.load {
        reply.extensions_mut().insert(load);
    }
    Some(reply)
}

/// The body of a reply as it arrives. Dropped before its end it tells the owner to stop.
struct Arriving {
    stream: RecvStream,
    ended: bool,
}

impl http_body::Body for Arriving {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let mut pieces = [const { Bytes::new() }; PIECES];
        let read = pin!(self.stream.read_chunks(&mut pieces)).poll(context);
        let frame = match ready!(read) {
            Ok(Some(count)) => return Poll::Ready(Some(Ok(Frame::data(joined(&mut pieces[..count]))))),
            Ok(None) => None,
            Err(ReadError::Reset(code)) => Some(Err(wire::cut_of(code))),
            Err(_) => Some(Err(Cut::Peer)),
        };
        self.ended = true;
        Poll::Ready(frame)
    }
}

/// A single piece as it is, several as one.
fn joined(pieces: &mut [Bytes]) -> Bytes {
    if let [single] = pieces {
        return std::mem::take(single);
    }
    let mut whole = BytesMut::with_capacity(pieces.iter().map(Bytes::len).sum());
    for piece in pieces {
        whole.extend_from_slice(piece);
    }
    whole.freeze()
}

/// `work`, unless it takes longer than `limit`.
pub(super) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    timeout(limit, work).await.ok()
}
