//! What happened to a request: gathered on its way, written as one line when it ends. No content, unless it was asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;
use tracing::{debug, enabled, info};

use super::outcome::{Answer, Missed, Step};
use crate::dialect::{Inspection, Observed};
use crate::exchange::{Origin, Refusal, Request, RequestId};
use crate::route::{Chain, Place, Plan};

/// A request's way through this peer.
pub(super) struct Trip {
    id: RequestId,
    pub(super) started: Instant,
    /// The model that was asked for.
    pub(super) asked: String,
    pub(super) route_reason: &'static str,
    stream: bool,
    from_peer: bool,
    model: Option<Arc<str>>,
    backend: Option<Arc<str>>,
    backend_type: &'static str,
    peer: Option<Arc<str>>,
    retries: u32,
    fallback_chain: Vec<String>,
    prompt_preview: Option<String>,
    status: StatusCode,
    ttft_ms: u64,
    overflowed: bool,
    /// Place in the queue when it came, and what was expected of the wait then.
    pub(super) queue: Option<(usize, Duration)>,
    written: bool,
}

/// What a client's leaving is written down as; it is nobody's status on the wire.
const CLIENT_LEFT: u16 = 499;

/// How much of a prompt is shown where it is shown at all.
const PREVIEW_CHARACTERS: usize = 100;

impl Trip {
    pub(super) fn begin(request: &Request) -> Self {
        Trip {
            id: request.id.clone(),
            started: Instant::now(),
            asked: String::new(),
            route_reason: "capability-match",
            stream: false,
            from_peer: matches!(request.origin, Origin::Peer(_)),
            model: None,
            backend: None,
            backend_type: "",
            peer: None,
            retries: 0,
            fallback_chain: Vec::new(),
            prompt_preview: None,
            status: StatusCode::OK,
            ttft_ms: 0,
            overflowed: false,
            queue: None,
            written: false,
        }
    }

    pub(super) fn understood(&mut self, asked: &Inspection, prompt: Option<&Bytes>) {
        shown(&asked.model).clone_into(&mut self.asked);
        self.stream = asked.stream;
        self.prompt_preview = prompt.and_then(|body| preview(body));
    }

    pub(super) fn planned(&mut self, chain: &Chain, plan: &Plan) {
        self.fallback_chain.clone_from(&chain.fallbacks);
        if !enabled!(target: "nexus::routing", tracing::Level::DEBUG) {
            return;
        }
        let request_id = self.id();
        for (from, to) in &chain.steps {
            debug!(target: "nexus::routing", request_id, "Resolving alias: {from} → {to}");
        }
        for step in &plan.steps {
            if let Some(score) = &step.score {
                debug!(
                    target: "nexus::routing",
                    request_id,
                    "Scoring backend {}: priority={}, load={}, latency={}, total={}",
                    step.place.backend(), score.priority, score.load, score.latency, score.total
                );
            }
        }
        for rejection in &plan.rejections {
            debug!(
                target: "nexus::routing", request_id, rule = rejection.rule().as_str(),
                "Rejected {}: {}", rejection.place, rejection.reason()
            );
        }
        if let Some(first) = plan.steps.first() {
            let score = first.score.as_ref().map_or(0, |score| score.total);
            debug!(
                target: "nexus::routing", request_id,
                "Selected backend: {} (score: {score}, reason: {})", first.place.backend(), plan.strategy.reason()
            );
        }
    }

    fn tried(&mut self, step: &Step) {
        let planned = &step.planned;
        self.model = Some(planned.served.id.as_str().into());
        self.backend = Some(planned.place.backend().clone());
        self.backend_type = planned.kind.as_str();
        self.peer = match &planned.place {
            Place::There { peer_name, .. } => Some(peer_name.clone()),
            Place::Here { .. } => None,
        };
    }

    /// It waits at another peer, which will say how it stands there.
    pub(super) fn waited(&mut self) {
        self.overflowed = true;
        self.queue = None;
    }

    /// It waits here.
    pub(super) fn queued(&mut self, position: usize, expected: Duration) {
        self.overflowed = true;
        self.queue = Some((position, expected));
        debug!(target: "nexus::routing", request_id = self.id(), position, "Waiting for a slot");
    }

    pub(super) fn missed(&mut self, missed: &Missed) {
        self.overflowed |= missed.miss.is_busy();
        self.retries = missed.step.retries;
        self.tried(&missed.step);
        debug!(target: "nexus::routing", request_id = self.id(), "Attempt failed: {missed}");
    }

