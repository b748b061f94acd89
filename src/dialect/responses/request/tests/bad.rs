//! Bodies that are refused, and what their senders are told.

use super::*;
use crate::dialect::inspect::BadRequest;

fn refusal(body: &Value) -> BadRequest {
    decode_request(&body.to_string()).expect_err(&body.to_string())
}

fn path(body: &Value) -> String {
    match refusal(body) {
        BadRequest::Value { path, .. } => path,
        other => panic!("{other:?} of {body}"),
    }
}

#[test]
fn a_bad_option_is_told_by_its_path() {
    let with = |field: &str, value: Value| json!({ "input": "hi", field: value });
    let cases = [
        (with("previous_response_id", json!("resp_1")), "previous_response_id"),
        (with("conversation", json!({ "id": "conv_1" })), "conversation"),
        (with("background", json!(true)), "background"),
        (with("temperature", json!("warm")), "temperature"),
        (with("max_output_tokens", json!(-1)), "max_output_tokens"),
        (with("instructions", json!(["a"])), "instructions"),
        (with("tool_choice", json!("maybe")), "tool_choice"),
        (with("tool_choice", json!({ "type": "function" })), "tool_choice.name"),
        (with("tool_choice", json!({ "type": "secret" })), "tool_choice.type"),
        (with("tools", json!([{ "name": "f" }])), "tools[0].type"),
        (with("tools", json!([{ "type": "function" }])), "tools[0].name"),
        (with("tools", json!([{ "type": "function", "name": "f", "parameters": [] }])), "tools[0].parameters"),
        (with("reasoning", json!({ "effort": "secret" })), "reasoning.effort"),
        (with("text", json!({ "format": { "type": "secret" } })), "text.format.type"),
        (with("text", json!({ "format": { "type": "json_schema", "name": "n" } })), "text.format.schema"),
        (json!({ "input": 3 }), "input"),
    ];
    for (body, expected) in cases {
        assert_eq!(path(&body), expected, "{body}");
    }
}

#[test]
fn a_bad_item_is_told_by_its_path() {
    let call = |field: &str, value: Value| {
        let mut call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" });
        call[field] = value;
        call
    };
    let cases = [
        (json!({ "role": "user", "content": 3 }), "content"),
        (json!({ "content": "hi" }), "type"),
        (json!({ "role": "secret", "content": "hi" }), "role"),
        (json!({ "role": "user" }), "content"),
        (json!({ "role": "user", "content": { "text": "hi" } }), "content"),
        (json!({ "type": "reasoning", "summary": [{ "type": "secret", "text": "x" }] }), "summary[0]"),
        (json!({ "type": "reasoning", "content": "x" }), "content"),
        (call("call_id", Value::Null), "call_id"),
        (call("name", json!("")), "name"),
        (call("arguments", Value::Null), "arguments"),
        (call("arguments", json!({})), "arguments"),
        (json!({ "type": "function_call_output", "call_id": "secret", "output": "x" }), "call_id"),
    ];
    for (item, expected) in cases {
        assert_eq!(path(&json!({ "input": [item] })), format!("input[0].{expected}"), "{item}");
    }
}

#[test]
fn a_bad_part_is_told_by_its_path() {
    let image = |address: &str| json!({ "type": "input_image", "image_url": address });
    let cases = [
        (json!({ "text": "hi" }), "type"),
        (json!({ "type": "secret" }), "type"),
        (json!({ "type": "refusal", "refusal": "no" }), "type"),
        (json!({ "type": "input_text" }), "text"),
        (json!({ "type": "input_image" }), "image_url"),
        (image("secret"), "image_url"),
        (image("data:image/png;base64,sec ret"), "image_url"),
        (image("data:text/plain;base64,QUJD"), "image_url"),
        (json!({ "type": "input_image", "image_url": { "url": "x" } }), "image_url"),
        (json!({ "type": "input_file" }), "file_data"),
        (json!({ "type": "input_file", "file_data": "QUJD" }), "file_data"),
        (json!({ "type": "input_audio" }), "input_audio.format"),
        (json!({ "type": "input_audio", "input_audio": { "data": "", "format": "wav" } }), "input_audio.data"),
    ];
    for (part, expected) in cases {
        let body = json!({ "input": [{ "role": "user", "content": [part] }] });
        assert_eq!(path(&body), format!("input[0].content[0].{expected}"), "{part}");
    }
}

#[test]
fn no_refusal_repeats_what_the_body_says() {
    let bodies = [
        json!({ "input": [{ "role": "secret", "content": "hi" }] }),
        json!({ "input": [{ "role": "user", "content": [{ "type": "secret" }] }] }),
        json!({ "input": [{ "type": "function_call_output", "call_id": "secret", "output": "x" }] }),
        json!({ "input": "hi", "tool_choice": "secret" }),
        json!({ "input": "hi", "reasoning": { "effort": "secret" } }),
    ];
    for body in bodies {
        assert!(!refusal(&body).to_string().contains("secret"), "{body}");
    }
}

#[test]
fn input_is_needed() {
    let missing = refusal(&json!({ "model": "m" }));
    assert!(matches!(missing, BadRequest::Missing { field: "input", .. }), "{missing:?}");
    let empty = refusal(&json!({ "input": [] }));
    assert!(matches!(empty, BadRequest::Unusable { field: "input", .. }), "{empty:?}");
}

#[test]
fn a_result_comes_after_its_call() {
    let call = json!({ "type": "function_call", "call_id": "c", "name": "f", "arguments": "{}" });
    let result = json!({ "type": "function_call_output", "call_id": "c", "output": "x" });
    assert_eq!(path(&json!({ "input": [result, call] })), "input[0].call_id");
    assert!(decode_request(&json!({ "input": [call, result] }).to_string()).is_ok());
}

#[test]
fn depth_is_no_danger() {
    for field in ["input", "tools", "metadata", "unheard_of", "text"] {
        let (open, close) = ("[".repeat(100_000), "]".repeat(100_000));
        let _ = decode_request(&format!("{{\"input\":\"hi\",\"{field}\":{open}{close}}}"));
    }
}

#[test]
fn no_body_is_too_odd_to_be_answered() {
    for body in BODIES.map(str::trim) {
        for at in (0..body.len()).filter(|at| body.is_char_boundary(*at)) {
            assert!(decode_request(&body[..at]).is_err());
            for odd in ["null", "\"", "{}", "[]", "-1"] {
                let _ = decode_request(&format!("{}{odd}{}", &body[..at], &body[at..]));
            }
        }
    }
}
