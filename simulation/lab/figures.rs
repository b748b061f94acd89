//! The figures of one course, and what is made of those of many seeds.

use super::course::{Course, Track};
use super::setting::SECOND;

/// What one course comes to.
#[derive(PartialEq)]
pub(super) struct Figures {
    /// Seconds from arrival to the last token.
    pub(super) mean: f64,
    /// The same, at these ranks.
    pub(super) p50: f64,
    pub(super) p95: f64,
    pub(super) p99: f64,
    /// Requests that stood in a line.
    pub(super) waited: f64,
    /// Those that did while a slot was idle somewhere.
    pub(super) beside_idle: f64,
    /// Other owners asked beyond the first, for each request.
    pub(super) extra_hops: f64,
    /// Share of the time that slots were taken, by backend.
    pub(super) busy: Vec<f64>,
}

impl Figures {
    /// Of this course.
    pub(super) fn of(course: Course) -> Self {
        let tracks = &course.tracks;
        let mut took: Vec<f64> = tracks.iter().map(|track| track.took as f64 / SECOND as f64).collect();
        took.sort_unstable_by(f64::total_cmp);
        let count = |of: fn(&&Track) -> bool| tracks.iter().filter(of).count() as f64;
        let extra: u32 = tracks.iter().map(|track| track.asked.saturating_sub(1)).sum();
        Figures {
            mean: mean(&took),
            p50: rank(&took, 0.5),
            p95: rank(&took, 0.95),
            p99: rank(&took, 0.99),
            waited: count(|track| track.waited),
            beside_idle: count(|track| track.waited_beside_idle),
            extra_hops: f64::from(extra) / tracks.len().max(1) as f64,
            busy: course.busy,
        }
    }
}

/// The mean of them; 0 of none.
pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The value at this rank of those in order; 0 of none.
pub(crate) fn rank(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

/// What many seeds make of one figure, in order.
pub(super) fn sorted(figures: &[Figures], of: impl Fn(&Figures) -> f64) -> Vec<f64> {
    let mut values: Vec<f64> = figures.iter().map(of).collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// How many times as long 95 of 100 requests take as with another router, seed by seed, in order.
pub(super) fn ratios(figures: &[Figures], others: &[Figures]) -> Vec<f64> {
    let mut ratios: Vec<f64> = figures.iter().zip(others).map(|(one, other)| one.p95 / other.p95).collect();
    ratios.sort_unstable_by(f64::total_cmp);
    ratios
}
