//! What is refused, what is noted as Ollama's own, and what counts as nothing.

use super::super::{decode_generate, encode_generate_reply};
use super::*;
use crate::dialect::chat::ToolChoice;
use crate::dialect::inspect::BadRequest;

/// Where a body is wrong.
fn wrong_at(body: &str) -> String {
    match decode_request(body) {
        Err(BadRequest::Value { path, .. }) => path,
        Err(other) => format!("{other:?}"),
        Ok(decoded) => panic!("{decoded:?}"),
    }
}

/// What only Ollama has in a body; whether the way to a field tells of what may be absent is not looked at.
fn own(body: &str) -> Vec<String> {
    let uncarried = decode_request(body).unwrap().uncarried;
    uncarried.into_iter().map(|path| path.replace(".?", "")).collect()
}

#[test]
fn a_bad_body_is_told_where() {
    let wrong = [
        (r#"{"messages":[{"role":"narrator","content":"a"}]}"#, "messages[0].role"),
        (r#"{"messages":[{"content":"a"}]}"#, "messages[0].role"),
        (r#"{"messages":[{"role":"user","content":[]}]}"#, "messages[0].content"),
        (r#"{"messages":[{"role":"user","images":["AA==","data:,"]}]}"#, "messages[0].images[1]"),
        (r#"{"messages":[{"role":"user","tool_calls":[{"function":{"name":"f"}}]}]}"#, "messages[0].tool_calls[0]"),
        (
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]}]}"#,
            "messages[0].tool_calls[0].function.arguments",
        ),
        (r#"{"messages":[{"role":"assistant","tool_calls":[{}]}]}"#, "messages[0].tool_calls[0].function"),
        (
            r#"{"messages":[{"role":"assistant","tool_calls":[{"function":{}}]}]}"#,
            "messages[0].tool_calls[0].function.name",
        ),
        (r#"{"messages":[{"role":"tool","content":"a"}]}"#, "messages[0]"),
        (r#"{"messages":[{"role":"tool","content":"a","tool_name":"f"}]}"#, "messages[0].tool_name"),
        (r#"{"messages":[{"role":"tool","content":"a","tool_call_id":"x"}]}"#, "messages[0].tool_call_id"),
        (r#"{"tools":[{"type":"search"}]}"#, "tools[0].type"),
        (r#"{"tools":[{}]}"#, "tools[0].function"),
        (r#"{"tools":[{"function":{"name":""}}]}"#, "tools[0].function.name"),
        (r#"{"tools":[{"function":{"name":"f","parameters":[]}}]}"#, "tools[0].function.parameters"),
        (r#"{"format":"yaml"}"#, "format"),
        (r#"{"format":[1]}"#, "format"),
        (r#"{"think":"hard"}"#, "think"),
        (r#"{"think":1}"#, "think"),
        (r#"{"keep_alive":[]}"#, "keep_alive"),
        (r#"{"options":{"num_predict":"64"}}"#, "options.num_predict"),
        (r#"{"options":{"stop":[1]}}"#, "options.stop[0]"),
        (r#"{"stream":"yes"}"#, "stream"),
    ];
    for (body, path) in wrong {
        assert_eq!(wrong_at(body), path, "{body}");
    }
    assert!(matches!(decode_request("{"), Err(BadRequest::Syntax { .. })));
}

#[test]
fn what_only_ollama_has_is_noted() {
    assert_eq!(own(r#"{"logprobs":true,"top_logprobs":3,"_debug_render_only":true}"#).len(), 3);
    assert_eq!(
        own(r#"{"options":{"mirostat":2,"tfs_z":0.5,"foo":1}}"#),
        ["options.foo", "options.mirostat", "options.tfs_z"]
    );
    assert_eq!(own(r#"{"options":{"repeat_last_n":0,"penalize_newline":false,"typical_p":0.5}}"#).len(), 3);
    assert_eq!(
        own(r#"{"messages":[{"role":"user","content":"a","audio":1,"thinking":"b"}],"tool_choice":1}"#).len(),
        3
    );
    let generate = r#"{"model":"m","prompt":"a","suffix":"b","raw":true,"template":"c","context":[1]}"#;
    assert_eq!(decode_generate(generate).unwrap().uncarried, ["suffix", "template", "context", "raw"]);
}

#[test]
fn what_changes_nothing_counts_as_nothing() {
    let bodies = [
        "{}",
        r#"{"model":"m","messages":null,"tools":null,"stream":null,"format":null,"think":null,"options":null}"#,
        r#"{"messages":[],"tools":[],"stream":true,"format":"","keep_alive":null,"logprobs":false,"top_logprobs":0}"#,
        r#"{"truncate":false,"shift":true,"options":{"numa":true,"num_batch":1,"num_gpu":99,"use_mmap":null}}"#,
        r#"{"options":{"num_predict":-1,"frequency_penalty":0,"presence_penalty":0.0,"repeat_penalty":1.0,"stop":[]}}"#,
        r#"{"options":{"mirostat":0,"tfs_z":1,"typical_p":1.0,"num_predict":-2,"num_ctx":0,"stop":""}}"#,
    ];
    let request = ChatRequest { stream: true, include_usage: true, ..ChatRequest::default() };
    for body in bodies {
        assert_eq!(decode_request(body), Ok(Decoded { request: request.clone(), ..Decoded::default() }), "{body}");
    }
    let bodies =
        ["{}", r#"{"model":"m","prompt":"","system":"a","context":[ ],"raw":false,"suffix":"","template":""}"#];
    for body in bodies {
        assert_eq!(decode_generate(body), Ok(Decoded { request: request.clone(), ..Decoded::default() }), "{body}");
    }
}

#[test]
fn a_prompt_is_a_conversation() {
    let body =
        r#"{"prompt":"a","system":"b","images":["AA=="],"stream":false,"options":{"num_predict":5.0},"think":true}"#;
    let Decoded { request, uncarried, .. } = decode_generate(body).unwrap();
    assert_eq!((request.max_tokens, request.stream, uncarried), (Some(5), false, vec![]));
    assert_eq!(request.messages[0], Message::text(Role::System, "b"));
    assert_eq!((request.messages[1].role, request.messages[1].parts.len()), (Role::User, 2));
    let reply = decode_reply(REPLIES[3].1.as_bytes()).unwrap();
    let said: serde_json::Value = serde_json::from_slice(&encode_generate_reply(&reply, &label())).unwrap();
    assert_eq!((&said["response"], &said["thinking"]), (&"Hello.".into(), &"The user greets.".into()));
    assert_eq!((&said["created_at"], &said["eval_count"]), (&"2023-11-14T22:13:20Z".into(), &9.into()));
}

#[test]
fn calls_without_ids_are_numbered_over_the_conversation() {
    let body = r#"{"messages":[
        {"role":"assistant","tool_calls":[
            {"type":"function","function":{"name":"f","arguments":null,"index":0}},{"function":{"name":"g"}}]},
        {"role":"tool","content":"a","tool_name":"g"},
        {"role":"TOOL","content":"b"}]}"#;
    let messages = decode_request(body).unwrap().request.messages;
    let ids = messages.iter().flat_map(|message| &message.parts).map(|part| match part {
        Part::ToolCall { id, .. } | Part::ToolResult { id, .. } => id.as_str(),
        other => panic!("{other:?}"),
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["call_0", "call_1", "call_1", "call_0"]);
}

#[test]
fn what_ollama_cannot_be_asked_for_is_refused_by_name() {
    let media = |kind, source| Part::Media(Media { kind, source, detail: None, name: None });
    let address = || Source::Url("https://a.example/b".to_owned());
    let tool = Tool { name: "f".to_owned(), description: None, parameters: None, strict: Some(true) };
    let request = ChatRequest {
        messages: vec![Message {
            role: Role::User,
            parts: vec![media(MediaKind::Image, address()), media(MediaKind::Audio, address())],
        }],
        tools: vec![tool],
        tool_choice: Some(ToolChoice::Named("f".to_owned())),
        parallel_tool_calls: Some(false),
        max_tokens: Some(0),
        ..ChatRequest::default()
    };
    let refused = encode_request(&request, "m").unwrap_err().0;
    let names = [
        "tool_choice: a tool by its name",
        "parallel_tool_calls",
        "max_tokens: 0",
        "messages[0]: image by URL",
        "messages[0]: audio",
    ];
    assert_eq!(refused, names);
}

#[test]
fn how_much_to_think_is_put_into_three_words() {
    let think = |effort, budget_tokens| {
        let reasoning = Some(Reasoning { effort, budget_tokens });
        let body = encode_request(&ChatRequest { reasoning, ..ChatRequest::default() }, "m").unwrap();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["think"].clone()
    };
    assert_eq!(think(Some(Effort::Minimal), None), "low");
    assert_eq!(think(Some(Effort::Max), None), "high");
    assert_eq!(think(Some(Effort::None), Some(5)), false);
    assert_eq!(think(Some(Effort::Adaptive), None), true);
    let budgets = [(1, "low"), (2048, "low"), (2049, "medium"), (8192, "medium"), (8193, "high"), (u64::MAX, "high")];
    for (budget, word) in budgets {
        assert_eq!(think(None, Some(budget)), word, "{budget}");
    }
    assert_eq!(think(None, Some(0)), false);
    assert!(think(None, None).is_null());
}

#[test]
fn servers_may_leave_out_and_add() {
    let sparse = br#"{"message":{"content":null,"tool_calls":null},"done":true,"prompt_eval_count":null,"x":[{}]}"#;
    let expected = ChatReply { finish: Some(Finish::Stop), ..ChatReply::default() };
    assert_eq!(decode_reply(sparse), Ok(expected));
    let text = br#"{"message":{"tool_calls":[{"id":7,"function":{"name":"f","arguments":"{\"a\":1}"}}]},"done":true}"#;
    let reply = decode_reply(text).unwrap();
    let called = ReplyPart::ToolCall { id: String::new(), name: "f".to_owned(), arguments: "{\"a\":1}".to_owned() };
    assert_eq!((reply.parts, reply.finish), (vec![called], Some(Finish::ToolCalls)));
    for body in [&b""[..], b"{}", b"[1]", b"\xff", br#"{"message":"a"}"#, br#"{"message":{"tool_calls":[{}]}}"#] {
        assert!(decode_reply(body).is_err());
    }
    let mut decoder = Decoder::default();
    assert!(decoder.event(b"{\"done\":false}", &mut |_| ()).is_err());
    assert!(decoder.event(b"{\"done\":true}", &mut |_| ()).is_ok());
    assert!(decoder.is_complete());
}
