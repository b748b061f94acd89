//! `warm/BACKEND/MODEL`: the prompts that a backend has read lately with a model, as a digest of hashes. Whoever has a
//! prompt that begins alike finds it there; nobody can read a prompt out of it.

use serde::{Deserialize, Serialize};

use super::{Dropped, checked_name, escape, of_model, read, write};
use crate::fleet::Digest;

pub(super) const KIND: &str = "warm";

#[derive(Serialize, Deserialize)]
struct Warm {
    prompts: Digest,
}

/// `None` where nothing was read: there is nothing to tell.
pub(in crate::mesh) fn encode(backend: &str, model: &str, digest: &Digest) -> Option<(String, String)> {
    checked_name(model).ok().filter(|()| !digest.is_empty())?;
    Some((format!("{KIND}/{}/{model}", escape(backend)), write(&Warm { prompts: digest.clone() })?))
}

pub(super) fn decode(rest: &str, value: &str) -> Result<(String, String, Digest), Dropped> {
    let (backend, model) = of_model(rest)?;
    Ok((backend, model, read::<Warm>(value)?.prompts))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_as_written_and_a_full_one_is_not_too_long() {
        let digest = Digest::of((0..10_000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let (key, value) = encode("gpu", "m", &digest).expect("short enough");
        assert_eq!(decode(&key, &value), Ok(Fact::Warm("gpu".to_owned(), "m".to_owned(), Arc::new(digest))));
        assert!(encode("gpu", "m", &Digest::default()).is_none());
    }

    #[test]
    fn nonsense_is_dropped() {
        for value in ["{}", r#"{"prompts":"?"}"#, r#"{"prompts":[1,2]}"#, r#"{"prompts":"AAAA"}"#] {
            assert_eq!(decode("warm/gpu/m", value), Err(Dropped::Malformed), "{value}");
        }
    }
}
