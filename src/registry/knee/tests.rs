use proptest::prelude::*;

use super::*;

/// How an engine shares itself among `at_once` requests: how many of them flow, and how fast each.
type Engine = fn(u32) -> (u32, f32);

/// One at a time; the others wait inside it.
fn serial(_: u32) -> (u32, f32) {
    (1, 50.0)
}

/// All at once, each in its share of the time.
fn sharing(at_once: u32) -> (u32, f32) {
    (at_once, 50.0 / at_once as f32)
}

/// Four at a time, nearly for free; the others wait inside it.
fn four(at_once: u32) -> (u32, f32) {
    let flowing = at_once.min(4);
    (flowing, 50.0 / (0.9 + 0.1 * flowing as f32))
}

/// As many as come, up to what its memory carries.
fn batching(at_once: u32) -> (u32, f32) {
    (at_once, 50.0 / (1.0 + 0.01 * at_once as f32))
}

/// Lets streams end with as many at once as there is work for, less where the limit says so, and a little uneven.
fn run(knee: &mut Knee, engine: Engine, work: impl Iterator<Item = u32>) {
    for (turn, wanted) in work.enumerate() {
        let at_once = wanted.min(knee.limit().unwrap_or(u32::MAX));
        let (flowing, speed) = engine(at_once);
        let uneven = [1.0, 0.96, 1.03, 0.98, 1.05][turn % 5];
        knee.push(Sample { at_once, flowing, tokens_per_second: speed * uneven });
    }
}

/// Work that comes and goes between one and `most` at once.
fn waves(most: u32, streams: usize) -> impl Iterator<Item = u32> {
    (1..=most).chain((1..most).rev()).cycle().take(streams)
}

/// What is let through at once outside of trials.
fn learned(knee: &Knee) -> Option<u32> {
    knee.limit
}

#[test]
fn each_engine_has_its_knee() {
    for (name, engine, most, limit) in [
        ("serial", serial as Engine, 6, Some(1)),
        ("serial, little work", serial, 2, Some(1)),
        ("sharing", sharing, 6, Some(1)),
        ("four", four, 12, Some(4)),
        ("four, never more than it can", four, 4, None),
        ("batching", batching, 16, None),
        ("one at a time is all there is", serial, 1, None),
    ] {
        let mut knee = Knee::default();
        run(&mut knee, engine, waves(most, 600));
        assert_eq!(learned(&knee), limit, "{name}: {knee:?}");
    }
}

#[test]
fn steady_work_is_enough_where_it_came_in_two_strengths() {
    let mut knee = Knee::default();
    run(&mut knee, four, std::iter::repeat_n(8, 100));
    assert_eq!(knee.limit(), None, "one number at once says nothing");
    run(&mut knee, four, std::iter::repeat_n(4, 8));
    assert_eq!(knee.limit(), Some(4));
}

#[test]
fn nothing_is_told_before_there_is_enough_of_both() {
    let mut knee = Knee::default();
    let wanted = [1_u32, 2].into_iter().cycle();
    run(&mut knee, serial, wanted.clone().take(2 * ENOUGH as usize - 1));
    assert_eq!(knee.limit(), None);
    run(&mut knee, serial, std::iter::once(2));
    assert_eq!(knee.limit(), Some(1));
}

#[test]
fn now_and_then_one_more_is_let_through_and_nothing_comes_of_it() {
    let mut knee = Knee::default();
    let mut let_through = Vec::new();
    for _ in 0..600 {
        run(&mut knee, serial, std::iter::once(3));
        run(&mut knee, serial, std::iter::once(1));
        let_through.extend(knee.limit());
    }
    assert_eq!((learned(&knee), let_through.iter().max()), (Some(1), Some(&2)));
    let tries = let_through.windows(2).filter(|pair| pair[0] < pair[1]).count();
    assert!((5..20).contains(&tries), "{tries} trials in 1200 streams");
}

/// A limit that was learned while somebody else was using the machine must not stay.
#[test]
fn a_limit_that_is_too_low_grows_again() {
    for (engine, most, grown) in [(four as Engine, 12, Some(4)), (batching, 16, None)] {
        let mut knee = Knee::default();
        run(&mut knee, serial, waves(6, 60));
        assert_eq!(learned(&knee), Some(1));
        run(&mut knee, engine, waves(most, 4_000));
        match grown {
            Some(grown) => assert_eq!(learned(&knee), Some(grown)),
            None => assert!(learned(&knee).is_none_or(|limit| limit >= 12), "{knee:?}"),
        }
    }
}

#[test]
fn a_limit_that_is_too_high_shrinks_again() {
    let mut knee = Knee::default();
    run(&mut knee, four, waves(12, 600));
    assert_eq!(learned(&knee), Some(4));
    run(&mut knee, serial, waves(12, 4_000));
    assert_eq!(learned(&knee), Some(1));
}

#[test]
fn a_trial_without_work_ends() {
    let mut knee = Knee::default();
    run(&mut knee, serial, waves(2, 60));
    run(&mut knee, serial, std::iter::repeat_n(1, 2_000));
    assert_eq!(learned(&knee), Some(1));
    assert!(knee.levels.len() <= 2);
}

fn sample() -> impl Strategy<Value = Sample> {
    let number = || prop_oneof![0_u32..12, Just(MOST), Just(MOST + 1), any::<u32>()];
    let odd = prop_oneof![Just(f32::NAN), Just(f32::INFINITY), Just(f32::NEG_INFINITY), Just(0.0), any::<f32>()];
    let speed = prop_oneof![4 => 1.0_f32..500.0, 1 => odd];
    (number(), number(), speed).prop_map(|(at_once, flowing, tokens_per_second)| Sample {
        at_once,
        flowing,
        tokens_per_second,
    })
}

proptest! {
    #[test]
    fn whatever_comes_it_stays_within_bounds(samples in proptest::collection::vec(sample(), 0..600)) {
        let mut knee = Knee::default();
        for sample in samples {
            knee.push(sample);
            prop_assert!(knee.limit().is_none_or(|limit| (1..=MOST + MOST / 4).contains(&limit)));
            prop_assert!(knee.limit.is_none_or(|limit| (1..=MOST).contains(&limit)));
            prop_assert!(knee.levels.len() <= MOST as usize);
            prop_assert!(knee.levels.values().all(|level| level.sum.is_finite() && level.sum > 0.0));
        }
    }

    #[test]
    fn one_number_at_once_never_makes_a_limit(at_once in 1..=MOST, speeds in proptest::collection::vec(1_u16..5_000, 0..300)) {
        let mut knee = Knee::default();
        for tokens_per_second in speeds.into_iter().map(|tenths| f32::from(tenths) / 10.0) {
            knee.push(Sample { at_once, flowing: at_once, tokens_per_second });
            prop_assert_eq!(knee.limit(), None);
        }
    }

    #[test]
    fn an_engine_of_any_size_is_found(slots in 1_u32..=32, speed in 10_u16..4_000) {
        let speed = f32::from(speed) / 10.0;
        let mut knee = Knee::default();
        for at_once in waves(48, 3_000) {
            let at_once = at_once.min(knee.limit().unwrap_or(u32::MAX));
            knee.push(Sample { at_once, flowing: at_once.min(slots), tokens_per_second: speed });
        }
        let limit = learned(&knee);
        prop_assert!(limit.is_some_and(|limit| limit <= slots && limit * 6 >= slots * 5), "{limit:?} of {slots}");
    }
}
