//! Chance. Every part takes its own named stream, so that one part drawing more does not change what another draws.

use rand::SeedableRng;
use rand::rngs::StdRng;
use ring::rand::{SecureRandom, SystemRandom};

/// A stream of random numbers.
pub type Dice = StdRng;

/// Where all chance of a node comes from.
#[derive(Clone)]
pub struct Seed([u8; 32]);

impl Seed {
    /// Real entropy.
    pub fn from_os() -> Self {
        Seed(os_bytes())
    }

    /// The same chance every time.
    pub fn fixed(number: u64) -> Self {
        Seed(*blake3::hash(&number.to_le_bytes()).as_bytes())
    }

    /// The stream called `name`.
    pub fn fork(&self, name: &str) -> Dice {
        Dice::from_seed(self.bytes(name))
    }

    /// 32 bytes called `name`: for keys.
    pub fn bytes(&self, name: &str) -> [u8; 32] {
        *blake3::keyed_hash(&self.0, name.as_bytes()).as_bytes()
    }
}

fn os_bytes() -> [u8; 32] {
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).expect("the operating system gives entropy");
    bytes
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    #[test]
    fn streams_are_stable_and_apart() {
        let draw = |name| Seed::fixed(7).fork(name).random::<u64>();
        assert_eq!(draw("gossip"), draw("gossip"));
        assert_ne!(draw("gossip"), draw("routing"));
    }
}
