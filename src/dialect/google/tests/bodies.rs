//! Bodies as clients of all kinds write them, good and bad.

use serde_json::{Value, json};

use crate::dialect::chat::{
    ChatRequest, Decoded, Effort, Json, Media, MediaKind, Message, Part, Reasoning, Role, Sampling, Source, ToolChoice,
};
use crate::dialect::google::{decode_request, encode_request};
use crate::dialect::inspect::BadRequest;

fn read(body: &Value) -> Decoded {
    decode_request(&body.to_string(), false).expect("a request")
}

fn said(contents: &Value) -> Vec<Message> {
    read(&json!({ "contents": contents })).request.messages
}

fn configured(config: &Value) -> Decoded {
    read(&json!({ "contents": [{ "parts": [{ "text": "hi" }] }], "generationConfig": config }))
}

#[test]
fn snake_case_and_lists_of_one_are_read() {
    let body = json!({
        "system_instruction": { "parts": { "text": "Be terse." } },
        "contents": { "parts": [{ "text": "hi" }, { "inline_data": { "mime_type": "audio/wav", "data": "-_-_" } }] },
        "tools": { "function_declarations": { "name": "f" } },
        "tool_config": { "function_calling_config": { "mode": "any", "allowed_function_names": ["f"] } },
        "generation_config": {
            "max_output_tokens": "64", "top_k": 40.0, "frequency_penalty": 0, "thinking_config": { "thinking_level": "LOW" }
        },
        "safety_settings": [], "cached_content": null
    });
    let read = read(&body);
    assert_eq!(read.uncarried, Vec::<String>::new());
    let request = read.request;
    assert_eq!(request.messages[0], Message::text(Role::System, "Be terse."));
    let Part::Media(Media { kind: MediaKind::Audio, source: Source::Data { data, .. }, .. }) =
        &request.messages[1].parts[1]
    else {
        panic!("no audio");
    };
    assert_eq!(data, "+/+/");
    assert_eq!(request.tools[0].name, "f");
    assert_eq!(request.tool_choice, Some(ToolChoice::Named("f".to_owned())));
    assert_eq!(request.max_tokens, Some(64));
    assert_eq!(request.sampling, Sampling { top_k: Some(40), ..Sampling::default() });
    assert_eq!(request.reasoning, Some(Reasoning { effort: Some(Effort::Low), budget_tokens: None }));
}

#[test]
fn results_are_texts() {
    let call = json!({ "role": "model", "parts": [{ "functionCall": { "name": "f" } }] });
    let cases = [
        (json!({ "output": "a" }), "a", false),
        (json!({ "result": "a" }), "a", false),
        (json!({ "error": "a" }), "a", true),
        (json!({}), "{}", false),
        (json!({ "output": 1 }), "{\"output\":1}", false),
        (json!({ "output": "a", "more": 1 }), "{\"output\":\"a\",\"more\":1}", false),
        (json!({ "temperature": 18 }), "{\"temperature\":18}", false),
    ];
    for (response, text, is_error) in cases {
        let result = json!({ "parts": [{ "functionResponse": { "name": "f", "response": response } }] });
        let content = vec![Part::Text(text.to_owned())];
        let wanted = Part::ToolResult { id: "call_0".to_owned(), content, is_error };
        assert_eq!(said(&json!([call, result]))[1].parts, [wanted]);
    }
}

#[test]
fn results_stand_before_what_is_said_beside_them() {
    let messages = said(&json!([
        { "role": "model", "parts": [{ "functionCall": { "name": "f" } }, { "functionCall": { "name": "g" } }] },
        { "role": "user", "parts": [
            { "text": "Look:" },
            { "functionResponse": { "name": "g", "response": { "output": "1" } } },
            { "functionResponse": { "name": "f", "response": { "output": "2" } } }
        ] }
    ]));
    let ids = |part: &Part| match part {
        Part::ToolResult { id, .. } => id.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        messages.iter().map(|message| message.role).collect::<Vec<_>>(),
        [Role::Assistant, Role::Tool, Role::Tool, Role::User]
    );
    assert_eq!([ids(&messages[1].parts[0]), ids(&messages[2].parts[0])], ["call_1", "call_0"]);
}

