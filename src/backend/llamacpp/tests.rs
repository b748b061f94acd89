use std::time::Duration;

use serde_json::json;

use super::super::testing::{Answers, check};
use super::*;
use crate::fleet::{BackendSpec, Source};

const HEALTH: (&str, &str) = ("/health", r#"{"status":"ok"}"#);

fn applied(before: Model, props: &Value) -> (Model, bool) {
    let (mut model, mut doubt) = (before, Doubt::default());
    apply(&mut model, props, &mut doubt);
    (model, doubt != Doubt::default())
}

#[test]
fn the_context_that_was_set_holds_over_the_trained_one() {
    let trained = Model { context_length: Some(131_072), ..Model::named("m") };
    let props = json!({"default_generation_settings": {"n_ctx": 8192}, "modalities": {"vision": false}});
    let (model, doubted) = applied(trained, &props);
    assert_eq!((model.context_length, model.vision, model.tools), (Some(8192), Support::No, Support::Unknown));
    assert!(!doubted);
}

#[test]
fn absurd_answers_change_nothing() {
    for n_ctx in [json!(-1), json!(1e300), json!("all"), json!([]), json!(1_u64 << 40)] {
        let props = json!({"default_generation_settings": {"n_ctx": n_ctx}, "modalities": "all"});
        let (model, doubted) = applied(Model { context_length: Some(4096), ..Model::named("m") }, &props);
        assert_eq!((model.context_length, model.vision), (Some(4096), Support::Unknown), "{props}");
        assert!(doubted, "{props}");
    }
}

#[tokio::test]
async fn the_model_of_a_server_is_in_memory_unless_it_sleeps() {
    let list = (
        "/v1/models",
        r#"{"object":"list","data":[{"id":"tiny","owned_by":"llamacpp","meta":{"n_ctx_train":131072}}]}"#,
    );
    for (props, residency, slots, busy) in [
        (
            r#"{"default_generation_settings":{"n_ctx":8192},"total_slots":4,"is_sleeping":false}"#,
            Residency::Loaded,
            Some(4),
            Some(1),
        ),
        (r#"{"total_slots":4,"is_sleeping":true}"#, Residency::Unloaded, Some(4), None),
        (r#"{"total_slots":-4,"is_sleeping":"no"}"#, Residency::Loaded, None, Some(1)),
        ("<html>", Residency::Loaded, None, Some(1)),
    ] {
        let answers = Answers::of(&[
            HEALTH,
            list,
            ("/props", props),
            ("/slots", r#"[{"id":0,"is_processing":true},{"id":1,"is_processing":false}]"#),
        ]);
        let seen = check(Kind::LlamaCpp, &answers).await;
        assert_eq!((seen.models()[0].residency, seen.found.slots), (residency, slots), "{props}");
        assert_eq!(seen.busy.map(|busy| busy.running), busy, "{props}");
        assert_eq!(answers.asked("/slots"), usize::from(busy.is_some()), "one that sleeps is not woken");
    }
}

#[tokio::test]
async fn one_that_was_seen_asleep_is_not_kept_awake_by_questions() {
    let (mut slots, mut doubt) = (Slots::default(), Doubt::default());
    let spec = BackendSpec::new("b", "http://h:1".parse().expect("literal"), Kind::LlamaCpp, Source::Static);
    for (sleeps, asked) in [("false", 1), ("true", 0), ("false", 0)] {
        let props = format!(r#"{{"is_sleeping":{sleeps}}}"#);
        let list = ("/v1/models", r#"{"data":[{"id":"m"}]}"#);
        let answers = Answers::of(&[HEALTH, list, ("/props", &props), ("/slots", r#"[{"is_processing":true}]"#)]);
        let ask = Ask::new(&answers, &spec, Duration::from_secs(5));
        probe(&ask, Instant::now(), &mut slots, &mut doubt).await.expect("it is well");
        assert_eq!(busy(&ask, &slots, &mut doubt).await.is_some(), asked == 1);
        assert_eq!(answers.asked("/slots"), asked, "{sleeps}");
    }
}

#[tokio::test]
async fn a_server_without_slots_to_show_tells_nothing_and_is_not_complained_of() {
    let answers = Answers::of(&[HEALTH, ("/v1/models", r#"{"data":[{"id":"m"}]}"#), ("/props", "{}")]);
    let seen = check(Kind::LlamaCpp, &answers).await;
    assert_eq!((seen.busy, seen.complaints), (None, 0));
}

const ROUTER: &str = r#"{"object":"list","data":[
    {"id":"a b","object":"model","owned_by":"llamacpp","status":{"value":"loaded","args":["llama-server","--port","9"]}},
    {"id":"big","object":"model","owned_by":"llamacpp","status":{"value":"loading","args":[]}},
    {"id":"broken","object":"model","status":{"value":"unloaded","args":[],"exit_code":1,"failed":true}},
    {"id":"later","object":"model","status":{"value":"paged"}},
    {"id":"second","object":"model","status":{"value":"loaded"}},
    {"id":"tired","object":"model","status":{"value":"sleeping"}}]}"#;

#[tokio::test]
async fn a_router_says_where_each_model_is_and_is_asked_only_for_those_in_memory() {
    let answers = Answers::of(&[
        HEALTH,
        ("/v1/models", ROUTER),
        ("/props", r#"{"role":"router","default_generation_settings":{"n_ctx":0}}"#),
        ("/props?model=a+b&autoload=false", r#"{"total_slots":2,"default_generation_settings":{"n_ctx":4096}}"#),
        ("/props?model=second&autoload=false", r#"{"total_slots":1}"#),
        ("/slots?model=a+b&autoload=false", r#"[{"is_processing":true},{"is_processing":true}]"#),
        ("/slots?model=second&autoload=false", r#"[{"is_processing":true}]"#),
    ]);
    let seen = check(Kind::LlamaCpp, &answers).await;
    use Residency::{Loaded, Loading, Unknown, Unloaded};
    let residencies: Vec<Residency> = seen.models().iter().map(|model| model.residency).collect();
    assert_eq!(residencies, [Loaded, Loading, Unloaded, Unknown, Loaded, Unloaded]);
    assert_eq!((seen.models()[0].context_length, seen.models()[1].context_length), (Some(4096), None));
    assert_eq!((seen.found.slots, seen.busy.map(|busy| busy.running)), (Some(3), Some(3)));
    assert_eq!((answers.asked("model=big"), answers.asked("model=tired")), (0, 0), "nothing is loaded by asking");
}

#[tokio::test]
async fn a_router_of_which_one_model_does_not_tell_has_no_known_number_of_slots() {
    let answers = Answers::of(&[
        HEALTH,
        ("/v1/models", ROUTER),
        ("/props?model=second&autoload=false", r#"{"total_slots":1}"#),
        ("/slots?model=second&autoload=false", r#"[{"is_processing":true}]"#),
    ]);
    let seen = check(Kind::LlamaCpp, &answers).await;
    assert_eq!((seen.found.slots, seen.busy), (None, None));
}
