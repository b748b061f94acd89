//! One machine more: by a token of any peer, by the call or by the page.

use serde_json::json;

use super::{KEY, OTHER_KEY, offers, peer};
use crate::page::{after, page, secret, send};
use crate::steering::audited;
use crate::support::{Answer, FakeBackend, Log};

const INVITE: &str = "/nexus/v1/mesh/invite";

/// A peer joins by a call to a running node, and leaves what it was in.
#[tokio::test]
async fn a_running_node_joins_a_mesh() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", KEY, &[], &backend.entry("a", "")).start().await;
    let near = peer("near", "", &[], "").start().await;
    let body = format!(r#"{{"name":"default","key":"{KEY}","seeds":["{}"]}}"#, far.mesh_address());
    let reply = near.client().post("/nexus/v1/mesh/join", body).whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    offers(&near, "m1").await;
    assert_eq!(near.chat("m1").await.header("x-nexus-peer"), Some("far"));
}

/// A call without a body that says where once led a node out of its keyed mesh and into an open one without a name.
#[tokio::test]
async fn a_slip_leads_nobody_out_of_a_mesh() {
    let node = peer("node", KEY, &[], "").start().await;
    let join = |body: &str| node.client().post("/nexus/v1/mesh/join", body.to_owned()).whole();
    for (body, field) in [
        ("{}".to_owned(), "name"),
        (r#"{"name":"home"}"#.to_owned(), "key"),
        (format!(r#"{{"key":"{KEY}"}}"#), "name"),
        (format!(r#"{{"name":" ","key":"{KEY}"}}"#), "name"),
        (r#"{"name":"home","key":"hunter2"}"#.to_owned(), "key"),
        (r#"{"name":"home","key":null}"#.to_owned(), "null"),
        (format!(r#"{{"name":"home","key":"{KEY}","seeds":["a:1","a:0"]}}"#), "seeds[1]"),
        (format!(r#"{{"name":"home","key":"{KEY}","seeds":["nowhere"]}}"#), "seeds[0]"),
    ] {
        let error = join(&body).await.error(400, "bad_request", "invalid_request_error");
        let message = error["message"].as_str().expect("text");
        assert!(message.contains(field) && !message.contains("hunter2"), "{body}: {message}");
        let mesh = &node.get("/nexus/v1/mesh").await.json()["mesh"];
        assert_eq!((mesh["name"].as_str(), mesh["keyed"].as_bool()), (Some("default"), Some(true)), "{body}");
    }
    let log = Log::capture();
    assert_eq!(join(r#"{"name":"home","key":""}"#).await.status, 200);
    let warned: Vec<_> = log.lines().into_iter().filter(|line| line["level"] == "WARN").collect();
    assert_eq!(warned.len(), 1, "{warned:?}");
    assert!(warned[0].to_string().contains("open mesh"), "{warned:?}");
}

/// From the page of one to the page of the other; the file of the one that joins says so afterwards.
#[tokio::test]
async fn a_token_of_one_page_lets_another_machine_in() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let far = peer("far", KEY, &[], &backend.entry("a", "")).start().await;
    let near = peer("near", "", &[], "").in_file().start().await;
    let log = Log::capture();
    let form = secret(&page(&far, "/manage").await);
    let made = send(&far, &[("form", &form), ("do", "mesh-invite")]).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")), "{}", made.text());
    let token = made.text().split("class=\"key\">").nth(1).and_then(|text| text.split('<').next()).expect("a token");
    assert!(token.starts_with("nexus1-"), "{token}");

    let form = secret(&page(&near, "/manage").await);
    let join = [("form", form.as_str()), ("do", "mesh-join"), ("invitation", token)];
    let asked = send(&near, &join).await;
    assert!(
        asked.status == 200 && asked.text().contains("Take this peer out of the mesh default?"),
        "{}",
        asked.text()
    );
    assert_eq!(near.get("/nexus/v1/mesh").await.json()["mesh"]["keyed"], false, "it was only asked");
    let said = after(&near, &send(&near, &[&join[..], &[("sure", "yes")]].concat()).await).await;
    assert!(said.contains("This peer has joined"), "{said}");
    offers(&near, "m1").await;
    assert_eq!(near.chat("m1").await.header("x-nexus-peer"), Some("far"));
    let file = std::fs::read_to_string(near.file()).expect("the file");
    assert!(file.contains(KEY) && file.contains(&far.mesh_address().to_string()), "{file}");
    let told: Vec<_> = audited(&log).into_iter().map(|(action, subject, _)| (action, subject)).collect();
    let deed = |action: &str| (action.to_owned(), "default".to_owned());
    assert_eq!(told, [deed("mesh_invited"), deed("mesh_joined")]);
    assert!(log.lines().iter().all(|line| !line.to_string().contains(KEY)), "no line has the key");
}

/// What is saved was once gone with the next start, and nobody had said so.
#[tokio::test]
async fn a_variable_that_wins_over_the_file_is_told() {
    let far = peer("far", KEY, &[], "").start().await;
    let token = far.client().post(INVITE, "").whole().await.json()["token"].as_str().expect("a token").to_owned();
    let plan = peer("near", "", &[], "").in_file().variable("NEXUS_MESH_KEY", OTHER_KEY);
    let near = plan.variable("NEXUS_MESH_NAME", "default").start().await;
    let join = json!({ "token": token, "save": true }).to_string();
    let told = near.client().post("/nexus/v1/mesh/join", join).whole().await.json();
    let notes = told["notes"].as_array().expect("notes");
    assert!(notes.len() == 1 && notes[0].as_str().expect("text").starts_with("NEXUS_MESH_KEY is set"), "{told}");
    assert!(!told.to_string().contains(OTHER_KEY), "{told}");
    let form = secret(&page(&near, "/manage").await);
    let again = send(&near, &[("form", &form), ("do", "mesh-join"), ("invitation", &token)]).await;
    let said = after(&near, &again).await;
    assert!(said.contains("This peer has joined") && said.contains("NEXUS_MESH_KEY is set"), "{said}");
    let free = peer("free", "", &[], "").in_file().start().await;
    let join = json!({ "token": token, "save": true }).to_string();
    assert_eq!(free.client().post("/nexus/v1/mesh/join", join).whole().await.json()["notes"], json!([]));
}

#[tokio::test]
async fn an_open_mesh_is_closed_by_whoever_says_so() {
    let node = peer("node", "", &[], "").in_file().start().await;
    let invite = |body: &str| node.client().post(INVITE, body.to_owned()).whole();
    let error = invite("").await.error(409, "conflict", "invalid_request_error");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("make_key")), "{error}");
    for body in ["{", "\"x\"", r#"{"make_keys":true}"#, r#"{"make_key":1}"#] {
        invite(body).await.error(400, "bad_request", "invalid_request_error");
    }
    let before = std::fs::read_to_string(node.file()).expect("the file");
    let form = secret(&page(&node, "/manage").await);
    let close = [("form", form.as_str()), ("do", "mesh-close")];
    assert!(send(&node, &close).await.text().contains("Let in only whom you invite?"));
    assert_eq!(std::fs::read_to_string(node.file()).expect("the file"), before);
    assert_eq!(send(&node, &[&close[..], &[("sure", "yes")]].concat()).await.status, 201);
    let told = node.get("/nexus/v1/mesh").await.json();
    assert_eq!(told["mesh"]["keyed"], true, "{told}");
    assert_eq!(told["warnings"], json!([]), "{told}");
    let again = invite("").await.json();
    assert_eq!((again["mesh"].as_str(), again["made_key"].as_bool()), (Some("default"), Some(false)), "{again}");
    let file = std::fs::read_to_string(node.file()).expect("the file");
    let key = file.lines().find_map(|line| line.strip_prefix("key = \"")).expect("a key").trim_end_matches('"');
    let friend = peer("friend", key, &[&node], "").start().await;
    super::meet(&friend, 2).await;
}

#[tokio::test]
async fn what_is_no_token_or_cannot_be_kept_leads_nowhere() {
    let node = peer("node", KEY, &[], "").start().await;
    let join = |body: serde_json::Value| node.client().post("/nexus/v1/mesh/join", body.to_string()).whole();
    for (token, says) in
        [("desk:8001", "is none"), ("nexus1-abc", "cut off"), ("nexus2-abc", "later version"), ("", "is none")]
    {
        let error = join(json!({ "token": token })).await.error(400, "bad_request", "invalid_request_error");
        assert!(error["message"].as_str().is_some_and(|message| message.contains(says)), "{token}: {error}");
    }
    let token = node.client().post(INVITE, "").whole().await.json()["token"].clone();
    join(json!({ "token": token, "name": "x" })).await.error(400, "bad_request", "invalid_request_error");
    let error = join(json!({ "token": token, "save": true })).await.error(409, "conflict", "invalid_request_error");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("no configuration file")), "{error}");
    assert_eq!(join(json!({ "token": token })).await.status, 200);
}
