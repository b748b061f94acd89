//! What is read of a request, and how what is none is told.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const CHAT: Endpoint = Endpoint::ChatCompletions;

fn look(endpoint: Endpoint, body: impl AsRef<[u8]>) -> Result<Inspection, BadRequest> {
    inspect(endpoint, None, Some("application/json"), &Bytes::copy_from_slice(body.as_ref()))
}

fn json_span(found: &Inspection) -> Range<usize> {
    match &found.model_at {
        ModelAt::Json(span) => span.clone(),
        other => panic!("{other:?}"),
    }
}

fn needs(endpoint: Endpoint, body: impl AsRef<[u8]>) -> Needs {
    look(endpoint, body).expect("a request").needs
}

#[test]
fn a_chat_is_understood() {
    let body = r#" {"stream":true, "model" : "m\u006fdel/x" ,"messages":[
        {"role":"system","content":"1234"},
        {"role":"user","content":[{"type":"text","text":"56\n8"},{"type":"image_url","image_url":{"url":"data:"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"x":"not text"}]},
        {"role":"user"}],
        "tools":[{}],"response_format":{"schema":{"type":"x"},"type":"json_schema"},
        "max_tokens":5,"max_completion_tokens":7,"stop":"END","x":{"model":"inner","stream":3}} "#;
    let found = look(CHAT, body).expect("a request");
    assert_eq!(found.model, "model/x");
    assert_eq!(&body[json_span(&found)], r#""m\u006fdel/x""#);
    assert!(found.stream);
    let expected =
        Needs { vision: true, tools: true, json_mode: true, embeddings: false, prompt_bytes: 8, max_tokens: Some(7) };
    assert_eq!(found.needs, expected);
}

