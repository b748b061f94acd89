//! A client of the mesh: plain HTTP to a peer's real port, on a connection of its own, with as much patience as a
//! client may be asked for. What it got is data; what it should have got is for the claims to say.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nexus::env::Env;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};

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
}

impl Ask {
    /// A streamed answer of so many words.
    pub(crate) fn stream(model: &str, tokens: u32) -> Self {
        Ask { model: model.to_owned(), stream: true, tokens, leave_after: None }
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
    /// The model that was asked for.
    pub(crate) model: String,
    /// Words that were asked for.
    pub(crate) tokens: u32,
    /// HTTP status; 0 where there was none.
    pub(crate) status: u16,
    /// `x-nexus-peer`.
    pub(crate) peer: Option<String>,
    /// `x-nexus-hops`.
    pub(crate) hops: Option<u8>,
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
        model: ask.model.clone(),
        tokens: ask.tokens,
        status: 0,
        peer: None,
        hops: None,
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
    let message = json!({ "role": "user", "content": "say something" });
    let asked = json!({ "model": ask.model, "messages": [message], "stream": ask.stream, "max_tokens": ask.tokens })
        .to_string();
    let reply = match send(env, host, Method::POST, "/v1/chat/completions", &answer.request, asked).await {
        Ok(reply) => reply,
        Err(end) => return end,
    };
    let header = |name: &str| reply.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    answer.status = reply.status().as_u16();
    answer.peer = header("x-nexus-peer");
    answer.hops = header("x-nexus-hops").and_then(|hops| hops.parse().ok());
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

/// One request on a connection of its own; gives up when its patience ends.
async fn send(
    env: &Env,
    host: &str,
    method: Method,
    path: &str,
    id: &str,
    body: String,
) -> Result<Response<Incoming>, End> {
    let deadline = Instant::now() + PATIENCE + MARGIN;
    let late = |_| End::Late(PATIENCE + MARGIN);
    let cut = |error: &dyn std::fmt::Display| End::Cut(error.to_string());
    let dial = env.net.dial(host.to_owned(), crate::peer::PORT);
    let io = timeout_at(deadline, dial).await.map_err(late)?.map_err(|error| cut(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|error| cut(&error))?;
    env.tasks.spawn("connection", async move {
        let _ = connection.await;
    });
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {ADMIN_TOKEN}"))
        .header("x-request-id", id)
        .body(Full::new(Bytes::from(body)))
        .expect("every part is a literal or was made here");
    timeout_at(deadline, sender.send_request(request)).await.map_err(late)?.map_err(|error| cut(&error))
}

/// A management call or a view of the peer at `host`: the status and the JSON body.
pub(crate) async fn call(env: &Env, host: &str, method: Method, path: &str, body: &Value) -> Result<(u16, Value), End> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let reply = send(env, host, method, path, "call", text).await?;
    let status = reply.status().as_u16();
    let body = timeout(PATIENCE + MARGIN, reply.into_body().collect()).await;
    let body = body.map_err(|_| End::Late(PATIENCE + MARGIN))?.map_err(|error| End::Cut(error.to_string()))?;
    Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or_default()))
}
