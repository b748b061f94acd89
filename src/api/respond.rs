//! How replies and errors leave: JSON, and every error in OpenAI's shape.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::{Bytes, BytesMut};
use http::{HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;

use crate::dialect::Fault;

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

/// `fault` as JSON.
pub(super) fn fault(fault: &Fault) -> Response {
    let mut response = bytes_of_json(fault.status, fault.body());
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
    fault(&Fault::not_found(format!("There is no {method} {} here", uri.path())))
}

pub(super) async fn no_such_method(method: http::Method, uri: http::Uri) -> Response {
    fault(&Fault::method_not_allowed(method.as_str(), uri.path()))
}

/// How many times the limit is read and thrown away, so that a client that is still sending hears why it is refused
/// instead of a broken connection.
const DRAINED_TIMES: usize = 8;

/// How long a client may pause between two pieces of a body.
const PIECE_DEADLINE: Duration = Duration::from_secs(15);

/// The whole body of a request.
///
/// # Errors
/// It is larger than `limit` bytes, or the client stopped sending.
pub(super) async fn whole_body(body: Body, limit: usize) -> Result<Bytes, Fault> {
    let mut body = Limited::new(body, limit);
    let (mut only, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = timely(body.frame()).await? {
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

async fn timely<T>(piece: impl Future<Output = T>) -> Result<T, Fault> {
    let in_time = tokio::time::timeout(PIECE_DEADLINE, piece).await;
    in_time.map_err(|_| Fault::request_timeout(PIECE_DEADLINE.as_secs()))
}

/// The same, where the size is announced beforehand.
pub(super) async fn whole_body_of(
    request: http::Request<Body>,
    limit: usize,
) -> Result<(http::request::Parts, Bytes), Fault> {
    let (parts, body) = request.into_parts();
    let announced =
        parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if let Some(size) = announced.filter(|size| *size > limit) {
        if size <= limit.saturating_mul(DRAINED_TIMES) {
            drain(body).await;
        }
        return Err(Fault::body_too_large(limit));
    }
    let bytes = whole_body(body, limit).await?;
    Ok((parts, bytes))
}

async fn drain(mut body: Body) {
    while let Ok(Some(Ok(_))) = timely(body.frame()).await {}
}
