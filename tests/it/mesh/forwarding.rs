//! A request that enters anywhere is answered by whoever can: the same bytes, one hop, and every word about the way.

use futures_util::future::join_all;
use serde_json::json;

use super::{KEY, offers, pair, peer};
use crate::support::{Answer, Cable, FakeBackend, Gate, Log, chat, stream, until, until_json};

const EVENTS: &str = ": x\n\ndata: {\"choices\":[{\"delta\":{\"content\":\"héé世界😀\"}}]}\n\ndata: [DONE]\n\n";

#[tokio::test]
async fn a_model_of_one_peer_is_served_by_every_peer() {
    let odd = " {\"choices\" : [], \"n\":1e400,\"é\\u00e9\":\"\\/\"}\n";
    let backend = FakeBackend::always(&["m1"], Answer::json(200, odd)).await;
    let b = peer("b", KEY, &[], "").start().await;
    let c = peer("c", KEY, &[&b], &backend.entry("far-gpu", "")).start().await;
    // It knows of c by what b tells it only.
    let a = peer("a", KEY, &[&b], "").start().await;
    for (node, hops) in [(&a, "1"), (&b, "1"), (&c, "0")] {
        offers(node, "m1").await;
        let body = "{ \"messages\" : [], \"x\": 1.0, \"model\":\"m1\" }\n";
        let reply = node.client().completions(body).header("x-request-id", "mine").whole().await;
        assert_eq!((reply.status, reply.text()), (200, odd));
        assert_eq!(backend.requests().last().map(|request| request.text().to_owned()).as_deref(), Some(body));
        for (name, value) in [
            ("x-nexus-peer", "c"),
            ("x-nexus-hops", hops),
            ("x-nexus-backend", "far-gpu"),
            ("x-nexus-backend-type", "local"),
            ("x-nexus-privacy-zone", "restricted"),
            ("x-request-id", "mine"),
            ("content-type", "application/json"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name}");
        }
    }
}

#[tokio::test]
async fn a_stream_passes_a_hop_byte_for_byte_and_at_once() {
    let gate = Gate::closed();
    let held = gate.clone();
    let backend = FakeBackend::script(&["m1"], move |request| match request.number {
        0 => Answer::stream(EVENTS.as_bytes().chunks(1)),
        _ => Answer::stream(["data: 1\n\n"]).wait(&held).then("data: [DONE]\n\n"),
    })
    .await;
    let (near, _far) = pair("", &backend.entry("a", ""), "m1").await;
    let reply = near.client().completions(stream("m1")).whole().await;
    assert_eq!((reply.text(), reply.broken), (EVENTS, false));
    assert_eq!(reply.header("content-type"), Some("text/event-stream"));
    let mut waiting = near.client().stream("m1").await;
    waiting.read_to("data: 1\n\n").await;
    gate.open();
    assert_eq!(waiting.whole().await.text(), "data: [DONE]\n\n");
}

#[tokio::test]
async fn embeddings_completions_and_large_bodies_pass_a_hop() {
    let backend = FakeBackend::always(&["m1"], Answer::json(200, format!("[\"{}\"]", "y".repeat(2 << 20)))).await;
    let (near, _far) = pair("", &backend.entry("a", ""), "m1").await;
    let large = format!(r#"{{"model":"m1","messages":[],"prompt":"","input":"{}"}}"#, "x".repeat(3 << 20));
    for path in ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] {
        let reply = near.client().post(path, large.clone()).whole().await;
        assert_eq!((reply.status, reply.body.len()), (200, (2 << 20) + 4), "{path}");
        let seen = backend.requests().pop().expect("a request");
        assert_eq!((seen.path.as_str(), seen.body.len()), (path, large.len()));
    }
}

/// An alias of the entry is followed there; the owner gets the name it knows.
#[tokio::test]
async fn an_alias_holds_where_the_request_comes_in() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, far) = pair("[routing.aliases]\ngpt-4 = 'm1'\n", &backend.entry("a", ""), "m1").await;
    assert_eq!(near.chat("gpt-4").await.status, 200);
    assert_eq!(backend.requests()[0].text(), chat("m1"));
    assert_eq!(far.chat("gpt-4").await.status, 404);
}

