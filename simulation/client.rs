//! A client of the mesh: plain HTTP to a peer's real port, on a connection of its own, with as much patience as a
//! client may be asked for. What it got is data; what it should have got is for the claims to say.

mod transport;

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;
use nexus::env::Env;
use serde_json::{Value, json};
use tokio::time::timeout;

pub(crate) use self::transport::call;
use self::transport::{request, send};
use crate::trace;

/// Time to the first byte and between bytes, as every peer is configured.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// What the way to the peer and back may add.
const MARGIN: Duration = Duration::from_secs(1);

/// The admin token of every peer.
pub(crate) const ADMIN_TOKEN: &str = "sim-admin";

/// A chat request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The model to name.
    pub(crate) model: String,
    /// Whether the answer is to stream.
    pub(crate) stream: bool,
    /// How many words to ask for.
    pub(crate) tokens: u32,
    /// Go away after so long.
    pub(crate) leave_after: Option<Duration>,
    /// What is said, last by the client.
    pub(crate) messages: Vec<Value>,
    /// The key to show.
    pub(crate) key: String,
    /// Whether to go before others.
    pub(crate) urgent: bool,
}

impl Ask {
    /// A streamed answer of so many words.
    pub(crate) fn stream(model: &str, tokens: u32) -> Self {
        Ask {
            model: model.to_owned(),
            stream: true,
            tokens,
            leave_after: None,
            messages: vec![json!({ "role": "user", "content": "say something" })],
            key: ADMIN_TOKEN.to_owned(),
            urgent: false,
        }
    }

    /// A whole answer of so many words.
    pub(crate) fn whole(model: &str, tokens: u32) -> Self {
        Ask { stream: false, ..Self::stream(model, tokens) }
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The id it went under.
    pub(crate) request: String,
    /// The peer that was asked.
    pub(crate) entry: usize,
    /// The model that was asked for.
    pub(crate) model: String,
    /// The key that was shown.
    pub(crate) key: String,
    /// Words that were asked for.
    pub(crate) tokens: u32,
    /// HTTP status; 0 where there was none.
    pub(crate) status: u16,
    /// `x-nexus-peer`.
    pub(crate) peer: Option<String>,
    /// `x-nexus-hops`.
    pub(crate) hops: Option<u8>,
    /// `x-nexus-queue-eta`: how long it was told to wait for a slot, where it had to.
    pub(crate) eta: Option<Duration>,
    /// `x-nexus-privacy-zone`.
    pub(crate) zone: Option<String>,
    /// All the words that came.
    pub(crate) text: String,
    /// When it was sent.
    pub(crate) sent: Duration,
    /// When the first byte of a body came.
    pub(crate) first_byte: Option<Duration>,
    /// When it ended.
    pub(crate) ended: Duration,
    /// How it ended.
    pub(crate) end: End,
    /// Whether the peer that was asked died or was down meanwhile.
    pub(crate) entry_died: bool,
}

impl Answer {
    /// How long it took altogether.
    pub(crate) fn took(&self) -> Duration {
        self.ended.saturating_sub(self.sent)
    }

    /// Whether it is all there.
    pub(crate) fn is_whole(&self) -> bool {
        self.end == End::Whole
    }
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should.
    Whole,
    /// With an error event in the stream.
    ErrorEvent,
    /// With an HTTP error.
    Refused(String),
    /// The connection was not taken, or broke.
    Cut(String),
    /// Nothing came for so long.
    Late(Duration),
    /// The client left.
    Left,
}

/// Sends `ask` to the peer at `host` and takes what comes.
pub(crate) async fn chat(env: &Env, host: &str, request: String, ask: &Ask) -> Answer {
    let mut answer = Answer {
        request,
        entry: usize::MAX,
        model: ask.model.clone(),
        key: ask.key.clone(),
        tokens: ask.tokens,
        status: 0,
        peer: None,
        hops: None,
        eta: None,
        zone: None,
        text: String::new(),
        sent: trace::now(),
        first_byte: None,
        ended: Duration::ZERO,
        end: End::Left,
        entry_died: false,
    };
    trace::event(format_args!("{} asks {host} for {}", answer.request, ask.model));
    let mut body = Vec::new();
    let talk = talk(env, host, ask, &mut answer, &mut body);
    let end = match ask.leave_after {
        Some(after) => timeout(after, talk).await.unwrap_or(End::Left),
        None => talk.await,
    };
    answer.end = understand(end, ask.stream, &body, &mut answer);
    answer.ended = trace::now();
    trace::event(format_args!("{} got {} {:?} {}", answer.request, answer.status, answer.end, answer.text.len()));
    answer
}

async fn talk(env: &Env, host: &str, ask: &Ask, answer: &mut Answer, body: &mut Vec<u8>) -> End {
    let asked = json!({ "model": ask.model, "messages": ask.messages, "stream": ask.stream, "max_tokens": ask.tokens });
    let mut request = request(host, Method::POST, "/v1/chat/completions", &answer.request, &ask.key);
    if ask.urgent {
        request = request.header("x-nexus-priority", "high");
    }
    let reply = match send(env, host, request, asked.to_string()).await {
        Ok(reply) => reply,
        Err(end) => return end,
    };
    let header = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    answer.status = reply.status().as_u16();
    answer.peer = header("x-nexus-peer");
    answer.hops = header("x-nexus-hops").and_then(|hops| hops.parse().ok());
    answer.eta = header("x-nexus-queue-eta").and_then(|eta| Some(Duration::from_secs(eta.parse().ok()?)));
    answer.zone = header("x-nexus-privacy-zone");
    let mut incoming = reply.into_body();
    loop {
        match timeout(PATIENCE + MARGIN, incoming.frame()).await {
            Err(_) => return End::Late(PATIENCE + MARGIN),
            Ok(None) => return End::Whole,
            Ok(Some(Err(error))) => return End::Cut(error.to_string()),
            Ok(Some(Ok(frame))) => {
                answer.first_byte.get_or_insert_with(trace::now);
                body.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
            }
        }
    }
}

/// Reads the words out of a body, and what its end means.
fn understand(end: End, stream: bool, body: &[u8], answer: &mut Answer) -> End {
    let text = String::from_utf8_lossy(body);
    if answer.status != 200 {
        let message = serde_json::from_str::<Value>(&text).ok().and_then(|body| {
            let message = body["error"]["message"].as_str()?;
            Some(message.to_owned())
        });
        return match (end, message) {
            (End::Whole, Some(message)) => End::Refused(message),
            (End::Whole, None) => End::Cut(format!("{} without an error body", answer.status)),
            (other, _) => other,
        };
    }
    if !stream {
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        answer.text = body["choices"][0]["message"]["content"].as_str().unwrap_or_default().to_owned();
        return end;
    }
    let (mut done, mut failed) = (false, false);
    for data in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
        done |= data == "[DONE]";
        let event: Value = serde_json::from_str(data).unwrap_or_default();
        failed |= event.get("error").is_some();
        answer.text.push_str(event["choices"][0]["delta"]["content"].as_str().unwrap_or_default());
    }
    match end {
        End::Whole if failed => End::ErrorEvent,
        End::Whole if !done => End::Cut("the stream ended without [DONE] and without an error".to_owned()),
        end => end,
    }
}
