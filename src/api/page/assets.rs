//! The script and the style of the pages: part of the program, known by a hash of them.

use std::sync::LazyLock;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderValue, StatusCode, header};

use crate::dashboard::{SCRIPT, STYLES};

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hasher = blake3::Hasher::new();
    hasher.update(SCRIPT.as_bytes()).update(STYLES.as_bytes());
    hasher.finalize().to_hex()[..16].to_owned()
});

static TAG: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::try_from(format!("\"{}\"", *VERSION)).expect("hex in quotes"));

/// What pages write behind the address of an asset.
pub(super) fn version() -> &'static str {
    &VERSION
}

/// `GET /assets/dashboard.js`.
pub(super) async fn script(request: Request) -> Response {
    asset(&request, "text/javascript; charset=utf-8", SCRIPT)
}

/// `GET /assets/styles.css`.
pub(super) async fn styles(request: Request) -> Response {
    asset(&request, "text/css; charset=utf-8", STYLES)
}

/// Under its own version an asset never changes; under any other address it is asked for anew each time.
fn asset(request: &Request, kind: &'static str, text: &'static str) -> Response {
    let is_known = request.headers().get(header::IF_NONE_MATCH).is_some_and(|tag| tag == *TAG);
    let mut response = Response::new(if is_known { Body::empty() } else { Body::from(text) });
    if is_known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let for_good = request.uri().query() == Some(version());
    let keep = if for_good { "public, max-age=31536000, immutable" } else { "no-cache" };
    let headers = response.headers_mut();
    headers.insert(header::ETAG, TAG.clone());
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
