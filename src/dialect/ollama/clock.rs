//! Seconds since 1970 as RFC 3339 writes them, in UTC. Nothing here asks what time it is.

const DAY: u64 = 86_400;

/// The last second of the year 9999: RFC 3339 has no later one.
const LAST: u64 = 253_402_300_799;

/// `seconds` since 1970 as `2023-11-14T22:13:20Z`.
pub(super) fn rfc3339(seconds: u64) -> String {
    let seconds = seconds.min(LAST);
    let (year, month, day) = civil(seconds / DAY);
    let second = seconds % DAY;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// Year, month and day of the `days`th day after 1970-01-01. Years are counted from March, so that a leap day is the
/// last day of its year, in eras of 400 years, which are all equally long.
fn civil(days: u64) -> (u64, u64, u64) {
    let since_march_of_0 = days + 719_468;
    let era = since_march_of_0 / 146_097;
    let day_of_era = since_march_of_0 % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_dates() {
        let known = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
            (u64::MAX, "9999-12-31T23:59:59Z"),
        ];
        for (seconds, date) in known {
            assert_eq!(rfc3339(seconds), date);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut before = civil(0);
        for days in 1..200_000 {
            let day = civil(days);
            let next_day = day.0 == before.0 && day.1 == before.1 && day.2 == before.2 + 1;
            let next_month = day.0 == before.0 && day.1 == before.1 + 1 && day.2 == 1 && before.2 >= 28;
            let next_year = day.0 == before.0 + 1 && (day.1, day.2, before.1, before.2) == (1, 1, 12, 31);
            assert!(next_day || next_month || next_year, "{before:?} then {day:?}");
            before = day;
        }
    }
}
