//! Following what happens: events as a list and as a stream, and `/ws` as dashboards read it.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http::HeaderValue;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::mesh::{KEY, offers, pair, peer};
use crate::support::{Answer, FakeBackend, Gate, TestNode, model, soon, stream, until, until_json};

pub(crate) type Socket = WebSocketStream<TcpStream>;

async fn connected(node: &TestNode, path: &str, origin: Option<&str>) -> Result<Socket, Error> {
    let mut request = format!("ws://{}{path}", node.address).into_client_request().expect("an address");
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", HeaderValue::from_str(origin).expect("a value"));
    }
    let stream = TcpStream::connect(node.address).await.expect("the node listens");
    soon("a WebSocket", tokio_tungstenite::client_async(request, stream)).await.map(|(socket, _)| socket)
}

pub(crate) async fn socket(node: &TestNode, path: &str) -> Socket {
    connected(node, path, None).await.expect("a WebSocket")
}

/// The next message, but for pings.
async fn next(socket: &mut Socket) -> Option<Message> {
    loop {
        match soon("a message", socket.next()).await {
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(message)) => return Some(message),
            Some(Err(_)) | None => return None,
        }
    }
}

/// What the next message says that is as `wanted`.
pub(crate) async fn told(socket: &mut Socket, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        let Some(Message::Text(text)) = next(socket).await else { panic!("it closed") };
        assert!(text.len() <= 10 << 10, "{} bytes", text.len());
        let told: Value = serde_json::from_str(&text).expect("JSON");
        if wanted(&told) {
            return told["data"].clone();
        }
    }
}

pub(crate) fn is(told: &Value, kind: &str) -> bool {
    told["update_type"] == kind
}

#[tokio::test]
async fn who_connects_is_told_how_things_stand_and_then_what_changes() {
    let backend = FakeBackend::script(&["m1"], |request| match request.number {
        0 => Answer::says("hi"),
        1 => Answer::stream(["data: 1\n\n"]).then("data: [DONE]\n\n"),
        _ => Answer::json(400, "{}"),
    })
    .await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    let mut socket = socket(&node, "/ws").await;
    let status = told(&mut socket, |told| is(told, "BackendStatus")).await;
    let gpu = &status[0];
    assert_eq!(
        (&gpu["id"], &gpu["status"], &gpu["backend_type"]),
        (&json!("gpu"), &json!("Healthy"), &json!("generic"))
    );
    assert!(
        gpu["last_health_check"].is_string() && gpu["models"][0]["id"] == "m1" && gpu.get("peer").is_none(),
        "{gpu}"
    );
    let models = told(&mut socket, |told| is(told, "ModelChange")).await;
    assert_eq!((&models["backend_id"], &models["models"][0]["id"]), (&json!("gpu"), &json!("m1")));

    node.chat("m1").await;
    node.client().completions(stream("m1")).whole().await;
    node.chat("m1").await;
    node.chat("made-up").await;
    for (model, backend, status) in
        [("m1", "gpu", "Success"), ("m1", "gpu", "Success"), ("m1", "gpu", "Error"), ("made-up", "none", "Error")]
    {
        let entry = told(&mut socket, |told| is(told, "RequestComplete")).await;
        assert_eq!(
            (&entry["model"], &entry["backend_id"], &entry["status"]),
            (&json!(model), &json!(backend), &json!(status))
        );
    }
    backend.set_models(vec![model("m1"), model("m2")]);
    told(&mut socket, |told| is(told, "ModelChange") && told["data"]["models"][1]["id"] == "m2").await;
    backend.set_well(false);
    told(&mut socket, |told| is(told, "BackendStatus") && told["data"][0]["status"] == "Unhealthy").await;
    node.client().delete("/nexus/v1/backends/gpu").whole().await;
    told(&mut socket, |told| is(told, "BackendStatus") && told["data"][0]["removed"] == true).await;
    drop(socket);
    until("nobody is followed and nothing is made", || node.tasks("websocket") + node.tasks("live") == 0).await;
}

