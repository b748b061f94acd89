use super::*;
use crate::fleet::{Kind, Source};

fn spec(name: &str) -> BackendSpec {
    BackendSpec::new(name, "http://127.0.0.1:1".parse().expect("literal"), Kind::Generic, Source::Static)
}

fn healthy_with(models: &[&str]) -> Condition {
    Condition {
        status: Status::Healthy,
        models: models.iter().map(|id| Arc::new(Model::named(*id))).collect(),
        ..Condition::default()
    }
}

#[test]
fn a_name_is_taken_once_and_free_again_after_removal() {
    let registry = Registry::new(Vec::new());
    registry.add(spec("a")).expect("free");
    assert_eq!(registry.add(spec("a")).err(), Some(Duplicate("a".to_owned())));
    let removed = registry.remove("a").expect("there");
    assert!(removed.gone.is_cancelled());
    assert!(registry.remove("a").is_none());
    registry.add(spec("a")).expect("free again");
}

#[test]
fn models_are_found_by_name_and_leave_with_their_backend() {
    let registry = Registry::new(Vec::new());
    let (a, b) = (registry.add(spec("a")).expect("free"), registry.add(spec("b")).expect("free"));
    registry.update(&b, healthy_with(&["m", "n"]));
    registry.update(&a, healthy_with(&["m"]));
    let names = |model: &str| -> Vec<String> {
        registry.snapshot().offering(model).iter().map(|offered| offered.entry.spec.name.clone()).collect()
    };
    assert_eq!(names("m"), ["a", "b"]);
    assert_eq!(names("n"), ["b"]);
    registry.remove("b");
    assert_eq!(names("m"), ["a"]);
    assert!(names("n").is_empty());
}

#[test]
fn watchers_hear_of_what_matters_only() {
    let registry = Registry::new(Vec::new());
    let entry = registry.add(spec("a")).expect("free");
    let mut changed = registry.changed();
    changed.mark_unchanged();
    registry.update(&entry, healthy_with(&["m"]));
    assert!(changed.has_changed().expect("open"));
    changed.mark_unchanged();
    registry.update(&entry, healthy_with(&["m"]));
    assert!(!changed.has_changed().expect("open"), "the same again is no news");
}

#[test]
fn slots_are_counted_and_come_back() {
    let registry = Registry::new(Vec::new());
    let mut limited = spec("a");
    limited.concurrency = Some(2);
    let entry = registry.add(limited).expect("free");
    let held: Vec<InFlight> = (0..2).map(|_| entry.begin().expect("a slot")).collect();
    assert_eq!(entry.begin().err(), Some(Full));
    assert!(entry.load().is_full());
    drop(held);
    let load = entry.load();
    assert_eq!((load.in_flight, load.total), (0, 2));
}

/// A request for `model`, on its way.
fn sent(entry: &Arc<Entry>, model: &str) -> InFlight {
    let mut request = entry.begin().expect("a slot");
    request.sends(&Arc::new(Model::named(model)));
    request
}

const TTFT: std::time::Duration = std::time::Duration::from_millis(5);

#[test]
fn a_lost_connection_makes_suspect_at_once_and_a_check_or_an_answer_clears_it() {
    let registry = Registry::new(Vec::new());
    let entry = registry.add(spec("a")).expect("free");
    registry.update(&entry, healthy_with(&["m", "n"]));
    sent(&entry, "m").refused();
    assert!(entry.is_suspect("m") && entry.is_suspect("n") && entry.about().suspect && !entry.may_serve());
    entry.checked(TTFT);
    assert!(!entry.is_suspect("m") && entry.may_serve());
    sent(&entry, "m").broken();
    assert!(entry.is_suspect("n"));
    sent(&entry, "m").answered(TTFT, true);
    assert!(!entry.is_suspect("n") && entry.breakers().is_empty());
}

#[test]
fn a_model_that_fails_is_left_alone_and_others_are_not() {
    let registry = Registry::new(Vec::new());
    let entry = registry.add(spec("a")).expect("free");
    registry.update(&entry, healthy_with(&["m", "n"]));
    for suspect in [false, false, true] {
        sent(&entry, "m").failed();
        assert_eq!((entry.is_suspect("m"), entry.is_suspect("n")), (suspect, false));
    }
    assert!(!entry.about().suspect && entry.facts().breakers.len() == 1);
    entry.checked(TTFT);
    assert!(entry.is_suspect("m"), "a passed check says nothing of requests");
    registry.update(&entry, healthy_with(&["m"]));
    assert!(entry.about().suspect, "all that it has");
    registry.update(&entry, healthy_with(&["n"]));
    assert!(!entry.is_suspect("m") && entry.breakers().is_empty(), "what has gone is forgotten");
}

