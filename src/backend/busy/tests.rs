use super::super::testing::{Answers, check};
use super::*;

#[tokio::test]
async fn vllm_tells_both_and_every_kind_that_tells_nothing_is_asked_nothing() {
    let list = ("/v1/models", r#"{"data":[{"id":"m","owned_by":"vllm"}]}"#);
    let vendors = [("/v1/models?limit=1000", r#"{"data":[]}"#), ("/v1beta/models?pageSize=1000", r#"{"models":[]}"#)];
    let metrics = ("/metrics", "vllm:num_requests_running 3\nvllm:num_requests_waiting 2\n");
    let (slots, tags) = (("/slots", r#"[{"is_processing":true}]"#), ("/api/tags", r#"{"models":[{"name":"m"}]}"#));
    let health = ("/health", r#"{"status":"ok"}"#);
    for kind in Kind::names().map(|name| name.parse::<Kind>().expect("a kind")) {
        let answers = Answers::of(&[list, metrics, slots, tags, health, vendors[0], vendors[1]]);
        let seen = check(kind, &answers).await;
        let told = match kind {
            Kind::Vllm => Some(Busy { running: 3, waiting: 2 }),
            Kind::LlamaCpp => Some(Busy { running: 1, waiting: 0 }),
            _ => None,
        };
        assert_eq!(seen.busy, told, "{kind}");
        assert_eq!(answers.asked("/metrics"), usize::from(kind == Kind::Vllm), "{kind}");
        assert_eq!(answers.asked("/slots"), usize::from(kind == Kind::LlamaCpp), "{kind}");
    }
}

/// A warning with every check, every two seconds, is nobody's wish.
#[tokio::test]
async fn nonsense_is_complained_of_once_for_each_question() {
    let spec = BackendSpec::new("b", "http://h:1".parse().expect("literal"), Kind::Vllm, crate::fleet::Source::Static);
    let answers = Answers::of(&[("/v1/models", r#"{"data":[{"id":"m"}]}"#), ("/metrics", "<html>")]);
    let mut memory = Memory::default();
    for _ in 0..3 {
        assert_eq!(busy(&answers, &spec, Duration::from_secs(5), &mut memory).await, None);
    }
    assert_eq!((answers.asked("/metrics"), memory.complaints.count()), (3, 1));
}
