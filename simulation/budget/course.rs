//! One course of events, drawn from the seed.

use std::collections::BTreeSet;
use std::time::Duration;

use nexus::env::Clock;
use nexus::fleet::{Holder, Month};
use rand::RngExt;
use tokio::time::sleep;

use super::machine::State;
use super::world::{End, World};

/// Runs all of it, and heals everything in the end.
pub(super) async fn run(world: &mut World) {
    begin(world).await;
    for _ in 0..world.setting.steps {
        step(world).await;
        let pause = match world.dice.random_range(0..100) {
            0 => Duration::from_secs(world.dice.random_range(3_600..20 * 86_400)),
            1..10 => Duration::from_secs(world.dice.random_range(10..300)),
            10..50 => Duration::ZERO,
            _ => Duration::from_millis(world.dice.random_range(0..2_000)),
        };
        sleep(pause).await;
        world.check();
    }
    heal(world).await;
}

/// Somebody founds, and all hear of it.
async fn begin(world: &mut World) {
    world.round().await;
    sleep(Duration::from_secs(11)).await;
    world.round().await;
    world.round().await;
}

async fn step(world: &mut World) {
    let up = world.up();
    let at = (!up.is_empty()).then(|| up[world.dice.random_range(0..up.len())]);
    match (world.dice.random_range(0..1000), at) {
        (0..520, Some(at)) => calls(world, at),
        (520..720, Some(at)) => world.hear(at, false).await,
        (720..760, Some(_)) => world.round().await,
        (760..800, _) => split(world),
        (800..830, _) => world.wires.cut(BTreeSet::new()),
        (830..860, Some(at)) => stop(world, at, false),
        (860..866, Some(at)) if up.len() > 1 => stop(world, at, true),
        (866..872, Some(at)) if up.len() > 2 => destroy(world, at),
        (872..920, _) => restart(world).await,
        (920..940, Some(at)) => clock(world, at),
        (940..945, _) if world.machines.len() < 9 && world.wires.is_whole() => {
            world.count("joins");
            world.join(false);
            world.round().await;
        }
        (945..965, Some(at)) => forget(world, at).await,
        (965..1000, Some(at)) => tend(world, at),
        _ => {}
    }
}

fn calls(world: &mut World, at: usize) {
    for _ in 0..world.dice.random_range(1..=4) {
        let most = world.setting.limit / if world.dice.random_bool(0.2) { 3 } else { 25 };
        let nanos = world.dice.random_range(0..=most);
        let end = match world.dice.random_range(0..10) {
            0 => End::NotSent,
            1 => End::Unsettled,
            _ => End::Settled(world.dice.random_range(0..=100)),
        };
        world.call(at, nanos, end);
    }
}

/// Some of the machines cannot talk to the others, both ways or one way.
fn split(world: &mut World) {
    let count = world.machines.len();
    let here: Vec<bool> = (0..count).map(|_| world.dice.random_bool(0.5)).collect();
    let both = world.dice.random_bool(0.6);
    let parted = |from: usize, to: usize| here[from] != here[to] && (both || here[from]);
    let all = (0..count).flat_map(|from| (0..count).map(move |to| (from, to)));
    let cut = all.filter(|(from, to)| parted(*from, *to)).collect();
    world.wires.cut(cut);
    world.count("splits");
}

/// A process dies. Where the disk goes too, another ledger begins when it is started again.
fn stop(world: &mut World, at: usize, without_disk: bool) {
    world.crash(at);
    if without_disk {
        world.count("wipes");
        world.machines[at].disk.wipe();
        world.machines[at].made_here = false;
        // Nobody's ledger is on that disk any more.
        world.machines[at].holder = Holder::named("none");
    } else {
        world.count("crashes");
        let given_up = !world.setting.wild_clocks && world.dice.random_bool(0.15);
        world.machines[at].state = State::Off { given_up };
    }
}

fn destroy(world: &mut World, at: usize) {
    world.crash(at);
    world.count("destroyed");
    world.machines[at].disk.wipe();
    world.machines[at].holder = Holder::named("none");
    world.machines[at].state = State::Gone;
}

