//! The configuration file, read again while requests go on.

use serde_json::{Value, json};

use crate::mesh::{KEY, offers, peer};
use crate::support::{Answer, FakeBackend, Gate, Log, Plan, TestNode, Whole, chat, until, until_json};

const RELOAD: &str = "/nexus/v1/config/reload";
const CLIENT: &str = "invalid_request_error";

async fn reload(node: &TestNode) -> Whole {
    node.client().post(RELOAD, "").whole().await
}

/// A node that goes by a file which names this backend.
async fn configured(more: &str) -> (FakeBackend, TestNode) {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = Plan::new(&(more.to_owned() + &backend.entry("a", ""))).in_file().start().await;
    (backend, node)
}

/// Every change once took a restart, which cut whatever was under way.
#[tokio::test]
async fn a_reload_amid_an_open_stream_loses_nothing() {
    let gate = Gate::closed();
    let answer = Answer::stream(["data: 1\n\n"]).wait(&gate).then("data: [DONE]\n\n");
    let streams = FakeBackend::always(&["m1"], answer).await;
    let other = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let node = Plan::new(&streams.entry("a", "")).in_file().start().await;
    let mut running = node.client().stream("m1").await;
    running.read_to("data: 1").await;

    // The backend that streams goes, another one comes, and a name of its model with it.
    let log = Log::capture();
    let text = other.entry("b", "") + "[routing.aliases]\nbig = 'm2'\n";
    node.edit(|file| {
        let mut table: toml::Table = file.parse().expect("TOML");
        table.extend(text.parse::<toml::Table>().expect("TOML"));
        table.to_string()
    });
    let told = reload(&node).await;
    assert_eq!(told.status, 200, "{}", told.text());
    let told = told.json();
    assert_eq!((&told["backends"]["added"], &told["backends"]["removed"]), (&json!(["b"]), &json!(["a"])));
    assert!(told["changed"].as_array().is_some_and(|keys| keys.contains(&json!("routing.aliases.big"))), "{told}");
    assert_eq!(told["needs_restart"], json!([]));

    offers(&node, "m2").await;
    assert_eq!(node.chat("big").await.header("x-nexus-backend"), Some("b"));
    node.chat("m1").await.error(404, "model_not_found", CLIENT);
    gate.open();
    assert_eq!(running.whole().await.text(), "data: [DONE]\n\n");
    node.idle().await;
    let audit = log.lines().into_iter().find(|line| line["target"] == "nexus::audit").expect("an audit line");
    assert_eq!((audit["action"].as_str(), audit["by"].as_str()), (Some("config_reloaded"), Some("this machine")));
    assert!(audit["source"].as_str().is_some_and(|source| source.starts_with("127.0.0.1:")), "{audit}");
}

#[tokio::test]
async fn a_bad_file_keeps_the_old_one_and_says_what_is_wrong() {
    let (_backend, node) = configured("[routing.aliases]\nbig = 'm1'\n").await;
    let before = std::fs::read_to_string(node.file()).expect("read");
    let log = Log::capture();
    for (bad, says) in [
        ("routing.aliases = { a = 'b', b = 'a' }\n", "routing.aliases"),
        ("[server\n", "TOML"),
        ("[[backends]]\nname = 'x'\nurl = 'nonsense'\ntype = 'ollama'\n", "url"),
    ] {
        node.edit(|_| bad.to_owned());
        for _ in 0..2 {
            let error = reload(&node).await.error(400, "bad_request", CLIENT);
            let message = error["message"].as_str().unwrap_or_default();
            assert!(message.contains("nexus.toml") && (says == "TOML" || message.contains(says)), "{bad}: {message}");
        }
        assert_eq!(node.chat("big").await.status, 200, "it goes by what it had");
    }
    let is_refusal =
        |line: &&Value| line["message"].as_str().is_some_and(|text| text.starts_with("Configuration refused"));
    assert_eq!(log.lines().iter().filter(is_refusal).count(), 3, "once for each state of the file");
    std::fs::remove_file(node.file()).expect("it is there");
    let foreseen = node.client().post("/nexus/v1/config/reload?dry_run=true", "").whole().await;
    let error = foreseen.error(400, "bad_request", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("gone")), "{error}");
    let error = reload(&node).await.error(400, "bad_request", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("gone")), "{error}");
    assert_eq!(node.chat("big").await.status, 200, "a file that is gone does not mean that nothing is configured");
    std::fs::write(node.file(), before).expect("write");
    assert_eq!(reload(&node).await.status, 200);
}