#[test]
fn chunks_that_a_client_kept_are_one_message() {
    let model = |part: Value| json!({ "role": "model", "parts": [part] });
    let messages = said(&json!([
        { "role": "user", "parts": [{ "text": "hi" }] },
        model(json!({ "text": "hm", "thought": true })),
        model(json!({ "text": "!", "thought": true })),
        model(json!({ "text": "", "thought": true, "thoughtSignature": "-_-_" })),
        model(json!({ "text": "Hel" })),
        model(json!({ "text": "lo" })),
        model(json!({ "functionCall": { "name": "f", "args": { "x": 1 } }, "thoughtSignature": "AAAA" })),
        model(json!({ "text": "", "thoughtSignature": "AAAA" }))
    ]));
    let arguments = Json::parse("{\"x\":1}").expect("JSON");
    let parts = vec![
        Part::Reasoning { text: "hm!".to_owned(), signature: Some("+/+/".to_owned()) },
        Part::Text("Hello".to_owned()),
        Part::ToolCall { id: "call_0".to_owned(), name: "f".to_owned(), arguments },
    ];
    assert_eq!(messages[1..], [Message { role: Role::Assistant, parts }]);
}

#[test]
fn what_no_other_dialect_has_is_named() {
    let cases = [
        (json!({ "candidateCount": 2 }), vec!["generationConfig.candidateCount"]),
        (
            json!({ "responseLogprobs": true, "logprobs": 3 }),
            vec!["generationConfig.responseLogprobs", "generationConfig.logprobs"],
        ),
        (json!({ "responseModalities": ["TEXT", "IMAGE"] }), vec!["generationConfig.responseModalities"]),
        (json!({ "speechConfig": {} }), vec!["generationConfig.speechConfig"]),
        (json!({ "responseMimeType": "text/x.enum" }), vec!["generationConfig.responseMimeType"]),
        (json!({ "candidateCount": 1, "responseLogprobs": false, "responseModalities": ["TEXT"] }), vec![]),
        (json!({ "mediaResolution": "MEDIA_RESOLUTION_LOW", "speechConfig": null, "stopSequences": [] }), vec![]),
    ];
    for (config, wanted) in cases {
        assert_eq!(configured(&config).uncarried, wanted, "{config}");
    }
    let body = json!({
        "contents": [{ "role": "model", "parts": [{ "executableCode": {} }] }, { "parts": [{ "text": "hi" }] }],
        "tools": [{ "googleSearch": {} }, { "newTool": {} }],
        "toolConfig": { "functionCallingConfig": { "mode": "ANY", "allowedFunctionNames": ["a", "b"] } },
        "cachedContent": "cachedContents/1", "novelty": 1
    });
    let mut uncarried = read(&body).uncarried;
    uncarried.sort();
    assert_eq!(
        uncarried,
        [
            "cachedContent",
            "contents[0].parts[0].executableCode",
            "novelty",
            "toolConfig.functionCallingConfig.allowedFunctionNames",
            "tools[0].googleSearch",
            "tools[1].newTool",
        ]
    );
}

#[test]
fn thinking_is_read() {
    let told = |config: Value| configured(&json!({ "thinkingConfig": config })).request.reasoning;
    let effort = |effort| Some(Reasoning { effort: Some(effort), budget_tokens: None });
    assert_eq!(told(json!({ "thinkingBudget": -1 })), effort(Effort::Adaptive));
    assert_eq!(told(json!({ "thinkingBudget": 0 })), effort(Effort::None));
    assert_eq!(told(json!({ "thinkingBudget": 9 })), Some(Reasoning { effort: None, budget_tokens: Some(9) }));
    assert_eq!(told(json!({ "thinkingLevel": "high" })), effort(Effort::High));
    assert_eq!(told(json!({ "includeThoughts": true })), None);
}

