//! Which backend answers: strategies, priorities, slots, aliases.

use crate::support::{Answer, FakeBackend, Gate, Plan, TestNode, chat, until};

async fn many(names: &[&str]) -> Vec<FakeBackend> {
    let mut backends = Vec::new();
    for _ in names {
        backends.push(FakeBackend::always(&["m1"], Answer::says("hi")).await);
    }
    backends
}

fn calls(backends: &[FakeBackend]) -> Vec<usize> {
    backends.iter().map(FakeBackend::calls).collect()
}

#[tokio::test]
async fn round_robin_takes_turns() {
    let backends = many(&["a", "b", "c"]).await;
    let entries: String = backends.iter().zip(["a", "b", "c"]).map(|(backend, name)| backend.entry(name, "")).collect();
    let node = TestNode::start(&format!("[routing]\nstrategy = 'round_robin'\n{entries}")).await;
    for _ in 0..30 {
        assert_eq!(node.chat("m1").await.status, 200);
    }
    assert_eq!(calls(&backends), [10, 10, 10]);
}

/// Priorities were once read and thrown away.
#[tokio::test]
async fn the_lower_priority_number_gets_every_request_of_an_idle_fleet() {
    for strategy in ["smart", "priority_only"] {
        let backends = many(&["first", "last"]).await;
        let entries = backends[0].entry("first", "priority = 1") + &backends[1].entry("last", "priority = 50");
        let node = TestNode::start(&format!("[routing]\nstrategy = '{strategy}'\n{entries}")).await;
        for _ in 0..20 {
            assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("first"));
        }
        assert_eq!(calls(&backends), [20, 0], "{strategy}");
    }
}

#[tokio::test]
async fn every_strategy_serves_and_uses_the_fleet() {
    for strategy in ["strategy = 'random'", "strategy = 'smart'", "strategy = 'adaptive'", ""] {
        let backends = many(&["a", "b"]).await;
        let entries = backends[0].entry("a", "") + &backends[1].entry("b", "");
        let node = TestNode::start(&format!("[routing]\n{strategy}\n{entries}")).await;
        for _ in 0..20 {
            assert_eq!(node.chat("m1").await.status, 200, "{strategy}");
        }
        assert_eq!(calls(&backends).iter().sum::<usize>(), 20, "{strategy}: no request is sent twice");
    }
}

/// Weights may be given in part, and need not sum to 100.
#[tokio::test]
async fn load_counts_against_a_backend() {
    let gate = Gate::closed();
    let busy = FakeBackend::always(&["m1"], Answer::says("late").after(&gate)).await;
    let idle = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let weights = "[routing]\nstrategy = 'smart'\n[routing.weights]\npriority = 0\nlatency = 0\n";
    let config = weights.to_owned() + &busy.entry("a-busy", "") + &idle.entry("b-idle", "");
    let node = TestNode::start(&config).await;
    let waiting = node.client().completions(chat("m1")).whole();
    let asking = async {
        busy.called(1).await;
        for _ in 0..5 {
            assert_eq!(node.chat("m1").await.header("x-nexus-backend"), Some("b-idle"));
        }
        gate.open();
    };
    let (waited, ()) = tokio::join!(waiting, asking);
    assert_eq!(waited.header("x-nexus-backend"), Some("a-busy"));
}

/// A backend never has more requests than the operator allows it, whoever asks and however it is ranked.
#[tokio::test]
async fn concurrency_is_never_exceeded() {
    for strategy in ["smart", "round_robin", "priority_only", "random", "adaptive"] {
        let gate = Gate::closed();
        let one = FakeBackend::always(&["m1"], Answer::says("one").after(&gate)).await;
        let two = FakeBackend::always(&["m1"], Answer::says("two").after(&gate)).await;
        let entries = one.entry("one", "concurrency = 1\npriority = 1") + &two.entry("two", "concurrency = 1");
        let node =
            TestNode::start(&format!("[routing]\nstrategy = '{strategy}'\n[queue]\nenabled = false\n{entries}")).await;
        let ask = || node.client().completions(chat("m1")).whole();
        let open = async {
            until("both are busy", || one.active() + two.active() == 2).await;
            let turned_away = ask().await;
            turned_away.error(503, "service_unavailable", "server_error");
            assert!(turned_away.header("retry-after").is_some());
            gate.open();
        };
        let (first, second, ()) = tokio::join!(ask(), ask(), open);
        assert_eq!((first.status, second.status), (200, 200), "{strategy}");
        assert_eq!((one.peak(), two.peak()), (1, 1), "{strategy}");
        assert_eq!(ask().await.status, 200, "the slots are free again");
    }
}

#[tokio::test]
async fn what_does_not_fit_on_the_best_backend_goes_to_the_next() {
    let gate = Gate::closed();
    let best = FakeBackend::always(&["m1"], Answer::says("best").after(&gate)).await;
    let next = FakeBackend::always(&["m1"], Answer::says("next")).await;
    let config = "[routing]\nstrategy = 'priority_only'\n".to_owned()
        + &best.entry("best", "concurrency = 1\npriority = 1")
        + &next.entry("next", "priority = 9");
    let node = TestNode::start(&config).await;
    let overflow = async {
        best.called(1).await;
        let reply = node.chat("m1").await;
        assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("next")));
        assert_eq!(reply.header("x-nexus-route-reason"), Some("capacity-overflow"));
        gate.open();
    };
    let (reply, ()) = tokio::join!(node.client().completions(chat("m1")).whole(), overflow);
    assert_eq!(reply.header("x-nexus-backend"), Some("best"));
}

#[tokio::test]
async fn an_alias_is_followed_three_steps_and_no_further() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let aliases = "[routing.aliases]\nfour = 'three'\nthree = 'two'\ntwo = 'one'\none = 'm1'\n";
    let node = TestNode::start(&(backend.entry("a", "") + aliases)).await;
    for alias in ["one", "two", "three"] {
        assert_eq!(node.chat(alias).await.status, 200, "{alias}");
    }
    assert!(backend.requests().iter().all(|request| request.json()["model"] == "m1"));
    let error = node.chat("four").await.error(404, "model_not_found", "invalid_request_error");
    assert!(error["message"].as_str().is_some_and(|message| message.starts_with("Model 'four' not found")), "{error}");
}

#[tokio::test]
async fn aliases_in_a_circle_do_not_start() {
    let error = Plan::new("[routing.aliases]\na = 'b'\nb = 'a'\n").try_start().await.err().expect("refused");
    assert!(error.to_string().contains("Circular alias detected: 'a' eventually points back to"), "{error}");
}

/// One bad pattern once switched every policy off, with a warning.
#[tokio::test]
async fn a_policy_that_cannot_be_read_does_not_start() {
    let policies = "[[routing.policies]]\nmodel_pattern = 'secret-['\nprivacy = 'restricted'\n";
    let error = Plan::new(policies).try_start().await.err().expect("refused");
    assert!(error.to_string().contains("secret-["), "{error}");
}