/// It was once told nowhere but among events.
#[tokio::test]
async fn a_bad_file_is_told_where_there_is_no_mesh_as_well() {
    let (_backend, node) = configured("").await;
    let good = std::fs::read_to_string(node.file()).expect("read");
    node.edit(|text| text + "\n[routing]\nmax_retries = 99\n");
    reload(&node).await.error(400, "bad_request", CLIENT);
    let seen = node.get("/nexus/v1/mesh").await.json();
    let warning = &seen["warnings"][0];
    assert_eq!((&seen["mesh"], &warning["code"]), (&Value::Null, &json!("config_rejected")), "{seen}");
    assert!(warning["message"].as_str().is_some_and(|message| message.contains("routing.max_retries")), "{seen}");
    let page = node.get("/").await;
    assert!(page.text().contains("could not take its changed configuration"), "{}", page.text());
    node.edit(|_| good);
    assert_eq!(reload(&node).await.status, 200);
    assert_eq!(node.get("/nexus/v1/mesh").await.json()["warnings"], json!([]));
}

/// An operator of any machine sees that one goes by an older configuration than its file says.
#[tokio::test]
async fn every_peer_is_told_of_a_bad_file_until_it_is_mended() {
    let far = peer("far", KEY, &[], "").in_file().start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    let good = std::fs::read_to_string(far.file()).expect("read");
    far.edit(|text| text + "\n[routing]\nmax_retries = 99\n");
    // Nobody says a word: the file is watched.
    let rejected = |seen: &Value| {
        let warnings = seen["warnings"].as_array().cloned().unwrap_or_default();
        warnings.into_iter().find(|warning| warning["code"] == "config_rejected")
    };
    for node in [&near, &far] {
        until_json(node, "/nexus/v1/mesh", "the warning", |seen| {
            rejected(seen).is_some_and(|warning| {
                let message = warning["message"].as_str().unwrap_or_default();
                warning["peer"] == "far" && message.contains("routing.max_retries") && !message.contains("99")
            })
        })
        .await;
    }
    far.edit(|_| good);
    until_json(&near, "/nexus/v1/mesh", "no warning any more", |seen| rejected(seen).is_none()).await;
}

#[tokio::test]
async fn a_file_that_changes_is_taken_up_by_itself() {
    let (_backend, node) = configured("").await;
    node.edit(|text| text + "\n[routing.aliases]\nbig = 'm1'\n");
    until_json(&node, "/nexus/v1/aliases", "the alias", |seen| seen["aliases"]["big"] == "m1").await;
    assert_eq!(node.chat("big").await.status, 200);
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_a_dry_run_changes_nothing() {
    let (_backend, node) = configured("[routing]\nmax_retries = 1\n").await;
    node.edit(|text| {
        let text = text.replace("max_retries = 1", "max_retries = 0");
        text.replace("mdns = false", "mdns = true").replace("recovery_threshold = 1", "recovery_threshold = 2")
    });
    for (query, is_dry) in [("?dry_run=true", true), ("", false), ("", false)] {
        let told = node.client().post(&format!("{RELOAD}{query}"), "").whole().await.json();
        assert_eq!(told["dry_run"], is_dry, "{told}");
        assert_eq!(told["needs_restart"], json!(["health_check.recovery_threshold", "mesh.mdns"]), "{told}");
    }
    let again = reload(&node).await.json();
    assert_eq!(again["changed"], json!([]), "it counts already");
}

/// What needed a restart was once not named where enough else had changed.
#[tokio::test]
async fn among_many_changes_what_needs_a_restart_is_named_all_the_same() {
    let (_backend, node) = configured("").await;
    let aliases: String = (0..100).map(|at| format!("a{at} = 'm1'\n")).collect();
    node.edit(|text| text.replace("mdns = false", "mdns = true") + "\n[routing.aliases]\n" + &aliases);
    let told = reload(&node).await.json();
    assert_eq!(told["needs_restart"], json!(["mesh.mdns"]), "{told}");
    assert_eq!(told["changed"].as_array().map(Vec::len), Some(64), "so many are named: {told}");
}

#[tokio::test]
async fn keys_of_clients_come_and_go_with_the_file() {
    let (_backend, node) = configured("").await;
    assert_eq!(node.chat("m1").await.status, 200);
    let hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    node.edit(|text| text + &format!("\n[[auth.client_keys]]\nname = 'team'\nkey_sha256 = '{hash}'\n"));
    assert_eq!(reload(&node).await.status, 200);
    assert_eq!(node.chat("m1").await.status, 401);
    let known = node.client().completions(chat("m1")).header("authorization", "Bearer secret").whole().await;
    assert_eq!(known.status, 200, "{}", known.text());
    // Without a ledger nobody would hold a key to its limits.
    node.edit(|text| text.replace("name = 'team'", "name = 'team'\nrequests_per_minute = 1"));
    assert_eq!(reload(&node).await.json()["needs_restart"], json!(["auth.client_keys"]));
}

#[tokio::test]
async fn limits_and_prices_count_at_once() {
    let (_backend, node) = configured("[budget]\nmonthly_limit_usd = 5.0\n").await;
    node.edit(|text| text.replace("monthly_limit_usd = 5.0", "monthly_limit_usd = 7.0"));
    assert_eq!(reload(&node).await.json()["changed"], json!(["budget.monthly_limit_usd"]));
    assert_eq!(node.get("/nexus/v1/budget").await.json()["limit_usd"], 7.0);
}

#[tokio::test]
async fn nobody_without_rights_has_it_read_again() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let plan = Plan::new(&backend.entry("a", "")).in_file().variable("NEXUS_ADMIN_TOKEN", "s3cret");
    let node = plan.start().await;
    let log = Log::capture();
    reload(&node).await.error(401, "invalid_api_key", CLIENT);
    let foreign = node.client().post(RELOAD, "").header("origin", "http://evil.example").whole().await;
    foreign.error(403, "forbidden", CLIENT);
    let known = node.client().post(RELOAD, "").header("authorization", "Bearer s3cret").whole().await;
    assert_eq!(known.status, 200, "{}", known.text());
    until("both are logged", || log.lines().iter().filter(|line| line["message"] == "Management refused").count() == 2)
        .await;
}

