//! The figures as people read them: a table for each setting, a line for each claim.

use std::fmt::Write;

use super::Rows;
use super::figures::{mean, rank, ratios, sorted};
use super::router::{ORACLE, ROUTERS};
use super::setting::{SECOND, Setting, Traffic};

/// The table of a setting.
pub(super) fn of(setting: &Setting, rows: &Rows, seeds: usize) -> String {
    let mut text = format!("\n{}\n", heading(setting, seeds));
    let _ = writeln!(
        text,
        "  {:<16} {:>6} {:>6} {:>6} {:>6}  {:>18}  {:>6} {:>7} {:>6}  busy by backend, %",
        "seconds", "mean", "p50", "p95", "p99", "p95/oracle 5-95 %", "waits", "by idle", "hops+"
    );
    for (name, _) in ROUTERS {
        let figures = &rows[name];
        let middle = |of: fn(&super::Figures) -> f64| rank(&sorted(figures, of), 0.5);
        let average = |of: fn(&super::Figures) -> f64| mean(&sorted(figures, of));
        let ratios = ratios(figures, &rows[ORACLE]);
        let ratio = format!("{:.3} {:.2}-{:.2}", rank(&ratios, 0.5), rank(&ratios, 0.05), rank(&ratios, 0.95));
        let busy: Vec<String> = (0..setting.speeds.len())
            .map(|at| format!("{:.0}", mean(&sorted(figures, |figures| figures.busy[at])) * 100.0))
            .collect();
        let _ = writeln!(
            text,
            "  {name:<16} {:>6.2} {:>6.2} {:>6.2} {:>6.2}  {ratio:>18}  {:>6.1} {:>7.1} {:>6.2}  {}",
            middle(|figures| figures.mean),
            middle(|figures| figures.p50),
            middle(|figures| figures.p95),
            middle(|figures| figures.p99),
            average(|figures| figures.waited),
            average(|figures| figures.beside_idle),
            average(|figures| figures.extra_hops),
            busy.join(" "),
        );
    }
    text.pop();
    text
}

fn heading(setting: &Setting, seeds: usize) -> String {
    let asked = match setting.traffic {
        Traffic::Steady { count, load } => format!("{count} requests at load {load}"),
        Traffic::Burst { count, within } => format!("{count} requests within {} ms", within / 1_000),
    };
    let speeds: Vec<String> = setting.speeds.iter().map(f64::to_string).collect();
    format!(
        "{}: {asked}, {} entries, backends of {} tokens/s with {} slots, news every {} s, {seeds} seeds",
        setting.name,
        setting.entries,
        speeds.join(" "),
        setting.slots,
        setting.news_every / SECOND,
    )
}

/// The line of a claim.
pub(super) fn claim(router: &str, what: &str, most: f64, found: f64, verdict: &str) -> String {
    format!("  {verdict}: {router}, {what}: at most {most}, found {found:.3}")
}
