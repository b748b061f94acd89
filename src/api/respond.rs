//! How replies and errors leave: JSON, and every error in OpenAI's shape.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::dialect::Fault;
use crate::exchange::Dialect;

/// `value` as JSON.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => bytes_of_json(status, bytes.into()),
        Err(error) => {
            tracing::error!(%error, "Cannot write an answer");
            fault(&Fault::internal())
        }
    }
}

/// `fault` in OpenAI's dialect.
pub(super) fn fault(fault: &Fault) -> Response {
    fault_in(Dialect::OpenAi, fault)
}

/// `fault` as `dialect` writes it.
pub(super) fn fault_in(dialect: Dialect, fault: &Fault) -> Response {
    let mut response = bytes_of_json(fault.status, fault.body(dialect));
    if let Some(seconds) = fault.retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    response
}

fn bytes_of_json(status: StatusCode, bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) async fn no_such_path(method: http::Method, uri: http::Uri) -> Response {
    fault_in(dialect_of(uri.path()), &Fault::not_found(format!("There is no {method} {} here", uri.path())))
}

pub(super) async fn no_such_method(method: http::Method, uri: http::Uri) -> Response {
    fault_in(dialect_of(uri.path()), &Fault::method_not_allowed(method.as_str(), uri.path()))
}

/// Whose client asks for a path.
fn dialect_of(path: &str) -> Dialect {
    match path {
        _ if path.starts_with("/api/") => Dialect::Ollama,
        "/" => Dialect::OpenAi,
        _ if path.starts_with("/v1/messages") => Dialect::Anthropic,
        _ if path.starts_with("/v1beta/") => Dialect::Google,
        _ => Dialect::OpenAi,
    }
}

/// How many times the limit is read and thrown away, so that a client that is still sending hears why it is refused
/// instead of a broken connection.
const DRAINED_TIMES: usize = 8;

/// How long a client may pause between two pieces of a body.
const PIECE_DEADLINE: Duration = Duration::from_secs(15);

/// How long a whole body may take whatever its size, and how many bytes of it give it a second more: one that drips would
/// hold its connection and what has come of it for ever.
const BODY_GRACE: Duration = Duration::from_secs(30);
const BYTES_A_SECOND: usize = 16 << 10;

/// The deadlines of one body.
struct Patience {
    began: Instant,
    whole: Duration,
}

impl Patience {
    fn for_bytes(size: usize) -> Self {
        let more = Duration::from_secs((size / BYTES_A_SECOND) as u64);
        Patience { began: Instant::now(), whole: BODY_GRACE + more }
    }

    /// The next piece, where it comes in time.
    async fn piece<T>(&self, piece: impl Future<Output = T>) -> Result<T, Fault> {
        let left = self.whole.saturating_sub(self.began.elapsed());
        timeout(PIECE_DEADLINE.min(left), piece).await.map_err(|_| {
            if left < PIECE_DEADLINE {
                Fault::request_too_slow(self.whole.as_secs())
            } else {
                Fault::request_timeout(PIECE_DEADLINE.as_secs())
            }
        })
    }
}

/// The whole body of a request.
///
/// # Errors
/// It is larger than `limit` bytes, or the client stopped sending or sends too slowly.
async fn whole_body(body: Body, limit: usize, patience: &Patience) -> Result<Bytes, Fault> {
    let mut body = Limited::new(body, limit);
    let (mut only, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = patience.piece(body.frame()).await? {
        let piece = match frame {
            Ok(frame) => frame.into_data().unwrap_or_default(),
            Err(error) if error.is::<LengthLimitError>() => return Err(Fault::body_too_large(limit)),
            Err(_) => return Err(Fault::bad_request("the body ended early")),
        };
        // Most bodies come in one piece, which is not copied.
        if only.is_empty() && all.is_empty() {
            only = piece;
        } else {
            all.extend_from_slice(&std::mem::take(&mut only));
            all.extend_from_slice(&piece);
        }
    }
    Ok(if all.is_empty() { only } else { all.freeze() })
}

/// The head of a request and the whole body of it.
///
/// # Errors
/// It is or says that it is larger than `limit` bytes, or the client stopped sending or sends too slowly.
pub(super) async fn whole_body_of(
    request: http::Request<Body>,
    limit: usize,
) -> Result<(http::request::Parts, Bytes), Fault> {
    let (parts, body) = request.into_parts();
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    let patience = Patience::for_bytes(announced.unwrap_or(limit).min(limit));
    if let Some(size) = announced.filter(|size| *size > limit) {
        if size <= limit.saturating_mul(DRAINED_TIMES) {
            drain(body, &patience).await;
        }
        return Err(Fault::body_too_large(limit));
    }
    let bytes = whole_body(body, limit, &patience).await?;
    Ok((parts, bytes))
}

async fn drain(mut body: Body, patience: &Patience) {
    while let Ok(Some(Ok(_))) = patience.piece(body.frame()).await {}
}
