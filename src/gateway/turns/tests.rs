use http::StatusCode;

use super::*;
use crate::exchange::{Refusal, RefusalReason};
use crate::fleet::{Kind, Model, PeerId, Zone};
use crate::route::{Floors, Strategy};

/// A plan of `model/backend` places.
pub(in crate::gateway) fn plan(places: &[&str]) -> Plan {
    let steps = places.iter().map(|place| {
        let (model, backend) = place.split_once('/').expect("model/backend");
        route::Step {
            fee: route::Fee::Free,
            most: None,
            fact_age: None,
            place: Place::Here { backend: backend.into() },
            model: model.into(),
            served: Arc::new(Model::named(model)),
            kind: Kind::Generic,
            full: false,
            suspect: false,
            fallback: false,
            score: None,
            estimate: route::Estimate::default(),
            worth: Duration::ZERO,
            residency: crate::fleet::Residency::Unknown,
            downgraded: None,
            zone: Zone::Restricted,
            floors: Floors::default(),
        }
    });
    Plan {
        asked: "m".to_owned(),
        steps: steps.collect(),
        rejections: Vec::new(),
        zone: Zone::Open,
        tier: None,
        strategy: Strategy::Smart,
        known: true,
    }
}

/// Whose turns there are where every one ends with `miss`.
fn order(places: &[&str], max_retries: u32, miss: impl Fn() -> Miss) -> Vec<String> {
    let mut turns = Turns::new(&plan(places), max_retries);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut tried = Vec::new();
    while let Some(step) = turns.next(deadline, false) {
        tried.push(format!("{}/{}", step.planned.model, step.planned.place.backend()));
        turns.missed(step, miss());
    }
    tried
}

