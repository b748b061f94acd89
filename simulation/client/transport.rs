//! HTTP to a peer as a client speaks it: one request on a connection of its own, with as much patience as may be asked for.

use bytes::Bytes;
use http::{Method, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use nexus::env::Env;
use serde_json::Value;
use tokio::time::{Instant, timeout, timeout_at};

use super::{ADMIN_TOKEN, End, MARGIN, PATIENCE};

/// The head of a request.
pub(super) fn request(host: &str, method: Method, path: &str, id: &str, key: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, host)
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::AUTHORIZATION, format!("Bearer {key}"))
        .header("x-request-id", id)
}

/// One request on a connection of its own; gives up when its patience ends.
pub(super) async fn send(
    env: &Env,
    host: &str,
    request: http::request::Builder,
    body: String,
) -> Result<Response<Incoming>, End> {
    let deadline = Instant::now() + PATIENCE + MARGIN;
    let late = |_| End::Late(PATIENCE + MARGIN);
    let cut = |error: &dyn std::fmt::Display| End::Cut(error.to_string());
    let dial = env.net.dial(host.to_owned(), crate::peer::PORT);
    let io = timeout_at(deadline, dial).await.map_err(late)?.map_err(|error| cut(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|error| cut(&error))?;
    env.tasks.spawn("connection", async move {
        let _ = connection.await;
    });
    let request = request.body(Full::new(Bytes::from(body))).expect("every part is a literal or was made here");
    timeout_at(deadline, sender.send_request(request)).await.map_err(late)?.map_err(|error| cut(&error))
}

/// A management call or a view of the peer at `host`: the status and the JSON body.
pub(crate) async fn call(env: &Env, host: &str, method: Method, path: &str, body: &Value) -> Result<(u16, Value), End> {
    let text = if body.is_null() { String::new() } else { body.to_string() };
    let reply = send(env, host, request(host, method, path, "call", ADMIN_TOKEN), text).await?;
    let status = reply.status().as_u16();
    let body = timeout(PATIENCE + MARGIN, reply.into_body().collect()).await;
    let body = body.map_err(|_| End::Late(PATIENCE + MARGIN))?.map_err(|error| End::Cut(error.to_string()))?;
    Ok((status, serde_json::from_slice(&body.to_bytes()).unwrap_or_default()))
}
