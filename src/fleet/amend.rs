//! How one field of something is to change: most stay as they are, so that whoever changes one thing takes nothing else away.

use serde::{Deserialize, Deserializer};

/// What is to become of a field. In JSON: left out, `null`, or a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Amend<T> {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken away: what counts without it counts.
    Clear,
    /// It is this.
    Set(T),
}

impl<T> Amend<T> {
    /// What was not named is taken away.
    #[must_use]
    pub fn or_clear(self) -> Self {
        match self {
            Amend::Keep => Amend::Clear,
            named => named,
        }
    }

    /// Whether nothing is to change.
    pub fn is_keep(&self) -> bool {
        matches!(self, Amend::Keep)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Amend<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(from)?.map_or(Amend::Clear, Amend::Set))
    }
}
