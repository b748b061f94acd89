//! How fast a backend serves a model, as it was found out by serving it. Plain data; who measures is elsewhere.

use serde::{Deserialize, Serialize};

/// The pace of one model on one backend. What nobody has measured is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pace {
    /// Milliseconds to the first token where there is next to nothing to read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_ms: Option<u32>,
    /// Tokens of a prompt read in a second, by one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefill: Option<f32>,
    /// Tokens of an answer written in a second, by one request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decode: Option<f32>,
    /// Milliseconds to the first token where the model had to be loaded first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cold_ms: Option<u32>,
    /// Tokens of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<u32>,
}

/// No machine is faster than this, in tokens a second.
pub const FASTEST: f32 = 1e6;

impl Pace {
    /// Without what cannot be: speeds that are not finite, not positive or beyond [`FASTEST`].
    #[must_use]
    pub fn plausible(self) -> Self {
        let plausible = |speed: Option<f32>| speed.filter(|speed| *speed > 0.0 && *speed <= FASTEST);
        Pace { prefill: plausible(self.prefill), decode: plausible(self.decode), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_that_cannot_be_are_none() {
        for absurd in [0.0, -1.0, f32::NAN, f32::INFINITY, 2e6] {
            let pace = Pace { prefill: Some(absurd), decode: Some(absurd), ..Pace::default() };
            assert_eq!(pace.plausible(), Pace::default());
        }
        let pace = Pace { prefill: Some(900.0), decode: Some(0.5), ..Pace::default() };
        assert_eq!(pace.plausible(), pace);
    }
}
