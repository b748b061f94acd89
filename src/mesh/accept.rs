//! Their request here: a stream becomes a request, `Serve` answers it, the reply's bytes go back as they come. What may
//! be served is the gateway's to say; here only what makes a request impossible is refused.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use quinn::{RecvStream, SendStream};
use tokio::time::{Instant, sleep_until};

use super::forward::{Sending, within};
use super::junk::Junk;
use super::wire::{self, Admitted, Answer, FrameError, Head, OrderHead, ReplyHead};
use crate::exchange::{Body, Obey, Order, Origin, Outcome, Refusal, RefusalReason, Reply, Request, Serve};
use crate::fleet::{Load, PeerId};

/// Without a reply within this, the entry is told that its request is being worked on.
const ADMIT_AFTER: Duration = Duration::from_millis(50);

/// The head must be there within this, and every further piece of the body.
const HEAD_DEADLINE: Duration = Duration::from_secs(5);
const PIECE_DEADLINE: Duration = Duration::from_secs(15);

/// The entry must take something of what it is sent within this: one that does not would hold the request, and the slot
/// of its backend, for ever.
const TAKEN_DEADLINE: Duration = Duration::from_secs(60);

/// How long the end of a reply may take to be acknowledged.
const LINGER: Duration = Duration::from_secs(5);

/// Bytes of request bodies held at once, of all peers together.
const MAX_BUFFERED: u64 = 512 << 20;

/// Forwarded requests worked on at once.
const MAX_IN_PROGRESS: usize = 8_192;

/// Serves what other peers forward.
pub(super) struct Accept {
    me: PeerId,
    junk: Arc<Junk>,
    serve: OnceLock<Arc<dyn Serve>>,
    obey: OnceLock<Arc<dyn Obey>>,
    draining: AtomicBool,
    loads: ArcSwap<BTreeMap<String, Load>>,
    in_progress: AtomicUsize,
    buffered: AtomicU64,
}

impl Accept {
    pub(super) fn new(me: PeerId, junk: Arc<Junk>) -> Self {
        Accept {
            me,
            junk,
            serve: OnceLock::new(),
            obey: OnceLock::new(),
            draining: AtomicBool::new(false),
            loads: ArcSwap::default(),
            in_progress: AtomicUsize::new(0),
            buffered: AtomicU64::new(0),
        }
    }

    /// Who answers. Before anybody does, this peer counts as draining.
    pub(super) fn serve_with(&self, serve: Arc<dyn Serve>) {
        let _ = self.serve.set(serve);
    }

    /// Who follows orders. Before anybody does, they are refused.
    pub(super) fn obey_with(&self, obey: Arc<dyn Obey>) {
        let _ = self.obey.set(obey);
    }

    /// Whether new requests are refused.
    pub(super) fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// The loads of our own backends, as they were a moment ago.
    pub(super) fn set_loads(&self, loads: BTreeMap<String, Load>) {
        self.loads.store(Arc::new(loads));
    }

    /// Forwarded requests being worked on.
    pub(super) fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// One request from `from`, from its first byte to its last.
    pub(super) async fn one(self: Arc<Self>, from: PeerId, send: SendStream, mut receive: RecvStream) {
        let mut sending = Sending { stream: send, done: false };
        let served = match self.open(&from, &mut receive).await {
            Ok(Opening::Gone) => return,
            Ok(Opening::Order(order)) => return self.follow(from, order, sending).await,
            Ok(Opening::Request(opened)) => self.answer(*opened, &mut sending, receive).await,
            Err(refusal) => Some(Err(refusal)),
        };
        match served {
            None => {}
            Some(Err(refusal)) => {
                let frame = wire::frame(&Answer { refused: Some(refusal), ..Answer::default() });
                end(sending, frame).await;
            }
            Some(Ok(served)) => pass_on(served, sending).await,
        }
    }

    /// Has an order followed. It is answered soon; whoever gives up on it takes nothing back.
    async fn follow(&self, from: PeerId, order: Order, sending: Sending) {
        let answer = match (self.obey.get(), self.turn()) {
            (None, _) => Answer { refused: Some(refusal(RefusalReason::Draining, NO_ORDERS)), ..Answer::default() },
            (_, Err(refusal)) => Answer { refused: Some(refusal), ..Answer::default() },
            (Some(obey), Ok(_turn)) => match obey.obey(from, order).await {
                Ok(outcome) => Answer { ordered: Some(outcome), ..Answer::default() },
                Err(objection) => Answer { objected: Some(objection), ..Answer::default() },
            },
        };
        end(sending, shortened(answer)).await;
    }

