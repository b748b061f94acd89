//! What happened to a request: gathered on its way; when it ends, written as one line and told to whoever keeps count. No
//! content, unless it was asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::time::Instant;
use tracing::{debug, enabled, info};

use super::book::{Book, End, Page, State};
use super::meter::Metered;
use super::outcome::{Answer, Missed, Step};
use super::trace::{Following, TraceEnd};
use super::witness::{Attempted, Record, Verdict, Witness};
use crate::dialect::{Inspection, Observed};
use crate::exchange::text::cut;
use crate::exchange::trace::{TraceContext, TraceId};
use crate::exchange::{Caller, Origin, Refusal, Request, RequestId};
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
    chain: Option<Arc<Chain>>,
    /// The model that answered instead.
    fell_back: Option<Arc<str>>,
    prompt_preview: Option<String>,
    status: StatusCode,
    ttft: Option<Duration>,
    overflowed: bool,
    /// Place in the queue when it came, and what was expected of the wait then.
    pub(super) queue: Option<(usize, Duration)>,
    /// What it cost, in USD.
    cost: Option<f64>,
    /// Whose key it came with.
    caller: Option<Arc<Caller>>,
    witness: Option<Arc<dyn Witness>>,
    /// The trace that it belongs to, whoever began it.
    trace_id: Option<TraceId>,
    /// Its part of the trace, where anybody follows it.
    following: Option<Following>,
    book: Arc<Book>,
    page: Arc<Page>,
    written: bool,
    /// The backend of this peer that is asked now, and since when.
    asks: Option<(Arc<str>, Instant)>,
    /// What was taken of limits in a minute.
    pub(super) metered: Vec<Metered>,
}

/// What a client's leaving is written down as; it is nobody's status on the wire.
const CLIENT_LEFT: u16 = 499;

/// What went wrong, in a word, where no backend is to blame.
const OF_CLIENT: &str = "client_left";
pub(super) const OF_THIS_PEER: &str = "draining";

/// What is wrong with every model that might have answered, where one goes wrong after the other.
const OF_EVERY_MODEL: [&str; 3] = ["model_not_found", "no_healthy_backend", "backend_error"];

/// How much of a prompt is shown where it is shown at all.
const PREVIEW_CHARACTERS: usize = 100;

