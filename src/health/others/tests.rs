use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::*;
use crate::env::{ExchangeError, HttpExchange};
use crate::exchange::{Reply, full};
use crate::fleet::{BackendSpec, Kind, Source};
use crate::health::tests::world;
use crate::registry::Registry;

/// An engine of any kind that is well, and says of its slots what it is told to say.
#[derive(Default)]
struct Engine {
    slots: Mutex<Option<&'static str>>,
    asked: Mutex<Vec<String>>,
}

impl Engine {
    fn says(&self, slots: Option<&'static str>) {
        *self.slots.lock().expect("no panic") = slots;
    }

    /// How often it was asked for its slots or its metrics since the last time.
    fn asked(&self) -> usize {
        let asked = std::mem::take(&mut *self.asked.lock().expect("no panic"));
        asked.iter().filter(|path| ["/slots", "/metrics"].contains(&path.as_str())).count()
    }
}

impl HttpExchange for Engine {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let path = request.uri().path().to_owned();
        self.asked.lock().expect("no panic").push(path.clone());
        let body = match path.as_str() {
            "/health" => Some(r#"{"status":"ok"}"#),
            "/v1/models" => Some(r#"{"data":[{"id":"m"}]}"#),
            "/api/tags" => Some(r#"{"models":[{"name":"m"}]}"#),
            "/slots" => *self.slots.lock().expect("no panic"),
            _ => None,
        };
        Box::pin(async move {
            let mut reply = http::Response::new(full(body.unwrap_or("{}")));
            if body.is_none() {
                *reply.status_mut() = http::StatusCode::NOT_IMPLEMENTED;
            }
            Ok(reply)
        })
    }
}

const IDLE: &str = r#"[{"is_processing":false},{"is_processing":false}]"#;
const BUSY: &str = r#"[{"is_processing":true},{"is_processing":true}]"#;

fn watched(kind: Kind) -> (Arc<Engine>, Arc<Entry>, Env) {
    let engine = Arc::new(Engine::default());
    let env = world(engine.clone());
    let registry = Arc::new(Registry::new(Vec::new()));
    let spec = BackendSpec::new("b", "http://h:1".parse().expect("literal"), kind, Source::Static);
    let entry = registry.add(spec).expect("free");
    super::super::start(Config { interval_seconds: 30, ..Config::default() }, &registry, &env);
    (engine, entry, env)
}

/// A little after the next `seconds`.
async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_millis(seconds * 1000 + 100)).await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_server_is_left_to_sleep_until_it_is_used() {
    let (engine, entry, _env) = watched(Kind::LlamaCpp);
    engine.says(Some(IDLE));
    pass(299).await;
    assert_eq!((engine.asked(), entry.foreign()), (1, 0));
    let ours = entry.begin().expect("a slot");
    pass(3).await;
    assert!(engine.asked() >= 1);
    drop(ours);
}

#[tokio::test(start_paused = true)]
async fn a_server_at_work_is_asked_every_two_seconds_until_it_rests() {
    let (engine, entry, _env) = watched(Kind::LlamaCpp);
    engine.says(Some(BUSY));
    pass(11).await;
    assert_eq!((engine.asked(), entry.foreign(), entry.load().foreign), (6, 2, 2));
    engine.says(Some(IDLE));
    pass(10).await;
    assert_eq!((engine.asked(), entry.foreign()), (1, 0));
    let ours = entry.begin().expect("a slot");
    pass(4).await;
    assert!(engine.asked() >= 1, "we have something there ourselves");
    drop(ours);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_said_is_forgotten_when_it_says_no_more() {
    let (engine, entry, _env) = watched(Kind::LlamaCpp);
    engine.says(Some(BUSY));
    pass(1).await;
    assert_eq!(entry.foreign(), 2);
    engine.says(None);
    pass(2).await;
    assert_eq!(entry.foreign(), 0);
    engine.asked();
    let ours = entry.begin().expect("a slot");
    pass(20).await;
    assert_eq!(engine.asked(), 0, "not asked again before the next check");
    pass(10).await;
    assert_eq!(engine.asked(), 1);
    drop(ours);
}

#[tokio::test(start_paused = true)]
async fn kinds_that_tell_nothing_are_asked_nothing() {
    for kind in [Kind::Ollama, Kind::LmStudio, Kind::Exo, Kind::Generic, Kind::OpenAi] {
        let (engine, entry, _env) = watched(kind);
        let ours = entry.begin().expect("a slot");
        pass(100).await;
        assert_eq!((engine.asked(), entry.foreign()), (0, 0), "{kind}");
        drop(ours);
    }
}