    /// Reads the head and decides whether the request may be tried at all.
    async fn open(&self, from: &PeerId, receive: &mut RecvStream) -> Result<Opening<'_>, Refusal> {
        let malformed = |error: &dyn std::fmt::Display| {
            self.junk.complain(from.as_str(), "malformed request", error);
            refusal(RefusalReason::Malformed, error.to_string())
        };
        let frame = match within(HEAD_DEADLINE, wire::read_frame(receive)).await {
            None | Some(Err(FrameError::Cut)) => return Ok(Opening::Gone),
            Some(Err(error)) => return Err(malformed(&error)),
            Some(Ok(frame)) => frame,
        };
        let head = match Head::read(&frame) {
            Ok(head) => head,
            Err(error) => {
                let order = OrderHead::read(&frame).map(|head| Opening::Order(head.order));
                return order.ok_or_else(|| malformed(&error));
            }
        };
        let length = head.body;
        let request = head.into_request(from.clone()).map_err(|error| malformed(&error))?;
        let Origin::Peer(hop) = &request.origin else { return Ok(Opening::Gone) };
        if hop.visited.contains(&self.me) {
            return Err(refusal(RefusalReason::Loop, "the request has passed this peer already"));
        }
        let serve = self.serve.get().filter(|_| !self.is_draining());
        let serve = serve.ok_or_else(|| refusal(RefusalReason::Draining, "this peer takes no new requests"))?;
        let turn = self.turn()?;
        let room = self.room(length)?;
        let load = self.loads.load().get(&hop.backend).copied();
        Ok(Opening::Request(Box::new(Opened { request, length, load, serve: serve.clone(), turn, room })))
    }

    fn turn(&self) -> Result<Turn<'_>, Refusal> {
        let before = self.in_progress.fetch_add(1, Ordering::Relaxed);
        let turn = Turn(self);
        if before >= MAX_IN_PROGRESS {
            return Err(refusal(RefusalReason::Busy, "this peer works on too many requests"));
        }
        Ok(turn)
    }

    fn room(&self, bytes: u64) -> Result<Room<'_>, Refusal> {
        let before = self.buffered.fetch_add(bytes, Ordering::Relaxed);
        let room = Room { accept: self, bytes };
        if before + bytes > MAX_BUFFERED {
            return Err(refusal(RefusalReason::Busy, "this peer holds too many request bodies"));
        }
        Ok(room)
    }

    /// Reads the body and has the request served, telling the entry after a while that it is at work. `None`: the entry
    /// wants nothing any more.
    async fn answer<'a>(
        &'a self,
        opened: Opened<'a>,
        sending: &mut Sending,
        mut receive: RecvStream,
    ) -> Option<Result<Served<'a>, Refusal>> {
        let Opened { mut request, length, load, serve, turn, room } = opened;
        let mut cancelled = pin!(sending.stream.stopped());
        let work = async {
            request.body = read_body(&mut receive, length).await?;
            drop(room);
            serve.serve(request).await
        };
        let mut work = pin!(work);
        let mut late = pin!(sleep_until(Instant::now() + ADMIT_AFTER));
        let mut told = false;
        loop {
            tokio::select! {
                biased;
                _ = &mut cancelled => return None,
                served = &mut work => return Some(served.map(|reply| Served { reply, load, _turn: turn })),
                () = &mut late, if !told => {
                    told = true;
                    let admitted = wire::frame(&Answer { admitted: Some(Admitted { load }), ..Answer::default() })?;
                    taken(&mut sending.stream, admitted).await.then_some(())?;
                }
            }
        }
    }
}

const NO_ORDERS: &str = "this peer takes no orders yet";

/// What a stream begins with.
enum Opening<'a> {
    /// Nothing: the entry is gone.
    Gone,
    /// A request that may be tried.
    Request(Box<Opened<'a>>),
    /// An order.
    Order(Order),
}

