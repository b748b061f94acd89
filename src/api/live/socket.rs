//! One client that follows: it is sent what there is to tell, as long as it takes it, and whatever it sends is thrown away.
//! What waits for it is shared with all others who follow, but for what its connection has begun to send.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Error;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, close_code};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout, timeout_at};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use super::MOST_MESSAGE;
use super::circle::Told;

/// How long a client may take nothing of what it is sent.
const STALL: Duration = Duration::from_secs(10);

/// How long it may take for all that is sent together, however steadily it reads.
const LONGEST: Duration = Duration::from_secs(60);

/// It is pinged so often, and is gone when nothing was heard of it for so long.
const BEAT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(45);

/// Messages that are sent together, or a few more.
const MOST_AT_ONCE: usize = 256;

/// What saying goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// Bytes that a client may send in all.
const MOST_HEARD: usize = MOST_MESSAGE;

/// Pings that it may send between two of ours.
const MOST_PINGS: usize = 512;

/// What somebody is told who begins to follow, or has fallen behind.
pub(super) struct Following {
    /// How everything stands.
    pub(super) now: Arc<[Utf8Bytes]>,
    /// Ends of requests that it has missed.
    pub(super) missed: Vec<Told>,
    /// The last end that was told before what comes now.
    pub(super) until: u64,
    /// What comes now.
    pub(super) live: Receiver<Told>,
}

/// Tells a client everything until it leaves, stalls, talks too much, or this node stops. `follow` gives what it is told from
/// now on; it is asked with the last end that was told where the client has fallen behind.
pub(super) async fn serve<S>(socket: S, follow: impl Fn(Option<u64>) -> Following, closing: CancellationToken)
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    let mut client = Client { socket, heard: 0, pings: 0, heard_at: Instant::now() };
    // Between two messages a client that reads slowly can be told that this node stops, too.
    let bye = tokio::select! {
        biased;
        () = closing.cancelled() => Bye::Say(close_code::AWAY, "this peer is shutting down"),
        bye = client.tell(follow) => bye,
    };
    if let Bye::Say(code, reason) = bye {
        client.goodbye(code, reason).await;
    }
}

struct Client<S> {
    socket: S,
    /// Bytes that it has sent.
    heard: usize,
    pings: usize,
    heard_at: Instant,
}

/// How it ends.
enum Bye {
    /// Nobody is there to be told.
    Gone,
    /// With these words.
    Say(u16, &'static str),
}

impl<S> Client<S>
where
    S: Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    async fn tell(&mut self, follow: impl Fn(Option<u64>) -> Following) -> Bye {
        let Following { now, mut until, mut live, .. } = follow(None);
        if !self.send_all(now.iter().cloned()).await {
            return Bye::Gone;
        }
        drop(now);
        let mut beat = interval_at(Instant::now() + BEAT, BEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = beat.tick() => {
                    self.pings = 0;
                    if self.heard_at.elapsed() > SILENCE || !self.send(Message::Ping(Bytes::new())).await {
                        return Bye::Gone;
                    }
                }
                said = self.socket.next() => {
                    if let Some(bye) = self.hear(said).await {
                        return bye;
                    }
                }
                told = live.recv() => {
                    let (messages, is_behind) = match told {
                        Ok(told) => at_once(told, &mut live),
                        Err(RecvError::Lagged(_)) => (Vec::new(), true),
                        Err(RecvError::Closed) => return Bye::Gone,
                    };
                    until = messages.iter().rev().find_map(|told| told.end).unwrap_or(until);
                    if !self.send_all(texts(messages)).await {
                        return Bye::Gone;
                    }
                    if is_behind {
                        // What was missed of changes is in how everything stands now, and what is still held back is told
                        // after it.
                        let first = next_end(&mut live);
                        let anew = follow(Some(until));
                        let mut ends = anew.missed;
                        match first {
                            Some(first) => {
                                ends.retain(|told| told.end < first.end);
                                until = first.end.unwrap_or(until);
                                ends.push(first);
                            }
                            None => (until, live) = (anew.until, anew.live),
                        }
                        if !self.send_all(anew.now.iter().cloned().chain(texts(ends))).await {
                            return Bye::Gone;
                        }
                    }
                }
            }
        }
    }

    /// Throws away what the client has said, as long as that is little.
    async fn hear(&mut self, said: Option<Result<Message, Error>>) -> Option<Bye> {
        match said {
            Some(Ok(Message::Text(text))) => self.heard += text.as_str().len().max(1),
            Some(Ok(Message::Binary(bytes))) => self.heard += bytes.len().max(1),
            Some(Ok(Message::Ping(_))) => {
                self.pings += 1;
                self.heard_at = Instant::now();
            }
            Some(Ok(Message::Pong(_))) => self.heard_at = Instant::now(),
            Some(Ok(Message::Close(_))) => {
                // The answer is written already, and is to leave.
                let _ = timeout(GOODBYE, self.socket.flush()).await;
                return Some(Bye::Gone);
            }
            Some(Err(error)) => return Some(bye_to(error)),
            None => return Some(Bye::Gone),
        }
        let is_loud = self.heard > MOST_HEARD || self.pings > MOST_PINGS;
        is_loud.then_some(Bye::Say(close_code::POLICY, "nothing is to be sent here"))
    }

    /// What is there already goes in one piece: most of the cost of a message is to hand it to the system.
    async fn send_all(&mut self, messages: impl IntoIterator<Item = Utf8Bytes>) -> bool {
        let socket = &mut self.socket;
        let all = async {
            for text in messages {
                if !has_room(socket).await || socket.start_send_unpin(Message::Text(text)).is_err() {
                    return false;
                }
            }
            matches!(timeout(STALL, socket.flush()).await, Ok(Ok(())))
        };
        timeout_at(Instant::now() + LONGEST, all).await.unwrap_or(false)
    }

    /// Whether the client has taken it.
    async fn send(&mut self, message: Message) -> bool {
        matches!(timeout(STALL, self.socket.send(message)).await, Ok(Ok(())))
    }

    async fn goodbye(&mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame { code, reason: Utf8Bytes::from_static(reason) };
        let _ = timeout(GOODBYE, self.socket.send(Message::Close(Some(frame)))).await;
    }
}

