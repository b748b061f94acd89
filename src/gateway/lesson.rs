//! What a request to our own backend teaches: that a model is being loaded, what prompts it has read, and, when the answer
//! has come to its end, how fast it was.

use std::sync::Arc;
use std::time::Duration;

use crate::dialect::Observed;
use crate::fleet::{Model, Prefix, Residency};
use crate::registry::{Entry, Sample};

/// Bytes of a token, where the backend does not count.
const BYTES_PER_TOKEN: u64 = 4;

/// A request that was sent and is not answered yet. Dropped so, it has loaded nothing.
pub(super) struct Sent {
    entry: Arc<Entry>,
    model: Arc<Model>,
    prompt: u64,
    held: u64,
    cold: bool,
}

impl Sent {
    /// Now, to `entry`; without a prefix the prompt has `bytes`.
    pub(super) fn now(entry: &Arc<Entry>, model: &Arc<Model>, prefix: Option<&Prefix>, bytes: u64) -> Self {
        let residency = entry.residency_now(&model.id);
        if residency == Residency::Unloaded {
            entry.loads(&model.id);
        }
        Sent {
            entry: entry.clone(),
            model: model.clone(),
            prompt: prefix.map_or(0, Prefix::bytes).max(bytes),
            held: prefix.map_or(0, |prefix| {
                let digest = entry.digest(&model.id);
                prefix.held(|hash| digest.contains(hash))
            }),
            cold: matches!(residency, Residency::Unloaded | Residency::Loading),
        }
    }

    /// The first byte of its answer is here.
    pub(super) fn answered(mut self, prefix: Option<&Prefix>, first: Duration) -> Lesson {
        if std::mem::take(&mut self.cold) {
            self.entry.loaded(&self.model.id, true);
            return Lesson { cold: true, ..self.lesson(prefix, first) };
        }
        self.lesson(prefix, first)
    }

    fn lesson(&self, prefix: Option<&Prefix>, first: Duration) -> Lesson {
        prefix.into_iter().for_each(|prefix| self.entry.has_read(&self.model.id, prefix));
        Lesson { model: self.model.clone(), prompt: self.prompt, held: self.held, cold: false, first }
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        if self.cold {
            self.entry.loaded(&self.model.id, false);
        }
    }
}

/// What is known of an answer when it begins.
pub(super) struct Lesson {
    model: Arc<Model>,
    /// The prompt, and what of it the backend had read before; in bytes.
    prompt: u64,
    held: u64,
    /// The model was not in memory.
    cold: bool,
    /// To the first byte.
    first: Duration,
}

impl Lesson {
    /// The answer is over; `rest` is from its first byte to its last, where it came as it was made.
    pub(super) fn learn(&self, entry: &Entry, observed: &Observed, rest: Duration) {
        let told = observed.usage;
        let prompt = told.map_or(self.prompt / BYTES_PER_TOKEN, |usage| usage.prompt_tokens);
        let presumed = (self.held / BYTES_PER_TOKEN).min(prompt);
        let sample = Sample {
            prompt,
            cached: told.and_then(|usage| usage.cached_tokens).unwrap_or(presumed),
            answer: told.map_or(observed.events, |usage| usage.completion_tokens),
            first: self.first,
            rest,
            cold: self.cold,
        };
        entry.learn(&self.model.id, &sample);
    }
}
