//! The life of requests while a backend gives trouble: it is left alone, probed by one request, and used again.

use std::collections::BTreeMap;
use std::sync::Mutex;

use super::*;
use crate::exchange::full;
use crate::fleet::Trouble;

/// What a server does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    /// Answers 500.
    Fails,
    /// Six of ten requests are answered with 500, never three in a row.
    FailsMostly,
    /// Answers 400.
    Complains,
    /// Answers 501.
    CannotDoThat,
    /// Takes the request and never says a word.
    Silent,
    /// Takes no connection.
    Away,
}

/// Servers by name: what each does, and how many requests it has had.
#[derive(Default)]
struct Servers(Mutex<BTreeMap<String, (Option<Mood>, u32)>>);

impl Servers {
    fn set(&self, name: &str, mood: Mood) {
        self.0.lock().expect("no panic").entry(name.to_owned()).or_default().0 = Some(mood);
    }

    fn calls(&self, name: &str) -> u32 {
        self.0.lock().expect("no panic").get(name).map_or(0, |server| server.1)
    }
}

impl HttpExchange for Servers {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let name = request.uri().host().unwrap_or_default().to_owned();
        let mut servers = self.0.lock().expect("no panic");
        let (mood, calls) = servers.entry(name).or_default();
        let number = *calls;
        *calls += 1;
        let mood = mood.unwrap_or(Mood::Well);
        let status = match mood {
            Mood::Fails => 500,
            Mood::FailsMostly if [0, 1, 3, 5, 6, 8].contains(&(number % 10)) => 500,
            Mood::Complains => 400,
            Mood::CannotDoThat => 501,
            _ => 200,
        };
        let mut reply = http::Response::new(full("{}"));
        *reply.status_mut() = http::StatusCode::from_u16(status).expect("a status");
        Box::pin(async move {
            match mood {
                Mood::Silent => std::future::pending().await,
                Mood::Away => Err(ExchangeError::Connect("refused".to_owned())),
                Mood::Well => {
                    let asked = request.into_body().collect().await.expect("in memory").to_bytes();
                    let speaks = memchr::memmem::find(&asked, b"\"stream\":true").is_some();
                    if speaks { OneByOne::alone().send(http::Request::default()).await } else { Ok(reply) }
                }
                _ => Ok(reply),
            }
        })
    }
}

/// `a`, which is preferred, and `b`, which is well.
fn pair() -> (Arc<Servers>, Arc<Gateway>, Arc<Registry>) {
    let servers = Arc::new(Servers::default());
    let (gateway, registry) = gateway_to(servers.clone(), &["a", "b"]);
    (servers, gateway, registry)
}

