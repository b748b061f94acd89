//! How this peer's backends and its queue stand.

use prometheus::proto::MetricFamily;

use super::family::{counter, gauge};
use super::{BackendNow, Now};

pub(super) fn families(now: &Now) -> Vec<MetricFamily> {
    let plain = |name, help, value| gauge(name, help, &[], [(vec![], real(value))]);
    let sum = |name, help, value| counter(name, help, &[], [(vec![], value)]);
    let of_each = |name, help, label: &str, value: &dyn Fn(&BackendNow) -> Option<f64>| {
        let samples = now.backends.iter().filter_map(|one| Some((vec![one.name.clone()], value(one)?)));
        gauge(name, help, &[label], samples)
    };
    [
        plain("nexus_backends_total", "Backends of this peer.", now.backends.len()),
        plain("nexus_backends_healthy", "Backends of this peer that answer their health checks.", now.healthy),
        plain("nexus_models_available", "Models that can be asked for here, whichever peer has them.", now.models),
        plain("nexus_queue_depth", "Requests that wait for a slot of this peer's backends.", now.queue.depth),
        sum("nexus_queue_enqueued_total", "Requests that have waited for a slot here.", now.queue.entered),
        sum("nexus_queue_drained_total", "Requests that were given a slot after a wait.", now.queue.granted),
        sum("nexus_queue_timeout_total", "Requests that no slot became free for in time.", now.queue.late),
        of_each(
            "nexus_pending_requests",
            "Requests that a backend of this peer has now, whoever sent them.",
            "backend",
            &|backend| Some(f64::from(backend.in_flight)),
        ),
        of_each(
            "nexus_agent_error_rate",
            "The part of the requests of the last hour that failed at a backend of this peer; absent without any.",
            "agent_id",
            &|backend| backend.counts.error_rate_1h,
        ),
        of_each(
            "nexus_agent_success_rate_24h",
            "The part of the requests of the last day that went well at a backend of this peer; absent without any.",
            "agent_id",
            &|backend| backend.counts.success_rate_24h,
        ),
        of_each(
            "nexus_agent_request_count_1h",
            "Requests of the last hour to a backend of this peer.",
            "agent_id",
            &|backend| Some(f64::from(backend.counts.requests_1h)),
        ),
    ]
    .concat()
}

#[expect(clippy::cast_precision_loss, reason = "there are not so many")]
pub(super) fn real(number: usize) -> f64 {
    number as f64
}
