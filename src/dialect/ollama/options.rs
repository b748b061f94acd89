//! `options` of a request: what of them every dialect has, what only Ollama has, and what is no more than the default.

use super::loose::Whole;
use super::wire::Options;
use crate::dialect::chat::{ChatRequest, Sampling};

/// Takes over what `options` say, and notes what only Ollama has.
pub(super) fn take(options: Options, request: &mut ChatRequest, uncarried: &mut Vec<String>) {
    note_uncarried(&options, uncarried);
    request.max_tokens = options.num_predict.and_then(positive);
    request.context_length = options.num_ctx.and_then(positive);
    request.stop = options.stop.map(|several| several.0).unwrap_or_default();
    request.sampling = Sampling {
        temperature: options.temperature,
        top_p: options.top_p,
        top_k: options.top_k.map(|top_k| u64::try_from(top_k.0).unwrap_or(0)),
        min_p: options.min_p,
        seed: options.seed.map(|seed| seed.0),
        frequency_penalty: unless(options.frequency_penalty, 0.0),
        presence_penalty: unless(options.presence_penalty, 0.0),
        repeat_penalty: unless(options.repeat_penalty, 1.0),
    };
}

/// Counts that are none say that there is no bound.
fn positive(count: Whole) -> Option<u64> {
    u64::try_from(count.0).ok().filter(|count| *count > 0)
}

/// `value`, unless it is the one that changes nothing.
#[expect(clippy::float_cmp, reason = "the neutral value is written down, not computed")]
fn unless(value: Option<f64>, neutral: f64) -> Option<f64> {
    value.filter(|value| *value != neutral)
}

fn note_uncarried(options: &Options, uncarried: &mut Vec<String>) {
    let known = [
        ("mirostat", options.mirostat.is_some_and(|version| version.0 != 0)),
        ("mirostat_tau", options.mirostat_tau.is_some()),
        ("mirostat_eta", options.mirostat_eta.is_some()),
        ("tfs_z", unless(options.tfs_z, 1.0).is_some()),
        ("typical_p", unless(options.typical_p, 1.0).is_some()),
        ("repeat_last_n", options.repeat_last_n.is_some()),
        ("penalize_newline", options.penalize_newline.is_some()),
    ];
    let said = known.into_iter().filter(|(_, is_said)| *is_said);
    uncarried.extend(said.map(|(name, _)| format!("options.{name}")));
}
