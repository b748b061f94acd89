//! Keys that are read and checked, but change nothing in this version. Where one is set, one warning line at start says so.

use super::Config;

/// What is set, by file or environment, but has no effect.
pub(super) fn without_effect(config: &Config) -> Vec<String> {
    let mut names = Vec::new();
    let mut note = |is_set: bool, name: &str| {
        if is_set {
            names.push(name.to_owned());
        }
    };
    let (ours, usual) = (&config.lifecycle, crate::lifecycle::Config::default());
    note(ours.vram_headroom_percent != usual.vram_headroom_percent, "lifecycle.vram_headroom_percent");
    note(ours.vram_buffer_percent != usual.vram_buffer_percent, "lifecycle.vram_buffer_percent");
    note(ours.vram_heuristic_max_gb != usual.vram_heuristic_max_gb, "lifecycle.vram_heuristic_max_gb");
    let interval = config.budget.as_ref().and_then(|budget| budget.reconciliation_interval_secs);
    note(interval.is_some(), "budget.reconciliation_interval_secs");
    names
}
