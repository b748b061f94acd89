//! Which lines a request stood in, as the nodes log it: one that had to give its place up may stand in another one, and
//! has come to that one later.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter, Layer};

/// What a node logs when a request begins to wait.
const WAITS: &str = "Waiting for a slot";

/// How often each request began to wait. A run has its process to itself.
static BEGUN: Mutex<BTreeMap<String, u32>> = Mutex::new(BTreeMap::new());

/// How many lines `request` has stood in.
pub(crate) fn stood_in(request: &str) -> u32 {
    begun().get(request).copied().unwrap_or(0)
}

fn begun() -> MutexGuard<'static, BTreeMap<String, u32>> {
    BEGUN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The events that count.
pub(crate) struct Routing;

impl<S> Filter<S> for Routing {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.is_event() && metadata.target() == "nexus::routing" && *metadata.level() == Level::DEBUG
    }
}

/// Listens to what the nodes log.
pub(crate) struct Lines;

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        if said.message == WAITS {
            *begun().entry(said.request).or_default() += 1;
        }
    }
}

/// The fields of an event that count.
#[derive(Default)]
struct Said {
    message: String,
    request: String,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "request_id" {
            value.clone_into(&mut self.request);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
