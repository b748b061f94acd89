//! A backend that does as it is told: it lists its models, answers inference by a script, and remembers every request
//! byte for byte. HTTP is written by hand, so that where chunks begin and connections end is the script's to say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use nexus::env::Tasks;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::answer::{Answer, Ended};
use super::until;

/// A request as it arrived.
#[derive(Clone)]
pub(crate) struct Recorded {
    /// 0 for the first inference request of this backend.
    pub(crate) number: usize,
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Recorded {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("a body of JSON")
    }
}

type Script = dyn Fn(&Recorded) -> Answer + Send + Sync;

struct State {
    models: Mutex<Vec<Value>>,
    says: Mutex<BTreeMap<String, Arc<Script>>>,
    script: Box<Script>,
    requests: Mutex<Vec<Recorded>>,
    probes: Mutex<Vec<String>>,
    well: AtomicBool,
    mute: AtomicBool,
    active: AtomicUsize,
    peak: AtomicUsize,
    abandoned: AtomicUsize,
}

/// A scripted backend.
pub(crate) struct FakeBackend {
    pub(crate) address: SocketAddr,
    state: Arc<State>,
    tasks: Tasks,
}

/// An entry of its list of models.
pub(crate) fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 0, "owned_by": "somebody"})
}

impl FakeBackend {
    /// One that answers each request as `script` says.
    pub(crate) async fn script(models: &[&str], script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) -> Self {
        Self::listing(models.iter().map(|id| model(id)).collect(), script).await
    }

    /// One that answers every request alike.
    pub(crate) async fn always(models: &[&str], answer: Answer) -> Self {
        Self::script(models, move |_| answer.clone()).await
    }

    /// One with entries of its own making in its list of models.
    pub(crate) async fn listing(
        models: Vec<Value>,
        script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(State {
            models: Mutex::new(models),
            says: Mutex::default(),
            script: Box::new(script),
            requests: Mutex::default(),
            probes: Mutex::default(),
            well: AtomicBool::new(true),
            mute: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            abandoned: AtomicUsize::new(0),
        });
        let tasks = Tasks::new();
        let (serving, spawning) = (state.clone(), tasks.clone());
        tasks.spawn("accept", async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawning.spawn("connection", serve(stream, serving.clone()));
            }
        });
        FakeBackend { address, state, tasks }
    }

    /// Its `[[backends]]` entry, with more keys, one on each line.
    pub(crate) fn entry(&self, name: &str, more: &str) -> String {
        let kind = if more.contains("type") { "" } else { "type = 'generic'" };
        format!("[[backends]]\nname = '{name}'\nurl = 'http://{}'\n{kind}\n{more}\n", self.address)
    }

    /// Every inference request so far.
    pub(crate) fn requests(&self) -> Vec<Recorded> {
        self.state.requests.lock().expect("no panic").clone()
    }

    /// How many inference requests there were.
    pub(crate) fn calls(&self) -> usize {
        self.state.requests.lock().expect("no panic").len()
    }

    /// The paths it was asked for besides inference.
    pub(crate) fn probes(&self) -> Vec<String> {
        self.state.probes.lock().expect("no panic").clone()
    }

    /// Replies whose reader went away.
    pub(crate) fn abandoned(&self) -> usize {
        self.state.abandoned.load(Ordering::SeqCst)
    }

    /// The most requests it ever had at once.
    pub(crate) fn peak(&self) -> usize {
        self.state.peak.load(Ordering::SeqCst)
    }

    /// Requests it has now.
    pub(crate) fn active(&self) -> usize {
        self.state.active.load(Ordering::SeqCst)
    }

    /// Whether health checks succeed.
    pub(crate) fn set_well(&self, well: bool) {
        self.state.well.store(well, Ordering::SeqCst);
    }

    /// Whether health checks are left without an answer.
    pub(crate) fn set_mute(&self, mute: bool) {
        self.state.mute.store(mute, Ordering::SeqCst);
    }

    pub(crate) fn set_models(&self, models: Vec<Value>) {
        *self.state.models.lock().expect("no panic") = models;
    }

    /// What it answers from now on to a question of this path, besides inference: what an engine says of itself, as at
    /// `/api/ps`, `/props`, `/slots` or `/metrics`.
    pub(crate) fn says(&self, path: &str, answer: Answer) {
        self.does(path, move |_| answer.clone());
    }

    /// The same, where the answer depends on the question or changes something.
    pub(crate) fn does(&self, path: &str, script: impl Fn(&Recorded) -> Answer + Send + Sync + 'static) {
        self.state.says.lock().expect("no panic").insert(path.to_owned(), Arc::new(script));
    }

    /// How often it was asked a question of this path.
    pub(crate) fn asked(&self, path: &str) -> usize {
        self.state.probes.lock().expect("no panic").iter().filter(|asked| *asked == path).count()
    }

    /// Waits until it has seen so many inference requests.
    pub(crate) async fn called(&self, times: usize) {
        until(&format!("{times} requests at the backend"), || self.calls() >= times).await;
    }

    /// From here on its port refuses connections; those it has are closed.
    pub(crate) async fn die(&self) {
        self.tasks.stop(super::PATIENCE).await;
    }
}

