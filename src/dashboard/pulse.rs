//! How the mesh has gone of late: a sample every few seconds, in a ring. It reads what backends are known to have done, by
//! their peers' own counts; requests do nothing for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::env::Env;
use crate::fleet::Load;
use crate::mesh::Mesh;
use crate::registry::Registry;

/// Time between two samples.
const EVERY: Duration = Duration::from_secs(2);

/// How many are kept: five minutes.
const KEPT: usize = 150;

/// Backends that are told apart. Further ones count for nothing here.
const MOST_BACKENDS: usize = 4_096;

/// How the whole mesh did since the sample before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Requests that ended, a second.
    pub rate: f64,
    /// Milliseconds to the first byte, averaged over backends by what they did; `None` where nothing ended.
    pub ttft_ms: Option<f64>,
    /// Tokens a second of one stream, averaged likewise.
    pub tokens_per_second: Option<f64>,
    /// Requests under way.
    pub in_flight: u32,
}

/// Takes samples and keeps the last of them.
#[derive(Default)]
pub struct Pulse(Mutex<VecDeque<Sample>>);

impl Pulse {
    /// Begins to take samples, as a task of `env`.
    pub fn start(registry: Arc<Registry>, mesh: Option<Mesh>, env: &Env) -> Arc<Self> {
        let pulse = Arc::new(Pulse::default());
        let kept = Arc::downgrade(&pulse);
        env.tasks.spawn("pulse", async move {
            let (mut taker, mut ticks) = (Taker::default(), interval(EVERY));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let now = ticks.tick().await;
                let Some(pulse) = kept.upgrade() else { return };
                if let Some(sample) = taker.take(loads(&registry, mesh.as_ref()), now) {
                    pulse.keep(sample);
                }
            }
        });
        pulse
    }

    /// Those that are kept, oldest first.
    pub fn samples(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn keep(&self, sample: Sample) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back(sample);
    }
}

/// What every backend has done, by its peer and name.
fn loads(registry: &Registry, mesh: Option<&Mesh>) -> Vec<((String, String), Load)> {
    let own = registry.snapshot();
    let own = own.entries.iter().map(|entry| ((String::new(), entry.spec.name.clone()), entry.load()));
    let peers = mesh.map(Mesh::peers).unwrap_or_default();
    let others = peers.list.iter().flat_map(|peer| {
        peer.backends.iter().map(|backend| ((peer.id.to_string(), backend.about.name.clone()), backend.load))
    });
    own.chain(others).take(MOST_BACKENDS).collect()
}

/// Tells what was done since the last time.
#[derive(Default)]
struct Taker {
    before: Option<Instant>,
    totals: BTreeMap<(String, String), u64>,
}

impl Taker {
    #[expect(clippy::cast_precision_loss, reason = "for a line of a few pixels")]
    fn take(&mut self, loads: Vec<((String, String), Load)>, now: Instant) -> Option<Sample> {
        let mut totals = BTreeMap::new();
        let (mut ended, mut in_flight) = (0_u64, 0_u32);
        let (mut ttft, mut speed) = (Mean::default(), Mean::default());
        for (place, load) in loads {
            // What is heard of for the first time may have served for years, and what starts anew counts from 0.
            let before = self.totals.get(&place).copied().unwrap_or(load.total);
            let done = load.total.saturating_sub(before);
            ended += done;
            in_flight = in_flight.saturating_add(load.in_flight);
            ttft.add(load.ttft_ms.map(f64::from), done as f64);
            speed.add(load.tokens_per_second.map(f64::from), done as f64);
            totals.insert(place, load.total);
        }
        self.totals = totals;
        let seconds = now.saturating_duration_since(self.before.replace(now)?).as_secs_f64();
        let rate = if seconds > 0.0 { ended as f64 / seconds } else { 0.0 };
        Some(Sample { rate, ttft_ms: ttft.value(), tokens_per_second: speed.value(), in_flight })
    }
}

#[derive(Default)]
struct Mean {
    sum: f64,
    weight: f64,
}

impl Mean {
    fn add(&mut self, value: Option<f64>, weight: f64) {
        if let Some(value) = value {
            self.sum += value * weight;
            self.weight += weight;
        }
    }

    fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then(|| self.sum / self.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(total: u64, ttft_ms: u32) -> Load {
        Load { total, ttft_ms: Some(ttft_ms), in_flight: 1, ..Load::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sample_is_what_was_done_since_the_last() {
        let place = |name: &str| (String::new(), name.to_owned());
        let (mut taker, start) = (Taker::default(), Instant::now());
        assert_eq!(taker.take(vec![(place("a"), load(1_000, 50))], start), None, "there is nothing to compare with");
        let next = vec![(place("a"), load(1_003, 50)), (place("b"), load(900, 10))];
        let sample = taker.take(next, start + Duration::from_secs(2)).expect("a sample");
        assert_eq!(
            (sample.rate, sample.ttft_ms, sample.in_flight),
            (1.5, Some(50.0), 2),
            "b is heard of for the first time"
        );
        let last = vec![(place("a"), load(2, 50)), (place("b"), load(901, 10))];
        let sample = taker.take(last, start + Duration::from_secs(4)).expect("a sample");
        assert_eq!((sample.rate, sample.ttft_ms), (0.5, Some(10.0)), "a has started anew");
    }

    #[test]
    fn no_more_is_kept_than_is_shown() {
        let pulse = Pulse::default();
        for at in 0..KEPT + 10 {
            pulse.keep(Sample { in_flight: u32::try_from(at).expect("small"), ..Sample::default() });
        }
        assert_eq!((pulse.samples().len(), pulse.samples()[0].in_flight), (KEPT, 10));
    }
}