/// Retries once went to the same failing backend only.
#[tokio::test]
async fn others_come_first_and_then_those_whose_trouble_may_pass() {
    let unreachable = || Miss::Unreachable(String::new());
    let failing = || Miss::Status(StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(order(&["m/a", "m/b"], 2, failing), ["m/a", "m/b", "m/a"]);
    assert_eq!(order(&["m/a", "m/b"], 2, unreachable), ["m/a", "m/b"], "nobody there is nobody there");
    assert_eq!(order(&["m/a"], 2, failing), ["m/a", "m/a", "m/a"]);
    assert_eq!(order(&["m/a", "m/b", "m/c", "m/d"], 1, failing), ["m/a", "m/b"], "bounded");
    assert_eq!(order(&["m/a"], 0, failing), ["m/a"]);
}

/// Whoever has no slot was not asked, and must not use up the attempts of one that has.
#[tokio::test]
async fn a_busy_place_is_no_attempt() {
    assert_eq!(order(&["m/a", "m/b", "m/c", "m/d"], 1, || Miss::Busy), ["m/a", "m/b", "m/c", "m/d"]);
    let mut turns = Turns::new(&plan(&["m/a", "m/b"]), 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    let first = turns.next(deadline, false).expect("a turn");
    turns.missed(first, Miss::Busy);
    assert_eq!(turns.next(deadline, false).expect("another").retries, 0);
}

/// Requests once went to a backend that hangs as soon as all others had no slot for a moment.
#[tokio::test]
async fn one_in_doubt_is_waited_for_only_where_all_are() {
    let deadline = Instant::now() + Duration::from_secs(60);
    let waited_for = |misses: [fn() -> Miss; 2], suspect: [bool; 2]| {
        let mut plan = plan(&["m/a", "m/b"]);
        plan.steps.iter_mut().zip(suspect).for_each(|(step, suspect)| step.suspect = suspect);
        let mut turns = Turns::new(&plan, 2);
        let mut has_better = Vec::new();
        for miss in misses {
            let step = turns.next(deadline, false).expect("a turn");
            has_better.push(step.has_better);
            turns.missed(step, miss());
        }
        let names = turns.busy().iter().map(|(step, _)| step.place.backend().to_string()).collect();
        (names, has_better[1])
    };
    let both = || vec!["a".to_owned(), "b".to_owned()];
    let busy: fn() -> Miss = || Miss::Busy;
    let alone: fn() -> Miss = || Miss::LeftAlone;
    assert_eq!(waited_for([busy, busy], [false, false]), (both(), true));
    assert_eq!(waited_for([busy, busy], [false, true]), (vec!["a".to_owned()], true));
    assert_eq!(waited_for([busy, alone], [false, false]), (vec!["a".to_owned()], true));
    assert_eq!(waited_for([alone, busy], [false, false]), (vec!["b".to_owned()], false));
    assert_eq!(waited_for([alone, alone], [false, true]), (both(), false));
    assert_eq!(waited_for([|| Miss::Gone, alone], [false, false]), (vec!["b".to_owned()], false));
}

/// Requests once went round among peers whose queues were full until their time was up.
#[tokio::test]
async fn nobody_is_waited_for_twice() {
    let mut plan = plan(&["m/a", "m/b", "m/c"]);
    for step in &mut plan.steps {
        let backend = step.place.backend().clone();
        step.place = Place::There { peer: PeerId::from_text(&*backend), peer_name: backend.clone(), backend };
    }
    let mut turns = Turns::new(&plan, 2);
    let deadline = Instant::now() + Duration::from_secs(60);
    let refuse = |turns: &mut Turns, step| {
        let refusal =
            Refusal { reason: RefusalReason::Busy, message: String::new(), load: None, left_alone: false, fault: None };
        turns.missed(step, Miss::Refused(refusal));
        turns.reorder(&plan);
    };
    let mut waited_for = Vec::new();
    loop {
        while let Some(step) = turns.next(deadline, false) {
            refuse(&mut turns, step);
        }
        let Some(step) = turns.busy().first().map(|(step, _)| (*step).clone()) else { break };
        waited_for.push(step.place.backend().to_string());
        assert!(waited_for.len() <= 3, "{waited_for:?}");
        let step = turns.granted(&step, deadline, true);
        refuse(&mut turns, step);
    }
    waited_for.sort();
    assert_eq!(waited_for, ["a", "b", "c"]);
}

/// A request once went round for ever between places that nobody was to ask.
#[tokio::test]
async fn what_is_left_alone_unasked_is_not_ranked_anew() {
    let plan = plan(&["m/a", "m/b", "m/c"]);
    let mut turns = Turns::new(&plan, 2);
    let deadline = Instant::now() + Duration::from_secs(60);
    let refusal =
        Refusal { reason: RefusalReason::Busy, message: String::new(), load: None, left_alone: false, fault: None };
    let mut misses = vec![Miss::Refused(refusal)];
    let mut tried = 0;
    while let Some(step) = turns.next(deadline, false) {
        tried += 1;
        assert!(tried <= 6, "no end");
        let miss = misses.pop().unwrap_or(Miss::LeftAlone);
        let is_news = miss.is_news();
        turns.missed(step, miss);
        if is_news {
            turns.reorder(&plan);
        }
    }
    assert_eq!(tried, 4, "the one that refused is asked once more, at most");
}

#[tokio::test]
async fn every_model_of_the_chain_has_attempts_of_its_own() {
    let failing = || Miss::Broken(String::new());
    let places = ["m/a", "m/b", "n/a", "n/c"];
    assert_eq!(order(&places, 2, failing), ["m/a", "m/b", "m/a", "n/a", "n/c", "n/a"]);
    assert_eq!(order(&places, 0, failing), ["m/a", "n/a"]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_shares_its_wait_out_and_a_whole_answer_takes_most_of_it() {
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = |stream| {
        let mut turns = Turns::new(&plan(&["m/a", "m/b", "m/c"]), 2);
        let step = turns.next(deadline, stream).expect("a turn");
        (step.deadline - Instant::now()).as_secs()
    };
    assert_eq!((wait(true), wait(false)), (20, 40));
}

#[tokio::test(start_paused = true)]
async fn a_stream_waits_no_longer_than_its_place_may_take() {
    let deadline = Instant::now() + Duration::from_secs(300);
    let wait = |places: &[&str], stream| {
        let mut plan = plan(places);
        plan.steps.iter_mut().for_each(|step| step.estimate.stuck_after = Some(Duration::from_secs(11)));
        let mut turns = Turns::new(&plan, 2);
        let step = turns.next(deadline, stream).expect("a turn");
        (step.deadline - Instant::now()).as_secs()
    };
    assert_eq!(wait(&["m/a", "m/b"], true), 11);
    assert_eq!(wait(&["m/a", "m/b"], false), 200, "nobody knows how long a whole answer may be");
    assert_eq!(wait(&["m/a"], true), 300, "there is nobody else to go to");
}

#[tokio::test(start_paused = true)]
async fn no_turn_begins_after_the_deadline() {
    let mut turns = Turns::new(&plan(&["m/a", "m/b"]), 2);
    let deadline = Instant::now() + Duration::from_secs(1);
    let first = turns.next(deadline, true).expect("the first is always tried");
    turns.missed(first, Miss::Silent(Duration::from_secs(1)));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert!(turns.next(deadline, true).is_none());
}
