//! The trace of a request: its span at this peer and one for each attempt, gathered on its way and handed over whole when
//! it is over. Where nobody follows traces, none is gathered. No content; who the spans are sent to is not known here.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Gateway;
use super::outcome::{Miss, Missed, Step};
use crate::exchange::trace::{SpanId, TraceContext, TraceId};
use crate::exchange::{Endpoint, Origin, Request, RequestId};
use crate::fleet::Kind;
use crate::route::Place;

/// Attempts of one request that have a span of their own.
const MOST_ATTEMPTS: usize = 32;

/// Follows traces. It is called on the way of requests, so it must neither wait nor fail.
pub trait Traces: Send + Sync + 'static {
    /// The span of a request that came with `parent`: of the same trace, or of a new one.
    fn begin(&self, parent: Option<TraceContext>) -> TraceContext;

    /// One more span.
    fn span(&self) -> SpanId;

    /// A request has ended whose trace is sampled.
    fn ended(&self, trace: Box<Trace>);
}

/// A request's part of a trace at this peer.
#[derive(Debug)]
pub struct Trace {
    /// The span of the request.
    pub context: TraceContext,
    /// The span of whoever sent it.
    pub parent: Option<SpanId>,
    /// The same in every peer's log.
    pub request_id: RequestId,
    /// What was asked.
    pub endpoint: Endpoint,
    /// Whether another peer asked, for a client of its own.
    pub is_from_peer: bool,
    /// When it came, since 1970.
    pub began: Duration,
    /// The model that was named.
    pub asked: String,
    /// Those who were tried, in turn.
    pub attempts: Vec<Attempt>,
    /// How it ended.
    pub end: TraceEnd,
}

/// How a request ended.
#[derive(Debug, Default)]
pub struct TraceEnd {
    /// From its coming to its end.
    pub took: Duration,
    /// To the first byte of an answer, where there was one.
    pub first_byte: Option<Duration>,
    /// The HTTP status; 499 where the client left, 0 where a peer was refused.
    pub status: u16,
    /// What went wrong, one of a few words.
    pub error_type: Option<&'static str>,
    /// Tokens of the prompt and of the answer, where the backend told.
    pub tokens: Option<(u64, u64)>,
}

/// One try.
#[derive(Debug)]
pub struct Attempt {
    /// Its span.
    pub span: SpanId,
    /// When it began, from the coming of the request.
    pub at: Duration,
    /// How long it took; `None`: to the end of the request.
    pub took: Option<Duration>,
    /// Where.
    pub place: Place,
    /// Host and port of the backend, where it is one of this peer's own.
    pub server: Option<(String, Option<u16>)>,
    /// The kind of the backend.
    pub kind: Kind,
    /// The model, by the name that the backend knows.
    pub model: String,
    /// The status of its answer, where there was one.
    pub status: Option<u16>,
    /// Why nothing came of it, in one word.
    pub missed: Option<&'static str>,
}

/// A trace that is being gathered.
pub(super) struct Following {
    trace: Box<Trace>,
    began: Instant,
    traces: Arc<dyn Traces>,
}

impl Following {
    fn begin(traces: &Arc<dyn Traces>, request: &Request, began: Duration) -> Self {
        let parent = TraceContext::of(&request.headers);
        let trace = Trace {
            context: traces.begin(parent),
            parent: parent.map(|parent| parent.span),
            request_id: request.id.clone(),
            endpoint: request.endpoint,
            is_from_peer: matches!(request.origin, Origin::Peer(_)),
            began,
            asked: String::new(),
            attempts: Vec::new(),
            end: TraceEnd::default(),
        };
        Following { trace: Box::new(trace), began: Instant::now(), traces: traces.clone() }
    }

    pub(super) fn id(&self) -> TraceId {
        self.trace.context.trace
    }

    /// A candidate has its turn: the span that asks it. `server` knows where a backend of this peer is.
    pub(super) fn tries(
        &mut self,
        step: &Step,
        server: impl FnOnce(&str) -> Option<(String, Option<u16>)>,
    ) -> TraceContext {
        let Trace { context, attempts, .. } = &mut *self.trace;
        if !context.is_sampled || attempts.len() >= MOST_ATTEMPTS {
            return *context;
        }
        let (planned, span) = (&step.planned, self.traces.span());
        let server = match &planned.place {
            Place::Here { backend } => server(backend),
            Place::There { .. } => None,
        };
        attempts.push(Attempt {
            span,
            at: self.began.elapsed(),
            took: None,
            place: planned.place.clone(),
            server,
            kind: planned.kind,
            model: planned.served.id.clone(),
            status: None,
            missed: None,
        });
        TraceContext { span, ..*context }
    }

    pub(super) fn missed(&mut self, missed: &Missed) {
        let now = self.began.elapsed();
        let Some(attempt) = self.trace.attempts.last_mut().filter(|attempt| attempt.took.is_none()) else { return };
        attempt.took = Some(now.saturating_sub(attempt.at));
        attempt.status = match &missed.miss {
            Miss::Status(status) => Some(status.as_u16()),
            Miss::Later(answer) => Some(answer.reply.status().as_u16()),
            _ => None,
        };
        attempt.missed = Some(missed.miss.word());
    }

    /// The attempt at this place answers. It need not be the last one: what was said first may have to do.
    pub(super) fn answered(&mut self, place: &Place, status: u16) {
        let at_place = self.trace.attempts.iter_mut().rev().find(|attempt| attempt.place == *place);
        if let Some(attempt) = at_place {
            (attempt.took, attempt.status, attempt.missed) = (None, Some(status), None);
        }
    }

    /// It is over.
    pub(super) fn end(mut self, asked: &str, end: TraceEnd) {
        if self.trace.context.is_sampled {
            asked.clone_into(&mut self.trace.asked);
            self.trace.end = TraceEnd { took: self.began.elapsed(), ..end };
            self.traces.ended(self.trace);
        }
    }
}

impl Gateway {
    /// The same, with somebody who follows traces.
    #[must_use]
    pub fn traced_by(self, traces: Option<Arc<dyn Traces>>) -> Self {
        Gateway { traces, ..self }
    }

    /// The trace of a request that has come, where anybody follows it.
    pub(super) fn follow(&self, request: &Request) -> Option<Following> {
        self.traces.as_ref().map(|traces| Following::begin(traces, request, self.clock.since_epoch()))
    }

    /// Where one of our own backends is.
    pub(super) fn address_of(&self, backend: &str) -> Option<(String, Option<u16>)> {
        let here = self.registry.snapshot();
        let url = &here.get(backend)?.spec.url;
        Some((url.host_str()?.to_owned(), url.port_or_known_default()))
    }
}