#[tokio::test]
async fn a_fallback_may_be_on_another_peer() {
    let broken = FakeBackend::always(&["primary"], Answer::json(500, "{}")).await;
    let backend = FakeBackend::always(&["second"], Answer::says("hi")).await;
    let near_more = broken.entry("here", "") + "[routing.fallbacks]\nprimary = ['second']\n";
    let (near, _far) = pair(&near_more, &backend.entry("there", ""), "second").await;
    let reply = near.chat("primary").await;
    assert_eq!((reply.status, reply.header("x-nexus-fallback-model")), (200, Some("second")));
    assert_eq!((reply.header("x-nexus-peer"), reply.header("x-nexus-route-reason")), (Some("far"), Some("failover")));
}

/// What a backend says of a client's mistake comes through a hop unchanged, and is asked once.
#[tokio::test]
async fn errors_of_a_far_backend_are_its_own() {
    let words = "{ \"error\" : {\"message\":\"no\",\"param\":\"temperature\"} }\n";
    let backend = FakeBackend::script(&["m1"], move |request| match request.number {
        0 => Answer::json(422, words),
        1 => Answer::json(429, words).header("retry-after", "7"),
        _ => Answer::json(500, "secret words"),
    })
    .await;
    let (near, _far) = pair("[routing]\nmax_retries = 0\n", &backend.entry("a", ""), "m1").await;
    for (status, wait) in [(422, None), (429, Some("7"))] {
        let reply = near.chat("m1").await;
        assert_eq!((reply.status, reply.text(), reply.header("retry-after")), (status, words, wait));
        assert_eq!(reply.header("x-nexus-peer"), Some("far"));
    }
    assert_eq!(backend.calls(), 2);
    let reply = near.chat("m1").await;
    reply.error(502, "bad_gateway", "server_error");
    assert!(!reply.text().contains("secret") && !reply.text().contains("http://"), "{}", reply.text());
}

#[tokio::test]
async fn a_far_backend_that_fails_is_replaced_by_one_that_does_not() {
    let bad = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
    let good = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let near_more = "[routing]\nstrategy = 'priority_only'\n".to_owned() + &good.entry("here", "priority = 90");
    let far = peer("far", KEY, &[], &bad.entry("there", "priority = 1")).start().await;
    let near = peer("near", KEY, &[&far], &near_more).start().await;
    until_json(&near, "/v1/models", "both are known", |seen| seen["data"].as_array().is_some_and(|all| all.len() == 2))
        .await;
    let reply = near.chat("m1").await;
    assert_eq!(
        (reply.status, reply.header("x-nexus-backend"), reply.header("x-nexus-hops")),
        (200, Some("here"), Some("0"))
    );
    assert!(bad.calls() >= 1);
}

#[tokio::test]
async fn a_far_backend_never_has_more_requests_than_it_may() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let queueless = "[queue]\nenabled = false\n";
    let far_more = backend.entry("a", "concurrency = 1") + queueless;
    let (near, far) = pair(queueless, &far_more, "m1").await;
    let second = async {
        backend.called(1).await;
        for node in [&near, &far] {
            let reply = node.chat("m1").await;
            reply.error(503, "service_unavailable", "server_error");
            assert!(reply.header("retry-after").is_some());
        }
        gate.open();
    };
    let (first, ()) = tokio::join!(near.chat("m1"), second);
    assert_eq!((first.status, backend.peak()), (200, 1));
}

/// Every backend of the owner was once tried by the owner for every backend that the entry knew of.
#[tokio::test]
async fn attempts_do_not_multiply_over_a_hop() {
    let mut backends = Vec::new();
    let mut far_more = String::new();
    for name in ["x", "y", "z"] {
        let backend = FakeBackend::always(&["m1"], Answer::json(500, "{}")).await;
        far_more += &backend.entry(name, "");
        backends.push(backend);
    }
    let (near, _far) = pair("", &far_more, "m1").await;
    near.chat("m1").await.error(502, "bad_gateway", "server_error");
    let calls: Vec<usize> = backends.iter().map(FakeBackend::calls).collect();
    assert_eq!(calls, [1, 1, 1], "by the owner, once each");
}

