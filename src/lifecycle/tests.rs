//! How long operations take, by a clock that is wound on: what the list says counts, and nothing stays under way for ever.

use std::sync::Mutex;

use bytes::Bytes;
use http_body_util::Full;
use tokio::time::Instant;

use super::*;
use crate::env::{ExchangeError, HttpExchange};
use crate::exchange::{OperationStatus, Reply, full};
use crate::fleet::{BackendSpec, Kind, Source};

/// What a server answers to a path; `None` = nothing, ever.
type Script = dyn Fn(&str) -> Option<String> + Send + Sync;

struct Server {
    script: Box<Script>,
    asked: Mutex<Vec<String>>,
}

impl HttpExchange for Server {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let path = request.uri().path().to_owned();
        let answer = (self.script)(&path);
        self.asked.lock().expect("no panic").push(path);
        Box::pin(async move {
            match answer {
                Some(body) => Ok(http::Response::new(full(body))),
                None => std::future::pending().await,
            }
        })
    }
}

/// Of one backend called `gpu`, whose server does as `script` says.
fn lifecycle(kind: Kind, script: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> (Lifecycle, Arc<Server>) {
    let server = Arc::new(Server { script: Box::new(script), asked: Mutex::default() });
    let env = Env { http: server.clone(), ..Env::real() };
    let registry = Arc::new(Registry::new(Vec::new()));
    let url = "http://127.0.0.1:1".parse().expect("literal");
    registry.add(BackendSpec::new("gpu", url, kind, Source::Static)).expect("free");
    (Lifecycle::new(Config::default(), registry, None, "me".into(), &env), server)
}

fn wish(model: &str) -> Wish {
    Wish { model: model.to_owned(), backend: Some("gpu".to_owned()), ..Wish::default() }
}

/// How a load of `m` ends, and after how many seconds.
async fn loads(lifecycle: &Lifecycle) -> (Operation, u64) {
    let began = Instant::now();
    let begun = lifecycle.load(&wish("m")).await.expect("it begins");
    assert_eq!((begun.status, begun.peer.as_str()), (OperationStatus::InProgress, "me"));
    let ended = lifecycle.wait_for(begun, Duration::from_secs(3600)).await.expect("it is known");
    (ended, began.elapsed().as_secs())
}

const TAGS: &str = r#"{"models":[{"name":"m:latest"}]}"#;
const NONE: &str = r#"{"models":[]}"#;

fn router(status: &str) -> String {
    format!(r#"{{"data":[{{"id":"m","status":{{{status}}}}}]}}"#)
}

/// One that answers nothing to an order was once waited for five minutes with the model in its memory.
#[tokio::test(start_paused = true)]
async fn what_is_listed_is_there_even_if_the_order_is_never_answered() {
    let since = Instant::now();
    let later = move || since.elapsed() > Duration::from_secs(3);
    let (ollama, _) = lifecycle(Kind::Ollama, move |path| match path {
        "/api/ps" => Some(if later() { TAGS } else { NONE }.to_owned()),
        "/api/tags" => Some(TAGS.to_owned()),
        _ => None,
    });
    let (ended, seconds) = loads(&ollama).await;
    assert_eq!((ended.status, seconds), (OperationStatus::Completed, 13), "{ended:?}");

    let since = Instant::now();
    let later = move || since.elapsed() > Duration::from_secs(3);
    let (llamacpp, _) = lifecycle(Kind::LlamaCpp, move |path| match path {
        "/v1/models" => Some(router(if later() { r#""value":"loaded""# } else { r#""value":"loading""# })),
        _ => None,
    });
    let (ended, seconds) = loads(&llamacpp).await;
    assert_eq!((ended.status, seconds), (OperationStatus::Completed, 3), "{ended:?}");
    assert_eq!((ended.progress, ended.error, ended.ended_at.is_some()), (Some(1.0), None, true));
}

#[tokio::test(start_paused = true)]
async fn what_is_never_listed_has_failed_when_its_time_is_over() {
    let (lifecycle, server) = lifecycle(Kind::LlamaCpp, |path| match path {
        "/v1/models" => Some(router(r#""value":"loading""#)),
        _ => Some(r#"{"success":true}"#.to_owned()),
    });
    let (ended, seconds) = loads(&lifecycle).await;
    assert_eq!((ended.status, seconds), (OperationStatus::Failed, 300));
    assert!(ended.error.is_some_and(|error| error.contains("timeout_ms")));
    let orders = server.asked.lock().expect("no panic").iter().filter(|path| *path == "/models/load").count();
    assert_eq!(orders, 1);
    assert!(lifecycle.load(&wish("m")).await.is_ok(), "and its backend is free again");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_gives_up_is_believed() {
    let since = Instant::now();
    let (lifecycle, _) = lifecycle(Kind::LlamaCpp, move |path| match path {
        "/v1/models" if since.elapsed() > Duration::from_secs(2) => {
            Some(router(r#""value":"unloaded","failed":true,"exit_code":1"#))
        }
        "/v1/models" => Some(router(r#""value":"loading""#)),
        _ => Some(r#"{"success":true}"#.to_owned()),
    });
    let (ended, seconds) = loads(&lifecycle).await;
    assert_eq!((ended.status, seconds), (OperationStatus::Failed, 2), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn a_backend_has_one_operation_at_a_time_and_none_when_it_is_removed() {
    let (lifecycle, _) = lifecycle(Kind::LlamaCpp, |path| match path {
        "/v1/models" => Some(router(r#""value":"loading""#)),
        _ => Some(r#"{"success":true}"#.to_owned()),
    });
    let begun = lifecycle.load(&wish("m")).await.expect("it begins");
    for refused in [lifecycle.load(&wish("m")).await, lifecycle.unload(&wish("m")).await] {
        let refused = refused.expect_err("it is busy");
        assert_eq!(refused.reason, ObjectionReason::Busy);
        assert!(refused.message.contains(&begun.operation_id), "{refused}");
    }
    lifecycle.0.registry.remove("gpu");
    let ended = lifecycle.wait_for(begun, Duration::from_secs(5)).await.expect("it is known");
    assert_eq!(ended.error.as_deref(), Some("the backend was removed"));
}

#[tokio::test(start_paused = true)]
async fn the_last_hundred_are_remembered() {
    let (lifecycle, _) =
        lifecycle(Kind::LlamaCpp, |path| (path == "/v1/models").then(|| router(r#""value":"loaded""#)));
    let mut first = None;
    for _ in 0..book::MOST + 5 {
        let begun = lifecycle.load(&wish("m")).await.expect("it begins");
        first.get_or_insert(begun.operation_id.clone());
        lifecycle.wait_for(begun, Duration::from_secs(1)).await.expect("it is known");
    }
    assert_eq!(lifecycle.operations().await.len(), book::MOST);
    let unknown = lifecycle.operation(&first.expect("one")).await.expect_err("long ago");
    assert_eq!(unknown.reason, ObjectionReason::Unknown);
}
