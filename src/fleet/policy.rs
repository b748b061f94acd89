//! Zones and tiers: where a prompt may go, and how good the model must be.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a prompt may be read. It belongs to (backend, model).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum Zone {
    /// Anywhere. What is not known is open.
    #[default]
    Open,
    /// On hardware of the fleet's own only.
    Restricted,
}

impl Zone {
    /// The word of headers, JSON and configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Zone::Open => "open",
            Zone::Restricted => "restricted",
        }
    }

    /// Whether a place of this zone may serve a request that demands `demand`.
    pub fn satisfies(self, demand: Zone) -> bool {
        demand == Zone::Open || self == Zone::Restricted
    }
}

/// A zone nobody knows.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown zone `{0}`: use `restricted` or `open`")]
pub struct UnknownZone(String);

impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim().to_ascii_lowercase().as_str() {
            "restricted" | "local" | "internal" | "confidential" => Ok(Zone::Restricted),
            "open" | "public" => Ok(Zone::Open),
            _ => Err(UnknownZone(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Zone {
    type Error = UnknownZone;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Zone> for String {
    fn from(zone: Zone) -> Self {
        zone.as_str().to_owned()
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How capable a backend's models are, 1 to 5, as the operator ranks them. An unlabelled backend is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schemars(with = "u8")]
pub struct Tier(u8);

/// A tier outside 1 to 5.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("tier {0} is out of range: use 1 to 5")]
pub struct TierOutOfRange(u8);

impl Tier {
    /// The number, 1 to 5.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for Tier {
    fn default() -> Self {
        Tier(1)
    }
}

impl TryFrom<u8> for Tier {
    type Error = TierOutOfRange;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        if (1..=5).contains(&number) { Ok(Tier(number)) } else { Err(TierOutOfRange(number)) }
    }
}

impl From<Tier> for u8 {
    fn from(tier: Tier) -> Self {
        tier.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_read_in_any_case_and_by_their_other_names() {
        for (text, zone) in [
            ("Open", Zone::Open),
            ("public", Zone::Open),
            ("RESTRICTED", Zone::Restricted),
            ("local", Zone::Restricted),
        ] {
            assert_eq!(text.parse(), Ok(zone));
        }
        assert!("secret".parse::<Zone>().is_err());
    }

    #[test]
    fn only_a_restricted_place_satisfies_a_restricted_request() {
        assert!(Zone::Restricted.satisfies(Zone::Restricted));
        assert!(!Zone::Open.satisfies(Zone::Restricted));
        assert!(Zone::Open.satisfies(Zone::Open) && Zone::Restricted.satisfies(Zone::Open));
    }

    #[test]
    fn tiers_end_at_five() {
        assert_eq!(Tier::try_from(0), Err(TierOutOfRange(0)));
        assert_eq!(Tier::try_from(6), Err(TierOutOfRange(6)));
        assert_eq!(Tier::try_from(5).map(Tier::get), Ok(5));
    }
}
