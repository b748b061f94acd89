//! What is it that listens there? Asked of servers nobody has described.

use std::time::Duration;

use serde_json::Value;

use super::ask::Ask;
use crate::env::HttpExchange;
use crate::fleet::{BackendSpec, Kind, Source};

/// How long each question may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What was found at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// An inference server of this kind.
    Backend(Kind),
    /// A Nexus node: never a backend, or requests would go round in circles.
    Nexus,
    /// Nobody, or something that is no inference server.
    Nothing,
}

/// Finds out what listens at `url`.
pub async fn detect(http: &dyn HttpExchange, url: &url::Url) -> Detected {
    let spec = BackendSpec::new("", url.clone(), Kind::Generic, Source::Local);
    let ask = || Ask::new(http, &spec, PATIENCE);
    let health = match ask().get("/health").await {
        Ok((status, body)) => status.is_success().then_some(body).flatten(),
        // Whoever does not even accept a connection has no other path to try.
        Err(super::ProbeError::Unreachable(_)) => return Detected::Nothing,
        Err(_) => None,
    };
    if health.as_ref().is_some_and(is_nexus) {
        return Detected::Nexus;
    }
    if ask().get_maybe("/api/tags").await.is_some_and(|body| body.get("models").is_some_and(Value::is_array)) {
        return Detected::Backend(Kind::Ollama);
    }
    if health.as_ref().is_some_and(|body| body.get("status").and_then(Value::as_str) == Some("ok")) {
        return Detected::Backend(Kind::LlamaCpp);
    }
    let Some(list) = ask().get_maybe("/v1/models").await else { return Detected::Nothing };
    let Some(models) = list.get("data").and_then(Value::as_array) else { return Detected::Nothing };
    let owned_by = |name: &str| models.iter().any(|model| model.get("owned_by").and_then(Value::as_str) == Some(name));
    if owned_by("llamacpp") {
        return Detected::Backend(Kind::LlamaCpp);
    }
    if owned_by("vllm") || ask().get_maybe("/version").await.is_some_and(|body| body.get("version").is_some()) {
        return Detected::Backend(Kind::Vllm);
    }
    if ask().get_maybe("/api/v0/models").await.is_some_and(|body| body.get("data").is_some_and(Value::is_array)) {
        return Detected::Backend(Kind::LmStudio);
    }
    Detected::Backend(Kind::Generic)
}

/// Whether a Nexus node listens there; `None` where nobody says anything.
pub(super) async fn is_node(ask: &Ask<'_>) -> Option<bool> {
    let (_, body) = ask.get("/health").await.ok()?;
    Some(body.as_ref().is_some_and(is_nexus))
}

/// A node's `/health` names its mesh.
fn is_nexus(health: &Value) -> bool {
    health.get("mesh").is_some() && health.get("uptime_seconds").is_some()
}

#[cfg(test)]
mod tests;
