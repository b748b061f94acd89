//! When a log line was written: RFC 3339 in UTC, to the microsecond. Its digits are put where they belong, because a line for
//! each request pays for a formatter's detours with each of them.

use std::cell::Cell;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::Offset;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::env::{Clock, WallClock};

/// The first stamp of all: where the parts of each one begin.
const SHAPE: [u8; 27] = *b"1970-01-01T00:00:00.000000Z";

/// Stamps by the clock of the machine. A log tells people when something was, and nothing is decided by it.
pub(super) struct Stamp;

impl FormatTime for Stamp {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(std::str::from_utf8(&now()).unwrap_or_default())
    }
}

/// The stamp of this moment, in ASCII.
pub(super) fn now() -> [u8; SHAPE.len()] {
    stamp(WallClock.since_epoch())
}

thread_local! {
    /// The last second that was written, and its beginning: most lines come in the same one as the line before.
    static LAST: Cell<(u64, [u8; SHAPE.len()])> = const { Cell::new((0, SHAPE)) };
}

/// The stamp of a moment since 1970; that of 1970 for one that no calendar has.
fn stamp(since_epoch: Duration) -> [u8; SHAPE.len()] {
    let seconds = since_epoch.as_secs();
    let (last, mut stamp) = LAST.get();
    if last != seconds {
        stamp = second(seconds);
        LAST.set((seconds, stamp));
    }
    put(&mut stamp[20..26], since_epoch.subsec_micros());
    stamp
}

fn second(since_epoch: u64) -> [u8; SHAPE.len()] {
    let moment = i64::try_from(since_epoch).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    let moment = Offset::UTC.to_datetime(moment.unwrap_or_default());
    let mut stamp = SHAPE;
    put(&mut stamp[..4], moment.year().unsigned_abs().into());
    let parts = [moment.month(), moment.day(), moment.hour(), moment.minute(), moment.second()];
    for (at, part) in parts.into_iter().enumerate() {
        put(&mut stamp[5 + 3 * at..7 + 3 * at], part.unsigned_abs().into());
    }
    stamp
}

/// The last digits of `number`, as many as there is room for.
fn put(room: &mut [u8], mut number: u32) {
    for digit in room.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(since_epoch: Duration) -> String {
        String::from_utf8(stamp(since_epoch).to_vec()).expect("ASCII")
    }

    #[test]
    fn moments_are_written_as_they_always_were() {
        assert_eq!(text(Duration::ZERO), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(Duration::new(1_709_209_009, 7_999)), "2024-02-29T12:16:49.000007Z");
        assert_eq!(text(Duration::new(253_402_207_199, 999_999_999)), "9999-12-30T21:59:59.999999Z");
        assert_eq!(text(Duration::MAX), "1970-01-01T00:00:00.999999Z", "no calendar has it, and nothing panics");
    }

    proptest! {
        #[test]
        fn a_stamp_is_read_as_the_moment_it_was_written(micros in 0..253_402_207_199_000_000_i64) {
            // Two of one second, as most are.
            for micros in [micros, micros ^ 1] {
                let moment: Timestamp = text(Duration::from_micros(micros.unsigned_abs())).parse().expect("RFC 3339");
                prop_assert_eq!(moment.as_microsecond(), micros);
            }
        }
    }
}