impl Drop for FakeBackend {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

async fn serve(mut stream: TcpStream, state: Arc<State>) {
    stream.set_nodelay(true).expect("a socket");
    let mut buffer = Vec::new();
    while let Some((method, mut request)) = read(&mut stream, &mut buffer).await {
        let is_inference = method == "POST" && is_inference(&request);
        let ended = if is_inference {
            {
                let mut requests = state.requests.lock().expect("no panic");
                request.number = requests.len();
                requests.push(request.clone());
            }
            let active = state.active.fetch_add(1, Ordering::SeqCst) + 1;
            state.peak.fetch_max(active, Ordering::SeqCst);
            let _busy = Busy(&state.active);
            (state.script)(&request).perform(&mut stream).await
        } else {
            state.probes.lock().expect("no panic").push(request.path.clone());
            probed(&state, &request).perform(&mut stream).await
        };
        if is_inference && ended == Ended::Abandoned {
            state.abandoned.fetch_add(1, Ordering::SeqCst);
        }
        if ended != Ended::Whole {
            return;
        }
    }
}

/// Ollama is told to load and to unload on the paths of inference, with nothing to say.
fn is_inference(request: &Recorded) -> bool {
    match request.path.as_str() {
        "/api/chat" => true,
        "/api/embed" | "/api/generate" => !request.text().contains("keep_alive"),
        path => path.starts_with("/v1/") || path.starts_with("/v1beta/"),
    }
}

struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn probed(state: &State, request: &Recorded) -> Answer {
    if state.mute.load(Ordering::SeqCst) {
        return Answer::silence();
    }
    if !state.well.load(Ordering::SeqCst) {
        return Answer::json(500, "{}");
    }
    let script = state.says.lock().expect("no panic").get(&request.path).cloned();
    if let Some(script) = script {
        return script(request);
    }
    match request.path.as_str() {
        "/v1/models" => {
            let models = state.models.lock().expect("no panic").clone();
            Answer::json(200, json!({"object": "list", "data": models}).to_string())
        }
        "/api/tags" => {
            let models = state.models.lock().expect("no panic");
            let tags: Vec<Value> =
                models.iter().map(|entry| json!({"name": entry["id"], "digest": entry["id"]})).collect();
            Answer::json(200, json!({"models": tags}).to_string())
        }
        "/api/show" => Answer::json(200, "{}"),
        _ => Answer::json(404, "{}"),
    }
}

/// One request off the wire. `None` where there is no further one.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Recorded)> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
    buffer.drain(..end + 4);
    let mut lines = head.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let length: usize = length.unwrap_or(0);
    while buffer.len() < length {
        more(stream, buffer).await?;
    }
    let body = buffer.drain(..length).collect();
    Some((method, Recorded { number: 0, path, headers, body }))
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    (stream.read_buf(buffer).await.ok()? > 0).then_some(())
}
