//! What a reply says of its way: the `x-nexus-*` headers, and which of the backend's own headers pass.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

use super::cost::COST;
use super::error::Told;
use super::outcome::{Answer, Step};
use super::record::Trip;
use crate::budget::{Level, Standing, usd};
use crate::exchange::{Dialect, Reply, RequestId};
use crate::route::Place;

const BACKEND: HeaderName = HeaderName::from_static("x-nexus-backend");
const BACKEND_TYPE: HeaderName = HeaderName::from_static("x-nexus-backend-type");
const ROUTE_REASON: HeaderName = HeaderName::from_static("x-nexus-route-reason");
const ZONE: HeaderName = HeaderName::from_static("x-nexus-privacy-zone");
const PEER: HeaderName = HeaderName::from_static("x-nexus-peer");
const HOPS: HeaderName = HeaderName::from_static("x-nexus-hops");
const FALLBACK: HeaderName = HeaderName::from_static("x-nexus-fallback-model");
/// That a lower tier served than policies want: the tier wanted, and that of the backend.
pub(super) const DOWNGRADED: HeaderName = HeaderName::from_static("x-nexus-tier-downgraded");
const QUEUE_POSITION: HeaderName = HeaderName::from_static("x-nexus-queue-position");
const QUEUE_ETA: HeaderName = HeaderName::from_static("x-nexus-queue-eta");
const BUDGET_STATUS: HeaderName = HeaderName::from_static("x-nexus-budget-status");
const BUDGET_UTILIZATION: HeaderName = HeaderName::from_static("x-nexus-budget-utilization");
const BUDGET_REMAINING: HeaderName = HeaderName::from_static("x-nexus-budget-remaining");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// How tokens were counted, where it is not the backend that did.
pub(super) const TOKEN_COUNT: HeaderName = HeaderName::from_static("x-nexus-token-count");

/// What of a request was left out when it was translated.
pub(super) const LEFT_OUT: HeaderName = HeaderName::from_static("x-nexus-left-out");

/// The reason of a request that has waited for a slot.
const OVERFLOW: &str = "capacity-overflow";

/// The reason of a request that policies kept from somebody, and of one that nothing happened to.
const PRIVACY: &str = "privacy-requirement";
const PLAIN: &str = "capability-match";

/// Which headers of a backend a client sees.
const PASSED: [HeaderName; 3] = [header::CONTENT_TYPE, header::CACHE_CONTROL, header::RETRY_AFTER];
const PASSED_PREFIXES: [&str; 3] = ["x-ratelimit-", "openai-", "anthropic-"];

/// All there is to say of an answer.
pub(super) struct Note<'a> {
    pub(super) answer: &'a Answer,
    pub(super) step: &'a Step,
    pub(super) trip: &'a Trip,
    pub(super) here: &'a str,
    pub(super) request_id: &'a RequestId,
    /// Another peer is answered, which tells its client itself what it knows: whom it asked, how far away, and by what id.
    pub(super) for_peer: bool,
    /// How the budget stands, for a client.
    pub(super) standing: Option<Standing>,
}

