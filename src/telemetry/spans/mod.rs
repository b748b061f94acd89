//! The spans of requests, told to an OpenTelemetry collector by OTLP over HTTP, as protocol buffers. Off unless somebody names one.
//!
//! It is not made of the `opentelemetry` crates: their SDK takes time from the system, chance from the thread, and a thread
//! or a runtime of its own, past the seams of `env`; what is needed of it is one message, which `otlp` writes.

mod config;
mod otlp;
mod post;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus::{IntCounterVec, Opts};
use tokio::sync::{mpsc, oneshot};

pub use config::{Config, Target};
use post::{Post, Word};

use crate::env::Env;
use crate::exchange::trace::{SpanId, TraceContext, TraceId};
use crate::gateway::{Trace, Traces};

/// Requests whose spans wait to be sent. Those of later ones are left out.
const MOST_WAITING: usize = 2_048;

/// Follows the traces of requests.
pub struct Spans {
    key: [u8; 32],
    drawn: AtomicU64,
    /// Of 2^63.
    sampled_below: u64,
    queue: mpsc::Sender<Word>,
    counts: IntCounterVec,
}

impl Spans {
    /// Tells `target` from now on, in the name of `peer`.
    pub fn start(target: Target, peer: &str, env: &Env) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(MOST_WAITING);
        let about = Opts::new("nexus_trace_spans_total", "Spans for the trace collector, by what became of them.");
        let counts = IntCounterVec::new(about, &["result"]).expect("a good name");
        let spans = Spans {
            key: env.seed.bytes("traces"),
            drawn: AtomicU64::new(0),
            sampled_below: threshold(target.sample_ratio),
            queue,
            counts: counts.clone(),
        };
        let resource = otlp::resource(&target, peer);
        let post = Post { http: env.http.clone(), target, resource, counts, is_refused: false };
        env.tasks.spawn("traces", post.run(waiting));
        Arc::new(spans)
    }

    /// What became of spans.
    pub fn counts(&self) -> IntCounterVec {
        self.counts.clone()
    }

    /// Sends what waits, for as long as `limit` at most.
    pub async fn flush(&self, limit: Duration) {
        let (flushed, done) = oneshot::channel();
        if self.queue.try_send(Word::Flush(flushed)).is_ok() {
            let _ = tokio::time::timeout(limit, done).await;
        }
    }

    /// Every draw has dice of its own, so that no two requests share a lock.
    fn draw(&self) -> [u8; 32] {
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        *blake3::keyed_hash(&self.key, &number.to_le_bytes()).as_bytes()
    }
}

impl Traces for Spans {
    fn begin(&self, parent: Option<TraceContext>) -> TraceContext {
        let drawn = self.draw();
        let (trace, span) = (u128::from_le_bytes(part(&drawn, 0)), u64::from_le_bytes(part(&drawn, 16)));
        let span = SpanId(span.max(1));
        match parent {
            Some(parent) => TraceContext { span, ..parent },
            None => {
                // The lower half of the id decides, as at others who sample by it.
                let is_sampled = ((trace as u64) >> 1) < self.sampled_below;
                TraceContext { trace: TraceId(trace.max(1)), span, is_sampled }
            }
        }
    }

    fn span(&self) -> SpanId {
        SpanId(u64::from_le_bytes(part(&self.draw(), 0)).max(1))
    }

    fn ended(&self, trace: Box<Trace>) {
        let spans = otlp::count(&trace);
        if self.queue.try_send(Word::Over(trace)).is_err() {
            self.counts.with_label_values(&["dropped"]).inc_by(spans);
        }
    }
}

/// The share of all ids that begins below this, of 2^63.
fn threshold(ratio: f64) -> u64 {
    if ratio >= 1.0 { 1 << 63 } else { (ratio.max(0.0) * (1_u64 << 63) as f64) as u64 }
}

fn part<const N: usize>(drawn: &[u8; 32], from: usize) -> [u8; N] {
    let mut part = [0; N];
    part.copy_from_slice(&drawn[from..from + N]);
    part
}

#[cfg(test)]
mod tests;
