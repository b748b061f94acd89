//! A conversation stays where its prompt was read, whichever peer its turns enter at.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{KEY, offers, peer};
use crate::support::{Answer, FakeBackend, Gate, TestNode, until_json};

/// Three peers, each with a backend of its own that has `m1`.
struct Three {
    nodes: [TestNode; 3],
    backends: [FakeBackend; 3],
}

async fn three() -> Three {
    let mut backends = Vec::new();
    for _ in 0..3 {
        backends.push(FakeBackend::always(&["m1"], Answer::says("so it is")).await);
    }
    let entry = |at: usize| backends[at].entry(&format!("b{at}"), "concurrency = 4");
    let a = peer("a", KEY, &[], &entry(0)).start().await;
    let b = peer("b", KEY, &[&a], &entry(1)).start().await;
    let c = peer("c", KEY, &[&a, &b], &entry(2)).start().await;
    let nodes = [a, b, c];
    for node in &nodes {
        until_json(node, "/v1/models", "all three are known", |seen| {
            seen["data"].as_array().is_some_and(|all| all.len() == 3)
        })
        .await;
    }
    let backends = backends.try_into().unwrap_or_else(|_| panic!("three were made"));
    Three { nodes, backends }
}

/// The turns of a conversation about `topic`, each as a client would send it.
fn turns(topic: &str, system: impl Fn(usize) -> String) -> Vec<Value> {
    let mut messages =
        vec![json!({"role": "user", "content": format!("Tell me about {topic}. {}", "Please. ".repeat(20))})];
    (0..6)
        .map(|turn| {
            let mut all = vec![json!({"role": "system", "content": system(turn)})];
            all.extend(messages.clone());
            messages.push(json!({"role": "assistant", "content": "so it is"}));
            messages.push(json!({"role": "user", "content": format!("And then, {turn}?")}));
            json!({"model": "m1", "messages": all})
        })
        .collect()
}

fn rules() -> String {
    "You are a careful assistant and follow the rules. ".repeat(40)
}

/// Where each turn was answered; each enters at the next peer.
async fn answered(three: &Three, turns: &[Value], header: Option<(&'static str, &str)>) -> Vec<String> {
    let mut places = Vec::new();
    for (turn, body) in turns.iter().enumerate() {
        let call = three.nodes[turn % 3].client().completions(body.to_string());
        let call = header.into_iter().fold(call, |call, (name, value)| call.header(name, value));
        let reply = call.whole().await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        places.push(reply.header("x-nexus-backend").expect("a backend").to_owned());
    }
    places
}

fn is_one(places: &[String]) -> bool {
    places.iter().collect::<BTreeSet<_>>().len() == 1
}

#[tokio::test]
async fn a_conversation_stays_and_many_are_spread() {
    let three = three().await;
    let mut used = BTreeSet::new();
    for topic in ["tides", "bees", "salt", "glass", "moss", "clay", "wind", "rust"] {
        let places = answered(&three, &turns(topic, |_| rules()), None).await;
        assert!(is_one(&places), "{topic}: {places:?}");
        used.insert(places[0].clone());
    }
    assert!(used.len() >= 2, "eight conversations, all at {used:?}");
    assert_eq!(three.backends.iter().map(FakeBackend::calls).sum::<usize>(), 48);
}

/// A line that changes with every request, at the very front of the prompt, once made every turn look new.
#[tokio::test]
async fn lines_that_change_with_every_request_change_nothing() {
    let three = three().await;
    let system =
        |turn: usize| format!("x-anthropic-billing-header: cc_version=2.1.{turn}; cch=0{turn}f3a;\n{}", rules());
    let places = answered(&three, &turns("lines", system), None).await;
    assert!(is_one(&places), "{places:?}");
}

#[tokio::test]
async fn a_name_holds_together_what_shares_no_text() {
    let three = three().await;
    let body = |turn: usize, more: Value| {
        let text = format!("Part {turn}: {}", turn.to_string().repeat(2_000));
        let mut body = json!({"model": "m1", "messages": [{"role": "user", "content": text}]});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        body
    };
    let unnamed: Vec<Value> = (0..9).map(|turn| body(turn, json!({}))).collect();
    for header in ["x-session-affinity", "x-claude-code-session-id"] {
        let places = answered(&three, &unnamed, Some((header, "ses_1"))).await;
        assert!(is_one(&places), "{header}: {places:?}");
    }
    let keyed: Vec<Value> = (0..9).map(|turn| body(turn, json!({"prompt_cache_key": "k1"}))).collect();
    let places = answered(&three, &keyed, None).await;
    assert!(is_one(&places), "{places:?}");
    // What is no name is as if it were not there, and each of these is new to everybody.
    for (number, nonsense) in ["", " ", &"x".repeat(300)].into_iter().enumerate() {
        let fresh: Vec<Value> = (0..9).map(|turn| body(100 * (number + 1) + turn, json!({}))).collect();
        let places = answered(&three, &fresh, Some(("x-session-affinity", nonsense))).await;
        assert!(!is_one(&places), "nine prompts, all at {places:?}");
    }
}

/// Every entry once had the model loaded in another place.
#[tokio::test]
async fn a_model_is_loaded_in_one_place_while_others_wait_there() {
    let gate = Gate::closed();
    let mut backends = Vec::new();
    for _ in 0..3 {
        let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
        backend.says("/api/ps", Answer::json(200, r#"{"models":[]}"#));
        backends.push(backend);
    }
    let entry = |at: usize| backends[at].entry(&format!("b{at}"), "type = 'ollama'\nconcurrency = 16");
    let a = peer("a", KEY, &[], &entry(0)).start().await;
    let b = peer("b", KEY, &[&a], &entry(1)).start().await;
    let c = peer("c", KEY, &[&a, &b], &entry(2)).start().await;
    for node in [&a, &b, &c] {
        offers(node, "m1").await;
        until_json(node, "/nexus/v1/backends", "all are known to be cold", |seen| {
            let backends = seen["backends"].as_array().into_iter().flatten();
            backends.filter(|backend| backend["models"][0]["loaded"] == false).count() == 3
        })
        .await;
    }
    let ask = |node: &TestNode| {
        node.client()
            .completions(json!({"model": "m1", "messages": [{"role": "user", "content": "hi"}]}).to_string())
            .whole()
    };
    let calls = || backends.iter().map(FakeBackend::calls).collect::<Vec<_>>();
    let all = async {
        crate::support::until("all have arrived", || calls().iter().sum::<usize>() == 12).await;
        assert_eq!(calls().iter().filter(|calls| **calls > 0).count(), 1, "{:?}", calls());
        gate.open();
    };
    let asked = futures_util::future::join_all((0..12).map(|number| ask([&a, &b, &c][number % 3])));
    let (replies, ()) = tokio::join!(asked, all);
    assert!(replies.iter().all(|reply| reply.status == 200));
}
