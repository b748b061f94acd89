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