async fn restart(world: &mut World) {
    let off: Vec<usize> =
        (0..world.machines.len()).filter(|at| matches!(world.machines[*at].state, State::Off { .. })).collect();
    if off.is_empty() {
        return;
    }
    let at = off[world.dice.random_range(0..off.len())];
    let given_up = world.machines[at].state == State::Off { given_up: true };
    if given_up {
        // Whoever was given up for lost comes back only where it hears at once that it was.
        let all_are_up = world
            .machines
            .iter()
            .all(|machine| machine.number == at || matches!(machine.state, State::Up | State::Gone));
        if !all_are_up || !world.wires.is_whole() {
            return;
        }
    }
    world.start_machine(at);
    if given_up {
        world.count("came back");
        world.hear(at, true).await;
    }
}

fn clock(world: &mut World, at: usize) {
    let ahead = world.setting.skew(&mut world.dice);
    world.machines[at].clock.set_ahead(ahead);
}

/// An operator gives up a holder that is lost for good, where the peer knows everybody who may have its rights.
async fn forget(world: &mut World, at: usize) {
    let extant = world.extant();
    let lost: Vec<Holder> = world
        .rows
        .keys()
        .map(|(holder, _)| holder.clone())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .filter(|holder| !extant.contains(holder))
        .collect();
    let me = world.machines[at].holder.clone();
    if lost.is_empty() || world.setting.wild_clocks || !knows_all(world, &me, &extant) {
        return;
    }
    let several = if world.dice.random_bool(0.3) { lost.len() } else { 1 };
    let first = world.dice.random_range(0..lost.len());
    for holder in lost.iter().cycle().skip(first).take(several) {
        let Some(treasury) = world.machines[at].treasury.clone() else { return };
        let holder = holder.clone();
        world.count("claims");
        world.machines[at].tasks.spawn("forget", async move {
            let _ = treasury.forget(holder.as_str(), false).await;
        });
    }
}

/// Whether a holder has heard everybody, or heard somebody who has.
fn knows_all(world: &World, me: &Holder, extant: &BTreeSet<Holder>) -> bool {
    let met = |holder: &Holder| world.met.get(holder).cloned().unwrap_or_default();
    let mine = met(me);
    let by_others: BTreeSet<Holder> = mine.iter().filter(|other| extant.contains(other)).flat_map(met).collect();
    extant.iter().all(|holder| holder == me || mine.contains(holder) || by_others.contains(holder))
}

fn tend(world: &mut World, at: usize) {
    let machine = &world.machines[at];
    if let Some(treasury) = machine.treasury.clone() {
        machine.tasks.spawn("tend", async move { treasury.tend().await });
    }
}

/// Everything works again, and nothing more is asked for.
async fn heal(world: &mut World) {
    world.wires.cut(BTreeSet::new());
    let down: Vec<usize> =
        (0..world.machines.len()).filter(|at| matches!(world.machines[*at].state, State::Off { .. })).collect();
    for at in &down {
        world.start_machine(*at);
    }
    for at in down {
        world.hear(at, true).await;
    }
    sleep(Duration::from_secs(90)).await;
    for _ in 0..4 {
        world.round().await;
        for at in world.up() {
            tend(world, at);
        }
        sleep(Duration::from_secs(60)).await;
        world.check();
    }
    same_month(world);
    for _ in 0..3 {
        world.round().await;
    }
    world.check();
}

/// All clocks show the month that is the latest anywhere.
fn same_month(world: &mut World) {
    let months = world.up().into_iter().filter_map(|at| world.machines[at].treasury.as_ref());
    let Some(latest) = months.map(|treasury| treasury.figures().month).max() else { return };
    for at in world.up() {
        let clock = &world.machines[at].clock;
        clock.set_ahead(0);
        let mut ahead = 0;
        while Month::at(clock.unix_seconds()) < latest {
            ahead += 86_400_000;
            clock.set_ahead(ahead);
        }
    }
}
