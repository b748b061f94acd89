//! `breaker/BACKEND/TROUBLE/MODEL`: a breaker that is not closed; without the last part it guards every model. The value
//! stays the same for as long as nothing happens, so it tells the whole pause, from when it was written.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Dropped, MAX_NAME, checked_name, escape, read, unescape, write};
use crate::fleet::{Breaker, Standing, Trouble};

pub(super) const KIND: &str = "breaker";

/// Nobody leaves a backend alone for longer without saying so again.
const LONGEST_MS: u64 = 60 * 60 * 1000;

#[derive(Serialize, Deserialize)]
struct Told {
    #[serde(default)]
    state: State,
    /// Left out where it is no matter of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_ms: Option<u64>,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    HalfOpen,
    /// So is whatever a later version says: it is not closed.
    #[default]
    #[serde(other)]
    Open,
}

pub(in crate::mesh) fn encode(backend: &str, breaker: &Breaker) -> Option<(String, String)> {
    let mut key = format!("{KIND}/{}/{}", escape(backend), breaker.trouble.as_str());
    if let Some(model) = &breaker.model {
        checked_name(model).ok()?;
        key = format!("{key}/{model}");
    }
    let for_ms = breaker.probed_in().map(|pause| u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
    let state = if breaker.standing == Standing::Probing { State::HalfOpen } else { State::Open };
    Some((key, write(&Told { state, for_ms })?))
}

pub(super) fn decode(rest: &str, value: &str) -> Result<(String, Breaker), Dropped> {
    let (backend, rest) = rest.split_once('/').ok_or(Dropped::Malformed)?;
    if backend.len() > 3 * MAX_NAME {
        return Err(Dropped::TooLong);
    }
    let backend = unescape(backend);
    checked_name(&backend)?;
    let (trouble, model) = rest.split_once('/').map_or((rest, None), |(trouble, model)| (trouble, Some(model)));
    if let Some(model) = model {
        checked_name(model)?;
    }
    let told: Told = read(value)?;
    let standing = match (told.state, told.for_ms) {
        (State::HalfOpen, _) => Standing::Probing,
        (State::Open, Some(pause)) => Standing::Open(Duration::from_millis(pause.min(LONGEST_MS))),
        (State::Open, None) => Standing::Unchecked,
    };
    Ok((backend, Breaker { model: model.map(str::to_owned), trouble: Trouble::of(trouble), standing }))
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_as_written_slashes_and_all() {
        let pause = Duration::from_secs(10);
        for (model, trouble, standing) in [
            (None, Trouble::Connection, Standing::Unchecked),
            (Some("meta/llama-3:8b"), Trouble::Silence, Standing::Open(pause)),
            (Some("m"), Trouble::Errors, Standing::Open(Duration::ZERO)),
            (Some("m"), Trouble::Errors, Standing::Probing),
        ] {
            let breaker = Breaker { model: model.map(str::to_owned), trouble, standing };
            let (key, value) = encode("rack/gpu", &breaker).expect("short");
            assert_eq!(decode(&key, &value), Ok(Fact::Breaker("rack/gpu".to_owned(), breaker)), "{key} {value}");
        }
    }

    #[test]
    fn a_later_version_is_understood_where_it_can_be() {
        let breaker = |standing| Breaker { model: Some("m".to_owned()), trouble: Trouble::Unrecognised, standing };
        for (value, standing) in [
            (r#"{"v":7,"state":"ajar","for_ms":5,"mood":1}"#, Standing::Open(Duration::from_millis(5))),
            (r#"{"state":"open","for_ms":18446744073709551615}"#, Standing::Open(Duration::from_secs(3600))),
            ("{}", Standing::Unchecked),
        ] {
            let heard = decode("breaker/gpu/boredom/m", value);
            assert_eq!(heard, Ok(Fact::Breaker("gpu".to_owned(), breaker(standing))), "{value}");
        }
    }

    #[test]
    fn nonsense_is_dropped() {
        for (key, value) in [
            ("breaker/gpu", "{}"),
            ("breaker//errors", "{}"),
            ("breaker/gpu/errors/", "{}"),
            ("breaker/gpu/errors/m", "7"),
            ("breaker/gpu/errors/m", r#"{"for_ms":-1}"#),
            ("breaker/gpu/errors/m", r#"{"for_ms":1e400}"#),
        ] {
            assert_eq!(decode(key, value), Err(Dropped::Malformed), "{key} {value}");
        }
        let long = Breaker { model: Some("m".repeat(257)), trouble: Trouble::Errors, standing: Standing::Probing };
        assert!(encode("gpu", &long).is_none());
    }
}
