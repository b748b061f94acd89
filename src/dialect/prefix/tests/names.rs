//! Conversations that their clients name.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use super::super::super::prefix_of;
use super::super::session;
use super::look;
use crate::exchange::Endpoint;
use crate::fleet::Prefix;

fn headers(pairs: &[(&'static str, &[u8])]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &[u8])| {
        (HeaderName::from_static(name), HeaderValue::from_bytes(value).expect("a header's value"))
    };
    pairs.iter().map(pair).collect()
}

fn named(fields: &Value, pairs: &[(&'static str, &[u8])], by_user: bool) -> Prefix {
    let mut body =
        json!({"model": "m", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}]});
    body.as_object_mut().expect("fields").extend(fields.as_object().expect("fields").clone());
    let asked = look(Endpoint::ChatCompletions, &body.to_string());
    prefix_of(&asked, &headers(pairs), by_user).expect("a prefix")
}

#[test]
fn the_first_name_that_is_fit_wins() {
    let (affinity, session_id) = ("x-session-affinity", "x-claude-code-session-id");
    let body = json!({"prompt_cache_key": "body", "user": "who"});
    let key = |name: &str| session(name.as_bytes()).expect("fit");
    for (found, name) in [
        (named(&body, &[(session_id, b"two"), (affinity, b"one")], true), "one"),
        (named(&body, &[(session_id, b"two")], true), "two"),
        (named(&body, &[(affinity, b""), (session_id, b"two")], true), "two"),
        (named(&body, &[], true), "body"),
        (named(&json!({"user": "who", "prompt_cache_key": 7}), &[], true), "who"),
    ] {
        assert!(found.explicit);
        assert_eq!(found.key, key(name), "{name}");
        assert_eq!(found.landmarks()[0], found.key);
    }
    let plain = named(&json!({}), &[], true);
    assert!(!plain.explicit);
    assert_eq!(named(&json!({"user": "who"}), &[], false), plain, "unless it is configured, a user is no conversation");
    assert_eq!(named(&body, &[], false).marks, plain.marks, "a name changes nothing of the text");
}

#[test]
fn names_that_are_unfit_are_like_none() {
    let plain = named(&json!({}), &[], true);
    let long = [b'a'; 257];
    for unfit in [&b""[..], b" ", b"a\tb", b"\xff\xfe", &long] {
        let pairs = [("x-session-affinity", unfit), ("x-claude-code-session-id", unfit)];
        assert_eq!(named(&json!({}), &pairs, true), plain, "{unfit:?}");
    }
    for unfit in [
        json!(""),
        json!("  "),
        json!("a\nb"),
        json!("a\u{7f}"),
        json!("a".repeat(257)),
        json!(7),
        json!(null),
        json!(["a"]),
    ] {
        assert_eq!(named(&json!({"prompt_cache_key": unfit, "user": unfit}), &[], true), plain, "{unfit}");
    }
    assert!(named(&json!({}), &[("x-session-affinity", &long[1..])], false).explicit);
    assert!(named(&json!({"prompt_cache_key": "é".repeat(128)}), &[], false).explicit);
}

#[test]
fn where_nothing_could_have_been_read_a_name_is_of_no_use() {
    let pairs = headers(&[("x-session-affinity", b"one")]);
    for (endpoint, body) in [
        (Endpoint::Embeddings, r#"{"model":"m","input":"x","user":"who"}"#),
        (Endpoint::ChatCompletions, r#"{"model":"m","messages":[]}"#),
    ] {
        assert_eq!(prefix_of(&look(endpoint, body), &pairs, true), None);
    }
}

#[test]
fn names_stay_out_of_what_is_shown() {
    let body =
        r#"{"model":"m","messages":[{"role":"user","content":"SECRET"}],"user":"SECRET","prompt_cache_key":"SECRET"}"#;
    assert!(!format!("{:?}", look(Endpoint::ChatCompletions, body)).contains("SECRET"));
}