/// The queue is at the owner, whoever the entry is.
#[tokio::test]
async fn a_request_waits_at_the_owner_of_a_busy_backend() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let (near, far) = pair("", &backend.entry("a", "concurrency = 1"), "m1").await;
    let waiting = |seen: &serde_json::Value| seen["backends"][0]["queued_requests"] == 1;
    let second = async {
        backend.called(1).await;
        let open = async {
            until_json(&far, "/nexus/v1/backends", "it waits there", waiting).await;
            gate.open();
        };
        tokio::join!(near.chat("m1"), open).0
    };
    let (first, second) = tokio::join!(far.chat("m1"), second);
    assert_eq!((first.status, second.status, backend.peak()), (200, 200, 1));
    assert_eq!(second.header("x-nexus-hops"), Some("1"));
    assert_eq!(second.header("x-nexus-queue-position"), Some("1"));
}

/// The room in a queue is shared by all clients of the mesh, whoever the entry is.
#[tokio::test]
async fn who_has_to_give_way_at_the_owner_is_told_how_long_it_takes_there() {
    let gate = Gate::closed();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi").after(&gate)).await;
    let keys = "[[auth.client_keys]]\nname = 'greedy'\nkey_env = 'GREEDY'\n";
    let far_more = backend.entry("a", "concurrency = 1") + "[queue]\nmax_size = 2\n";
    let far = peer("far", KEY, &[], &far_more).start().await;
    let near = peer("near", KEY, &[&far], keys).variable("GREEDY", "greedy-key-0123456789").start().await;
    offers(&near, "m1").await;
    let ask = || near.client().completions(chat("m1")).header("authorization", "Bearer greedy-key-0123456789").whole();
    let waits = async |count| {
        let waiting = |seen: &serde_json::Value| seen["backends"][0]["queued_requests"] == count;
        until_json(&far, "/nexus/v1/backends", "so many wait there", waiting).await;
    };
    let second = async {
        backend.called(1).await;
        ask().await
    };
    let third = async {
        waits(1).await;
        let evicted = ask().await;
        gate.open();
        evicted
    };
    let modest = async {
        waits(2).await;
        far.chat("m1").await
    };
    let (first, second, third, modest) = tokio::join!(ask(), second, third, modest);
    assert_eq!((first.status, second.status, modest.status, backend.calls()), (200, 200, 200, 3));
    assert_eq!(modest.header("x-nexus-queue-position"), Some("2"));
    third.error(503, "service_unavailable", "server_error");
    assert_eq!(third.header("retry-after"), Some("15"), "one is served and two wait, at 5 s each");
}

#[tokio::test]
async fn the_list_of_models_is_that_of_the_mesh() {
    let shared = FakeBackend::always(&["both"], Answer::says("hi")).await;
    let there = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far_more = there.entry("gpu", "") + &shared.entry("shared-far", "");
    let (near, far) = pair(&shared.entry("shared-near", ""), &far_more, "m1").await;
    let list = near.get("/v1/models").await.json();
    let entries = list["data"].as_array().expect("a list");
    assert_eq!(entries.len(), 2, "a server that two peers reach is one: {list}");
    assert_eq!((entries[0]["id"].as_str(), entries[0]["owned_by"].as_str()), (Some("both"), Some("shared-near")));
    assert_eq!((entries[1]["id"].as_str(), entries[1]["owned_by"].as_str()), (Some("m1"), Some("gpu")));
    assert_eq!(entries[1]["peer"], "far");
    assert!(far.get("/v1/models").await.json()["data"][1].get("peer").is_none(), "there it is at home");
    let seen = near.get("/nexus/v1/backends").await.json();
    let gpu = seen["backends"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "gpu")).expect("gpu");
    assert_eq!((gpu["peer"].as_str(), gpu["discovery_source"].as_str()), (Some("far"), Some("peer:far")));
}