/// An answer as a frame. Of a list that is too long for one, the oldest are left out.
fn shortened(mut answer: Answer<'_>) -> Option<Bytes> {
    loop {
        if let Some(frame) = wire::frame(&answer) {
            return Some(frame);
        }
        match &mut answer.ordered {
            Some(Outcome::Operations(list)) if !list.is_empty() => drop(list.drain(..list.len().div_ceil(4))),
            _ => return None,
        }
    }
}

/// A request that may be tried.
struct Opened<'a> {
    request: Request,
    length: u64,
    load: Option<Load>,
    serve: Arc<dyn Serve>,
    turn: Turn<'a>,
    room: Room<'a>,
}

/// A request whose reply has begun.
struct Served<'a> {
    reply: Reply,
    load: Option<Load>,
    _turn: Turn<'a>,
}

/// Counts a request that is being worked on.
struct Turn<'a>(&'a Accept);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.in_progress.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Room<'a> {
    accept: &'a Accept,
    bytes: u64,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.accept.buffered.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

fn refusal(reason: RefusalReason, message: impl Into<String>) -> Refusal {
    Refusal { reason, message: message.into(), load: None, left_alone: false, fault: None }
}

/// Exactly `length` bytes.
async fn read_body(receive: &mut RecvStream, length: u64) -> Result<Bytes, Refusal> {
    let wrong = || refusal(RefusalReason::Malformed, "the body is not as long as its head says");
    let length = usize::try_from(length).map_err(|_| wrong())?;
    let mut whole = BytesMut::new();
    loop {
        let piece = within(PIECE_DEADLINE, receive.read_chunk(usize::MAX, true)).await;
        match piece.ok_or_else(wrong)?.map_err(|_| wrong())? {
            None if whole.len() == length => return Ok(whole.freeze()),
            None => return Err(wrong()),
            Some(piece) if whole.len() + piece.bytes.len() > length => return Err(wrong()),
            Some(piece) if whole.is_empty() && piece.bytes.len() == length => {
                return at_end(receive).await.then_some(piece.bytes).ok_or_else(wrong);
            }
            Some(piece) => {
                if whole.is_empty() {
                    whole.reserve(length);
                }
                whole.extend_from_slice(&piece.bytes);
            }
        }
    }
}

async fn at_end(receive: &mut RecvStream) -> bool {
    matches!(within(PIECE_DEADLINE, receive.read_chunk(1, true)).await, Some(Ok(None)))
}

/// Sends the reply as it comes, until it ends, breaks, or nobody wants it.
async fn pass_on(served: Served<'_>, mut sending: Sending) {
    let Served { reply, load, _turn } = served;
    let (parts, body) = reply.into_parts();
    // Fresher than what was known when the request came.
    let load = parts.extensions.get().copied().or(load);
    let head = Answer { reply: Some(ReplyHead::new(&parts, load)), ..Answer::default() };
    let Some(head) = wire::frame(&head) else { return };
    if taken(&mut sending.stream, head).await && pump(body, &mut sending).await {
        end(sending, None).await;
    }
}

/// Whether the body came to its end.
async fn pump(body: Body, sending: &mut Sending) -> bool {
    let mut cancelled = pin!(sending.stream.stopped());
    let mut body = pin!(body);
    loop {
        // What is there is sent first: where it is not wanted any more, sending says so, too.
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            _ = &mut cancelled => return false,
        };
        match frame {
            None => return true,
            Some(Ok(frame)) => {
                let Ok(piece) = frame.into_data() else { continue };
                if !taken(&mut sending.stream, piece).await {
                    return false;
                }
            }
            Some(Err(cut)) => {
                let _ = sending.stream.reset(wire::code_of(cut));
                sending.done = true;
                return false;
            }
        }
    }
}

/// Whether all of `piece` is on its way.
async fn taken(stream: &mut SendStream, piece: Bytes) -> bool {
    let mut rest = [piece];
    while !rest[0].is_empty() {
        if !matches!(within(TAKEN_DEADLINE, stream.write_chunks(&mut rest)).await, Some(Ok(_))) {
            return false;
        }
    }
    true
}

/// Ends a stream with a last frame, and stays until it has arrived: a node that stops right after must not cut it off.
async fn end(mut sending: Sending, frame: Option<Bytes>) {
    if let Some(frame) = frame
        && !taken(&mut sending.stream, frame).await
    {
        return;
    }
    if sending.stream.finish().is_ok() {
        sending.done = true;
        let _ = within(LINGER, sending.stream.stopped()).await;
    }
}
