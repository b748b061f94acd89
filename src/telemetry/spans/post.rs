//! Spans on their way to a collector: some together, once a second at most. While the collector is away they wait, as many
//! as there is room for, and one warning says so; no request ever waits for it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use prometheus::IntCounterVec;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tracing::{info, warn};

use super::config::Target;
use super::otlp;
use crate::env::HttpExchange;
use crate::gateway::Trace;

/// How long spans are gathered for one message, and how many requests one holds at most.
const GATHERED_FOR: Duration = Duration::from_secs(1);
const MOST_TOGETHER: usize = 256;

/// How long a collector may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long one that is away is left alone: longer each time, up to the second.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What of its answer is read, so that the connection may be used again.
const MOST_ANSWER: usize = 64 * 1024;

/// What the requests hand over.
pub(super) enum Word {
    /// A trace to be told.
    Over(Box<Trace>),
    /// All that there is goes out now; told when it has.
    Flush(oneshot::Sender<()>),
}

/// Tells a collector.
pub(super) struct Post {
    pub(super) http: Arc<dyn HttpExchange>,
    pub(super) target: Target,
    pub(super) resource: otlp::Resource,
    pub(super) counts: IntCounterVec,
    /// What it was sent last it refused: that is said once, and not every second.
    pub(super) is_refused: bool,
}

/// Why a message was not taken.
enum Untaken {
    /// The collector may take it later.
    Away(String),
    /// It never will.
    Refused(StatusCode),
}

impl Post {
    /// Goes on until nobody is left to hand anything over.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Word>) {
        let mut traces = Vec::new();
        loop {
            let Some(asked) = gather(&mut queue, &mut traces).await else { return };
            if !traces.is_empty() {
                self.deliver(&traces).await;
                traces.clear();
            }
            if let Some(flushed) = asked {
                // Whoever waited may have given up.
                let _ = flushed.send(());
            }
        }
    }

    /// Posts until the collector takes it or never will.
    async fn deliver(&mut self, traces: &[Box<Trace>]) {
        let spans = traces.iter().map(|trace| otlp::count(trace)).sum();
        let body = Bytes::from(otlp::message(&self.resource, traces));
        let mut pause = FIRST_PAUSE;
        let mut is_away = false;
        let result = loop {
            match self.post(body.clone()).await {
                Ok(()) => break "sent",
                Err(Untaken::Refused(_)) if self.is_refused => break "refused",
                Err(Untaken::Refused(status)) => {
                    warn!(target: "nexus::telemetry", status = status.as_u16(), "The trace collector refuses what it is sent: check tracing.otlp_endpoint and the headers");
                    break "refused";
                }
                Err(Untaken::Away(why)) => {
                    if !is_away {
                        warn!(target: "nexus::telemetry", why, "The trace collector takes nothing: traces wait, and are left out when there are too many");
                    }
                    is_away = true;
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        let was_refused = std::mem::replace(&mut self.is_refused, result == "refused");
        if (is_away || was_refused) && result == "sent" {
            info!(target: "nexus::telemetry", "The trace collector takes traces again");
        }
        self.counts.with_label_values(&[result]).inc_by(spans);
    }

    async fn post(&self, body: Bytes) -> Result<(), Untaken> {
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.target.headers.clone();
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let exchange = async {
            let reply = self.http.send(request).await.map_err(|error| error.to_string())?;
            let status = reply.status();
            // What it says is nobody's business; reading it frees the connection.
            let _ = Limited::new(reply.into_body(), MOST_ANSWER).collect().await;
            Ok(status)
        };
        match timeout(PATIENCE, exchange).await {
            Err(_) => Err(Untaken::Away(format!("no answer within {} s", PATIENCE.as_secs()))),
            Ok(Err(why)) => Err(Untaken::Away(why)),
            Ok(Ok(status)) if status.is_success() => Ok(()),
            // As the specification of OTLP says.
            Ok(Ok(status)) if matches!(status.as_u16(), 429 | 502..=504) => Err(Untaken::Away(status.to_string())),
            Ok(Ok(status)) => Err(Untaken::Refused(status)),
        }
    }
}

/// Waits for the next trace and for those that follow soon. Inside: who wants to know when they have been told, if
/// somebody does. `None`: there will be no more.
#[expect(clippy::vec_box, reason = "traces are large and come in boxes: they are not moved out of them")]
async fn gather(queue: &mut mpsc::Receiver<Word>, traces: &mut Vec<Box<Trace>>) -> Option<Option<oneshot::Sender<()>>> {
    match queue.recv().await? {
        Word::Over(trace) => traces.push(trace),
        Word::Flush(flushed) => return Some(Some(flushed)),
    }
    let end = Instant::now() + GATHERED_FOR;
    while traces.len() < MOST_TOGETHER {
        match timeout_at(end, queue.recv()).await {
            Ok(Some(Word::Over(trace))) => traces.push(trace),
            Ok(Some(Word::Flush(flushed))) => return Some(Some(flushed)),
            Ok(None) | Err(_) => break,
        }
    }
    Some(None)
}