#[test]
fn what_is_usual_or_odd_but_not_ours_to_judge_passes() {
    for rest in [
        r#""messages":[]"#,
        r#""messages":[{"content":7},{"content":{"a":[1]}},{"content":[3,"x",[[]],{"type":5,"text":[1]}]}]"#,
        r#""messages":[{"role":1,"role":2}],"stop":["a","b"]"#,
        r#""messages":[],"stream":null,"tools":null,"response_format":null,"max_tokens":null"#,
        r#""messages":[],"tools":[],"max_tokens":-1,"temperature":1e99"#,
        r#""messages":[],"stream":false,"stream":true"#,
        r#""messages":[{"content":"cut \ud83d"},{"content":[{"type":"text","text":"\udc00\\ud83d"}]}]"#,
    ] {
        let body = format!(r#"{{"model":"m",{rest}}}"#);
        let found = look(CHAT, &body).unwrap_or_else(|error| panic!("{body}: {error}"));
        assert!(!found.needs.tools && found.needs.max_tokens.is_none(), "{body}");
    }
}

#[test]
fn inputs_are_counted_as_the_api_counts_them() {
    let count = |input: &str| look(Endpoint::Embeddings, format!(r#"{{"model":"m","input":{input}}}"#));
    for (input, bytes) in
        [(r#""text""#, 4), (r#"["a","bcd"]"#, 3), ("[1,2,3]", 12), ("[[1,2,3],[4]]", 12), (r#"[{"image":"x"}]"#, 0)]
    {
        let needs = count(input).unwrap_or_else(|error| panic!("{input}: {error}")).needs;
        assert!(needs.embeddings);
        assert_eq!(needs.prompt_bytes, bytes, "{input}");
    }
    let tokens = vec!["1"; 5000].join(",");
    assert!(count(&format!("[{tokens}]")).is_ok(), "tokens side by side are one input");
    let texts = |n: usize| format!("[{}]", vec![r#""a""#; n].join(","));
    assert!(count(&texts(2048)).is_ok());
    assert_eq!(count(&texts(2049)), Err(BadRequest::TooManyInputs { count: 2049 }));
}

#[test]
fn a_completion_reads_its_prompt() {
    assert_eq!(needs(Endpoint::Completions, r#"{"model":"m","prompt":"12345678"}"#).context_tokens(), 2);
    assert_eq!(needs(Endpoint::Completions, r#"{"model":"m","prompt":[1,2,3]}"#).context_tokens(), 3);
}

#[test]
fn what_is_no_request_is_told_with_its_place() {
    let chat = |body: &str| look(CHAT, body);
    for (result, message) in [
        (chat(""), "the body is empty: send a JSON object"),
        (chat(" \n"), "the body is empty: send a JSON object"),
        (
            chat("\u{feff}{\"model\":\"m\",\"messages\":[]}"),
            "the body starts with a byte order mark: send the JSON without it",
        ),
        (look(CHAT, b"{\"a\":\"\xff\"}"), "the body is not valid UTF-8 at byte 6"),
        (chat("{\"model\":\n  oops}"), "the body is not valid JSON: expected value at line 2 column 3"),
        (
            chat(r#"{"model":"m","messages":[]"#),
            "the body is not valid JSON: EOF while parsing an object at line 1 column 26",
        ),
        (
            chat(r#"{"model":"m","messages":[]} x"#),
            "the body is not valid JSON: trailing characters at line 1 column 29",
        ),
        (chat("[]"), "the body must be a JSON object"),
        (chat(r#"["m",true]"#), "the body must be a JSON object"),
        (chat("null"), "the body must be a JSON object"),
        (chat(r#"{"messages":[]}"#), "`model` is required: the name of a model"),
        (chat(r#"{"model":null,"messages":[]}"#), "`model` must be a string, not null"),
        (chat(r#"{"model":["a"],"messages":[]}"#), "`model` must be a string, not an array"),
        (chat(r#"{"model":" ","messages":[]}"#), "`model` is empty: name a model"),
        (
            chat(r#"{"model":"a","messages":[],"mod\u0065l":"b"}"#),
            "`model` stands in the body more than once: send it once",
        ),
        (chat(r#"{"model":"\ud800","messages":[]}"#), "`model` is not a valid JSON string"),
        (chat(r#"{"model":"m"}"#), "`messages` is required: an array of messages"),
        (chat(r#"{"model":"m","messages":"SECRET"}"#), "`messages` must be an array of messages, not a string"),
        (chat(r#"{"model":"m","messages":[{},"SECRET"]}"#), "`messages[1]` must be an object, not a string"),
        (chat(r#"{"model":"m","messages":[[]]}"#), "`messages[0]` must be an object, not an array"),
        (chat(r#"{"model":"m","messages":[],"stream":"SECRET"}"#), "`stream` must be true or false, not a string"),
        (chat(r#"{"model":"m","messages":[],"tools":{}}"#), "`tools` must be an array, not an object"),
        (chat(r#"{"model":"m","messages":[],"max_tokens":"5"}"#), "`max_tokens` must be a number, not a string"),
        (
            chat(r#"{"model":"m","messages":[],"response_format":"json"}"#),
            "`response_format` must be an object, not a string",
        ),
        (look(Endpoint::Completions, r#"{"model":"m"}"#), "`prompt` is required: a string or an array"),
        (
            look(Endpoint::Completions, r#"{"model":"m","prompt":{}}"#),
            "`prompt` must be a string or an array, not an object",
        ),
        (
            look(Endpoint::Embeddings, r#"{"model":"m","input":3}"#),
            "`input` must be a string or an array, not a number",
        ),
        (look(Endpoint::Embeddings, r#"{"model":"m","input":""}"#), "`input` is empty: send at least one text"),
        (look(Endpoint::Embeddings, r#"{"model":"m","input":[]}"#), "`input` is empty: send at least one text"),
    ] {
        assert_eq!(result.map_err(|error| error.to_string()), Err(message.to_owned()));
    }
}

#[test]
fn only_json_content_types_are_read() {
    let body = Bytes::from_static(br#"{"model":"m","messages":[]}"#);
    for good in [None, Some("application/json"), Some("Application/JSON; charset=utf-8"), Some("application/x.y+json")]
    {
        assert!(inspect(CHAT, None, good, &body).is_ok(), "{good:?}");
    }
    for bad in ["text/plain", "application/x-www-form-urlencoded", "", "application/jsonl"] {
        assert_eq!(inspect(CHAT, None, Some(bad), &body), Err(BadRequest::ContentType), "{bad}");
    }
}

#[test]
fn nesting_costs_no_stack() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let objects = format!("{}1{}", "{\"a\":".repeat(200_000), "}".repeat(200_000));
    for place in ["x", "tools", "response_format", "stream", "messages", "max_tokens"] {
        for value in [&deep, &objects] {
            let _ = look(CHAT, format!(r#"{{"model":"m","messages":[],"{place}":{value}}}"#));
            let _ = look(CHAT, format!(r#"{{"model":{value},"messages":[]}}"#));
        }
    }
    for value in [&deep, &objects] {
        let nested = format!(r#"{{"model":"m","messages":[{{"content":[{{"type":{value},"text":{value}}}]}}]}}"#);
        assert!(look(CHAT, nested).is_ok());
        assert!(look(Endpoint::Embeddings, format!(r#"{{"model":"m","input":[{value}]}}"#)).is_ok());
    }
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(|value| json!(value)),
        any::<f64>().prop_map(|value| json!(value)),
        any::<i64>().prop_map(|value| json!(value)),
        "\\PC{0,8}|[\"\\\\\u{0}-\u{1f}]{1,3}|image_url|text|json_object".prop_map(|value| json!(value)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let key = "\\PC{0,3}|model|messages|content|type|text|stream|tools|response_format|input|prompt|max_tokens";
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            proptest::collection::vec((key, inner), 0..5)
                .prop_map(|fields| fields.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn no_bytes_make_it_panic(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = look(CHAT, body);
    }

    #[test]
    fn no_json_makes_it_panic_and_the_span_is_the_model(mut body in any_json(), model in "\\PC{1,12}", cut in any::<usize>()) {
        if let Some(fields) = body.as_object_mut() {
            fields.insert("model".to_owned(), json!(model));
        }
        let text = body.to_string();
        let bytes = Bytes::from(text.clone());
        for endpoint in [CHAT, Endpoint::Completions, Endpoint::Embeddings] {
            if let Ok(found) = inspect(endpoint, None, None, &bytes) {
                prop_assert_eq!(&found.model, &model);
                prop_assert_eq!(&text[json_span(&found)], json!(model).to_string());
            }
            let _ = look(endpoint, &text.as_bytes()[..cut % (text.len() + 1)]);
        }
    }

    #[test]
    fn the_text_of_a_chat_is_measured_exactly(texts in proptest::collection::vec("\\PC{0,20}|[\n\t\"\\\\é€😀]{0,9}", 0..6)) {
        let total: usize = texts.iter().map(String::len).sum();
        let messages: Vec<_> = texts.iter().enumerate().map(|(index, text)| match index % 2 {
            0 => json!({"role": "user", "content": text}),
            _ => json!({"role": "user", "content": [{"type": "text", "text": text}]}),
        }).collect();
        let body = json!({"model": "m", "messages": messages}).to_string();
        prop_assert_eq!(needs(CHAT, body).prompt_bytes, total as u64);
    }
}