    pub(super) fn answered(&mut self, answer: &Answer, step: &Step, plan: &Plan) {
        let planned = &step.planned;
        self.status = answer.reply.status();
        self.ttft_ms = millis(answer.ttft);
        self.retries = step.retries;
        self.tried(step);
        let overflowed = self.overflowed || plan.steps.iter().any(|step| step.full && step.place != planned.place);
        self.route_reason = match () {
            () if step.retries > 0 || planned.fallback => "failover",
            () if plan.policy_removed() => "privacy-requirement",
            () if overflowed => "capacity-overflow",
            () => "capability-match",
        };
    }

    /// The reply came to its end, or broke off with `error`.
    pub(super) fn complete(mut self, observed: &Observed, error: Option<&str>) {
        let usage = observed.usage.unwrap_or_default();
        self.write(self.status.as_u16(), error, Some((usage.prompt_tokens, usage.completion_tokens)));
    }

    /// There was no answer.
    pub(super) fn fail(mut self, status: StatusCode, message: &str) {
        self.write(status.as_u16(), Some(message), None);
    }

    /// A peer was told why not.
    pub(super) fn refuse(mut self, refusal: &Refusal) {
        self.written = true;
        debug!(
            target: "nexus::mesh", request_id = self.id(), reason = refusal.reason.as_str(),
            "Refused a peer's request: {}", refusal.message
        );
    }

    fn id(&self) -> &str {
        self.id.as_str()
    }

    fn write(&mut self, status_code: u16, error: Option<&str>, tokens: Option<(u64, u64)>) {
        self.written = true;
        let latency_ms = millis(self.started.elapsed());
        let status = if error.is_none() && status_code < 400 { "success" } else { "error" };
        let actual_model = self.model.as_deref().filter(|model| *model != self.asked);
        let fallback_chain = (!self.fallback_chain.is_empty()).then(|| self.fallback_chain.join(","));
        let tokens = tokens.filter(|(prompt, completion)| prompt + completion > 0);
        info!(
            target: "nexus::api",
            request_id = self.id(),
            model = self.asked,
            actual_model,
            backend = self.backend.as_deref().unwrap_or("none"),
            backend_type = self.backend_type,
            peer = self.peer.as_deref(),
            origin = if self.from_peer { "peer" } else { "client" },
            status,
            status_code,
            error_message = error.map(shown_error),
            latency_ms,
            ttft_ms = self.ttft_ms,
            tokens_prompt = tokens.map(|(prompt, _)| prompt),
            tokens_completion = tokens.map(|(_, completion)| completion),
            tokens_total = tokens.map(|(prompt, completion)| prompt + completion),
            stream = self.stream,
            route_reason = self.route_reason,
            retry_count = self.retries,
            fallback_chain,
            prompt_preview = self.prompt_preview,
            "Request completed"
        );
    }
}

/// Whoever leaves before the end, even before the first byte, is written down as well.
impl Drop for Trip {
    fn drop(&mut self) {
        if !self.written {
            self.write(CLIENT_LEFT, Some("the client went away"), None);
        }
    }
}

/// How much of a name or of an error is written, in characters.
const MAX_NAME: usize = 256;
const MAX_ERROR: usize = 1024;

fn shown(name: &str) -> &str {
    cut(name, MAX_NAME)
}

fn shown_error(error: &str) -> &str {
    cut(error, MAX_ERROR)
}

fn cut(text: &str, characters: usize) -> &str {
    text.char_indices().nth(characters).map_or(text, |(end, _)| &text[..end])
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The beginning of the last thing that was said, for those who opted in.
fn preview(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let last = body.get("messages").and_then(|messages| messages.as_array()?.last()?.get("content"));
    let said = last.or_else(|| body.get("prompt")).or_else(|| body.get("input"))?;
    let text = match said {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some(text.chars().take(PREVIEW_CHARACTERS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A preview once cut a string inside a character, and the connection died of it.
    #[test]
    fn previews_are_cut_between_characters() {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"a{}"}}]}}"#, "é".repeat(200));
        let preview = preview(body.as_bytes()).expect("a prompt");
        assert_eq!(preview.chars().count(), PREVIEW_CHARACTERS);
        assert!(super::preview(b"nonsense").is_none());
    }
}