impl Trip {
    pub(super) fn begin(
        request: &Request,
        witness: Option<Arc<dyn Witness>>,
        following: Option<Following>,
        book: &Arc<Book>,
        unix_ms: u64,
    ) -> Self {
        let came_with = || TraceContext::of(&request.headers).map(|context| context.trace);
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
            chain: None,
            fell_back: None,
            prompt_preview: None,
            status: StatusCode::OK,
            ttft: None,
            overflowed: false,
            queue: None,
            cost: None,
            caller: request.caller.clone(),
            witness,
            trace_id: following.as_ref().map(Following::id).or_else(came_with),
            following,
            book: book.clone(),
            page: book.open(|number| Page::new(number, request, unix_ms)),
            written: false,
            asks: None,
            metered: Vec::new(),
        }
    }

    pub(super) fn understood(&mut self, asked: &Inspection, prompt: Option<&Bytes>) {
        shown(&asked.model).clone_into(&mut self.asked);
        self.stream = asked.stream;
        self.page.understood(&self.asked, asked.stream);
        self.prompt_preview = prompt.and_then(|body| preview(body));
    }

    /// It was planned, or planned anew.
    pub(super) fn decided(&self, chain: &Arc<Chain>, plan: &Arc<Plan>) {
        self.page.planned(chain, plan);
    }

    /// It was decided, in so long, who may serve.
    pub(super) fn planned(&mut self, chain: &Arc<Chain>, plan: &Arc<Plan>, took: Duration) {
        self.chain = Some(chain.clone());
        self.decided(chain, plan);
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
        let took = took.as_secs_f64() * 1e3;
        debug!(target: "nexus::routing", request_id, "ReconcilerPipeline: completed in {took:.2}ms");
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
        self.page.queued();
        debug!(target: "nexus::routing", request_id = self.id(), position, "Waiting for a slot");
    }

    /// A candidate has its turn: the span that asks it, where its trace is followed.
    pub(super) fn tries(
        &mut self,
        step: &Step,
        server: impl FnOnce(&str) -> Option<(String, Option<u16>)>,
    ) -> Option<TraceContext> {
        self.page.tries(step);
        self.asks = match &step.planned.place {
            Place::Here { backend } => Some((backend.clone(), Instant::now())),
            Place::There { .. } => None,
        };
        self.following.as_mut().map(|following| following.tries(step, server))
    }

    pub(super) fn missed(&mut self, missed: &Missed) {
        self.page.missed(missed);
        match missed.miss.verdict() {
            Some(verdict) => self.attempted(verdict, None),
            None => self.asks = None,
        }
        if let Some(following) = &mut self.following {
            following.missed(missed);
        }
        self.overflowed |= missed.miss.is_busy();
        self.retries = missed.step.retries;
        self.tried(&missed.step);
        debug!(target: "nexus::routing", request_id = self.id(), "Attempt failed: {missed}");
    }

    pub(super) fn answered(&mut self, answer: &Answer, step: &Step, plan: &Plan) {
        let planned = &step.planned;
        self.status = answer.reply.status();
        self.ttft = Some(answer.ttft);
        self.retries = step.retries;
        self.tried(step);
        let overflowed = self.overflowed || plan.steps.iter().any(|step| step.full && step.place != planned.place);
        self.route_reason = match () {
            () if step.retries > 0 || planned.fallback => "failover",
            () if plan.policy_removed() => "privacy-requirement",
            () if overflowed => "capacity-overflow",
            () => "capability-match",
        };
        self.fell_back = planned.fallback.then(|| planned.model.clone());
        self.page.answered(answer.ttft, self.route_reason);
        if let Some(following) = &mut self.following {
            following.answered(&planned.place, self.status.as_u16());
        }
    }

    /// The reply came to its end, or broke off by a trouble: its kind, by the word of metrics, and what it was. `cost` in USD,
    /// where this peer paid.
    pub(super) fn complete(mut self, observed: &Observed, trouble: Option<(&'static str, &str)>, cost: Option<f64>) {
        self.cost = cost;
        self.metered.drain(..).for_each(|metered| metered.settle(Some(observed)));
        let usage = observed.usage.unwrap_or_default();
        self.write(self.status.as_u16(), trouble, Some((usage.prompt_tokens, usage.completion_tokens)));
    }

    /// Whoever asked has left: what was seen until then counts for limits.
    pub(super) fn seen(&mut self, observed: &Observed) {
        self.metered.drain(..).for_each(|metered| metered.settle(Some(observed)));
    }

    /// There was no answer.
    pub(super) fn fail(mut self, status: StatusCode, kind: &'static str, message: &str) {
        self.metered.drain(..).for_each(|metered| metered.settle(None));
        let has_fallbacks = self.chain.as_ref().is_some_and(|chain| !chain.fallbacks.is_empty());
        let kind = if has_fallbacks && OF_EVERY_MODEL.contains(&kind) { "fallback_exhausted" } else { kind };
        self.write(status.as_u16(), Some((kind, message)), None);
    }

    /// A peer was told why not.
    pub(super) fn refuse(mut self, refusal: &Refusal) {
        self.written = true;
        let error = format!("{}: {}", refusal.reason.as_str(), refusal.message);
        self.page.end(&End {
            state: State::Refused,
            status: 0,
            error: Some(&error),
            error_type: Some("refused"),
            tokens: None,
            cost_usd: None,
        });
        self.book.close(&self.page);
        if let Some(following) = self.following.take() {
            following.end(&self.asked, TraceEnd { error_type: Some(refusal.reason.as_str()), ..TraceEnd::default() });
        }
        debug!(
            target: "nexus::mesh", request_id = self.id(), reason = refusal.reason.as_str(),
            "Refused a peer's request: {}", refusal.message
        );
    }

    fn id(&self) -> &str {
        self.id.as_str()
    }

    /// The backend that is asked now, if it is one of this peer, has done so. It is told once.
    fn attempted(&mut self, verdict: Verdict, first_byte: Option<Duration>) {
        if let Some(((backend, since), witness)) = self.asks.take().zip(self.witness.as_ref()) {
            witness.attempted(&Attempted { backend: &backend, verdict, took: since.elapsed(), first_byte });
        }
    }

    fn write(&mut self, status_code: u16, trouble: Option<(&'static str, &str)>, tokens: Option<(u64, u64)>) {
        self.written = true;
        let error = trouble.map(|(_, error)| error);
        let took = self.started.elapsed();
        let latency_ms = millis(took);
        let is_success = error.is_none() && status_code < 400;
        self.attempted(verdict(status_code, trouble.map(|(kind, _)| kind)), self.ttft);
        let status = if is_success { "success" } else { "error" };
        // A backend's own refusal is its answer.
        let error_type = trouble.map_or((!is_success).then_some("backend_error"), |(kind, _)| Some(kind));
        let actual_model = self.model.as_deref().filter(|model| *model != self.asked);
        let chain = self.chain.as_ref();
        let fallback_chain = chain.filter(|chain| !chain.fallbacks.is_empty()).map(|chain| chain.fallbacks.join(","));
        let tokens = tokens.filter(|(prompt, completion)| prompt + completion > 0);
        if let Some(witness) = &self.witness {
            witness.ended(&Record {
                asked: &self.asked,
                model: self.model.as_ref(),
                backend: self.backend.as_ref(),
                backend_type: self.backend_type,
                peer: self.peer.as_ref(),
                is_from_peer: self.from_peer,
                key: self.caller.as_ref().filter(|caller| !caller.is_stranger).map(|caller| caller.name.as_str()),
                status: status_code,
                error,
                error_type,
                fell_back: chain.zip(self.fell_back.as_ref()).map(|(chain, to)| (chain.resolved.as_str(), &**to)),
                took,
                first_byte: self.ttft,
                tokens,
                cost_usd: self.cost,
            });
        }
        let state = if is_success { State::Done } else { State::Failed };
        self.page.end(&End { state, status: status_code, error, error_type, tokens, cost_usd: self.cost });
        self.book.close(&self.page);
        if let Some(following) = self.following.take() {
            let first_byte = self.ttft;
            following.end(
                &self.asked,
                TraceEnd { status: status_code, error_type, tokens, first_byte, ..TraceEnd::default() },
            );
        }
        info!(
            target: "nexus::api",
            request_id = self.id(),
            trace_id = self.trace_id.map(tracing::field::display),
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
            ttft_ms = self.ttft.map_or(0, millis),
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
            self.write(CLIENT_LEFT, Some((OF_CLIENT, "the client went away")), None);
        }
    }
}

/// How the backend that answered did, by the answer's status and its trouble.
fn verdict(status_code: u16, trouble: Option<&'static str>) -> Verdict {
    match trouble {
        Some(OF_CLIENT | OF_THIS_PEER) => Verdict::Neither,
        Some(_) => Verdict::Badly,
        None if status_code >= 500 => Verdict::Badly,
        None if status_code >= 400 => Verdict::Neither,
        None => Verdict::Well,
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
