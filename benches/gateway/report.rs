//! Figures from samples: medians with how far they can be trusted, ratios within each round, and the targets beside them. It
//! judges nothing: a missed target is printed, not an error.

use std::fmt::Write as _;

use serde::Serialize;

use crate::cells::CELLS;
use crate::kinds::Kind;
use crate::measure::{Idle, Sample};

/// Everything that was measured.
#[derive(Default, Serialize)]
pub(crate) struct Results {
    pub(crate) machine: String,
    pub(crate) samples: Vec<Sample>,
    pub(crate) idle: Vec<Idle>,
    /// Peers that are not installed.
    pub(crate) missing: Vec<&'static str>,
}

/// The median of rounds. From [`ENOUGH`] rounds on, between which two the true one lies in 19 of 20 cases (by the order of the
/// rounds, whatever their distribution); of fewer, the range in which all lie.
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

/// Rounds from which a median has a confidence interval narrower than the range of all.
const ENOUGH: usize = 9;

impl Spread {
    fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let outside = if values.len() < ENOUGH { 0 } else { outside(values.len()) };
        let (low, high) = (*values.get(outside)?, *values.get(values.len() - 1 - outside)?);
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 };
        Some(Spread { median, low, high })
    }

    fn show(&self, digits: usize) -> String {
        format!("{:.digits$} [{:.digits$}-{:.digits$}]", self.median, self.low, self.high)
    }
}

/// How many of so many values in order lie below the 95 % confidence interval of the median, and as many above it: the binomial
/// distribution by its normal approximation, rounded outwards.
fn outside(values: usize) -> usize {
    let values = values as f64;
    ((values - 1.96 * values.sqrt()) / 2.0).floor() as usize
}

/// A figure that has a target.
struct Figure {
    what: &'static str,
    unit: &'static str,
    target: f64,
    found: Option<Spread>,
}