/// Agents tell sessions and traces by their headers: where the backend is must not matter.
#[tokio::test]
async fn a_backend_sees_the_same_headers_here_and_over_a_hop() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, far) = pair("", &backend.entry("a", "forward_client_auth = false"), "m1").await;
    for node in [&far, &near] {
        let mut call = node.client().completions(chat("m1")).header("x-request-id", "mine");
        for name in ["accept", "user-agent", "openai-beta", "anthropic-beta", "traceparent", "x-session-id"] {
            call = call.header(name, "as it came");
        }
        for name in ["authorization", "cookie", "x-api-key", "x-forwarded-for", "x-nexus-strict"] {
            call = call.header(name, "not for others");
        }
        assert_eq!(call.whole().await.status, 200);
    }
    let seen = backend.requests();
    let headers = |at: usize| {
        let mut headers: Vec<_> =
            seen[at].headers.iter().filter(|(name, _)| name != "x-nexus-visited").cloned().collect();
        headers.sort();
        headers
    };
    assert_eq!(headers(0), headers(1));
    assert_eq!(headers(0).iter().filter(|(_, value)| value == "as it came").count(), 6);
    assert!(headers(0).iter().all(|(_, value)| value != "not for others"));
}

/// Two machines with one private address, as containers, virtual machines and two homes have them, each with a server.
#[tokio::test]
async fn one_address_on_two_machines_is_two_servers() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let entry = backend.entry("gpu", "");
    let far = peer("far", KEY, &[], &entry).cable(&Cable::to_machine("there")).start().await;
    let near = peer("near", KEY, &[&far], &entry).cable(&Cable::to_machine("here")).start().await;
    for node in [&near, &far] {
        until_json(node, "/v1/models", "both are listed", |seen| {
            seen["data"].as_array().is_some_and(|all| all.len() == 2)
        })
        .await;
    }
    let round = peer("third", KEY, &[&far, &near], "[routing]\nstrategy = 'round_robin'\n").start().await;
    until_json(&round, "/v1/models", "both are listed", |seen| {
        seen["data"].as_array().is_some_and(|all| all.len() == 2)
    })
    .await;
    let mut answered = Vec::new();
    for _ in 0..4 {
        answered.extend(round.chat("m1").await.header("x-nexus-peer").map(str::to_owned));
    }
    answered.sort();
    assert_eq!(answered, ["far", "far", "near", "near"]);
}

#[tokio::test]
async fn a_peer_tells_of_itself_and_of_the_others() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, far) = pair("", &backend.entry("gpu", "tier = 4\nconcurrency = 3"), "m1").await;
    let seen = near.get("/nexus/v1/mesh").await.json();
    assert_eq!(seen["mesh"], json!({"name": "default", "keyed": true, "size": 2}));
    assert_eq!((seen["self"]["name"].as_str(), seen["self"]["state"].as_str()), (Some("near"), Some("self")));
    let other = &seen["peers"][0];
    assert_eq!((other["name"].as_str(), other["state"].as_str()), (Some("far"), Some("alive")));
    assert_eq!(other["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(other["draining"], false);
    let gpu = &other["backends"][0];
    let expected = json!({"name": "gpu", "type": "generic", "zone": "restricted", "tier": 4, "status": "healthy", "models": ["m1"],
        "in_flight": 0, "concurrency": 3});
    for (field, value) in expected.as_object().expect("an object") {
        assert_eq!(&gpu[field], value, "{field}");
    }
    assert!(!seen.to_string().contains(KEY) && !seen.to_string().contains("http://"), "{seen}");
    let id = far.get("/nexus/v1/mesh").await.json()["self"]["id"].clone();
    assert_eq!(other["id"], id);
}

/// One id, in the log of both peers.
#[tokio::test]
async fn one_request_has_one_id_in_every_log() {
    let log = Log::capture();
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, _far) = pair("", &backend.entry("a", ""), "m1").await;
    let body = chat("m1").replace("hello", "MARKER");
    let reply = near.client().completions(body).header("authorization", "Bearer MARKER").whole().await;
    let id = reply.header("x-request-id").expect("an id").to_owned();
    until("both have written", || log.completed().len() == 2).await;
    assert!(log.completed().iter().all(|line| line["request_id"] == id.as_str()));
    assert_eq!(backend.requests()[0].header("x-request-id"), Some(id.as_str()));
    assert!(!log.text().contains("MARKER") && !log.text().contains(KEY), "{}", log.text());
}