#[tokio::test]
async fn the_whole_mesh_is_seen_from_any_peer() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, far) = pair("", &backend.entry("gpu", ""), "m1").await;
    offers(&far, "m1").await;
    let (mut of_near, mut of_far, mut own) =
        (socket(&near, "/ws?scope=mesh").await, socket(&far, "/ws?scope=mesh").await, socket(&far, "/ws").await);
    let status = told(&mut of_near, |told| is(told, "BackendStatus") && told["data"][0]["status"] == "Healthy").await;
    assert_eq!((&status[0]["id"], &status[0]["peer"]), (&json!("gpu"), &json!("far")));
    assert_eq!(near.chat("m1").await.status, 200);
    let entry = told(&mut of_near, |told| is(told, "RequestComplete")).await;
    assert_eq!((&entry["origin"], &entry["entry"], &entry["peer"]), (&json!("client"), &json!("near"), &json!("far")));
    let entry = told(&mut of_far, |told| is(told, "RequestComplete")).await;
    assert_eq!((&entry["origin"], &entry["entry"], &entry["peer"]), (&json!("peer"), &json!("near"), &json!("far")));
    far.chat("made-up").await;
    let entry = told(&mut own, |told| is(told, "RequestComplete")).await;
    assert_eq!(entry["model"], "made-up", "what was served for others is the mesh's");

    let stats = near.get("/v1/stats?scope=mesh").await.json();
    assert_eq!(stats["requests"], json!({"total": 2, "success": 1, "errors": 1}), "{stats}");
    assert_eq!((&stats["backends"][0]["peer"], &stats["missing"]), (&json!("far"), &json!([])));
    assert_eq!(stats["peers"].as_array().map(Vec::len), Some(2));
    assert_eq!((&stats["queue"]["enabled"], &stats["queue"]["depth"]), (&json!(true), &json!(0)), "{stats}");
    near.get("/v1/stats?scope=moon").await.error(400, "bad_request", "invalid_request_error");
}

/// The page once knew no request but those that its own peer had a part in.
#[tokio::test]
async fn requests_of_the_whole_mesh_are_seen_from_any_peer_each_once() {
    let gate = Gate::closed();
    let backend =
        FakeBackend::always(&["m1"], Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n")).await;
    let (near, far) = pair("", &backend.entry("gpu", ""), "m1").await;
    let third = peer("third", KEY, &[&far, &near], "").start().await;
    offers(&third, "m1").await;
    for node in [&near, &far, &third] {
        until_json(node, "/nexus/v1/mesh", "all are there", |seen| seen["mesh"]["size"] == 3).await;
    }
    let mut running = near.client().stream("m1").await;
    running.read_to("data: 1").await;
    let id = running.headers.get("x-request-id").and_then(|id| id.to_str().ok()).expect("an id").to_owned();
    for node in [&near, &far, &third] {
        let path = "/nexus/v1/requests?scope=mesh&state=live";
        until_json(node, path, "one request with its way", |seen| {
            let line = &seen["requests"][0];
            seen["requests"].as_array().map(Vec::len) == Some(1)
                && (&line["id"], &line["entry"], &line["peer"]) == (&json!(id), &json!("near"), &json!("far"))
                && (&line["backend"], &line["decided_here"]) == (&json!("gpu"), &json!(true))
                && seen["missing"] == json!([])
        })
        .await;
        let page = node.client().get("/").header("accept", "text/html").whole().await;
        let rows = page.text().matches(&format!("<tr data-key=\"{id}\">")).count();
        assert_eq!(rows, 1, "{}", page.text());
        assert!(page.text().contains(&format!("href=\"/requests/{id}\"")), "one click shows its decision");
        let decision = node.get(&format!("/nexus/v1/requests/{id}")).await.json();
        let (entry, owner) = (&decision["entry"]["told_by"], &decision["owner"]["told_by"]);
        assert_eq!((entry, owner), (&json!("near"), &json!("far")), "{decision}");
        assert_eq!(decision["missing"], Value::Null, "{decision}");
    }
    gate.open();
    running.whole().await;
    until_json(&third, "/nexus/v1/requests?scope=mesh&state=done", "it is done", |seen| {
        seen["requests"][0]["id"] == id.as_str() && seen["requests"][0]["state"] == "done"
    })
    .await;
    near.get("/nexus/v1/requests?scope=moon").await.error(400, "bad_request", "invalid_request_error");
    third.get("/nexus/v1/requests/nobody").await.error(404, "not_found", "invalid_request_error");
    let page = third.client().get(&format!("/requests/{id}")).header("accept", "text/html").whole().await;
    assert!(page.status == 200 && page.text().contains("far"), "{}", page.text());
}

/// Without a key nobody is proven: what a request was about stays with those who have a part in it.
#[tokio::test]
async fn peers_of_an_open_mesh_are_told_no_more_than_that_there_is_a_request() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", "", &[], &backend.entry("gpu", "")).start().await;
    let near = peer("near", "", &[&far], "").start().await;
    offers(&near, "m1").await;
    let id = far.chat("made-up").await.header("x-request-id").expect("an id").to_owned();
    until_json(&near, "/nexus/v1/requests?scope=mesh", "its line is told", |seen| {
        let line = &seen["requests"][0];
        line["id"] == id.as_str() && line["state"] == "failed" && line["error"] == line["error_type"]
    })
    .await;
    let told = near.get("/nexus/v1/requests?scope=mesh").await;
    assert!(!told.text().contains("Available"), "{}", told.text());
    assert_eq!(told.json()["requests"][0]["decided_here"], false);
    near.get(&format!("/nexus/v1/requests/{id}")).await.error(404, "not_found", "invalid_request_error");
    assert!(far.get(&format!("/nexus/v1/requests/{id}")).await.text().contains("Available"), "its own peer tells");
}

