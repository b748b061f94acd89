//! A scripted OpenAI-compatible backend: its text says who made it and counts its own words, so that a client can tell a
//! whole answer of one backend from anything else. Its mood is what goes wrong with it.

mod memory;
mod speech;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nexus::env::{BoxIo, Env};
use nexus::exchange::{Body, Cut, full};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};
use tokio::time::sleep;

use self::memory::Memory;
use self::speech::Speech;
use crate::book::{Book, Ending, Prompt};
use crate::host::Machine;
use crate::vendor::Bills;

/// Where every backend listens.
pub(crate) const PORT: u16 = 8080;

/// What a backend is.
#[derive(Clone, Debug)]
pub(crate) struct Character {
    /// Its name as a host and as a backend.
    pub(crate) name: String,
    /// The peer that owns it, by number.
    pub(crate) owner: usize,
    /// The models it has.
    pub(crate) models: Vec<String>,
    /// Whether it is of the zone `open`.
    pub(crate) open: bool,
    /// Whether it wants money.
    pub(crate) vendor: bool,
    /// Requests at once.
    pub(crate) slots: usize,
    /// Until the first token.
    pub(crate) prefill: Duration,
    /// For each token of the prompt that it does not hold, besides.
    pub(crate) per_prompt_token: Duration,
    /// Conversations that it holds.
    pub(crate) remembers: usize,
    /// Between tokens.
    pub(crate) per_token: Duration,
}

/// What is wrong with a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    /// Nothing.
    Well,
    /// Nobody listens, and open connections break.
    Refuse,
    /// Takes requests and never says another word, not even to a check.
    Hang,
    /// Takes requests and never says a word of an answer, but passes its checks.
    Mute,
    /// Closes the connection instead of answering.
    DieUnheard,
    /// Closes the connection after so many tokens.
    DieAfter(u32),
    /// Answers 500.
    Fail,
    /// So many times slower.
    Slow(u32),
}

/// A backend on a host of its own.
pub(crate) struct Scripted {
    /// What it is.
    pub(crate) character: Character,
    /// Where it runs.
    pub(crate) machine: Machine,
    mood: watch::Sender<Mood>,
    slots: Arc<Semaphore>,
    memory: Mutex<Memory>,
    book: Book,
    bills: Bills,
}

type Reply = Response<Body>;

impl Scripted {
    /// A backend that writes what it does into `book`, and what it wants for that into `bills`.
    pub(crate) fn new(character: Character, machine: Machine, book: Book, bills: Bills) -> Self {
        let slots = Arc::new(Semaphore::new(character.slots));
        let memory = Mutex::new(Memory::new(character.remembers));
        Scripted { character, machine, mood: watch::Sender::new(Mood::Well), slots, memory, book, bills }
    }

    /// From now on.
    pub(crate) fn set_mood(&self, mood: Mood) {
        crate::trace::event(format_args!("{} {mood:?}", self.character.name));
        self.mood.send_replace(mood);
    }

    /// Its root, as a peer is configured with.
    pub(crate) fn url(&self) -> String {
        format!("http://{}:{PORT}", self.character.name)
    }

    /// The software of its host.
    pub(crate) async fn live(self: Arc<Self>) -> turmoil::Result {
        let env = self.machine.env(0);
        let mut mood = self.mood.subscribe();
        loop {
            mood.wait_for(|mood| *mood != Mood::Refuse).await?;
            let mut listener = env.net.listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT))).await?;
            loop {
                tokio::select! {
                    biased;
                    _ = mood.wait_for(|mood| *mood == Mood::Refuse) => break,
                    accepted = listener.accept() => self.connection(accepted?.0, &env),
                }
            }
        }
    }

    fn connection(self: &Arc<Self>, io: BoxIo, env: &Env) {
        let (backend, mut mood) = (self.clone(), self.mood.subscribe());
        env.tasks.spawn("connection", async move {
            let service = service_fn(move |request| backend.clone().answer(request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
            tokio::select! {
                biased;
                _ = mood.wait_for(|mood| *mood == Mood::Refuse) => {}
                _ = connection => {}
            }
        });
    }

    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Cut> {
        match request.uri().path() {
            "/v1/models" if self.is(Mood::Hang) => std::future::pending().await,
            "/v1/models" => Ok(json_reply(StatusCode::OK, &self.models())),
            "/v1/chat/completions" => self.chat(request).await,
            _ => Ok(json_reply(StatusCode::NOT_FOUND, &json!({ "error": { "message": "no such path" } }))),
        }
    }

    fn models(&self) -> Value {
        let one = |id: &String| json!({ "id": id, "object": "model", "owned_by": "scripted" });
        json!({ "object": "list", "data": self.character.models.iter().map(one).collect::<Vec<_>>() })
    }

    async fn chat(self: Arc<Self>, request: Request<Incoming>) -> Result<Reply, Cut> {
        let id = request.headers().get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned();
        let body = request.into_body().collect().await.map_err(|_| Cut::Backend)?.to_bytes();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let model = asked["model"].as_str().unwrap_or_default().to_owned();
        let mut act = self.book.begin(&id, &model, &self.character);
        let messages = asked["messages"].as_array().cloned().unwrap_or_default();
        let tokens = asked["max_tokens"].as_u64().and_then(|count| u32::try_from(count).ok()).unwrap_or(8);
        if self.character.vendor {
            self.bills.bill(&id, self.character.owner, memory::tokens(&messages), tokens.into());
        }
        if self.is(Mood::Hang) || self.is(Mood::Mute) {
            std::future::pending::<()>().await;
        }
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| Cut::Backend)?;
        let prompt = Prompt { tokens: memory::tokens(&messages), held: self.memory().recall(&messages) };
        act.read(prompt);
        let unread = u32::try_from(prompt.tokens - prompt.held).unwrap_or(u32::MAX);
        sleep(self.paced(self.character.prefill + self.character.per_prompt_token * unread)).await;
        match *self.mood.borrow() {
            Mood::DieUnheard => {
                act.end(Ending::Broken);
                return Err(Cut::Backend);
            }
            Mood::Fail => {
                act.end(Ending::Broken);
                self.bills.refund(&id, self.character.owner);
                return Ok(json_reply(StatusCode::INTERNAL_SERVER_ERROR, &json!({ "error": { "message": "broken" } })));
            }
            _ => {}
        }
        let streams = asked["stream"].as_bool().unwrap_or(false);
        let tells_usage = self.character.vendor && (!streams || asked["stream_options"]["include_usage"] == true);
        let usage = tells_usage.then_some(prompt.tokens);
        let speech = Speech::new(self, messages, model, act, slot, (tokens, usage));
        if streams { Ok(speech.stream()) } else { speech.whole().await }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, mood: Mood) -> bool {
        *self.mood.borrow() == mood
    }

    fn paced(&self, time: Duration) -> Duration {
        match *self.mood.borrow() {
            Mood::Slow(times) => time * times,
            _ => time,
        }
    }
}

fn json_reply(status: StatusCode, body: &Value) -> Reply {
    let mut reply = Response::new(full(body.to_string()));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    reply
}
