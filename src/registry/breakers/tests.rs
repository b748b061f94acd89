//! What becomes of requests, and what the breakers make of it.

use proptest::prelude::*;

use super::*;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A backend, and a clock in milliseconds.
#[derive(Default)]
struct Backend {
    breakers: Breakers,
    quality: Quality,
    now: u64,
}

impl Backend {
    fn send(&mut self, model: &str) -> Probes {
        self.breakers.send(model, self.now)
    }

    fn fails(&mut self, model: &str, grief: Grief) -> Vec<Change> {
        let probes = self.send(model);
        self.breakers.grieved(model, grief, probes, self.now, &self.quality)
    }

    fn answers(&mut self, model: &str, well: bool) -> Vec<Change> {
        let probes = self.send(model);
        self.breakers.answered(model, well, probes, self.now, &self.quality)
    }

    /// `+` answered, `4` answered with a 4xx, `5` failed, `b` broken, `r` refused, `s` silent, `.` a second passes.
    fn story(&mut self, model: &str, text: &str) {
        for what in text.bytes() {
            match what {
                b'+' => drop(self.answers(model, true)),
                b'4' => drop(self.answers(model, false)),
                b'5' => drop(self.fails(model, Grief::Failed)),
                b'b' => drop(self.fails(model, Grief::Broken)),
                b'r' => drop(self.fails(model, Grief::Refused)),
                b's' => drop(self.fails(model, Grief::Silent)),
                _ => self.now += 1000,
            }
        }
    }

    fn keeps_away(&self, model: &str) -> bool {
        self.breakers.keep_away(model, self.now)
    }

    /// Which are open for `model`.
    fn open_for(&self, model: &str) -> Vec<Trouble> {
        let breakers = self.breakers.open(self.now);
        breakers.iter().filter(|breaker| breaker.guards(model)).map(|breaker| breaker.trouble).collect()
    }
}

#[test]
fn what_opens_which_breaker() {
    use Trouble::{Connection, Errors, Silence};
    for (story, open) in [
        ("", vec![]),
        ("r", vec![Connection]),
        ("b", vec![Connection]),
        ("s", vec![Silence]),
        ("55", vec![]),
        ("555", vec![Errors]),
        ("55+55+55", vec![]),
        ("55455", vec![]),
        ("44444444444444444444", vec![]),
        ("554554554", vec![]),
        // Six of ten, never three in a row.
        ("55+5+55+5+", vec![Errors]),
        ("55+5+55+5", vec![]),
        ("bb+b+b+b++", vec![Errors]),
        ("bbb+++++++++++++++++", vec![]),
        ("5+5+5+5+5+", vec![Errors]),
        ("5+5+5+5+++", vec![]),
        ("5+++++++++5+5++5+5++5+5++", vec![]),
        // Nobody there is not an error of the model's; what it began and did not finish is.
        ("r+r+r+r+r+r+r+r+r+r+", vec![]),
        ("b+b+b+b+b+b+", vec![Errors]),
        ("s+s+s+s+s+s+", vec![Errors]),
        // An answer of any kind says that it can be reached and is not silent.
        ("r4", vec![]),
        ("s4", vec![]),
        ("r5", vec![]),
        ("s5", vec![]),
        ("rs", vec![Silence]),
        ("sr", vec![Connection, Silence]),
    ] {
        let mut backend = Backend::default();
        backend.story("m", story);
        assert_eq!(backend.open_for("m"), open, "{story}");
        assert_eq!(backend.keeps_away("m"), !open.is_empty(), "{story}");
    }
}

#[test]
fn a_model_that_fails_ejects_no_other_and_a_lost_connection_all() {
    let mut backend = Backend::default();
    backend.story("m", "555s");
    assert!(backend.keeps_away("m") && !backend.keeps_away("n"));
    backend.story("m", "r");
    assert!(backend.keeps_away("n"));
    assert_eq!(backend.breakers.check_passed(), [Change::Closed(Trouble::Connection)]);
    assert!(backend.keeps_away("m") && !backend.keeps_away("n"), "a check says nothing of requests");
}

#[test]
fn only_the_answer_of_the_probe_ends_errors() {
    let mut backend = Backend::default();
    let opened = Change::Opened { trouble: Trouble::Errors, pause: seconds(10), again: false };
    assert_eq!((backend.fails("m", Grief::Failed), backend.fails("m", Grief::Failed)), (vec![], vec![]));
    assert_eq!(backend.fails("m", Grief::Failed), [opened]);
    backend.story("m", "+.+.+.+.+.+.+.+.+.");
    assert!(backend.keeps_away("m"), "those that are lucky prove little");
    backend.now += 1000;
    assert!(!backend.keeps_away("m"), "due");
    backend.story("m", "4");
    assert!(!backend.keeps_away("m") && !backend.open_for("m").is_empty(), "a client's mistake is no verdict");
    let again = Change::Opened { trouble: Trouble::Errors, pause: seconds(20), again: true };
    assert_eq!(backend.fails("m", Grief::Failed), [again], "the probe alone reopens it");
    backend.now += 20_000;
    assert_eq!(backend.answers("m", true), [Change::Closed(Trouble::Errors)]);
    assert!(backend.breakers.are_quiet(), "and all is forgotten");
    backend.story("m", "55");
    assert!(!backend.keeps_away("m"));
}

