//! Bodies that somebody spoiled: a valid one with something else in any place of it. Whatever comes is an error or is read,
//! never a panic; an error never repeats what stood there.

use proptest::prelude::*;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;

/// Stands in everything that is put into a body.
const SECRET: &str = "s3cret";

/// How many values `value` has in it, itself included.
fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(fields) => fields.values().map(count).sum(),
        _ => 0_usize,
    }
}

/// The value at `at`, counted from the outside.
fn place(value: &mut Value, mut at: usize) -> Option<&mut Value> {
    if at == 0 {
        return Some(value);
    }
    at -= 1;
    let inner: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => Vec::new(),
    };
    for value in inner {
        let size = count(value);
        if at < size {
            return place(value, at);
        }
        at -= size;
    }
    None
}

fn spoil() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        Just(json!(u64::MAX)),
        Just(json!("")),
        Just(json!(SECRET)),
        Just(json!(format!("data:{SECRET};base64,{SECRET}"))),
        Just(json!(format!("{{\"{SECRET}\""))),
        Just(json!({ "type": SECRET })),
        Just(json!({ "role": SECRET, "content": [{ "type": "text", "text": SECRET }] })),
        Just(json!({ "function": { "name": SECRET, "arguments": SECRET } })),
        Just(json!({ "type": "tool_use", "id": SECRET, "input": [SECRET] })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            inner.prop_map(|value| json!({ "text": value, "type": "text", "parts": [value], "content": value })),
        ]
    })
}

/// Reads a body as a request, and where it is one puts it to every backend.
pub(super) fn survive_request(from: Endpoint, body: &str) {
    match pair::decode_request(from, body) {
        Err(error) => assert!(!error.to_string().contains(SECRET), "{from:?}: {error}"),
        Ok(decoded) => {
            for backend in BACKENDS {
                let to = endpoint(backend, decoded.request.stream);
                let Ok(body) = pair::encode_request(to, &decoded.request, "m", &Ways::default()) else { continue };
                // Not as a value, which has an end to its depth.
                assert!(serde_json::from_slice::<&RawValue>(&body).is_ok(), "{from:?} to {backend:?}");
                drop(pair::decode_request(to, std::str::from_utf8(&body).unwrap()));
            }
        }
    }
}

/// Reads a body as an answer, and where it is one tells it to every client.
pub(super) fn survive_reply(backend: Dialect, body: &[u8]) {
    match pair::decode_reply(endpoint(backend, false), body) {
        Err(error) => assert!(!error.to_string().contains(SECRET), "{backend:?}: {error}"),
        Ok(reply) => {
            for client in CLIENTS {
                pair::encode_reply(client, &reply, &label());
                let mut out = Vec::new();
                let mut encoder = pair::encoder(client, label());
                reply.clone().events().into_iter().for_each(|event| encoder.event(event, &mut out));
                encoder.end(&mut out);
                assert!(std::str::from_utf8(&out).is_ok());
            }
        }
    }
}

fn survive_event(backend: Dialect, data: &Value) {
    let frame = if backend == Dialect::Ollama { format!("{data}\n") } else { format!("data: {data}\n\n") };
    for client in CLIENTS {
        if let Err(error) = flowed(&translation(client, backend, true), [frame.as_bytes(), frame.as_bytes()]) {
            assert!(!error.to_string().contains(SECRET), "{backend:?}: {error}");
        }
    }
}

/// The data of one event of a stream.
fn event(backend: Dialect, case: &str, at: prop::sample::Index) -> Value {
    let stream = fixture(backend, &format!("{case}.stream.txt"));
    let lines = stream.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
    let events: Vec<Value> = lines.filter_map(|line| serde_json::from_str(line).ok()).collect();
    events[at.index(events.len())].clone()
}

fn nested(levels: usize) -> String {
    format!("{}1{}", "[".repeat(levels), "]".repeat(levels))
}

/// Puts `raw`, which serde could not hold or would have to copy, into every place of a body.
fn everywhere(body: &str, raw: &str, each: impl Fn(&str)) {
    let value: Value = serde_json::from_str(body).unwrap();
    for at in 0..count(&value) {
        let mut spoiled = value.clone();
        *place(&mut spoiled, at).unwrap() = json!("@@");
        each(&spoiled.to_string().replace("\"@@\"", raw));
    }
}

#[test]
fn depth_without_end_is_survived() {
    for (levels, dialect) in [100, 1_000, 100_000].iter().flat_map(|levels| DIALECTS.map(|dialect| (*levels, dialect)))
    {
        let cases: &[&str] = if levels > 1_000 { &["tools"] } else { &REQUESTS };
        for case in cases {
            let body = fixture(dialect, &format!("{case}.request.json"));
            everywhere(&body, &nested(levels), |body| survive_request(of_case(dialect, case), body));
        }
        if dialect != Dialect::Responses {
            let body = fixture(dialect, "tools.reply.json");
            everywhere(&body, &nested(levels), |body| survive_reply(dialect, body.as_bytes()));
        }
    }
}

#[test]
fn megabytes_of_text_are_survived() {
    let long = format!("\"{}\"", "é".repeat(5 << 19));
    for dialect in DIALECTS {
        let body = fixture(dialect, "tools.request.json");
        everywhere(&body, &long, |body| drop(pair::decode_request(of_case(dialect, "tools"), body)));
    }
    for backend in BACKENDS {
        let body = fixture(backend, "tools.reply.json");
        everywhere(&body, &long, |body| drop(pair::decode_reply(endpoint(backend, false), body.as_bytes())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(4_000) })]

    #[test]
    fn anything_anywhere_in_a_request_is_survived(
        dialect in 0..DIALECTS.len(), case in 0..REQUESTS.len(), at in any::<prop::sample::Index>(), spoil in spoil(),
    ) {
        let (dialect, case) = (DIALECTS[dialect], REQUESTS[case]);
        let mut body: Value = serde_json::from_str(&fixture(dialect, &format!("{case}.request.json"))).unwrap();
        let at = at.index(count(&body));
        *place(&mut body, at).unwrap() = spoil;
        survive_request(of_case(dialect, case), &body.to_string());
        survive_request(Endpoint::OllamaGenerate, &body.to_string());
    }

    #[test]
    fn anything_anywhere_in_an_answer_is_survived(
        backend in 0..BACKENDS.len(), case in 0..REPLIES.len(), at in any::<prop::sample::Index>(), spoil in spoil(),
        chosen in any::<prop::sample::Index>(),
    ) {
        let (backend, case) = (BACKENDS[backend], REPLIES[case]);
        let mut body: Value = serde_json::from_str(&fixture(backend, &format!("{case}.reply.json"))).unwrap();
        let place_of = at.index(count(&body));
        *place(&mut body, place_of).unwrap() = spoil.clone();
        survive_reply(backend, body.to_string().as_bytes());
        let mut data = event(backend, case, chosen);
        let place_of = at.index(count(&data));
        *place(&mut data, place_of).unwrap() = spoil;
        survive_event(backend, &data);
    }
}