/// Waits until one more message can be sent. Nearly always it can: nothing is timed then.
async fn has_room(socket: &mut (impl Sink<Message, Error = Error> + Unpin)) -> bool {
    let ready = poll_fn(|context| Poll::Ready(socket.poll_ready_unpin(context))).await;
    let ready = match ready {
        Poll::Ready(ready) => ready.ok(),
        Poll::Pending => {
            timeout(STALL, poll_fn(|context| socket.poll_ready_unpin(context))).await.ok().and_then(Result::ok)
        }
    };
    ready.is_some()
}

/// What a client is told that did not keep to the protocol.
fn bye_to(error: Error) -> Bye {
    use tungstenite::Error as Wrong;
    match error.into_inner().downcast_ref::<Wrong>() {
        Some(Wrong::Capacity(_)) => Bye::Say(close_code::SIZE, "nothing so long is to be sent here"),
        Some(Wrong::Utf8(_)) => Bye::Say(close_code::INVALID, "what is called text is none"),
        Some(Wrong::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => Bye::Gone,
        Some(Wrong::Protocol(_)) => Bye::Say(close_code::PROTOCOL, "this is not the protocol of WebSockets"),
        _ => Bye::Gone,
    }
}

/// These messages and those that are there already, and whether some were missed.
fn at_once(first: Told, live: &mut Receiver<Told>) -> (Vec<Told>, bool) {
    let mut many = first.texts.len();
    let mut messages = vec![first];
    while many < MOST_AT_ONCE {
        match live.try_recv() {
            Ok(told) => {
                many += told.texts.len();
                messages.push(told);
            }
            Err(error) => return (messages, matches!(error, TryRecvError::Lagged(_))),
        }
    }
    (messages, false)
}

/// The messages. What was handed over together is let go of as soon as it was sent.
fn texts(told: Vec<Told>) -> impl Iterator<Item = Utf8Bytes> {
    told.into_iter().flat_map(|told| (0..told.texts.len()).map(move |at| told.texts[at].clone()))
}

/// The next end of a request that is held back; what comes before it is told by how everything stands.
fn next_end(live: &mut Receiver<Told>) -> Option<Told> {
    loop {
        match live.try_recv() {
            Ok(told) if told.end.is_some() => return Some(told),
            Ok(_) | Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
