//! Everything at once: requests, health checks, backends that come, go and fail, and gossip, on several threads. One
//! request once locked the whole server, because two maps were held at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tokio::time::Instant;

use crate::support::{Answer, FakeBackend, Plan, TestNode, chat, model, stream};

const FOR: Duration = Duration::from_secs(3);
const KEY: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn peer(name: &str, seeds: &str, backends: &str) -> Plan {
    Plan::new(&format!(
        "{backends}\n[mesh]\nenabled = true\npeer_name = '{name}'\nkey = '{KEY}'\nseeds = [{seeds}]\ngossip_interval_ms = 50\n"
    ))
}

/// What a request may end in while backends come and go: an answer, or an honest error.
const HONEST: [u16; 5] = [200, 400, 404, 502, 503];

async fn ask(node: &TestNode, until: Instant, answered: &AtomicUsize) {
    let tools = chat("steady").replacen('{', r#"{"tools":[{"type":"function","function":{"name":"f"}}],"#, 1);
    for body in [chat("steady"), stream("shaky"), chat("passing"), tools, chat("nope")].iter().cycle() {
        if Instant::now() >= until {
            return;
        }
        let reply = node.client().completions(body.clone()).whole().await;
        assert!(HONEST.contains(&reply.status), "{}: {}", reply.status, reply.text());
        if body.contains(r#""model":"steady""#) && !body.contains("tools") {
            assert_eq!(reply.status, 200, "one that is well is always there: {}", reply.text());
        }
        answered.fetch_add(usize::from(reply.status == 200), Ordering::Relaxed);
    }
}

async fn come_and_go(node: &TestNode, name: &str, url: &str, until: Instant) {
    let body = json!({"url": url, "name": name, "type": "generic"}).to_string();
    while Instant::now() < until {
        assert_eq!(node.client().post("/nexus/v1/backends", body.clone()).whole().await.status, 201);
        tokio::task::yield_now().await;
        let gone = node.client().delete(&format!("/nexus/v1/backends/{name}")).whole().await;
        assert_eq!(gone.status, 200);
    }
}

async fn look(node: &TestNode, until: Instant) {
    while Instant::now() < until {
        for path in ["/health", "/v1/models", "/nexus/v1/backends", "/nexus/v1/mesh"] {
            let asked = Instant::now();
            assert_eq!(node.get(path).await.status, 200, "{path}");
            assert!(asked.elapsed() < Duration::from_secs(2), "{path} stood still for {:?}", asked.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stands_still_while_everything_happens() {
    let mut untooled = model("steady");
    untooled["capabilities"] = json!({"tools": false});
    let steady = FakeBackend::listing(vec![untooled], |_| Answer::says("hi")).await;
    let shaky = FakeBackend::script(&["shaky"], |request| match request.number % 4 {
        0 => Answer::json(500, "{}"),
        1 => Answer::hang_up(),
        2 => Answer::stream(["data: 1\n\n"]).then_cut(),
        _ => Answer::stream(["data: 1\n\ndata: [DONE]\n\n"]),
    })
    .await;
    let passing = FakeBackend::always(&["passing"], Answer::says("hi")).await;
    let far = peer("far", "", &shaky.entry("shaky", "")).start().await;
    let seed = format!("'{}'", far.mesh_address());
    let near = peer("near", &seed, &steady.entry("steady", "")).start().await;

    let (answered, end) = (Arc::new(AtomicUsize::new(0)), Instant::now() + FOR);
    let url = format!("http://{}", passing.address);
    let flicker = async {
        while Instant::now() < end {
            shaky.set_well(false);
            tokio::time::sleep(Duration::from_millis(150)).await;
            shaky.set_well(true);
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    tokio::join!(
        join_all((0..8).map(|_| ask(&near, end, &answered))),
        come_and_go(&near, "one", &url, end),
        come_and_go(&far, "two", &url, end),
        look(&near, end),
        look(&far, end),
        flicker,
    );
    assert!(answered.load(Ordering::Relaxed) > 50, "{}", answered.load(Ordering::Relaxed));
    near.idle().await;
    far.idle().await;
    assert_eq!(near.chat("steady").await.status, 200);
}