/// A client's own key is not for machines that the operator of this one does not run.
#[tokio::test]
async fn a_clients_key_never_leaves_the_peer_it_was_shown_to() {
    for more in ["", "forward_client_auth = true"] {
        let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
        let (near, far) = pair("", &backend.entry("a", more), "m1").await;
        for (node, sees) in [(&near, None), (&far, Some("Bearer mine"))] {
            let reply = node.client().completions(chat("m1")).header("authorization", "Bearer mine").whole().await;
            assert_eq!(reply.status, 200);
            let seen = backend.requests().pop().expect("a request");
            assert_eq!(seen.header("authorization"), sees, "{more}");
        }
    }
}

/// Many streams over one hop, some clients stay, some leave before the head, some
/// in the middle. In the end nothing is held by anybody.
#[tokio::test]
async fn a_hundred_streams_over_a_hop_leave_nothing_behind() {
    const CROWD: usize = 100;
    let gate = Gate::closed();
    let held = gate.clone();
    let backend = FakeBackend::script(&["m1"], move |request| match request.number % 3 {
        0 => Answer::silence(),
        1 => Answer::stream(["data: 1\n\n"]).then_hang(),
        _ => Answer::stream(["data: 1\n\n"]).wait(&held).then("data: [DONE]\n\n"),
    })
    .await;
    let (near, far) = pair("", &backend.entry("a", ""), "m1").await;
    let before = (near.all_tasks(), far.all_tasks());
    let stayed = CROWD / 3;
    let ask = |_| async {
        let whole = async {
            let mut reply = near.client().stream("m1").await;
            reply.read_to("[DONE]").await;
            true
        };
        tokio::select! {
            whole = whole => whole,
            () = until("only those hang who will", || backend.calls() == CROWD && backend.active() <= CROWD - stayed) => false,
        }
    };
    let open = async {
        backend.called(CROWD).await;
        assert_eq!(far.in_flight() as usize, CROWD);
        gate.open();
    };
    let (finished, ()) = tokio::join!(join_all((0..CROWD).map(ask)), open);
    assert!(finished.iter().filter(|whole| **whole).count() <= stayed);
    until("the backend has nothing to do", || backend.active() == 0).await;
    assert!(backend.abandoned() >= CROWD - stayed);
    for node in [&near, &far] {
        node.idle().await;
        until("no request is carried", || node.tasks("mesh-serve") == 0).await;
    }
    until("no task is left", || near.all_tasks() <= before.0 && far.all_tasks() <= before.1).await;
    let seen = far.get("/nexus/v1/backends").await.json();
    assert_eq!(seen["backends"][0]["pending_requests"], 0);
    until_json(&near, "/nexus/v1/mesh", "the others hear of it", |seen| seen["peers"][0]["in_flight"] == 0).await;
}

/// Two nodes of one machine are both called as their host is.
#[tokio::test]
async fn peers_of_one_name_are_told_apart_everywhere() {
    let (here, there) = (
        FakeBackend::always(&["m1"], Answer::says("hi")).await,
        FakeBackend::always(&["m2"], Answer::says("hi")).await,
    );
    let far = peer("desk", KEY, &[], &there.entry("b", "")).start().await;
    let near = peer("desk", KEY, &[&far], &here.entry("a", "")).start().await;
    offers(&near, "m2").await;
    offers(&far, "m1").await;
    let mesh = near.get("/nexus/v1/mesh").await.json();
    let name = |peer: &serde_json::Value| {
        let (name, id) = (peer["name"].as_str().expect("a name"), peer["id"].as_str().expect("an id"));
        assert_eq!(name, format!("desk-{}", &id[..8]));
        name.to_owned()
    };
    let (ours, theirs) = (name(&mesh["self"]), name(&mesh["peers"][0]));
    assert_eq!(near.chat("m1").await.header("x-nexus-peer"), Some(ours.as_str()));
    assert_eq!(near.chat("m2").await.header("x-nexus-peer"), Some(theirs.as_str()));
    assert_eq!(far.chat("m1").await.header("x-nexus-peer"), Some(ours.as_str()), "every peer says the same");
    assert!(near.get("/v1/models").await.text().contains(&format!(r#""peer":"{theirs}""#)));
    assert!(near.get("/nexus/v1/backends").await.text().contains(&format!("peer:{theirs}")));
}
