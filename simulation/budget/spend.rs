//! How much of a limit can be spent when nothing fails: many small calls from all peers, until none of them gets more.

use std::time::Duration;

use nexus::budget::Amount;
use rand::RngExt;

use super::setting::Setting;
use super::world::{World, lock};

/// The least share of the limit that can be spent.
const LEAST: f64 = 0.95;

/// A seed's world with no fault in it.
pub(super) fn setting(seed: u64) -> Setting {
    Setting {
        limits_differ: false,
        with_keys: false,
        wild_clocks: false,
        loss: 0.0,
        slowest_ms: 5,
        slowest_disk_ms: 5,
        has_maker: true,
        // Nothing else than small calls: the month is young.
        start_ms: 1_770_000_000_000,
        ..Setting::of(seed)
    }
}

/// Spends until all refuse.
pub(super) async fn run(world: &mut World) {
    for machine in &world.machines {
        machine.clock.set_ahead(0);
    }
    for _ in 0..2 {
        world.round().await;
    }
    let count = world.machines.len();
    // Most clients ask at one entry, in some of the worlds.
    let favourite = world.dice.random_bool(0.5).then(|| world.dice.random_range(0..count));
    let mut refused = 0;
    while refused < 6 * count {
        let at = favourite.filter(|_| world.dice.random_bool(0.7)).unwrap_or(world.dice.random_range(0..count));
        let nanos = world.dice.random_range(1..=world.setting.limit / 200);
        let treasury = world.machines[at].treasury.clone().expect("nothing fails here");
        let patience = Duration::from_secs(5);
        match treasury.hold(&Amount { nanos, of_caller: None }, patience).await {
            Ok(mut hold) => {
                refused = 0;
                hold.sent();
                let cost = hold.nanos() / 100 * world.dice.random_range(50..=100);
                let mut book = lock(&world.book);
                book.called(&hold);
                book.cost(&hold, cost);
                drop(book);
                hold.settle(cost);
            }
            Err(_) => {
                refused += 1;
                world.round().await;
            }
        }
        world.check();
    }
    let (limit, spent) = (world.setting.limit, lock(&world.book).most_of("budget"));
    let share = spent as f64 / limit as f64;
    if share < LEAST {
        let line = format!("ENOUGH: only {:.1} % of the limit could be spent", share * 100.0);
        lock(&world.book).broken.push(line);
    }
}
