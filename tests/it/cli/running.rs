//! What a running peer is asked, and what is printed of its answer.

use insta::assert_snapshot;

use super::{BACKENDS, scripted};

#[test]
fn a_running_peer_is_listed() {
    let (place, _) = scripted(&[(200, BACKENDS), (200, BACKENDS), (200, BACKENDS), (200, BACKENDS), (200, BACKENDS)]);
    assert_snapshot!(place.run("backends list").ok().stdout, @r"
    ┌──────┬────────────┬────────┬─────────────┬────────┬─────────┬──────────────┐
    │ Name │ URL        │ Type   │ Status      │ Models │ Latency │ Source       │
    ├──────┼────────────┼────────┼─────────────┼────────┼─────────┼──────────────┤
    │ a    │ http://h:1 │ ollama │ ✓ Healthy   │ 1      │ 12ms    │ [static]     │
    │ b    │            │ vllm   │ ✗ Unhealthy │ 0      │ N/A     │ [peer:attic] │
    └──────┴────────────┴────────┴─────────────┴────────┴─────────┴──────────────┘
    ");
    let json = place.run("backends list --json --status unhealthy").ok().stdout;
    assert!(json.contains("\"id\": \"b\"") && !json.contains("\"id\": \"a\""), "{json}");
    assert_snapshot!(place.run("models").ok().stdout, @r"
    ┌───────┬──────────┬────────────────┐
    │ Model │ Backends │ Context Length │
    ├───────┼──────────┼────────────────┤
    │ m     │ a        │ 8192           │
    └───────┴──────────┴────────────────┘
    ");
    assert_snapshot!(place.run("models --json -b a").ok().stdout, @r#"
    {
      "models": [
        {
          "id": "m",
          "backends": [
            "a"
          ],
          "context_length": 8192,
          "supports_vision": false,
          "supports_tools": true,
          "supports_json_mode": true
        }
      ]
    }
    "#);
    assert_eq!(place.run("models -b c").error(), "Error: Backend not found: c\n");
}

#[test]
fn a_backend_is_added_and_removed() {
    let added = r#"{"backend":{"id":"gpu","name":"gpu","url":"http://h:1","type":"vllm","status":"unknown"}}"#;
    let taken =
        r#"{"error":{"message":"a backend named `gpu` exists already","type":"x","param":null,"code":"conflict"}}"#;
    let gone = r#"{"error":{"message":"no","type":"x","param":null,"code":"not_found"}}"#;
    let (place, asked) =
        scripted(Box::leak(Box::new([(201, added), (409, taken), (200, r#"{"removed":"gpu"}"#), (404, gone)])));
    let place = place.with("NEXUS_ADMIN_TOKEN", "secret");
    let ran = place.run("backends add http://h:1/v1 -n gpu -t llama.cpp -p -3").ok();
    assert_eq!(ran.stdout, "Added backend 'gpu' (gpu) as vllm\n");
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("POST /nexus/v1/backends HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
    assert!(request.ends_with(r#"{"url":"http://h:1/v1","priority":0,"name":"gpu","type":"llamacpp"}"#), "{request}");
    assert_eq!(place.run("backends add http://h:1").error(), "Error: a backend named `gpu` exists already\n");
    assert_eq!(place.run("backends remove gpu").ok().stdout, "Removed backend: gpu\n");
    assert_eq!(place.run("backends remove g/pu").error(), "Error: backend not found: g/pu\n");
    assert!(asked.iter().nth(2).is_some_and(|request| request.starts_with("DELETE /nexus/v1/backends/g%2Fpu ")));
}

#[test]
fn a_key_is_alone_on_stdout_and_everything_else_is_told_beside_it() {
    let made = r#"{"id":"k1","name":"laptop","key":"nxk_secret","state":"active","notes":["From now on."]}"#;
    let taken =
        r#"{"error":{"message":"a key named `laptop` exists already","type":"x","param":null,"code":"conflict"}}"#;
    let listed = r#"{"keys":[{"id":"k1","name":"laptop","models":null,"requests_per_minute":60,"made_at":1700000000,
        "made_by":"attic","state":"revoked","revoked_at":1700000001}],"open":false,"notes":["No key is good."]}"#;
    let revoked = r#"{"revoked":[{"id":"k1","name":"la top"}],"notes":[]}"#;
    let (place, asked) = scripted(Box::leak(Box::new([
        (201, made),
        (409, taken),
        (201, made),
        (200, listed),
        (200, listed),
        (200, revoked),
        (200, revoked),
    ])));
    let ran = place.run("keys add laptop --models llama*,qwen* --monthly-limit-usd 5 --requests-per-minute 60").ok();
    assert_eq!(ran.stdout, "nxk_secret\n");
    assert!(
        ran.stderr.contains("shown once; kept only as a hash") && ran.stderr.contains("From now on."),
        "{}",
        ran.stderr
    );
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("POST /nexus/v1/keys HTTP/1.1\r\n"), "{request}");
    let wish = r#"{"name":"laptop","models":["llama*","qwen*"],"monthly_limit_usd":5.0,"requests_per_minute":60,"tokens_per_minute":null}"#;
    assert!(request.ends_with(wish), "{request}");
    assert_eq!(place.run("keys add laptop").error(), "Error: a key named `laptop` exists already\n");
    let json: serde_json::Value = serde_json::from_str(&place.run("keys add laptop --json").ok().stdout).expect("JSON");
    assert_eq!(json["key"], "nxk_secret");
    let ran = place.run("keys list").ok();
    assert_snapshot!(ran.stdout, @r"
    ┌────────┬────────┬────────────┬────────────┬───────┬─────────┐
    │ Name   │ Models │ Limits     │ Made       │ By    │ State   │
    ├────────┼────────┼────────────┼────────────┼───────┼─────────┤
    │ laptop │ all    │ 60 req/min │ 2023-11-14 │ attic │ revoked │
    └────────┴────────┴────────────┴────────────┴───────┴─────────┘
    ");
    assert_eq!(ran.stderr, "No key is good.\n");
    let json: serde_json::Value = serde_json::from_str(&place.run("keys list --json").ok().stdout).expect("JSON");
    assert_eq!(json["keys"][0]["state"], "revoked");
    assert_eq!(place.run("keys revoke la/top").ok().stdout, "Revoked key: la top (k1)\n");
    assert!(place.run("keys revoke laptop --json").ok().stdout.contains("\"revoked\""));
    assert!(asked.iter().any(|request| request.starts_with("DELETE /nexus/v1/keys/la%2Ftop ")));
}

#[test]
fn health_reads_the_running_peer() {
    let health = r#"{"status":"healthy","uptime_seconds":61,"backends":{"total":1,"healthy":1,"unhealthy":0},"models":1,
        "version":"0.1.0","mesh":{}}"#;
    let answers = Box::leak(Box::new([(200, health), (200, BACKENDS), (200, health), (200, BACKENDS)]));
    let (place, _) = scripted(answers);
    assert_snapshot!(place.run("health").ok().stdout, @r"
    System Health: Healthy
    Version: 0.1.0
    Uptime: 1m 1s
    Backends: 1/1 healthy
    Models: 1 available

    Backends:
      ✓ a (Healthy)
        Last check: 2s ago
        Response time: 12ms
    ");
    let json = place.run("health --format json").ok().stdout;
    assert!(json.contains("\"models\": {\n    \"total\": 1\n  }"), "{json}");
}

#[test]
fn events_are_a_line_each_until_the_peer_goes() {
    const STREAM: &str = ": events\n\nid: 1-1\ndata: {\"at\":\"2026-11-21T06:00:00Z\",\"kind\":\"peer_joined\",\
                          \"message\":\"Peer 'attic' joined the mesh\"}\n\n";
    let (place, asked) = scripted(&[(200, STREAM), (200, STREAM)]);
    let ran = place.run("mesh events --last 3");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), "2026-11-21 06:00:00  peer_joined         Peer 'attic' joined the mesh\n")
    );
    assert!(ran.stderr.contains("has stopped"), "{ran:?}");
    assert!(asked.recv().is_ok_and(|head| head.starts_with("GET /nexus/v1/events?follow=true&limit=3 ")));
    let json = place.run("mesh events --json").stdout;
    assert_eq!(json.lines().count(), 1);
    assert!(json.starts_with("{\"at\":"), "{json}");
}

#[test]
fn a_node_without_a_mesh_says_so() {
    const OFF: &str = r#"{"mesh":null,"self":null,"peers":[],"budget":null,"warnings":[]}"#;
    let (place, _) = scripted(&[(200, OFF), (200, OFF)]);
    assert!(place.run("mesh status").ok().stdout.contains("mesh.enabled = true"));
    assert!(place.run("mesh status --json").ok().stdout.contains("\"mesh\": null"));
}
