//! To come.

use super::Policy;

/// Reads policies written as an array of tables or as a map keyed by pattern.
pub(super) fn array_or_map<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Vec<Policy>, D::Error> {
    serde::Deserialize::deserialize(from)
}