impl Results {
    /// All tables, as Markdown.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}\n", self.machine);
        for name in &self.missing {
            let _ = writeln!(text, "{name}: not installed");
        }
        self.targets(&mut text);
        for cell in &CELLS {
            let _ = self.cell(cell.name, cell.about, &mut text);
        }
        let _ = self.rest(&mut text);
        text
    }

    fn of<'a>(&'a self, peer: &'a str, cell: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.peer == peer && sample.cell == cell)
    }

    /// One value for each round that both peers took part in.
    fn paired(
        &self,
        cell: &str,
        [one, other]: [Kind; 2],
        value: impl Fn(&Sample) -> f64,
        joined: impl Fn(f64, f64) -> f64,
    ) -> Option<Spread> {
        let rounds = self.of(one.name(), cell).filter_map(|sample| {
            let beside = self.of(other.name(), cell).find(|beside| beside.round == sample.round)?;
            Some(joined(value(sample), value(beside)))
        });
        Spread::of(rounds)
    }

    fn figures(&self) -> [Figure; 12] {
        let cost = |cell, peers| self.paired(cell, peers, |sample| sample.cpu_per_answer, |one, other| one / other);
        let per_chunk = |sample: &Sample| sample.cpu_per_chunk.unwrap_or_default();
        let chunk = |cell| self.paired(cell, [Kind::Nexus, Kind::Nginx], per_chunk, |one, other| one / other);
        let added =
            |cell, peers, time: fn(&Sample) -> f64| self.paired(cell, peers, time, |one, other| (one - other) / 1000.0);
        let figure = |what, unit, target, found| Figure { what, unit, target, found };
        let idle = |value: fn(&Idle) -> f64| {
            Spread::of(self.idle.iter().filter(|idle| idle.peer == Kind::Nexus.name()).map(value))
        };
        [
            figure("CPU per request, 32 connections", "x nginx", 2.0, cost("small", [Kind::Nexus, Kind::Nginx])),
            figure("CPU per chunk, paced", "x nginx", 1.5, chunk("paced")),
            figure(
                "first chunk 3 ms after the head: added to direct",
                "ms",
                1.0,
                added("headgap", [Kind::Nexus, Kind::Direct], |sample| sample.seen.first_byte_p50),
            ),
            figure(
                "hop: added p50, 1 KiB, 1 connection",
                "ms",
                0.3,
                added("single", [Kind::Hop, Kind::Nexus], |sample| sample.seen.p50),
            ),
            figure("hop: CPU of both, 1 connection", "x local", 3.0, cost("single", [Kind::Hop, Kind::Nexus])),
            figure("hop: CPU of both, 32 connections", "x local", 3.0, cost("small", [Kind::Hop, Kind::Nexus])),
            figure("observed, 32 connections", "x not observed", 1.1, cost("small", [Kind::Observed, Kind::Nexus])),
            figure("observed, 32 connections", "x never observed", 1.1, cost("small", [Kind::Observed, Kind::Unseen])),
            figure(
                "1,000 ends of requests told a second",
                "x nobody told",
                1.02,
                cost("steady", [Kind::Watched, Kind::Nexus]),
            ),
            figure("memory grown from the first round to the last, watched", "MB", 1.0, self.grown(Kind::Watched)),
            figure("idle memory (PSS)", "MB", 30.0, idle(|idle| idle.memory)),
            figure("start to first answer", "ms", 300.0, idle(|idle| idle.first_answer)),
        ]
    }

    /// What a peer's memory has grown by since the end of its first round, in MB.
    fn grown(&self, peer: Kind) -> Option<Spread> {
        let mut rounds = self.samples.iter().filter(|sample| sample.peer == peer.name());
        let last = |round| self.samples.iter().rfind(|sample| sample.peer == peer.name() && sample.round == round);
        let (first, end) = (rounds.next()?.round, self.samples.iter().map(|sample| sample.round).max()?);
        (first < end).then(|| Spread::of([last(end)?.memory - last(first)?.memory]))?
    }

    fn targets(&self, text: &mut String) {
        text.push_str("\n| figure | median [range] | target | |\n|---|---:|---:|---|\n");
        for Figure { what, unit, target, found } in self.figures() {
            let (shown, verdict) = match found {
                Some(found) => (found.show(2), if found.median <= target { "met" } else { "missed" }),
                None => ("not measured".to_owned(), ""),
            };
            let _ = writeln!(text, "| {what} | {shown} {unit} | <= {target} | {verdict} |");
        }
    }

    fn cell(&self, name: &str, about: &str, text: &mut String) -> std::fmt::Result {
        if self.samples.iter().all(|sample| sample.cell != name) {
            return Ok(());
        }
        writeln!(text, "\n`{name}`: {about}\n")?;
        writeln!(
            text,
            "| peer | CPU us/answer | CPU us/chunk | answers/s | p50 us | p99 us | first byte p50 us | chunks arrived/sent | PSS MB | failures |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
        )?;
        for peer in Kind::ALL.map(Kind::name) {
            let all = |value: fn(&Sample) -> Option<f64>, digits| {
                let spread = Spread::of(self.of(peer, name).filter_map(value));
                spread.map_or_else(String::new, |spread| spread.show(digits))
            };
            if self.of(peer, name).next().is_none() {
                continue;
            }
            writeln!(
                text,
                "| {peer} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                all(|sample| Some(sample.cpu_per_answer), 1),
                all(|sample| sample.cpu_per_chunk, 2),
                all(|sample| Some(sample.seen.answers as f64 / sample.seen.seconds), 0),
                all(|sample| Some(sample.seen.p50), 0),
                all(|sample| Some(sample.seen.p99), 0),
                all(|sample| Some(sample.seen.first_byte_p50), 0),
                all(|sample| sample.chunks_arrived, 3),
                all(|sample| Some(sample.memory), 1),
                self.of(peer, name).map(|sample| sample.seen.failures).sum::<u64>(),
            )?;
        }
        Ok(())
    }

    fn rest(&self, text: &mut String) -> std::fmt::Result {
        if self.idle.is_empty() {
            return Ok(());
        }
        writeln!(
            text,
            "\n`idle`: started, asked once, left alone\n\n| peer | first answer ms | PSS MB | CPU ms/s |\n|---|---:|---:|---:|"
        )?;
        for peer in Kind::ALL.map(Kind::name) {
            let all = |value: fn(&Idle) -> f64, digits| {
                Spread::of(self.idle.iter().filter(|idle| idle.peer == peer).map(value))
                    .map(|spread| spread.show(digits))
            };
            let Some(first_answer) = all(|idle| idle.first_answer, 0) else { continue };
            let (memory, cpu) = (all(|idle| idle.memory, 1), all(|idle| idle.cpu, 2));
            writeln!(
                text,
                "| {peer} | {first_answer} | {} | {} |",
                memory.unwrap_or_default(),
                cpu.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}