#[tokio::test]
async fn a_node_without_a_file_says_so() {
    let node = TestNode::start("").await;
    let error = reload(&node).await.error(409, "conflict", CLIENT);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("not started from")), "{error}");
}

/// Events of these kinds, with what they say.
fn told(seen: &Value, kinds: &[&str]) -> Vec<(String, String)> {
    let all = seen["events"].as_array().cloned().unwrap_or_default();
    let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
    let of = all.iter().filter(|event| kinds.iter().any(|kind| event["kind"] == *kind));
    of.map(|event| (text(event, "kind"), text(event, "message"))).collect()
}

/// Whoever followed events heard nothing of the configuration.
#[tokio::test]
async fn what_becomes_of_the_file_is_an_event_here_and_at_every_peer() {
    const KINDS: [&str; 3] = ["config_reloaded", "config_rejected", "config_mended"];
    let far = peer("far", KEY, &[], "").in_file().start().await;
    let near = peer("near", KEY, &[&far], "").start().await;
    until_json(&near, "/nexus/v1/mesh", "far is there", |seen| seen["peers"][0]["state"] == "alive").await;
    let good = std::fs::read_to_string(far.file()).expect("read");
    far.edit(|text| text + "\n[routing.aliases]\nbig = 'm1'\n");
    let seen = |wanted: &'static [&'static str]| {
        move |seen: &Value| told(seen, &KINDS).iter().map(|(kind, _)| kind.as_str()).eq(wanted.iter().copied())
    };
    until_json(&far, "/nexus/v1/events", "it was reloaded", seen(&["config_reloaded"])).await;
    far.edit(|text| text + "\n[routing]\nmax_retries = 'hunter2'\n");
    until_json(&far, "/nexus/v1/events", "it was rejected", seen(&["config_reloaded", "config_rejected"])).await;
    until_json(&near, "/nexus/v1/events", "others hear of it", seen(&["config_rejected"])).await;
    assert_eq!(reload(&far).await.status, 400);
    far.edit(|_| good);
    let all = &["config_reloaded", "config_rejected", "config_reloaded"];
    until_json(&far, "/nexus/v1/events", "it was mended, and the refusal told once", seen(all)).await;
    until_json(&near, "/nexus/v1/events", "others hear of that, too", seen(&["config_rejected", "config_mended"]))
        .await;
    for node in [&near, &far] {
        let events = node.get("/nexus/v1/events").await;
        assert!(!events.text().contains("hunter2"), "events are for everybody: {}", events.text());
        for (_, message) in told(&events.json(), &KINDS) {
            assert!(message.contains("'far'"), "{message}");
        }
    }
    let (_, message) = told(&far.get("/nexus/v1/events").await.json(), &KINDS)[0].clone();
    assert!(message.contains("routing.aliases.big"), "{message}");
    let page = far.client().get("/").header("accept", "text/html").whole().await;
    assert!(page.text().contains("config_rejected"), "{}", page.text());
}
