//! Changing the value of `model` in a body and nothing else. It parses nothing but that value.

use bytes::{BufMut, Bytes, BytesMut};

use super::inspect::ModelAt;

/// `body` with `model` in place of the one that stands at `at`, as [`super::inspect()`] measured it. Where it says that
/// already, the same bytes come back, uncopied.
///
/// # Panics
/// If `at` was not measured on `body`.
pub fn splice(body: &Bytes, at: &ModelAt, model: &str) -> Bytes {
    let (span, value) = match at {
        ModelAt::Path => return body.clone(),
        ModelAt::Json(span) if says(&body[span.clone()], model) => return body.clone(),
        ModelAt::Form(span) if &body[span.clone()] == model.as_bytes() => return body.clone(),
        ModelAt::Json(span) => (span, serde_json::Value::from(model).to_string()),
        ModelAt::Form(span) => (span, model.to_owned()),
    };
    let mut changed = BytesMut::with_capacity(body.len() - span.len() + value.len());
    changed.put_slice(&body[..span.start]);
    changed.put_slice(value.as_bytes());
    changed.put_slice(&body[span.end..]);
    changed.freeze()
}

fn says(value: &[u8], model: &str) -> bool {
    let inner = value.get(1..value.len().saturating_sub(1)).unwrap_or_default();
    let escaped = inner.contains(&b'\\');
    if escaped {
        serde_json::from_slice::<String>(value).is_ok_and(|name| name == model)
    } else {
        inner == model.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dialect::inspect;
    use crate::exchange::Endpoint;

    fn spliced(body: &str, model: &str) -> (Bytes, Bytes) {
        let body = Bytes::copy_from_slice(body.as_bytes());
        let found = inspect(Endpoint::ChatCompletions, None, None, &body).expect("a request");
        let changed = splice(&body, &found.model_at, model);
        (body, changed)
    }

    #[test]
    fn only_the_value_of_the_outer_model_changes() {
        let (_, changed) = spliced(
            "{ \"metadata\":{\"model\":\"inner\"} ,\"model\" : \"gpt-4\",\"x\":[{\"model\":1}],  \"messages\":[]}\n",
            "llama3.2:latest",
        );
        assert_eq!(
            changed,
            "{ \"metadata\":{\"model\":\"inner\"} ,\"model\" : \"llama3.2:latest\",\"x\":[{\"model\":1}],  \"messages\":[]}\n"
        );
    }

    #[test]
    fn a_body_that_says_it_already_is_not_copied() {
        for body in [r#"{"model":"m/o","messages":[]}"#, r#"{"model":"\u006d\/o","messages":[]}"#] {
            let (before, after) = spliced(body, "m/o");
            assert_eq!(before.as_ptr(), after.as_ptr());
            assert_eq!(before, after);
        }
    }

    proptest! {
        #[test]
        fn any_name_can_be_put_in_place_of_any_other(old in "\\PC{1,20}", new in "\\PC{1,20}|[\"\\\\\u{0}-\u{1f}]{1,5}") {
            prop_assume!(!old.trim().is_empty() && !new.trim().is_empty());
            let body = serde_json::json!({"a": "model", "model": old, "messages": [{"content": "model"}]}).to_string();
            let (_, changed) = spliced(&body, &new);
            let expected = serde_json::json!({"a": "model", "model": new, "messages": [{"content": "model"}]});
            prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&changed).expect("still JSON"), expected);
        }
    }
}
