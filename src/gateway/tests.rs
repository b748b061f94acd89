//! The life of requests at a backend that tells nothing: what its streams teach.

mod room;
mod trouble;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};

use super::*;
use crate::env::{Env, ExchangeError, NoMdns, RealDisk, RealNet, Seed, Tasks, WallClock};
use crate::exchange::{Endpoint, Origin, RequestId};
use crate::fleet::{BackendSpec, Kind, Model, Source, Status};
use crate::gateway::testing::manner;
use crate::registry::Condition;
use crate::route::{self, Rules};

/// An engine that streams to one client at a time; the others wait inside it.
struct OneByOne(Arc<tokio::sync::Semaphore>);

const TOKENS: u32 = 16;

impl OneByOne {
    /// With nobody waiting.
    fn alone() -> Self {
        OneByOne(Arc::new(tokio::sync::Semaphore::new(1)))
    }
}

impl HttpExchange for OneByOne {
    fn send(&self, _: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let turns = self.0.clone();
        let body = stream::unfold((0, None), move |(sent, turn)| {
            let turns = turns.clone();
            async move {
                let turn = match turn {
                    Some(turn) => turn,
                    None => turns.acquire_owned().await.expect("open"),
                };
                if sent > TOKENS {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                let event = if sent == TOKENS { "data: [DONE]\n\n" } else { "data: {\"choices\":[]}\n\n" };
                Some((Ok(Frame::data(Bytes::from_static(event.as_bytes()))), (sent + 1, Some(turn))))
            }
        });
        let reply = http::Response::builder().header("content-type", "text/event-stream");
        let reply = reply.body(StreamBody::new(body).boxed_unsync()).expect("a literal reply");
        Box::pin(async move { Ok(reply) })
    }
}

fn gateway() -> (Arc<Gateway>, Arc<Registry>) {
    gateway_to(Arc::new(OneByOne::alone()), &["b"])
}

/// A gateway to healthy backends with the model `m`, the first by name at best.
fn gateway_to(http: Arc<dyn HttpExchange>, backends: &[&str]) -> (Arc<Gateway>, Arc<Registry>) {
    let env = Env {
        net: Arc::new(RealNet),
        http,
        mdns: Arc::new(NoMdns),
        clock: Arc::new(WallClock),
        seed: Seed::fixed(1),
        disk: Arc::new(RealDisk),
        tasks: Tasks::new(),
    };
    let registry = Arc::new(Registry::new(Vec::new()));
    for (priority, name) in (0..).zip(backends) {
        let url = format!("http://{name}:1").parse().expect("literal");
        let spec = BackendSpec { priority, ..BackendSpec::new(*name, url, Kind::Ollama, Source::Static) };
        let entry = registry.add(spec).expect("free");
        let (models, checked_at) = (vec![Arc::new(Model::named("m"))], Some(Instant::now()));
        registry.update(&entry, Condition { status: Status::Healthy, models, checked_at, ..Condition::default() });
    }
    let strategy = (backends.len() > 1).then_some(route::Strategy::PriorityOnly);
    let rules = Rules::new(&route::Config { strategy, ..route::Config::default() }).expect("defaults");
    (Arc::new(Gateway::new(rules, manner(), registry.clone(), None, None, &env)), registry)
}

/// A client's chat request.
fn request(body: impl Into<Bytes>) -> Request {
    Request {
        id: RequestId::from_bits(1),
        endpoint: Endpoint::ChatCompletions,
        model: None,
        headers: http::HeaderMap::new(),
        body: body.into(),
        origin: Origin::Client,
        client: "c".into(),
        caller: None,
    }
}

async fn ask(gateway: &Arc<Gateway>) {
    let reply = gateway.clone().handle(request(r#"{"model":"m","messages":[],"stream":true}"#)).await;
    assert_eq!(reply.status(), 200);
    let body = reply.into_body().collect().await.expect("a whole stream").to_bytes();
    assert!(body.ends_with(b"data: [DONE]\n\n"));
}

/// A peer that had just been started once said of every model that there is none, and clients do not ask again after 404.
#[tokio::test(start_paused = true)]
async fn what_an_unchecked_backend_might_have_is_not_said_to_be_unknown() {
    let (gateway, registry) = gateway();
    let ask = async || gateway.clone().handle(request(r#"{"model":"other","messages":[]}"#)).await;
    assert_eq!(ask().await.status(), 404);
    let url = "http://new:1".parse().expect("literal");
    let new = registry.add(BackendSpec::new("new", url, Kind::Ollama, Source::Static)).expect("free");
    let reply = ask().await;
    assert_eq!(
        (reply.status(), &reply.headers()["retry-after"]),
        (http::StatusCode::SERVICE_UNAVAILABLE, &"1".parse().expect("a value"))
    );
    let body = reply.into_body().collect().await.expect("whole").to_bytes();
    let said = "Model 'other' is not known here yet: 1 backend of this peer has not been checked. Try again shortly";
    assert!(String::from_utf8_lossy(&body).contains(said), "{body:?}");
    registry.update(&new, Condition { checked_at: Some(Instant::now()), ..Condition::default() });
    assert_eq!(ask().await.status(), 404);
}

/// Requests once lined up inside an Ollama that serves one at a time, where no other peer could take them.
#[tokio::test(start_paused = true)]
async fn an_engine_that_serves_one_at_a_time_is_found_out_by_its_streams() {
    let (gateway, registry) = gateway();
    let entry = registry.snapshot().get("b").expect("there").clone();
    for _ in 0..8 {
        assert_eq!(entry.concurrency(), None);
        ask(&gateway).await;
        tokio::join!(ask(&gateway), ask(&gateway));
    }
    assert_eq!(entry.concurrency(), Some(1));
    tokio::join!(ask(&gateway), ask(&gateway), ask(&gateway));
    assert_eq!((entry.load().in_flight, entry.load().total), (0, 27));
}
