use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::*;
use crate::env::{ExchangeError, HttpExchange, NoMdns, RealDisk, RealNet, Seed, Tasks, WallClock};
use crate::exchange::{Reply, full};
use crate::fleet::{BackendSpec, Kind, Source};

/// Servers by host: what each answers, and after how long.
#[derive(Default)]
struct Servers(Mutex<BTreeMap<String, (Duration, Option<&'static str>)>>);

impl Servers {
    fn set(&self, host: &str, delay: Duration, models: Option<&'static str>) {
        self.0.lock().expect("no panic").insert(host.to_owned(), (delay, models));
    }
}

impl HttpExchange for Servers {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let host = request.uri().host().unwrap_or_default().to_owned();
        let (delay, models) = self.0.lock().expect("no panic").get(&host).copied().unwrap_or_default();
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            let body = models.ok_or(ExchangeError::Connect("refused".to_owned()))?;
            Ok(http::Response::new(full(body)))
        })
    }
}

/// Where `http` answers, and nothing is simulated besides.
pub(super) fn world(http: Arc<dyn HttpExchange>) -> Env {
    Env {
        net: Arc::new(RealNet),
        http,
        mdns: Arc::new(NoMdns),
        clock: Arc::new(WallClock),
        seed: Seed::fixed(1),
        disk: Arc::new(RealDisk),
        tasks: Tasks::new(),
    }
}

fn add(registry: &Registry, host: &str) -> Arc<Entry> {
    let url = format!("http://{host}:1").parse().expect("literal");
    registry.add(BackendSpec::new(host, url, Kind::Generic, Source::Static)).expect("free")
}

fn status(entry: &Entry) -> Status {
    entry.condition().status
}

const LIST: &str = r#"{"data":[{"id":"m"}]}"#;

/// Checks one after the other once delayed the verdict on a dead backend to 27 s.
#[tokio::test(start_paused = true)]
async fn a_slow_backend_delays_no_other_and_verdicts_keep_their_time() {
    let servers = Arc::new(Servers::default());
    servers.set("slow", Duration::from_millis(4500), Some(LIST));
    servers.set("dying", Duration::ZERO, Some(LIST));
    let env = world(servers.clone());
    let registry = Arc::new(Registry::new(Vec::new()));
    let (slow, dying) = (add(&registry, "slow"), add(&registry, "dying"));
    start(Config { interval_seconds: 1, ..Config::default() }, &registry, &env);

    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!((status(&dying), status(&slow)), (Status::Healthy, Status::Unknown));
    servers.set("dying", Duration::ZERO, None);
    tokio::time::sleep(Duration::from_millis(3100)).await;
    assert_eq!(status(&dying), Status::Unhealthy, "three intervals after it died");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(status(&slow), Status::Healthy);
    servers.set("dying", Duration::ZERO, Some(LIST));
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(status(&dying), Status::Healthy, "two successes after it came back");
    assert!(env.tasks.stop(Duration::from_secs(1)).await);
}

#[tokio::test(start_paused = true)]
async fn bad_json_is_healthy_and_keeps_the_models() {
    let servers = Arc::new(Servers::default());
    servers.set("odd", Duration::ZERO, Some(LIST));
    let env = world(servers.clone());
    let registry = Arc::new(Registry::new(Vec::new()));
    let odd = add(&registry, "odd");
    start(Config { interval_seconds: 1, ..Config::default() }, &registry, &env);
    tokio::time::sleep(Duration::from_millis(100)).await;
    servers.set("odd", Duration::ZERO, Some("<html>"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(status(&odd), Status::Healthy);
    assert_eq!(odd.condition().models[0].id, "m");
}

#[tokio::test(start_paused = true)]
async fn a_removed_backend_is_watched_no_more_and_a_new_one_is() {
    let servers = Arc::new(Servers::default());
    servers.set("a", Duration::ZERO, Some(LIST));
    servers.set("b", Duration::ZERO, Some(LIST));
    let env = world(servers.clone());
    let registry = Arc::new(Registry::new(Vec::new()));
    add(&registry, "a");
    start(Config::default(), &registry, &env);
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(env.tasks.running().get("health-watch"), Some(&1));
    registry.remove("a");
    let b = add(&registry, "b");
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(env.tasks.running().get("health-watch"), Some(&1));
    assert_eq!(status(&b), Status::Healthy, "checked at once, not at the next interval");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_finds_it_dead_has_it_checked_at_once() {
    let servers = Arc::new(Servers::default());
    servers.set("a", Duration::ZERO, Some(LIST));
    let env = world(servers.clone());
    let registry = Arc::new(Registry::new(Vec::new()));
    let a = add(&registry, "a");
    start(Config { failure_threshold: 1, ..Config::default() }, &registry, &env);
    tokio::time::sleep(Duration::from_secs(1)).await;
    servers.set("a", Duration::ZERO, None);
    let mut request = a.begin().expect("a slot");
    request.sends(&Arc::new(Model::named("m")));
    request.refused();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(status(&a), Status::Unhealthy, "long before the next interval");
}
