//! The rest of a path as a name. What cannot be read is refused in the shape of every other error, which the extractor of
//! the framework does not do.

use axum::extract::{FromRequestParts, Path};
use axum::response::Response;
use http::request::Parts;

use super::respond;
use crate::dialect::Fault;

/// What a route's last, open part stands for, decoded.
pub(super) struct Rest(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Rest {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(rest)) => Ok(Rest(rest)),
            Err(_) => Err(respond::fault(&Fault::bad_request("The path is not UTF-8 once its %-escapes are decoded"))),
        }
    }
}
