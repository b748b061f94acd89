//! What kind of world a seed makes: how many machines, how bad the network, how wrong the clocks.

use nexus::env::Dice;
use nexus::fleet::{HardLimitAction, Terms};
use rand::{RngExt, SeedableRng};

/// The world of a seed.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) machines: usize,
    /// Whether one of them made the key, and founds.
    pub(super) has_maker: bool,
    /// The largest limit, in billionths of a USD.
    pub(super) limit: u64,
    /// Whether limits differ.
    pub(super) limits_differ: bool,
    pub(super) key_limit: u64,
    pub(super) with_keys: bool,
    /// Whether clocks jump by days. Nobody is forgotten then: a lost peer whose clock was days ahead may have spent in a
    /// month that its heir thinks has not begun.
    pub(super) wild_clocks: bool,
    /// Messages lost, as a share.
    pub(super) loss: f64,
    pub(super) slowest_ms: u64,
    pub(super) slowest_disk_ms: u64,
    /// When it begins, in milliseconds since 1970: soon before the turn of a month.
    pub(super) start_ms: u64,
    pub(super) steps: usize,
}

/// 2026-02-01T00:00:00Z.
const TURN_MS: u64 = 1_769_904_000_000;

const USD: u64 = 1_000_000_000;

impl Setting {
    pub(super) fn of(seed: u64) -> Self {
        let mut dice = Dice::seed_from_u64(seed ^ 0xb0d6e7);
        let limit = dice.random_range(1..=100) * USD;
        Setting {
            machines: dice.random_range(2..=6),
            has_maker: dice.random_bool(0.7),
            limit,
            limits_differ: dice.random_bool(0.3),
            key_limit: limit / dice.random_range(1..=4),
            with_keys: dice.random_bool(0.5),
            wild_clocks: dice.random_bool(0.3),
            loss: if dice.random_bool(0.5) { 0.0 } else { dice.random_range(0.0..0.4) },
            slowest_ms: [5, 50, 1_500][dice.random_range(0..3)],
            slowest_disk_ms: [0, 20, 400][dice.random_range(0..3)],
            start_ms: TURN_MS - dice.random_range(0..900_000),
            steps: dice.random_range(100..400),
        }
    }

    /// How wrong a clock is, in milliseconds.
    pub(super) fn skew(&self, dice: &mut Dice) -> i64 {
        let most = if self.wild_clocks { 40 * 86_400_000 } else { 36_000_000 };
        match dice.random_range(0..3) {
            0 => 0,
            1 => dice.random_range(-5_000..=5_000),
            _ => dice.random_range(-most..=most),
        }
    }

    /// What a machine is configured to hold to.
    pub(super) fn terms(&self, dice: &mut Dice) -> Terms {
        let limit = if self.limits_differ { self.limit / dice.random_range(1..=5) } else { self.limit };
        Terms { limit, soft_percent: 75.0, action: HardLimitAction::BlockCloud }
    }
}