/// Only those in which a peer had a part were once told.
#[tokio::test]
async fn ends_of_requests_of_other_peers_are_told_to_who_follows_the_mesh() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, far) = pair("", &backend.entry("gpu", ""), "m1").await;
    offers(&near, "m1").await;
    far.chat("made-up").await;
    let mut socket = socket(&near, "/ws?scope=mesh").await;
    // What was over when the others were first asked is no news.
    let asking = async {
        loop {
            far.chat("m1").await;
        }
    };
    let entry = tokio::select! {
        entry = told(&mut socket, |told| is(told, "RequestComplete")) => entry,
        () = asking => panic!("it never ends"),
    };
    assert_eq!((&entry["model"], &entry["status"]), (&json!("m1"), &json!("Success")), "{entry}");
    assert_eq!((&entry["origin"], &entry["entry"], &entry["peer"]), (&json!("client"), &json!("far"), &json!("far")));
}

/// Backends were once known by the name of their peer, and two peers may be called alike.
#[tokio::test]
async fn peers_of_one_name_are_told_apart() {
    let (one, other) = (
        FakeBackend::always(&["m1"], Answer::says("hi")).await,
        FakeBackend::always(&["m2"], Answer::says("hi")).await,
    );
    let near = peer("near", KEY, &[], "").start().await;
    let _twins = [
        peer("twin", KEY, &[&near], &one.entry("gpu", "")).start().await,
        peer("twin", KEY, &[&near], &other.entry("gpu", "")).start().await,
    ];
    for model in ["m1", "m2"] {
        offers(&near, model).await;
    }
    let mut socket = socket(&near, "/ws?scope=mesh").await;
    let mut seen = std::collections::BTreeMap::new();
    while seen.len() < 2 {
        let models = told(&mut socket, |told| is(told, "ModelChange") && told["data"]["models"][0].is_object()).await;
        assert!(models["peer"].as_str().is_some_and(|peer| peer.starts_with("twin")), "{models}");
        seen.insert(models["peer_id"].as_str().expect("an id").to_owned(), models["models"][0]["id"].clone());
    }
    let mut models: Vec<Value> = seen.into_values().collect();
    models.sort_by_key(Value::to_string);
    assert_eq!(models, ["m1", "m2"]);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_named() {
    let cable = crate::support::Cable::default();
    let far = peer("far", KEY, &[], "").cable(&cable).start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    until_json(&near, "/nexus/v1/mesh", "far is there", |seen| seen["peers"][0]["state"] == "alive").await;
    cable.cut();
    let stats = near.get("/v1/stats?scope=mesh").await.json();
    // Once it counts as gone nobody waits for it.
    if stats["peers"].as_array().map(Vec::len) != Some(2) {
        assert!(stats["missing"] == json!([]) || stats["missing"][0]["peer"] == "far", "{stats}");
    }
    until_json(&near, "/nexus/v1/events", "it is told", |seen| {
        seen["events"].as_array().is_some_and(|all| all.iter().any(|event| event["kind"] == "peer_dead"))
    })
    .await;
}

#[tokio::test]
async fn other_pages_and_other_clients_are_refused_in_words() {
    let node = TestNode::start("").await;
    let status = |result: Result<Socket, Error>| match result {
        Err(Error::Http(response)) => response.status().as_u16(),
        Err(error) => panic!("{error}"),
        Ok(_) => 101,
    };
    assert_eq!(status(connected(&node, "/ws", Some("http://evil.example")).await), 403);
    assert_eq!(status(connected(&node, "/ws", Some(&format!("http://{}", node.address))).await), 101);
    assert_eq!(status(connected(&node, "/ws?scope=moon", None).await), 400);
    node.get("/ws").await.error(400, "bad_request", "invalid_request_error");
    let reply = node.client().get("/nexus/v1/events?follow=true").header("origin", "http://evil.example").whole().await;
    assert_eq!(reply.status, 403);
}

#[tokio::test]
async fn there_is_a_most_of_those_who_follow_and_who_leaves_makes_room() {
    let node = TestNode::start("").await;
    let mut sockets = Vec::new();
    let mut refused = 0;
    for _ in 0..1_000 {
        match connected(&node, "/ws", None).await {
            Ok(socket) => sockets.push(socket),
            Err(Error::Http(response)) if response.status() == 503 => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((sockets.len(), refused), (256, 744));
    let reply = node.get("/nexus/v1/events?follow=true").await;
    reply.error(503, "service_unavailable", "server_error");
    assert_eq!(node.chat("made-up").await.status, 404, "requests have their own room");
    for socket in &mut sockets {
        told(socket, |told| is(told, "RequestComplete")).await;
    }
    sockets.clear();
    until("all have gone", || node.tasks("websocket") == 0).await;
    socket(&node, "/ws").await;
}

#[tokio::test]
async fn who_sends_garbage_is_cut_off_and_nobody_else_is() {
    let node = TestNode::start("").await;
    let mut well = socket(&node, "/ws").await;
    let mut loud = socket(&node, "/ws").await;
    loud.send(Message::text("{\"hello\":1}")).await.expect("a little is thrown away");
    for _ in 0..20 {
        let _ = loud.send(Message::binary(vec![0_u8; 8 << 10])).await;
    }
    let mut closed = false;
    while let Some(message) = next(&mut loud).await {
        closed |= matches!(&message, Message::Close(Some(frame)) if u16::from(frame.code) == 1008);
    }
    assert!(closed, "it is told why");
    // No frame at all, text that is none, a message that is too long.
    let masked = |first: u8, body: &[u8]| {
        let mut frame = vec![first, 0x80 | 127];
        frame.extend((body.len() as u64).to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(body);
        frame
    };
    for (bytes, wanted) in
        [(vec![0xff; 512], 1002), (masked(0x81, &[0xc3, 0x28]), 1007), (masked(0x82, &vec![0; 100 << 10]), 1009)]
    {
        let mut raw = socket(&node, "/ws").await;
        tokio::io::AsyncWriteExt::write_all(raw.get_mut(), &bytes).await.expect("written");
        let mut code = None;
        while let Some(message) = next(&mut raw).await {
            if let Message::Close(Some(frame)) = message {
                code = Some(u16::from(frame.code));
            }
        }
        assert_eq!(code, Some(wanted));
    }
    let mut polite = socket(&node, "/ws").await;
    polite.close(None).await.expect("sent");
    let mut answered = false;
    while let Some(message) = next(&mut polite).await {
        answered |= matches!(message, Message::Close(_));
    }
    assert!(answered, "who says goodbye is answered");
    until("only one is left", || node.tasks("websocket") == 1).await;
    node.chat("made-up").await;
    told(&mut well, |told| is(told, "RequestComplete")).await;
}

#[tokio::test]
async fn who_never_reads_is_cut_off() {
    let names: Vec<String> = (0..1_000).map(|number| format!("{number}{}", "é".repeat(1_000))).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    // Checked once: each check reads all of these names.
    let mut entries = "[health_check]\ninterval_seconds = 3600\n".to_owned();
    let mut backends = Vec::new();
    for number in 0..10 {
        let backend = FakeBackend::always(&names, Answer::says("hi")).await;
        entries += &backend.entry(&format!("b{number}"), "");
        backends.push(backend);
    }
    let node = TestNode::start(&entries).await;
    let stream = TcpSocket::new_v4().expect("a socket");
    stream.set_recv_buffer_size(16 << 10).expect("a size");
    let stream = stream.connect(node.address).await.expect("the node listens");
    let request = format!("ws://{}/ws", node.address).into_client_request().expect("an address");
    let (deaf, _) = tokio_tungstenite::client_async(request, stream).await.expect("a WebSocket");
    until("it is there", || node.tasks("websocket") == 1).await;
    // What it has to take waits already: nothing but time is missing.
    tokio::time::pause();
    until("it is gone", || node.tasks("websocket") == 0).await;
    tokio::time::resume();
    drop(deaf);
}

#[tokio::test]
async fn a_node_that_stops_says_goodbye() {
    let mut node = TestNode::start("").await;
    let mut socket = socket(&node, "/ws").await;
    let mut events = node.client().get("/nexus/v1/events?follow=true").send().await;
    events.read_to(": events").await;
    node.stop(Duration::from_secs(10)).await;
    let mut code = None;
    while let Some(message) = next(&mut socket).await {
        if let Message::Close(Some(frame)) = message {
            code = Some(u16::from(frame.code));
        }
    }
    assert_eq!(code, Some(1001));
    assert!(!events.whole().await.broken, "the stream ends in order");
}

#[tokio::test]
async fn events_are_listed_and_followed_and_none_is_lost_on_the_way_back() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    let mut follower = node.client().get("/nexus/v1/events").header("accept", "text/event-stream").send().await;
    assert_eq!(follower.headers.get("content-type").map(HeaderValue::as_bytes), Some(&b"text/event-stream"[..]));
    backend.set_well(false);
    follower.read_to("\"kind\":\"backend_ill\"").await;
    drop(follower);
    backend.set_well(true);
    let has = |seen: &Value, kind: &str| {
        seen["events"].as_array().is_some_and(|all| all.iter().any(|event| event["kind"] == kind))
    };
    until_json(&node, "/nexus/v1/events", "it is well", |seen| has(seen, "backend_well")).await;
    let made = node.client().post("/nexus/v1/keys", r#"{"name":"laptop"}"#).whole().await;
    assert_eq!(made.status, 201, "{}", made.text());
    until_json(&node, "/nexus/v1/events", "a key was made", |seen| has(seen, "key_added")).await;
    let list = node.get("/nexus/v1/events").await.json();
    let all = list["events"].as_array().expect("a list");
    let ill = all.iter().find(|event| event["kind"] == "backend_ill").expect("it was ill");
    assert_eq!((&ill["backend"], ill["at"].is_string()), (&json!("gpu"), true), "{ill}");
    let id = ill["id"].as_str().expect("an id");
    let mut back = node.client().get("/nexus/v1/events?follow=true").header("last-event-id", id).send().await;
    let missed = back.read_to("\"kind\":\"key_added\"").await;
    let _ = missed;
    node.get("/nexus/v1/events?limit=9999").await.error(400, "bad_request", "invalid_request_error");
}

#[tokio::test]
async fn peers_that_come_and_go_are_events() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let (near, mut far) = pair("", &backend.entry("gpu", ""), "m1").await;
    let kinds = |seen: &Value| -> Vec<String> {
        let all = seen["events"].as_array().cloned().unwrap_or_default();
        all.iter()
            .filter(|event| event["peer"] == "far")
            .filter_map(|event| Some(event["kind"].as_str()?.to_owned()))
            .collect()
    };
    until_json(&near, "/nexus/v1/events", "it joined", |seen| kinds(seen).contains(&"peer_joined".to_owned())).await;
    backend.set_well(false);
    until_json(&near, "/nexus/v1/events", "it fell ill", |seen| kinds(seen).contains(&"backend_ill".to_owned())).await;
    far.stop(Duration::from_secs(2)).await;
    until_json(&near, "/nexus/v1/events", "it left", |seen| kinds(seen).contains(&"peer_left".to_owned())).await;
}