/// A backend whose checks pass and whose requests hang once cost every request its deadline.
#[tokio::test(start_paused = true)]
async fn silence_outlasts_checks_and_is_probed_by_one_request_at_a_time() {
    let entry = Registry::new(Vec::new()).add(spec("a")).expect("free");
    let pass = |seconds| tokio::time::advance(std::time::Duration::from_secs(seconds));
    sent(&entry, "m").silent();
    entry.checked(TTFT);
    assert!(entry.is_suspect("m"), "a passed check says nothing of requests");
    pass(10).await;
    assert!(!entry.is_suspect("m"), "left alone for long enough");
    let mut probe = sent(&entry, "m");
    assert!(entry.is_suspect("m"), "until the probe has an answer");
    probe.silent();
    drop(probe);
    pass(10).await;
    assert!(entry.is_suspect("m"), "longer each time");
    pass(10).await;
    assert!(!entry.is_suspect("m"));
    drop(sent(&entry, "m"));
    assert!(!entry.is_suspect("m"), "a client that left has proved nothing");
    sent(&entry, "m").answered(TTFT, true);
    sent(&entry, "m").silent();
    pass(10).await;
    assert!(!entry.is_suspect("m"), "an answer makes up for all that was before");
}

#[test]
fn a_backend_that_has_said_goodbye_is_used_last_until_it_is_back() {
    let registry = Registry::new(Vec::new());
    let entry = registry.add(spec("a")).expect("free");
    registry.withdraw(&entry, true);
    sent(&entry, "m").answered(TTFT, true);
    assert!(entry.is_suspect("m") && entry.about().suspect);
    registry.withdraw(&entry, false);
    assert!(!entry.is_suspect("m"));
}

#[test]
fn averages_start_at_the_first_sample() {
    let entry = Registry::new(Vec::new()).add(spec("a")).expect("free");
    assert_eq!(entry.load().latency_ms, None);
    entry.checked(std::time::Duration::from_millis(100));
    assert_eq!(entry.load().latency_ms, Some(100));
    entry.checked(std::time::Duration::from_millis(50));
    assert_eq!(entry.load().latency_ms, Some(90));
    entry.checked(std::time::Duration::ZERO);
    assert_eq!(entry.load().latency_ms, Some(72));
}

/// A map guard held across a second map once stopped the whole server.
#[test]
fn readers_and_writers_never_wait_for_each_other() {
    let registry = Arc::new(Registry::new(Vec::new()));
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let registry = &registry;
            scope.spawn(move || {
                for round in 0..500 {
                    let name = format!("{worker}-{}", round % 5);
                    match registry.add(spec(&name)) {
                        Ok(entry) => registry.update(&entry, healthy_with(&["m"])),
                        Err(_) => drop(registry.remove(&name)),
                    }
                    let snapshot = registry.snapshot();
                    assert!(snapshot.offering("m").len() <= snapshot.entries.len());
                }
            });
        }
    });
}

/// A machine that starts before its network knows no address of its own.
#[test]
fn what_is_near_is_found_out_anew_when_addresses_change() {
    let registry = Registry::new(Vec::new());
    let lan = BackendSpec { url: "http://10.0.0.5:1".parse().expect("literal"), ..spec("lan") };
    let (here, lan) = (registry.add(spec("here")).expect("free"), registry.add(lan).expect("free"));
    assert_eq!((here.endpoint().text.as_str(), lan.endpoint().near), ("127.0.0.1:1", false));
    let mut changed = registry.changed();
    changed.mark_unchanged();
    let now = Whereabouts::from(vec!["10.0.0.5".parse().expect("literal")]);
    registry.moved(now.clone());
    assert!(changed.has_changed().expect("watched"));
    for entry in [&here, &lan] {
        assert_eq!((entry.endpoint().text.as_str(), entry.endpoint().near), ("10.0.0.5:1", true));
    }
    changed.mark_unchanged();
    registry.moved(now);
    assert!(!changed.has_changed().expect("watched"), "nothing new, nobody is woken");
}
