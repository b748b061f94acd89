//! `/api/pull` of Ollama: it fetches a model layer by layer, and says line by line how far it is.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Trouble, trouble};
use crate::backend::call;
use crate::env::HttpExchange;
use crate::fleet::BackendSpec;

/// Bytes of one line.
const LONGEST_LINE: usize = 64 << 10;

pub(super) async fn pull(
    http: &dyn HttpExchange,
    spec: &BackendSpec,
    model: &str,
    patience: Duration,
    tell: impl Fn(f32),
) -> Result<(), Trouble> {
    let late = |_| Trouble::Failed(format!("the pull made no progress for {} s", patience.as_secs()));
    let broken = |error: &dyn std::fmt::Display| Trouble::Failed(error.to_string());
    let mut request = http::Request::new(Full::new(Bytes::from(json!({ "model": model }).to_string())));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = call::uri(&spec.url, "/api/pull");
    request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    call::authorize(request.headers_mut(), spec);
    let reply = timeout(patience, http.send(request)).await.map_err(late)?.map_err(|error| broken(&error))?;
    let (status, mut body) = (reply.status(), reply.into_body());
    let mut news = News::default();
    let mut rest = Vec::new();
    // What says nothing new is no progress, however much of it comes.
    let mut until = tokio::time::Instant::now() + patience;
    while let Some(frame) = tokio::time::timeout_at(until, body.frame()).await.map_err(late)? {
        rest.extend_from_slice(&frame.map_err(|cut| broken(&cut))?.into_data().unwrap_or_default());
        if !status.is_success() {
            continue;
        }
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            if news.read(&line)? {
                until = tokio::time::Instant::now() + patience;
                news.share().into_iter().for_each(&tell);
            }
        }
        if rest.len() > LONGEST_LINE {
            return Err(Trouble::Failed("what it says of its pull is no line".to_owned()));
        }
    }
    if !status.is_success() {
        return Err(trouble(status, &rest.into()));
    }
    news.read(&rest)?;
    if news.is_done { Ok(()) } else { Err(Trouble::Failed("the pull ended early".to_owned())) }
}

/// What it has said so far.
#[derive(Default)]
struct News {
    /// Bytes there and bytes in all, by layer.
    layers: BTreeMap<String, (u64, u64)>,
    status: String,
    is_done: bool,
}

impl News {
    /// Reads a line; says whether it holds anything new.
    fn read(&mut self, line: &[u8]) -> Result<bool, Trouble> {
        let Ok(line) = serde_json::from_slice::<Value>(line) else { return Ok(false) };
        if let Some(error) = line.get("error").and_then(Value::as_str) {
            let is_unknown = error.contains("file does not exist") || error.contains("not found");
            return Err(if is_unknown { Trouble::NoModel } else { Trouble::Failed(error.chars().take(300).collect()) });
        }
        let status = line.get("status").and_then(Value::as_str).unwrap_or_default();
        self.is_done = status == "success";
        let mut is_new = self.status != status;
        status.clone_into(&mut self.status);
        let number = |key: &str| line.get(key).and_then(Value::as_u64);
        if let (Some(layer), Some(total)) = (line.get("digest").and_then(Value::as_str), number("total")) {
            let now = (number("completed").unwrap_or(0).min(total), total);
            is_new |= self.layers.insert(layer.to_owned(), now) != Some(now);
        }
        Ok(is_new)
    }

    /// How much is there of what is known.
    fn share(&self) -> Option<f32> {
        let (there, all) = self.layers.values().fold((0, 0), |(there, all), layer| (there + layer.0, all + layer.1));
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = there as f32 / all as f32;
        (all > 0).then_some(share)
    }
}