impl Note<'_> {
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(12);
        for (name, value) in self.answer.reply.headers() {
            if PASSED.contains(name) || PASSED_PREFIXES.iter().any(|prefix| name.as_str().starts_with(prefix)) {
                headers.append(name.clone(), value.clone());
            }
        }
        let planned = &self.step.planned;
        put(&mut headers, BACKEND, planned.place.backend());
        headers.insert(BACKEND_TYPE, HeaderValue::from_static(planned.kind.locality().as_str()));
        if !self.for_peer || [OVERFLOW, PRIVACY].contains(&self.trip.route_reason) {
            headers.insert(ROUTE_REASON, HeaderValue::from_static(self.trip.route_reason));
        }
        headers.insert(ZONE, HeaderValue::from_static(planned.zone.as_str()));
        match &planned.place {
            Place::Here { .. } if self.for_peer => {}
            Place::Here { .. } => {
                put(&mut headers, PEER, self.here);
                headers.insert(HOPS, HeaderValue::from_static("0"));
            }
            Place::There { peer_name, .. } => {
                // The owner may have chosen another backend of its own than the entry had in mind.
                let told = self.answer.reply.headers();
                for name in [BACKEND, BACKEND_TYPE, ZONE, QUEUE_POSITION, QUEUE_ETA, COST] {
                    if let Some(value) = told.get(&name) {
                        headers.insert(name, value.clone());
                    }
                }
                // It may have waited there without having been told to.
                if let Some(reason) = told.get(&ROUTE_REASON).filter(|reason| *reason == OVERFLOW) {
                    headers.insert(ROUTE_REASON, reason.clone());
                }
                if told.get(&ROUTE_REASON).is_some_and(|reason| reason == PRIVACY) && self.trip.route_reason == PLAIN {
                    headers.insert(ROUTE_REASON, HeaderValue::from_static(PRIVACY));
                }
                // Its own policies may demand more than ours.
                if let Some(lowered) = told.get(&DOWNGRADED) {
                    headers.insert(DOWNGRADED, lowered.clone());
                }
                put(&mut headers, PEER, peer_name);
                headers.insert(HOPS, HeaderValue::from_static("1"));
            }
        }
        for name in [TOKEN_COUNT, LEFT_OUT] {
            if let Some(value) = self.answer.reply.headers().get(&name) {
                headers.insert(name, value.clone());
            }
        }
        if let Some(cost) = self.answer.cost {
            put(&mut headers, COST, &format!("{cost:.4}"));
        }
        if let Some((position, expected)) = self.trip.queue {
            headers.insert(QUEUE_POSITION, position.into());
            headers.insert(QUEUE_ETA, expected.as_secs().into());
        }
        if planned.fallback {
            put(&mut headers, FALLBACK, &planned.model);
        }
        if let Some((wanted, got)) = planned.downgraded.filter(|_| !headers.contains_key(DOWNGRADED)) {
            put(&mut headers, DOWNGRADED, &format!("{}->{}", wanted.get(), got.get()));
        }
        put_standing(&mut headers, self.standing);
        if !self.for_peer {
            put(&mut headers, REQUEST_ID, self.request_id.as_str());
        }
        headers
    }
}

/// The reply to a request whose answer is still to come: who will give it is not known yet.
pub(super) fn on_waiting(mut reply: Reply, id: &RequestId) -> Reply {
    put(reply.headers_mut(), REQUEST_ID, id.as_str());
    reply
}

/// The reply to a request that got no answer.
pub(super) fn on_fault(told: &Told, dialect: Dialect, id: &RequestId, here: &str, standing: Option<Standing>) -> Reply {
    let mut reply = super::error::reply(&told.fault, dialect);
    put(reply.headers_mut(), REQUEST_ID, id.as_str());
    put(reply.headers_mut(), PEER, here);
    put_standing(reply.headers_mut(), standing);
    if let Some((summary, details)) = &told.rejection {
        put(reply.headers_mut(), HeaderName::from_static("x-nexus-rejection-reasons"), summary);
        put(reply.headers_mut(), HeaderName::from_static("x-nexus-rejection-details"), details);
    }
    reply
}

/// How the budget stands, where that is worth a word.
fn put_standing(headers: &mut HeaderMap, standing: Option<Standing>) {
    let Some(standing) = standing.filter(|standing| standing.level != Level::Normal) else { return };
    put(headers, BUDGET_STATUS, standing.level.as_str());
    put(headers, BUDGET_UTILIZATION, &format!("{:.2}", standing.percent()));
    put(headers, BUDGET_REMAINING, &format!("{:.2}", usd(standing.left())));
}

/// Names are people's words: what cannot stand in a header is left out of it.
fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    match HeaderValue::from_str(text) {
        Ok(value) => drop(headers.insert(name, value)),
        Err(_) => {
            let visible: String = text.chars().filter(|c| !c.is_control()).collect();
            if let Ok(value) = HeaderValue::from_bytes(visible.as_bytes()) {
                headers.insert(name, value);
            }
        }
    }
}
