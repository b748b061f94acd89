use std::collections::BTreeMap;

use super::*;
use crate::gateway::Verdict;
use crate::telemetry::export;

fn counters() -> Counters {
    Counters::new(Box::new(|model| model == "listed"))
}

fn record<'a>(model: Option<&'a Arc<str>>, backend: Option<&'a Arc<str>>) -> Record<'a> {
    Record {
        asked: "made-up",
        model,
        backend,
        backend_type: "openai",
        status: 200,
        took: Duration::from_millis(300),
        first_byte: Some(Duration::from_millis(100)),
        tokens: Some((40, 2)),
        ..Record::default()
    }
}

fn text(counters: &Counters) -> String {
    export::text(counters, &export::Now::default())
}

#[track_caller]
fn has(text: &str, line: &str) {
    assert!(text.lines().any(|seen| seen == line), "no {line} in:\n{text}");
}

#[tokio::test(start_paused = true)]
async fn a_request_for_a_peer_is_not_the_clients() {
    let (counters, model, backend) = (counters(), Arc::from("m"), Arc::from("b"));
    let served = record(Some(&model), Some(&backend));
    counters.ended(&served);
    counters.ended(&Record { is_from_peer: true, cost_usd: Some(0.02), ..served.clone() });
    counters.ended(&Record { status: 502, error: Some("gone"), first_byte: None, ..served.clone() });
    let far = Arc::from("far");
    counters.ended(&Record { peer: Some(&far), ..served });
    assert_eq!(counters.requests(), (2, 1));
    assert_eq!(counters.models().iter().map(|(name, took)| (&**name, took.requests)).collect::<Vec<_>>(), [("m", 3)]);
    let text = text(&counters);
    has(&text, r#"nexus_requests_total{backend="b",model="m",status="success"} 2"#);
    has(&text, r#"nexus_requests_total{backend="b",model="m",status="error"} 1"#);
    has(&text, r#"nexus_cost_per_request_usd_count{backend_type="openai",model="m"} 1"#);
    has(&text, r#"nexus_tokens_total_sum{backend="b",model="m",type="prompt"} 120"#);
}

/// What another backend made good counts against the one that failed; what was not its fault does not.
#[tokio::test(start_paused = true)]
async fn a_backend_is_judged_by_what_it_did() {
    let (counters, backend) = (counters(), Arc::from("b"));
    let millis = Duration::from_millis;
    let attempt = |verdict, took, first_byte| Attempted { backend: &backend, verdict, took: millis(took), first_byte };
    counters.attempted(&attempt(Verdict::Well, 300, Some(millis(100))));
    counters.attempted(&attempt(Verdict::Neither, 500, Some(millis(300))));
    counters.attempted(&attempt(Verdict::Well, 100, Some(millis(50))));
    counters.attempted(&attempt(Verdict::Badly, 9_000, None));
    let seen = counters.backend("b");
    assert_eq!(seen.took, Took { requests: 4, average_ms: 300.0 }, "answers alone take time");
    assert_eq!((seen.average_ttft_ms, seen.requests_1h), (Some(150), 4));
    assert!(seen.error_rate_1h.is_some_and(|rate| (rate - 1.0 / 3.0).abs() < 1e-9), "{seen:?}");
    assert_eq!(counters.requests(), (0, 0), "no client was answered");
    has(&text(&counters), r#"nexus_backend_latency_seconds_count{backend="b"} 3"#);
}

#[tokio::test(start_paused = true)]
async fn clients_cannot_make_labels() {
    let counters = counters();
    for number in 0..2_000 {
        let asked = format!("made-up-{number}");
        counters.ended(&Record { asked: &asked, status: 404, error: Some("no such model"), ..record(None, None) });
    }
    counters.ended(&Record { asked: "listed", status: 503, error: Some("all are down"), ..record(None, None) });
    let seen = text(&counters);
    has(&seen, r#"nexus_requests_total{backend="none",model="none",status="error"} 2000"#);
    has(&seen, r#"nexus_requests_total{backend="none",model="listed",status="error"} 1"#);
    assert!(!seen.contains("made-up"));
    assert!(counters.models().is_empty(), "nobody served them");

    let backend = Arc::from("b");
    for number in 0..2_000 {
        let (model, key) = (Arc::from(number.to_string()), number.to_string());
        counters.ended(&Record { key: Some(&key), cost_usd: Some(1.0), ..record(Some(&model), Some(&backend)) });
        counters.limited(LimitOf::Backend, &key);
    }
    let seen = text(&counters);
    // Two of the thousand pairs of backend and model are those above.
    has(&seen, r#"nexus_requests_total{backend="b",model="other",status="success"} 1002"#);
    assert!(seen.contains(r#"nexus_request_duration_seconds_count{backend="other",model="other"}"#));
    has(&seen, r#"nexus_key_requests_total{key="other"} 1000"#);
    has(&seen, r#"nexus_rate_limited_total{name="other",scope="backend"} 1000"#);
    has(&seen, r#"nexus_cost_per_request_usd_count{backend_type="openai",model="other"} 1000"#);
    let series = seen.lines().filter(|line| line.starts_with("nexus_request_duration_seconds_count")).count();
    assert_eq!(series, MOST_SPREAD + 1, "the last of them is `other`");
}

/// Names are whatever people and servers call things.
#[tokio::test(start_paused = true)]
async fn odd_names_do_not_break_the_text() {
    let (counters, model, backend) = (counters(), Arc::from("a\"b\\c\nd{}é"), Arc::from("b"));
    counters.ended(&record(Some(&model), Some(&backend)));
    let labels = r#"{backend="b",model="a\"b\\c\nd{}é",status="success"} 1"#;
    has(&text(&counters), &format!("nexus_requests_total{labels}"));
}

#[tokio::test(start_paused = true)]
async fn how_things_stand_is_told_beside_what_was_counted() {
    let backend = |name: &str, in_flight, requests_1h| export::BackendNow {
        name: name.to_owned(),
        in_flight,
        counts: BackendCounts { requests_1h, error_rate_1h: (requests_1h > 0).then_some(0.25), ..Default::default() },
    };
    let peer = |name: &str, state, age| export::PeerNow { name: name.to_owned(), state, age };
    let mesh = export::MeshNow {
        peers: vec![
            peer("attic", crate::fleet::PeerState::Alive, Some(0.25)),
            peer("</script><script>alert(1)</script>", crate::fleet::PeerState::Dead, None),
        ],
        gossip_sent: 7,
        gossip_received: 9,
        forwards: BTreeMap::from([("attic".to_owned(), crate::mesh::Forwards::default())]),
    };
    let queue = crate::queue::Counts { depth: 2, max_size: 100, entered: 5, granted: 2, late: 1 };
    let now = export::Now {
        backends: vec![backend("b", 3, 8), backend("idle", 0, 0)],
        queue,
        mesh: Some(mesh),
        ..Default::default()
    };
    let text = export::text(&counters(), &now);
    for line in [
        "nexus_backends_total 2",
        r#"nexus_pending_requests{backend="b"} 3"#,
        r#"nexus_agent_error_rate{agent_id="b"} 0.25"#,
        r#"nexus_agent_request_count_1h{agent_id="idle"} 0"#,
        "nexus_queue_depth 2",
        "nexus_queue_enqueued_total 5",
        "nexus_queue_drained_total 2",
        "nexus_queue_timeout_total 1",
        r#"nexus_mesh_peers{state="alive"} 1"#,
        r#"nexus_mesh_peers{state="suspect"} 0"#,
        r#"nexus_mesh_peers{state="dead"} 1"#,
        r#"nexus_mesh_fact_age_seconds{peer="attic"} 0.25"#,
        r#"nexus_mesh_gossip_bytes_total{direction="received"} 9"#,
        r#"nexus_mesh_forward_duration_seconds_bucket{peer="attic",le="0.001"} 0"#,
        r#"nexus_mesh_forward_duration_seconds_count{peer="attic"} 0"#,
    ] {
        has(&text, line);
    }
    assert!(!text.contains(r#"error_rate{agent_id="idle"}"#), "who has done nothing has no rate");
    assert!(!text.contains("fact_age_seconds{peer=\"</script>"), "who was never heard has no age");
}

/// Whether anybody looks changes nothing, and each family stands there once.
#[tokio::test(start_paused = true)]
async fn every_family_is_described_once() {
    let (counters, model, backend) = (counters(), Arc::from("m"), Arc::from("b"));
    let before = text(&counters);
    counters.ended(&record(Some(&model), Some(&backend)));
    for seen in [&before, &text(&counters)] {
        let mut types: Vec<&str> = seen.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let helps = seen.lines().filter(|line| line.starts_with("# HELP ")).count();
        assert_eq!(helps, types.len());
        let all = types.len();
        types.dedup();
        assert_eq!(types.len(), all);
        assert!(types.is_sorted(), "{types:?}");
    }
}