#[test]
fn one_request_probes_and_what_came_to_no_verdict_is_given_back() {
    let mut backend = Backend::default();
    backend.story("m", "s..........");
    assert!(!backend.keeps_away("m"));
    let probe = backend.send("m");
    assert!(backend.keeps_away("m"), "others go elsewhere");
    assert_eq!(backend.send("m"), Probes::default(), "one at a time");
    assert_eq!(backend.fails("m", Grief::Silent), [], "and only the probe counts");
    backend.breakers.give_back("m", probe, backend.now);
    assert!(!backend.keeps_away("m"));
    assert_eq!(backend.answers("m", true), [Change::Closed(Trouble::Silence)]);
}

#[test]
fn while_its_checks_fail_it_is_not_probed() {
    let mut backend = Backend::default();
    backend.breakers.check_failed();
    backend.story("m", "r");
    backend.breakers.check_failed();
    backend.now += 1_000_000;
    assert!(backend.keeps_away("n") && backend.breakers.is_cut_off(backend.now));
    assert_eq!(backend.breakers.open(backend.now)[0].standing, Standing::Unchecked);
    assert_eq!(backend.breakers.check_passed().len(), 1);
    assert!(backend.breakers.are_quiet());
    backend.story("m", "r..........");
    assert!(!backend.keeps_away("m"), "where nobody checks, requests do");
}

#[test]
fn what_is_told_stays_the_same_while_nothing_happens() {
    let mut backend = Backend::default();
    backend.story("m", "s...");
    let standing = |breakers: Vec<fleet::Breaker>| breakers[0].standing;
    assert_eq!(standing(backend.breakers.open(backend.now)), Standing::Open(seconds(7)));
    assert_eq!(standing(backend.breakers.told(backend.now)), Standing::Open(seconds(10)));
    backend.now += 7_000;
    for listed in [backend.breakers.open(backend.now), backend.breakers.told(backend.now)] {
        assert_eq!(standing(listed), Standing::Open(Duration::ZERO));
    }
    backend.send("m");
    assert_eq!(standing(backend.breakers.told(backend.now)), Standing::Probing);
}

#[test]
fn thresholds_are_as_configured() {
    let mut backend = Backend::default();
    backend.quality.error_rate_threshold = 0.2;
    backend.quality.min_samples = 5;
    backend.story("m", "5++");
    assert!(!backend.keeps_away("m"));
    backend.story("m", "+5");
    assert!(backend.keeps_away("m"), "two of five");
}

#[test]
fn a_single_slip_is_forgotten_after_a_while() {
    let mut backend = Backend::default();
    backend.story("m", "b");
    backend.breakers.check_passed();
    backend.story("m", &"+".repeat(19));
    assert!(!backend.breakers.are_quiet());
    backend.story("m", "+");
    assert!(backend.breakers.are_quiet());
}

#[test]
fn models_that_have_gone_are_forgotten_and_no_more_than_so_many_remembered() {
    let mut backend = Backend::default();
    backend.story("m", "s");
    backend.story("n", "s");
    backend.breakers.retain(|model| model == "n");
    assert!(!backend.keeps_away("m") && backend.keeps_away("n"));
    for number in 0..1000 {
        backend.story(&format!("m{number}"), "5");
        assert!(backend.breakers.models.len() <= MOST_MODELS);
    }
    assert!(backend.keeps_away("n"));
    for number in 0..1000 {
        backend.story(&format!("m{number}"), "s");
        assert!(backend.breakers.models.len() <= MOST_MODELS);
    }
    assert!(backend.keeps_away("n"));
}

proptest! {
    /// Whatever has happened: once it is well it is used again within a minute, by one probe for each breaker, and
    /// nothing stays behind.
    #[test]
    fn what_is_well_again_is_back_within_a_minute(
        story in "[+45brs.]{0,120}",
        pauses in proptest::collection::vec(0_u64..70_000, 0..8),
    ) {
        let mut backend = Backend::default();
        backend.story("m", &story);
        for pause in pauses {
            backend.now += pause;
            backend.story("m", "5s");
        }
        backend.now += 60_000;
        backend.breakers.check_passed();
        prop_assert!(!backend.keeps_away("m"));
        backend.story("m", "+");
        // What had failed before may still be too large a share of the first ten: that is ten seconds more, once.
        backend.story("m", &"+".repeat(backend.quality.min_samples as usize));
        backend.now += 10_000;
        prop_assert!(!backend.keeps_away("m"));
        backend.story("m", &"+".repeat(2 * backend.quality.min_samples as usize));
        prop_assert!(backend.breakers.are_quiet(), "{:?}", backend.breakers);
    }

    /// A backend that answers everything, however rudely, is never left alone.
    #[test]
    fn answers_and_clients_mistakes_open_nothing(story in "[+4.]{0,100}") {
        let mut backend = Backend::default();
        backend.story("m", &story);
        prop_assert!(backend.breakers.are_quiet());
    }
}
