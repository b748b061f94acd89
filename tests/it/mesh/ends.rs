//! Ends of requests, followed from a peer that has no part in them.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{KEY, OPEN, meet, offers, peer};
use crate::follow::{Socket, is, socket, told};
use crate::support::{Answer, Cable, FakeBackend, Gate, TestNode, chat, stream, until_json};

/// Who follows the whole mesh, and how often it was told of which request: by the peer that was asked, and the id.
struct Follower {
    socket: Socket,
    seen: BTreeMap<(String, String), usize>,
}

impl Follower {
    async fn of(node: &TestNode) -> Self {
        Follower { socket: socket(node, "/ws?scope=mesh").await, seen: BTreeMap::new() }
    }

    async fn next(&mut self) -> Value {
        let entry = told(&mut self.socket, |told| is(told, "RequestComplete")).await;
        let text = |key: &str| entry[key].as_str().expect("text").to_owned();
        *self.seen.entry((text("entry"), text("request_id"))).or_default() += 1;
        entry
    }

    async fn until(&mut self, done: impl Fn(&BTreeMap<(String, String), usize>) -> bool) {
        while !done(&self.seen) {
            self.next().await;
        }
    }

    /// Waits until it has heard that something ended at each of `peers`: from then on it hears all of it.
    async fn hears(&mut self, peers: &[(&str, &TestNode)]) {
        let asking = async {
            loop {
                join_all(peers.iter().map(|(_, node)| node.chat("made-up"))).await;
            }
        };
        let names = peers.iter().map(|(name, _)| *name);
        let heard = self.until(|seen| names.clone().all(|name| seen.keys().any(|(entry, _)| entry == name)));
        tokio::select! {
            () = heard => {}
            () = asking => panic!("it never ends"),
        }
    }

    async fn hears_of(&mut self, entry: &str, id: &str) {
        let wanted = (entry.to_owned(), id.to_owned());
        self.until(|seen| seen.contains_key(&wanted)).await;
    }
}

async fn ask(node: &TestNode, model: &str, id: &str) {
    node.client().completions(chat(model)).header("x-request-id", id).whole().await;
}

/// Asks `node` for so many, each second one of a model that nobody has.
async fn ask_many(node: &TestNode, numbers: std::ops::Range<usize>) {
    let numbers: Vec<usize> = numbers.collect();
    for some in numbers.chunks(25) {
        let asked = some.iter().map(async |number| {
            let model = if number % 2 == 0 { "m1" } else { "made-up" };
            ask(node, model, &format!("r-{number}")).await;
        });
        join_all(asked).await;
    }
}

/// Of more than 48 a second those that ended first were once not told, and of two requests of one id at two peers one.
#[tokio::test]
async fn every_end_at_other_peers_is_told_once_though_hundreds_end_together() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", KEY, &[], &backend.entry("gpu", "")).start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    let third = peer("third", KEY, &[&far, &near], "").start().await;
    offers(&near, "m1").await;
    for node in [&near, &far, &third] {
        meet(node, 3).await;
    }
    let (mut of_third, mut of_far) = (Follower::of(&third).await, Follower::of(&far).await);
    of_third.hears(&[("near", &near), ("far", &far)]).await;
    of_far.hears(&[("near", &near)]).await;
    for numbers in [0..240, 240..300] {
        tokio::join!(ask_many(&near, numbers.clone()), ask_many(&far, numbers.clone()));
        for number in numbers {
            for entry in ["near", "far"] {
                let id = format!("r-{number}");
                tokio::join!(of_third.hears_of(entry, &id), of_far.hears_of(entry, &id));
            }
        }
    }
    // What comes after them is told after them.
    tokio::join!(ask(&near, "m1", "last"), ask(&far, "m1", "last"));
    for follower in [&mut of_third, &mut of_far] {
        for entry in ["near", "far"] {
            follower.hears_of(entry, "last").await;
        }
        let twice: Vec<_> = follower.seen.iter().filter(|(_, times)| **times > 1).collect();
        assert!(twice.is_empty(), "{twice:?}");
        assert_eq!(follower.seen.keys().filter(|(_, id)| id.starts_with("r-")).count(), 600);
    }
}

/// The peer that a client asked may be lost before it has told how the request ended.
#[tokio::test]
async fn the_end_of_a_request_whose_entry_is_out_of_reach_is_told_by_who_served_it_and_not_again() {
    let gate = Gate::closed();
    let slow = Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n");
    let backend = FakeBackend::always(&["m1"], slow).await;
    let cable = Cable::default();
    let far = peer("far", KEY, &[], &backend.entry("gpu", "")).start().await;
    let near = peer("near", KEY, &[&far], "").cable(&cable).start().await;
    let third = peer("third", KEY, &[&far, &near], "").start().await;
    offers(&near, "m1").await;
    for node in [&near, &far, &third] {
        meet(node, 3).await;
    }
    let mut follower = Follower::of(&third).await;
    follower.hears(&[("near", &near), ("far", &far)]).await;
    let mut running = near.client().completions(stream("m1")).header("x-request-id", "lost").send().await;
    running.read_to("data: 1").await;
    cable.cut();
    let entry = loop {
        let entry = follower.next().await;
        if entry["request_id"] == "lost" {
            break entry;
        }
    };
    assert_eq!((&entry["origin"], &entry["entry"], &entry["peer"]), (&json!("peer"), &json!("near"), &json!("far")));
    gate.open();
    running.whole().await;
    cable.mend();
    until_json(&third, "/nexus/v1/mesh", "near is back", |seen| {
        seen["peers"].as_array().is_some_and(|all| all.iter().all(|peer| peer["state"] == "alive"))
    })
    .await;
    ask(&near, "made-up", "last").await;
    follower.hears_of("near", "last").await;
    assert_eq!(follower.seen[&("near".to_owned(), "lost".to_owned())], 1);
}

/// Without a key nobody is proven: of an error no more is told than its kind.
#[tokio::test]
async fn ends_in_an_open_mesh_say_no_more_of_an_error_than_its_kind() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", OPEN, &[], &backend.entry("gpu", "")).start().await;
    let near = peer("near", OPEN, &[&far], "").start().await;
    offers(&near, "m1").await;
    let (mut of_near, mut of_far) = (Follower::of(&near).await, Follower::of(&far).await);
    of_near.hears(&[("far", &far)]).await;
    of_far.hears(&[("far", &far)]).await;
    ask(&far, "made-up", "mine").await;
    let error_of = async |follower: &mut Follower| loop {
        let entry = follower.next().await;
        if entry["request_id"] == "mine" {
            break entry["error_message"].as_str().expect("an error").to_owned();
        }
    };
    let (there, here) = (error_of(&mut of_near).await, error_of(&mut of_far).await);
    assert!(here.contains("made-up") && !there.contains(' ') && !there.contains("made-up"), "{here} and {there}");
}
