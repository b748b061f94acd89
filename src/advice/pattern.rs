//! What a history shows of one model: an hour at which its day begins, or demand that grows. Plain arithmetic on counts of
//! hours.

use super::history::HOURS_OF_DAY;

/// How far above the mean hour a peak is.
const PEAK: f64 = 2.0;

/// By how much a week is above the one before where demand grows.
const RISING: f64 = 0.2;

const WEEK: usize = 7 * HOURS_OF_DAY;

/// Something that comes again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pattern {
    /// Every day has a busy time.
    Peak {
        /// The hour of the day (0 to 23, UTC) at which it begins.
        hour: usize,
        /// Requests in it, in mean hours.
        ratio: f64,
        /// Days on which there were requests in it.
        days: usize,
        /// Days on which nobody had asked in the hour before: the model had probably left memory.
        cold_days: usize,
    },
    /// The last week had so much more than the one before: 0.5 is half as much again.
    Rising(f64),
}

impl Pattern {
    /// Those of `hours`, which are whole days and end before the hour `now` of the day.
    pub(super) fn of(hours: &[u32], now: usize) -> Vec<Pattern> {
        [peak(hours, now), rising(hours)].into_iter().flatten().collect()
    }

    /// How plain it is, from 0 to 1. A peak that is there every day and has nothing beside it is 1.
    pub(super) fn strength(&self, of_days: usize) -> f64 {
        match *self {
            Pattern::Peak { ratio, days, .. } => real(days) / real(of_days.max(1)) * (1.0 - 1.0 / ratio),
            Pattern::Rising(growth) => growth.clamp(0.0, 1.0),
        }
    }
}

fn peak(hours: &[u32], now: usize) -> Option<Pattern> {
    let days = hours.len() / HOURS_OF_DAY;
    let total: u64 = hours.iter().map(|count| u64::from(*count)).sum();
    if total == 0 {
        return None;
    }
    let hour_of = |at: usize| (now + at) % HOURS_OF_DAY;
    let mut sums = [0_u64; HOURS_OF_DAY];
    for (at, count) in hours.iter().enumerate() {
        sums[hour_of(at)] += u64::from(*count);
    }
    let ratio = |hour: usize| real(sums[hour]) * real(HOURS_OF_DAY) / real(total);
    let busiest = (0..HOURS_OF_DAY).max_by_key(|hour| (sums[*hour], HOURS_OF_DAY - hour))?;
    if ratio(busiest) < PEAK {
        return None;
    }
    // What must be warmed is where the busy time begins.
    let before = |hour: usize| (hour + HOURS_OF_DAY - 1) % HOURS_OF_DAY;
    let mut hour = busiest;
    while ratio(before(hour)) >= PEAK && before(hour) != busiest {
        hour = before(hour);
    }
    let at_it = || (0..days * HOURS_OF_DAY).filter(|at| hour_of(*at) == hour && hours[*at] > 0);
    let cold = at_it().filter(|at| at.checked_sub(1).is_none_or(|before| hours[before] == 0)).count();
    Some(Pattern::Peak { hour, ratio: ratio(hour), days: at_it().count(), cold_days: cold })
}

fn rising(hours: &[u32]) -> Option<Pattern> {
    let sum = |part: &[u32]| part.iter().map(|count| u64::from(*count)).sum::<u64>();
    let last = hours.len().checked_sub(WEEK)?;
    let before = last.checked_sub(WEEK)?;
    let (before, last) = (sum(&hours[before..last]), sum(&hours[last..]));
    let growth = real(last) / real(before.max(1)) - 1.0;
    (before > 0 && growth > RISING).then_some(Pattern::Rising(growth))
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests")]
fn real(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many days of which each has these requests at these hours, ending before the hour `now` of a day.
    fn days(days: usize, now: usize, at: &[(usize, u32)]) -> Vec<u32> {
        let of = |hour: usize| at.iter().find(|(busy, _)| *busy == hour).map_or(0, |(_, count)| *count);
        (0..days * HOURS_OF_DAY).map(|index| of((now + index) % HOURS_OF_DAY)).collect()
    }

    #[test]
    fn a_peak_is_found_at_its_beginning_whatever_the_hour_is_now() {
        for now in 0..HOURS_OF_DAY {
            let hours = days(14, now, &[(9, 20), (10, 30), (11, 20), (20, 3)]);
            let [Pattern::Peak { hour, ratio, days, cold_days }] = Pattern::of(&hours, now)[..] else {
                panic!("one pattern at {now}");
            };
            assert_eq!((hour, days, cold_days), (9, 14, 14), "{now}");
            assert!((ratio - 20.0 * 24.0 / 73.0).abs() < 1e-9);
        }
    }

    #[test]
    fn what_is_asked_for_all_day_has_no_peak() {
        let all: Vec<(usize, u32)> = (0..24).map(|hour| (hour, 10)).collect();
        assert_eq!(Pattern::of(&days(14, 5, &all), 5), []);
        assert_eq!(Pattern::of(&days(14, 5, &[]), 5), []);
        assert_eq!(Pattern::of(&[], 5), []);
    }

    #[test]
    fn demand_that_grows_is_seen_after_two_weeks() {
        let all = |count| (0..24).map(|hour| (hour, count)).collect::<Vec<_>>();
        let mut hours = days(7, 0, &all(10));
        hours.extend(days(7, 0, &all(13)));
        let [Pattern::Rising(growth)] = Pattern::of(&hours, 0)[..] else { panic!("one pattern") };
        assert!((growth - 0.3).abs() < 1e-9);
        assert_eq!(Pattern::of(&hours[24..], 0), [], "thirteen days");
        hours[..WEEK].fill(12);
        assert_eq!(Pattern::of(&hours, 0), []);
    }

    #[test]
    fn strength_is_between_nothing_and_one() {
        let peak = |ratio, days| Pattern::Peak { hour: 9, ratio, days, cold_days: 0 };
        assert!((peak(24.0, 14).strength(14) - 23.0 / 24.0).abs() < 1e-9);
        assert!((peak(2.0, 7).strength(14) - 0.25).abs() < 1e-9);
        assert!((Pattern::Rising(7.0).strength(14) - 1.0).abs() < 1e-9);
    }
}
