use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::*;
use crate::env::HttpExchange;
use crate::exchange::{Reply, full};
use crate::fleet::{BackendSpec, Kind, Source};
use crate::health::tests::world;
use crate::health::{Config, start};
use crate::registry::Registry;

/// A server that passes every check and answers requests when it likes to.
#[derive(Default)]
struct Mute {
    speaks: AtomicBool,
    /// When it was asked for something, and for what.
    asked: Mutex<Vec<(Instant, String)>>,
}

impl Mute {
    /// In how many seconds from `start` it was asked.
    fn asked_after(&self, start: Instant) -> Vec<u64> {
        self.asked.lock().expect("no panic").iter().map(|(at, _)| (*at - start).as_secs()).collect()
    }
}

impl HttpExchange for Arc<Mute> {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let server = self.clone();
        Box::pin(async move {
            if request.method() == http::Method::GET {
                return Ok(http::Response::new(full(r#"{"data":[{"id":"m"}]}"#)));
            }
            let body = request.into_body().collect().await.expect("in memory").to_bytes();
            let body = String::from_utf8_lossy(&body).into_owned();
            server.asked.lock().expect("no panic").push((Instant::now(), body));
            if !server.speaks.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            Ok(http::Response::new(full("{}")))
        })
    }
}

/// A backend of this kind, under watch, whose model `m` has just fallen silent.
async fn fallen_silent(kind: Kind) -> (Arc<Mute>, Arc<Registry>, Arc<Entry>, Env) {
    let server = Arc::new(Mute::default());
    let env = world(Arc::new(server.clone()));
    let registry = Arc::new(Registry::new(Vec::new()));
    let url = "http://mute:1".parse().expect("literal");
    let entry = registry.add(BackendSpec::new("mute", url, kind, Source::Static)).expect("free");
    start(Config::default(), &registry, &env);
    tokio::time::sleep(Duration::from_millis(10)).await;
    let mut lease = entry.begin().expect("a slot");
    lease.sends(&entry.condition().models[0]);
    lease.silent();
    drop(lease);
    (server, registry, entry, env)
}

#[tokio::test(start_paused = true)]
async fn its_watch_asks_for_a_token_until_one_comes() {
    let (server, _registry, entry, _env) = fallen_silent(Kind::Generic).await;
    let start = Instant::now();
    tokio::time::sleep(Duration::from_secs(100)).await;
    // 10 s for each question to stay without an answer, and 10, 20, 30, 30 s before each.
    assert_eq!(server.asked_after(start), [10, 40, 80]);
    assert!(server.asked.lock().expect("no panic")[0].1.contains(r#""max_tokens":1"#));
    assert!(entry.keeps_away("m"), "no request is to find out");
    server.speaks.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(server.asked_after(start).len(), 4);
    assert!(!entry.keeps_away("m") && entry.breakers().is_empty(), "used again");
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(server.asked_after(start).len(), 4, "what is well is left in peace");
    assert_eq!(entry.load().in_flight, 0);
}

/// A request that found nothing better may have been answered meanwhile.
#[tokio::test(start_paused = true)]
async fn what_has_answered_a_request_is_not_asked() {
    let (server, _registry, entry, _env) = fallen_silent(Kind::Generic).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let mut lease = entry.begin().expect("a slot");
    lease.sends(&entry.condition().models[0]);
    lease.answered(Duration::from_millis(1), true);
    drop(lease);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(server.asked_after(Instant::now()).is_empty() && entry.breakers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn vendors_are_not_asked() {
    let (server, _registry, entry, _env) = fallen_silent(Kind::OpenAi).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(server.asked_after(Instant::now()).is_empty());
    assert!(!entry.keeps_away("m"), "the next request is the probe");
}
