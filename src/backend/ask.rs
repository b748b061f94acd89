//! Small JSON questions to a backend: a path, a deadline, a bound on the answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use serde_json::Value;
use tokio::time::Instant;

use super::doubt::Doubt;
use crate::env::HttpExchange;
use crate::fleet::BackendSpec;

/// The largest answer that is read: a list of some ten thousand models.
const ANSWER_LIMIT: usize = 8 << 20;

/// Why a check failed. Messages name no URL and no key.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Nobody there, or the connection broke.
    #[error("{0}")]
    Unreachable(String),
    /// It took too long.
    #[error("no answer within {} s", .0.as_secs_f32())]
    Late(Duration),
    /// It answered, but not with success.
    #[error("it answered {0}")]
    Status(StatusCode),
    /// It is a Nexus node: requests to it could go round in circles.
    #[error("this is a Nexus node: use `nexus mesh join`")]
    Node,
    /// It is up, and still loading its model.
    #[error("it is still loading its model")]
    Loading,
}

/// Somebody to ask.
pub struct Ask<'a> {
    http: &'a dyn HttpExchange,
    spec: &'a BackendSpec,
    timeout: Duration,
    deadline: Instant,
}

impl<'a> Ask<'a> {
    /// All questions together may take `timeout`, from now on.
    pub fn new(http: &'a dyn HttpExchange, spec: &'a BackendSpec, timeout: Duration) -> Self {
        Ask { http, spec, timeout, deadline: Instant::now() + timeout }
    }

    /// The status, and the body where it is JSON.
    pub async fn get(&self, path: &str) -> Result<(StatusCode, Option<Value>), ProbeError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// The body of a success; `None` where it is not JSON.
    pub async fn get_ok(&self, path: &str) -> Result<Option<Value>, ProbeError> {
        let (status, body) = self.get(path).await?;
        if status.is_success() { Ok(body) } else { Err(ProbeError::Status(status)) }
    }

    /// The body of a success, if there is one: for questions whose answer is welcome but not needed.
    pub async fn get_maybe(&self, path: &str) -> Option<Value> {
        self.get_ok(path).await.ok().flatten()
    }

    /// The same, where an answer that is not JSON is nonsense.
    pub(super) async fn get_json(&self, path: &str, doubt: &mut Doubt) -> Option<Value> {
        let (status, body) = self.exchange(Method::GET, path, Bytes::new()).await.ok()?;
        let answer = serde_json::from_slice(&body).ok().filter(|_| status.is_success());
        if answer.is_none() && status.is_success() {
            doubt.raise();
        }
        answer
    }

    /// The text of a success, if there is one.
    pub(super) async fn get_text(&self, path: &str) -> Option<String> {
        let (status, body) = self.exchange(Method::GET, path, Bytes::new()).await.ok()?;
        status.is_success().then(|| String::from_utf8_lossy(&body).into_owned())
    }

    /// The same with a JSON body.
    pub async fn post_maybe(&self, path: &str, body: &Value) -> Option<Value> {
        let (status, answer) = self.send(Method::POST, path, body.to_string().into()).await.ok()?;
        answer.filter(|_| status.is_success())
    }

    /// The status and the body of what is answered to a JSON body, whatever it is.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<(StatusCode, Bytes), ProbeError> {
        self.exchange(Method::POST, path, body.to_string().into()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Option<Value>), ProbeError> {
        let (status, answer) = self.exchange(method, path, body).await?;
        Ok((status, serde_json::from_slice(&answer).ok()))
    }

    async fn exchange(&self, method: Method, path: &str, body: Bytes) -> Result<(StatusCode, Bytes), ProbeError> {
        let late = Err(ProbeError::Late(self.timeout));
        if Instant::now() >= self.deadline {
            return late;
        }
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = method;
        *request.uri_mut() = super::call::uri(&self.spec.url, path);
        request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        super::call::authorize(request.headers_mut(), self.spec);
        let exchange = async {
            let unreachable = |error: &dyn std::fmt::Display| ProbeError::Unreachable(error.to_string());
            let reply = self.http.send(request).await.map_err(|error| unreachable(&error))?;
            let status = reply.status();
            let body =
                Limited::new(reply.into_body(), ANSWER_LIMIT).collect().await.map_err(|error| unreachable(&error))?;
            Ok((status, body.to_bytes()))
        };
        tokio::time::timeout_at(self.deadline, exchange).await.unwrap_or(late)
    }
}