async fn status(gateway: &Arc<Gateway>) -> u16 {
    let reply = gateway.clone().handle(request(r#"{"model":"m","messages":[]}"#)).await;
    let status = reply.status().as_u16();
    reply.into_body().collect().await.expect("a whole answer");
    status
}

async fn all_are_answered(gateway: &Arc<Gateway>, count: u32) {
    for number in 0..count {
        assert_eq!(status(gateway).await, 200, "request {number}");
    }
}

fn open_at(registry: &Registry, name: &str) -> Vec<Trouble> {
    let entry = registry.snapshot().get(name).expect("there").clone();
    entry.breakers().iter().map(|breaker| breaker.trouble).collect()
}

async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_fails_six_of_ten_requests_is_left_alone_and_back_within_a_minute_of_recovery() {
    let (servers, gateway, registry) = pair();
    servers.set("a", Mood::FailsMostly);
    all_are_answered(&gateway, 10).await;
    assert_eq!((servers.calls("a"), open_at(&registry, "a")), (10, vec![Trouble::Errors]));
    all_are_answered(&gateway, 20).await;
    assert_eq!(servers.calls("a"), 10, "left alone");

    servers.set("a", Mood::Fails);
    for pause in [10, 20, 40, 60, 60] {
        pass(pause - 1).await;
        let before = servers.calls("a");
        all_are_answered(&gateway, 5).await;
        assert_eq!(servers.calls("a"), before, "not before {pause} s");
        pass(1).await;
        all_are_answered(&gateway, 5).await;
        assert_eq!(servers.calls("a"), before + 1, "one probe after {pause} s");
    }
    servers.set("a", Mood::Well);
    pass(60).await;
    let before = servers.calls("a");
    all_are_answered(&gateway, 5).await;
    assert_eq!((servers.calls("a"), open_at(&registry, "a")), (before + 5, vec![]), "used again");
}

/// A stream once waited for half of `request_timeout_seconds`, which is minutes.
#[tokio::test(start_paused = true)]
async fn a_stream_is_given_up_when_its_backend_must_be_stuck() {
    let (servers, gateway, _) = pair();
    ask(&gateway).await;
    assert_eq!(servers.calls("a"), 1);
    servers.set("a", Mood::Silent);
    let began = Instant::now();
    ask(&gateway).await;
    let waited = began.elapsed().as_secs();
    assert!((10..15).contains(&waited), "its first token took 20 ms, and it was given {waited} s of 60");
    let began = Instant::now();
    ask(&gateway).await;
    assert_eq!((servers.calls("a"), began.elapsed().as_secs()), (2, 0), "the next one pays nothing");
}

/// A backend that takes any number of requests once got all that came until the first of them gave up.
#[tokio::test(start_paused = true)]
async fn a_backend_that_has_stopped_to_answer_gets_no_more_than_two_requests() {
    let (servers, gateway, _) = pair();
    ask(&gateway).await;
    servers.set("a", Mood::Silent);
    let one_a_second = (0..8).map(async |number| {
        pause(number * 1500).await;
        let began = Instant::now();
        ask(&gateway).await;
        began.elapsed()
    });
    let waited = futures_util::future::join_all(one_a_second).await;
    assert_eq!(servers.calls("a"), 3, "one was answered");
    assert!(waited[2..].iter().all(|waited| waited.as_secs() == 0), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn silence_costs_one_request_its_share_and_each_probe_one_more() {
    let (servers, gateway, registry) = pair();
    servers.set("a", Mood::Silent);
    let began = Instant::now();
    all_are_answered(&gateway, 1).await;
    assert!(began.elapsed() >= Duration::from_secs(40), "it waited its share");
    let began = Instant::now();
    all_are_answered(&gateway, 20).await;
    assert_eq!((servers.calls("a"), began.elapsed()), (1, Duration::ZERO), "and the next nothing");
    assert_eq!(open_at(&registry, "a"), [Trouble::Silence]);
    pass(10).await;
    let burst = futures_util::future::join_all((0..10).map(|_| status(&gateway))).await;
    assert_eq!((burst, servers.calls("a")), (vec![200; 10], 2), "one of many that come at once is the probe");
    servers.set("a", Mood::Well);
    pass(20).await;
    let burst = futures_util::future::join_all((0..10).map(|_| status(&gateway))).await;
    assert_eq!(burst, [200; 10]);
    assert_eq!(open_at(&registry, "a"), []);
}

/// Where there is nobody else it is asked all the same: better a try than a refusal.
#[tokio::test(start_paused = true)]
async fn the_only_backend_is_asked_whatever_it_has_done() {
    let servers = Arc::new(Servers::default());
    let (gateway, registry) = gateway_to(servers.clone(), &["a"]);
    servers.set("a", Mood::Silent);
    assert_eq!(status(&gateway).await, 504);
    servers.set("a", Mood::Well);
    assert_eq!((open_at(&registry, "a"), status(&gateway).await), (vec![Trouble::Silence], 200));
    assert_eq!(open_at(&registry, "a"), []);
    servers.set("a", Mood::Silent);
    assert_eq!(status(&gateway).await, 504);
    pass(10).await;
    let gave_up = futures_util::future::join_all((0..5).map(|_| status(&gateway))).await;
    assert_eq!(gave_up, [504; 5]);
    servers.set("a", Mood::Fails);
    assert_eq!(status(&gateway).await, 502);
    servers.set("a", Mood::Well);
    all_are_answered(&gateway, 5).await;
}

#[tokio::test(start_paused = true)]
async fn clients_mistakes_and_clients_that_leave_count_against_nobody() {
    let (servers, gateway, registry) = pair();
    servers.set("a", Mood::Complains);
    for _ in 0..30 {
        assert_eq!(status(&gateway).await, 400);
    }
    servers.set("a", Mood::Silent);
    for _ in 0..30 {
        let leaves = tokio::time::timeout(Duration::from_secs(1), status(&gateway)).await;
        assert!(leaves.is_err(), "it hangs");
    }
    assert_eq!((open_at(&registry, "a"), servers.calls("a")), (vec![], 60));
}

/// An engine that has no embeddings once looked broken for everything.
#[tokio::test(start_paused = true)]
async fn what_a_backend_cannot_do_is_no_trouble() {
    let (servers, gateway, registry) = pair();
    servers.set("a", Mood::CannotDoThat);
    all_are_answered(&gateway, 20).await;
    assert_eq!((open_at(&registry, "a"), servers.calls("a")), (vec![], 20));
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_ejects_until_a_check_passes_or_where_nobody_checks_for_a_while() {
    let (servers, gateway, registry) = pair();
    let entry = registry.snapshot().get("a").expect("there").clone();
    servers.set("a", Mood::Away);
    all_are_answered(&gateway, 5).await;
    assert_eq!((servers.calls("a"), open_at(&registry, "a")), (1, vec![Trouble::Connection]));
    pass(10).await;
    all_are_answered(&gateway, 5).await;
    assert_eq!(servers.calls("a"), 2, "a probe");
    entry.check_failed();
    pass(1000).await;
    all_are_answered(&gateway, 5).await;
    assert_eq!(servers.calls("a"), 2, "checks say so, too");
    servers.set("a", Mood::Well);
    entry.checked(Duration::from_millis(1));
    all_are_answered(&gateway, 5).await;
    assert_eq!((servers.calls("a"), open_at(&registry, "a")), (7, vec![]));
}
