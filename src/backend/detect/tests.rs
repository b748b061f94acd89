use std::collections::HashMap;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::Full;

use super::*;
use crate::env::ExchangeError;
use crate::exchange::{Reply, full};

/// A server that answers these paths and nothing else.
struct Server(HashMap<&'static str, &'static str>);

impl HttpExchange for Server {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let (status, body) = match self.0.get(request.uri().path()) {
            Some(body) => (200, *body),
            None => (404, "{}"),
        };
        let reply = http::Response::builder().status(status).body(full(body)).expect("a literal reply");
        Box::pin(async move { Ok(reply) })
    }
}

async fn found(paths: &[(&'static str, &'static str)]) -> Detected {
    let url = "http://127.0.0.1:1".parse().expect("literal");
    detect(&Server(paths.iter().copied().collect()), &url).await
}

#[tokio::test]
async fn servers_are_told_apart() {
    let ollama = [("/api/tags", r#"{"models":[]}"#), ("/v1/models", r#"{"data":[]}"#)];
    assert_eq!(found(&ollama).await, Detected::Backend(Kind::Ollama));
    let llamacpp =
        [("/health", r#"{"status":"ok"}"#), ("/v1/models", r#"{"data":[{"id":"m","owned_by":"llamacpp"}]}"#)];
    assert_eq!(found(&llamacpp).await, Detected::Backend(Kind::LlamaCpp));
    let vllm = [("/v1/models", r#"{"data":[{"id":"m","owned_by":"vllm"}]}"#)];
    assert_eq!(found(&vllm).await, Detected::Backend(Kind::Vllm));
    let versioned = [("/v1/models", r#"{"data":[]}"#), ("/version", r#"{"version":"0.9"}"#)];
    assert_eq!(found(&versioned).await, Detected::Backend(Kind::Vllm));
    let lmstudio = [("/v1/models", r#"{"data":[]}"#), ("/api/v0/models", r#"{"data":[]}"#)];
    assert_eq!(found(&lmstudio).await, Detected::Backend(Kind::LmStudio));
    let generic = [("/health", r#"{"status":"fine"}"#), ("/v1/models", r#"{"data":[]}"#)];
    assert_eq!(found(&generic).await, Detected::Backend(Kind::Generic));
}

#[tokio::test]
async fn a_node_and_a_web_server_are_no_backends() {
    let node = [("/health", r#"{"status":"healthy","uptime_seconds":1,"mesh":{}}"#), ("/v1/models", r#"{"data":[]}"#)];
    assert_eq!(found(&node).await, Detected::Nexus);
    assert_eq!(found(&[("/", "<html>")]).await, Detected::Nothing);
    assert_eq!(found(&[("/health", r#"{"status":"up"}"#)]).await, Detected::Nothing);
}

/// Whatever it is said to be, and also where it answers like a backend: a node as its own backend once went round 51 times.
#[tokio::test]
async fn a_node_is_no_healthy_backend_of_any_kind() {
    let like_one = [
        ("/v1/models", r#"{"data":[{"id":"m"}]}"#),
        ("/v1beta/models", r#"{"models":[]}"#),
        ("/api/tags", r#"{"models":[{"name":"m"}]}"#),
        ("/api/v0/models", r#"{"data":[{"id":"m"}]}"#),
        ("/health", r#"{"status":"healthy","uptime_seconds":1,"mesh":null}"#),
    ];
    let (node, other) = (Server(like_one.into()), Server(like_one[..4].iter().copied().collect()));
    let patience = Duration::from_secs(5);
    for kind in Kind::names().map(|name| name.parse::<Kind>().expect("a kind")) {
        let spec = BackendSpec::new("b", "http://h:1".parse().expect("literal"), kind, Source::Static);
        let probe = async |server: &Server| {
            super::super::probe(server, &spec, patience, &mut super::super::Memory::default()).await.map(|_| ())
        };
        assert_eq!(probe(&node).await, Err(super::super::ProbeError::Node), "{kind}");
        if kind != Kind::LlamaCpp {
            assert_eq!(probe(&other).await, Ok(()), "{kind}");
        }
    }
}
