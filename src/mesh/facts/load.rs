//! `load/BACKEND`: roughly how busy a backend is. It is rounded, so that a busy mesh does not gossip about every request;
//! the exact load is its owner's to know.

use super::{Dropped, MAX_NAME, checked_name, escape, read, two_digits, unescape, write};
use crate::fleet::Load;

pub(super) const KIND: &str = "load";

pub(in crate::mesh) fn encode(backend: &str, load: &Load) -> Option<(String, String)> {
    Some((format!("{KIND}/{}", escape(backend)), write(&rounded(load))?))
}

pub(super) fn decode(rest: &str, value: &str) -> Result<(String, Load), Dropped> {
    if rest.len() > 3 * MAX_NAME {
        return Err(Dropped::TooLong);
    }
    let backend = unescape(rest);
    checked_name(&backend)?;
    let mut load: Load = read(value)?;
    load.tokens_per_second = load.tokens_per_second.filter(|speed| speed.is_finite() && *speed >= 0.0);
    Ok((backend, load))
}

/// The part of a load that is worth telling: counts are exact while they are small, the rest has two digits.
fn rounded(load: &Load) -> Load {
    let narrow = |value: u32| u32::try_from(two_digits(value.into())).unwrap_or(u32::MAX);
    Load {
        in_flight: count(load.in_flight),
        foreign: count(load.foreign),
        queued: count(load.queued),
        concurrency: load.concurrency,
        latency_ms: load.latency_ms.map(narrow),
        ttft_ms: load.ttft_ms.map(narrow),
        service_ms: load.service_ms.map(narrow),
        tokens_per_second: load.tokens_per_second.filter(|speed| speed.is_finite()).map(speed),
        total: two_digits(load.total),
    }
}

/// Exact to 8, then in steps of an eighth or less; never less than the truth.
fn count(value: u32) -> u32 {
    let step = (value / 8).max(1).next_power_of_two();
    let step = if step > (value / 8).max(1) { step / 2 } else { step };
    value.div_ceil(step).saturating_mul(step)
}

fn speed(value: f32) -> f32 {
    if value < 10.0 { (value * 10.0).round() / 10.0 } else { value.round() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_rounded() {
        let load = Load {
            in_flight: 3,
            foreign: 1,
            queued: 0,
            concurrency: Some(4),
            latency_ms: Some(1_234),
            service_ms: Some(1_234),
            ttft_ms: None,
            tokens_per_second: Some(41.26),
            total: 98_765,
        };
        let (key, value) = encode("gpu", &load).expect("short");
        let heard = Load {
            latency_ms: Some(1_200),
            service_ms: Some(1_200),
            tokens_per_second: Some(41.0),
            total: 98_000,
            ..load
        };
        assert_eq!(decode(&key, &value), Ok(Fact::Load("gpu".to_owned(), heard)));
    }

    #[test]
    fn a_later_version_is_understood() {
        let load = Load { in_flight: 2, ..Load::default() };
        assert_eq!(decode("load/gpu", r#"{"v":7,"in_flight":2,"watts":300}"#), Ok(Fact::Load("gpu".to_owned(), load)));
        assert_eq!(decode("load/gpu", r#"{"in_flight":-1}"#), Err(Dropped::Malformed));
        assert_eq!(decode("load/", "{}"), Err(Dropped::Malformed));
    }

    proptest! {
        #[test]
        fn a_count_is_never_told_smaller_and_never_much_larger(value in 0u32..2_000_000_000) {
            let told = count(value);
            prop_assert!(told >= value && f64::from(told) <= f64::from(value) * 1.125 + 0.5);
            prop_assert!(value > 8 || told == value);
        }
    }
}