#[test]
fn bad_bodies_are_told_where_they_are_wrong() {
    let part = |part: Value| json!({ "contents": [{ "parts": [part] }] });
    let model = |part: Value| json!({ "contents": [{ "role": "model", "parts": [part] }] });
    let config = |config: Value| json!({ "contents": [{ "parts": [{ "text": "" }] }], "generationConfig": config });
    let cases = [
        (json!({ "contents": [{ "role": "secret", "parts": [{ "text": "" }] }] }), "contents[0].role"),
        (json!({ "contents": [{ "parts": [] }] }), "contents[0].parts"),
        (part(json!({})), "contents[0].parts[0]"),
        (part(json!({ "text": "secret", "functionCall": { "name": "f" } })), "contents[0].parts[0]"),
        (part(json!({ "functionCall": { "name": "f" } })), "contents[0].parts[0]"),
        (part(json!({ "text": "secret", "thought": true })), "contents[0].parts[0]"),
        (part(json!({ "inlineData": { "data": "AAAA" } })), "contents[0].parts[0].inlineData.mimeType"),
        (
            part(json!({ "inlineData": { "mimeType": "image/png", "data": "secret!" } })),
            "contents[0].parts[0].inlineData.data",
        ),
        (part(json!({ "fileData": { "fileUri": "data:image/png,secret" } })), "contents[0].parts[0].fileData.fileUri"),
        (part(json!({ "functionResponse": { "name": "f", "response": {} } })), "contents[0].parts[0].functionResponse"),
        (model(json!({ "functionCall": {} })), "contents[0].parts[0].functionCall.name"),
        (model(json!({ "functionCall": { "name": "f", "args": [] } })), "contents[0].parts[0].functionCall.args"),
        (model(json!({ "functionResponse": { "name": "f", "response": {} } })), "contents[0].parts[0]"),
        (config(json!({ "topK": "secret" })), "generationConfig.topK"),
        (config(json!({ "topK": -1 })), "generationConfig.topK"),
        (config(json!({ "temperature": "secret" })), "generationConfig.temperature"),
        (
            config(json!({ "thinkingConfig": { "thinkingBudget": -2 } })),
            "generationConfig.thinkingConfig.thinkingBudget",
        ),
        (
            config(json!({ "thinkingConfig": { "thinkingLevel": "secret" } })),
            "generationConfig.thinkingConfig.thinkingLevel",
        ),
        (config(json!({ "responseSchema": 1 })), "generationConfig.responseJsonSchema"),
    ];
    for (body, wanted) in cases {
        let error = decode_request(&body.to_string(), false).expect_err("no request");
        let BadRequest::Value { path, problem } = &error else { panic!("{error:?}") };
        assert_eq!(path, wanted);
        assert!(!problem.contains("secret"), "{problem}");
    }
    for body in ["{}", r#"{"contents":[]}"#, r#"{"contents":null}"#] {
        assert!(matches!(decode_request(body, false), Err(BadRequest::Missing { field: "contents", .. })), "{body}");
    }
    assert!(matches!(decode_request("{", false), Err(BadRequest::Syntax { .. })));
}

#[test]
fn what_cannot_be_said_is_refused_by_name() {
    let result = Part::ToolResult { id: "x".to_owned(), content: Vec::new(), is_error: false };
    let request = ChatRequest {
        messages: vec![
            Message::text(Role::User, "hi"),
            Message::text(Role::System, "Be terse."),
            Message { role: Role::Tool, parts: vec![result] },
        ],
        parallel_tool_calls: Some(false),
        sampling: Sampling { min_p: Some(0.1), repeat_penalty: Some(1.1), seed: Some(1 << 40), ..Sampling::default() },
        stop: vec!["x".to_owned(); 6],
        context_length: Some(4096),
        ..ChatRequest::default()
    };
    assert_eq!(
        encode_request(&request, "m").expect_err("not sayable").0,
        [
            "min_p",
            "repeat_penalty",
            "parallel_tool_calls",
            "context_length",
            "seed: beyond 32 bits",
            "stop: more than 5 texts",
            "messages[1]: instructions after the conversation has begun",
            "messages[2]: tool result without its call",
        ]
    );
}

#[test]
fn effort_becomes_a_budget() {
    let written = |effort| {
        let request = ChatRequest {
            messages: vec![Message::text(Role::User, "hi")],
            reasoning: Some(Reasoning { effort: Some(effort), budget_tokens: None }),
            ..ChatRequest::default()
        };
        let body = encode_request(&request, "m").expect("a body");
        serde_json::from_slice::<Value>(&body).expect("JSON")["generationConfig"]["thinkingConfig"].clone()
    };
    assert_eq!(written(Effort::High), json!({ "thinkingBudget": 16384, "includeThoughts": true }));
    assert_eq!(written(Effort::Adaptive), json!({ "thinkingBudget": -1, "includeThoughts": true }));
    assert_eq!(written(Effort::None), json!({ "thinkingBudget": 0 }));
}
