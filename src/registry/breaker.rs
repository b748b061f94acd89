//! One breaker: closed, open for a while, half-open while one request probes, closed again. Pure: it is told what
//! happened and when, in milliseconds of any one clock, and says whether that changed anything.

/// How long what gave trouble is left alone: at first, doubled with each probe that fails, and at most.
pub(super) const PAUSE_MS: u64 = 10_000;
pub(super) const LONGEST_PAUSE_MS: u64 = 60_000;

/// One breaker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Breaker {
    state: State,
    /// How often it has opened since it was closed last.
    openings: u32,
    /// Probes so far: each has a number of its own.
    probes: u32,
}

/// Which probe a request is.
pub(super) type Probe = u32;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Closed,
    /// Until then, or until somebody else says that it is well.
    Open { until: Option<u64>, pause: u64 },
    /// This request is on its way.
    HalfOpen(Probe),
}

/// How a breaker stands at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// Nothing is wrong.
    Closed,
    /// Left alone for so many more milliseconds, of so many.
    Open { left: u64, pause: u64 },
    /// Left alone until a check passes, or its watch has heard of it.
    Unchecked,
    /// Left alone for long enough: the next request probes it.
    Due,
    /// One request probes it.
    HalfOpen,
}

impl Breaker {
    pub(super) fn stand(&self, now: u64) -> Stand {
        match self.state {
            State::Closed => Stand::Closed,
            State::HalfOpen(_) => Stand::HalfOpen,
            State::Open { until: None, .. } => Stand::Unchecked,
            State::Open { until: Some(until), pause } if until > now => Stand::Open { left: until - now, pause },
            State::Open { .. } => Stand::Due,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// A request has come to grief. Of many that fail together the first counts; while it is open, only the probe does.
    /// Says whether it has opened, and for how long.
    pub(super) fn trip(&mut self, now: u64, probe: Option<Probe>) -> Option<u64> {
        let counts = self.is_closed() || self.is_probed_by(probe);
        counts.then(|| {
            let pause = (PAUSE_MS << self.openings.min(8)).min(LONGEST_PAUSE_MS);
            self.openings = self.openings.saturating_add(1);
            self.state = State::Open { until: Some(now.saturating_add(pause)), pause };
            pause
        })
    }

    pub(super) fn is_probed_by(&self, probe: Option<Probe>) -> bool {
        probe.is_some_and(|probe| self.state == State::HalfOpen(probe))
    }

    /// Somebody else finds out whether it is well again, by checks or by asking: no request probes it any more. Says
    /// whether it is open, with no probe on its way.
    pub(super) fn wait_for_word(&mut self) -> bool {
        let State::Open { pause, .. } = self.state else { return false };
        self.state = State::Open { until: None, pause };
        true
    }

    /// A request is about to be sent: it is the probe where one is due.
    pub(super) fn probe(&mut self, now: u64) -> Option<Probe> {
        (self.stand(now) == Stand::Due).then(|| {
            self.probes = self.probes.wrapping_add(1);
            self.state = State::HalfOpen(self.probes);
            self.probes
        })
    }

    /// The probe came to no verdict: the next request is one.
    pub(super) fn give_back(&mut self, now: u64, probe: Option<Probe>) {
        if self.is_probed_by(probe) {
            self.state = State::Open { until: Some(now), pause: 0 };
        }
    }

    /// It is well. Says whether it was not closed.
    pub(super) fn close(&mut self) -> bool {
        self.openings = 0;
        std::mem::take(&mut self.state) != State::Closed
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_once_it_was_well() {
        let mut breaker = Breaker::default();
        let mut now = 5;
        assert_eq!(breaker.trip(now, None), Some(10_000));
        for pause in [20_000, 40_000, 60_000, 60_000, 60_000] {
            now += 60_000;
            assert_eq!(breaker.stand(now), Stand::Due);
            let probe = breaker.probe(now);
            assert_eq!(breaker.trip(now, probe), Some(pause));
        }
        assert!(breaker.close() && !breaker.close());
        assert_eq!(breaker.trip(now, None), Some(10_000));
    }

    #[test]
    fn one_request_probes_and_no_other_counts_meanwhile() {
        let mut breaker = Breaker::default();
        breaker.trip(0, None);
        assert_eq!(breaker.trip(1, None), None, "of many that give up together one counts");
        assert_eq!(breaker.stand(9_999), Stand::Open { left: 1, pause: 10_000 });
        assert_eq!(breaker.probe(9_999), None);
        let first = breaker.probe(10_000);
        assert!(first.is_some());
        assert_eq!((breaker.probe(10_001), breaker.stand(99_999)), (None, Stand::HalfOpen));
        assert_eq!(breaker.trip(10_002, None), None, "one that was sent before");
        breaker.give_back(10_003, first);
        assert_eq!(breaker.stand(10_003), Stand::Due, "no verdict: the next one is the probe");
        let second = breaker.probe(10_003);
        breaker.give_back(10_004, first);
        assert_eq!((breaker.trip(10_004, first), breaker.stand(10_004)), (None, Stand::HalfOpen), "long past");
        assert_eq!(breaker.trip(10_005, second), Some(20_000));
    }

    #[test]
    fn while_checks_fail_no_request_probes() {
        let mut breaker = Breaker::default();
        breaker.wait_for_word();
        assert_eq!(breaker.stand(0), Stand::Closed);
        breaker.trip(0, None);
        breaker.wait_for_word();
        assert_eq!((breaker.stand(u64::MAX), breaker.probe(u64::MAX)), (Stand::Unchecked, None));
        assert!(breaker.close());
    }

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Send,
        Fails(prop::sample::Index),
        SaysNothing(prop::sample::Index),
        Answers(prop::sample::Index),
        CheckFails,
    }

    fn event() -> impl Strategy<Value = Event> {
        prop_oneof![
            3 => Just(Event::Send),
            3 => any::<prop::sample::Index>().prop_map(Event::Fails),
            1 => any::<prop::sample::Index>().prop_map(Event::SaysNothing),
            1 => any::<prop::sample::Index>().prop_map(Event::Answers),
            1 => Just(Event::CheckFails),
        ]
    }

    proptest! {
        /// Whatever requests do: at most one of them is the probe, and it is left alone for a minute at most.
        #[test]
        fn one_probe_at_a_time_and_no_pause_beyond_the_longest(
            events in proptest::collection::vec((event(), 0_u64..30_000), 1..200),
            start in prop_oneof![Just(0), any::<u64>()],
        ) {
            let (mut breaker, mut now) = (Breaker::default(), start);
            let mut on_their_way: Vec<Option<Probe>> = Vec::new();
            for (event, passed) in events {
                now = now.saturating_add(passed);
                let took = |requests: &mut Vec<Option<Probe>>, which: prop::sample::Index| {
                    (!requests.is_empty()).then(|| requests.swap_remove(which.index(requests.len())))
                };
                match event {
                    Event::Send => on_their_way.push(breaker.probe(now)),
                    Event::Fails(which) => {
                        let Some(probe) = took(&mut on_their_way, which) else { continue };
                        let counts = breaker.is_closed() || breaker.is_probed_by(probe);
                        prop_assert_eq!(breaker.trip(now, probe).is_some(), counts);
                    }
                    Event::SaysNothing(which) => {
                        let Some(probe) = took(&mut on_their_way, which) else { continue };
                        breaker.give_back(now, probe);
                    }
                    Event::Answers(which) => {
                        if took(&mut on_their_way, which).is_some() {
                            breaker.close();
                            prop_assert_eq!(breaker.stand(now), Stand::Closed);
                        }
                    }
                    Event::CheckFails => drop(breaker.wait_for_word()),
                }
                let probes = on_their_way.iter().filter(|probe| breaker.is_probed_by(**probe)).count();
                prop_assert_eq!(probes, usize::from(breaker.stand(now) == Stand::HalfOpen));
                if let Stand::Open { left, pause } = breaker.stand(now) {
                    prop_assert!(left <= pause && (PAUSE_MS..=LONGEST_PAUSE_MS).contains(&pause));
                }
            }
        }
    }
}
