//! Whatever the canonical form holds and this dialect can say is read back as it was.

use proptest::prelude::*;

use super::*;

/// The body that asks `request`, as a client would write it.
fn written(request: &ChatRequest) -> Value {
    let tools: Vec<Value> = request.tools.iter().map(tool).collect();
    let mut body = json!({
        "model": "m",
        "input": request.messages.iter().flat_map(items).collect::<Vec<_>>(),
        "stream": request.stream,
        "tools": tools,
        "max_output_tokens": request.max_tokens,
        "temperature": request.sampling.temperature,
        "parallel_tool_calls": request.parallel_tool_calls,
        "user": request.user,
    });
    if let Some(effort) = request.reasoning.as_ref().and_then(|reasoning| reasoning.effort) {
        body["reasoning"] = json!({ "effort": effort.as_str() });
    }
    if let Some(choice) = &request.tool_choice {
        body["tool_choice"] = match choice {
            ToolChoice::Auto => json!("auto"),
            ToolChoice::None => json!("none"),
            ToolChoice::Required => json!("required"),
            ToolChoice::Named(name) => json!({ "type": "function", "name": name }),
        };
    }
    body
}

fn tool(tool: &Tool) -> Value {
    let parameters = tool.parameters.as_ref().map(Json::to_value);
    json!({
        "type": "function", "name": tool.name, "description": tool.description, "parameters": parameters,
        "strict": tool.strict
    })
}

fn items(message: &Message) -> Vec<Value> {
    let role = match message.role {
        Role::System => "developer",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "",
    };
    if matches!(message.role, Role::System | Role::User) {
        let content: Vec<Value> = message.parts.iter().map(part).collect();
        return vec![json!({ "type": "message", "role": role, "content": content })];
    }
    let item = |piece: &Part| match piece {
        Part::ToolCall { id, name, arguments } => {
            json!({ "type": "function_call", "call_id": id, "name": name, "arguments": arguments.get() })
        }
        Part::ToolResult { id, content, .. } => {
            let output: Vec<Value> = content.iter().map(part).collect();
            json!({ "type": "function_call_output", "call_id": id, "output": output })
        }
        Part::Reasoning { text, signature } => {
            let summary = json!([{ "type": "summary_text", "text": text }]);
            json!({ "type": "reasoning", "summary": summary, "encrypted_content": signature.as_ref().map(|signature| format!("nexus1.{signature}")) })
        }
        piece => json!({ "role": role, "content": [part(piece)] }),
    };
    message.parts.iter().map(item).collect()
}

fn part(part: &Part) -> Value {
    match part {
        Part::Text(text) => json!({ "type": "input_text", "text": text }),
        Part::Refusal(text) => json!({ "type": "refusal", "refusal": text }),
        Part::Media(Media { source: Source::Url(url), detail, .. }) => {
            json!({ "type": "input_image", "image_url": url, "detail": detail })
        }
        Part::Media(Media { source: Source::Data { media_type, data }, detail, .. }) => {
            json!({ "type": "input_image", "image_url": format!("data:{media_type};base64,{data}"), "detail": detail })
        }
        other => panic!("{other:?}"),
    }
}

fn words() -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(vec!['a', 'z', 'ë', '🙂', '"', '\\', '\n', ' ']), 1..12)
        .prop_map(|letters| letters.into_iter().collect())
}

fn picture() -> impl Strategy<Value = Part> {
    let here = Source::Data { media_type: "image/png".to_owned(), data: "iVBORw0KGgo=".to_owned() };
    let sources = prop_oneof![Just(here), Just(Source::Url("https://example.com/a".to_owned()))];
    let details = prop::option::of(prop_oneof![Just("low".to_owned()), Just("high".to_owned())]);
    (sources, details)
        .prop_map(|(source, detail)| Part::Media(Media { kind: MediaKind::Image, source, detail, name: None }))
}

fn shown() -> impl Strategy<Value = Vec<Part>> {
    prop::collection::vec(prop_oneof![words().prop_map(Part::Text), picture()], 1..4)
}

fn thought() -> impl Strategy<Value = Part> {
    (words(), prop::option::of(words())).prop_map(|(text, signature)| Part::Reasoning { text, signature })
}

/// What one side says, then what the model does, then what came of its calls.
fn exchange(turn: usize) -> impl Strategy<Value = Vec<Message>> {
    let spoken = prop_oneof![words().prop_map(Part::Text), words().prop_map(Part::Refusal), thought()];
    let role = prop_oneof![Just(Role::User), Just(Role::System)];
    let calls = prop::collection::vec((words(), prop::option::of(shown())), 0..3);
    (role, shown(), prop::collection::vec(spoken, 1..4), calls).prop_map(move |(role, parts, mut done, calls)| {
        let mut results = Vec::new();
        for (at, (name, content)) in calls.into_iter().enumerate() {
            let id = format!("call_{turn}_{at}");
            let arguments = Json::from(&json!({ "a": name }));
            done.push(Part::ToolCall { id: id.clone(), name, arguments });
            let content = content.unwrap_or_else(|| vec![Part::Text(String::new())]);
            let parts = vec![Part::ToolResult { id, content, is_error: false }];
            results.push(Message { role: Role::Tool, parts });
        }
        let mut all = vec![Message { role, parts }, Message { role: Role::Assistant, parts: done }];
        all.append(&mut results);
        all
    })
}

prop_compose! {
    fn asked()(
        exchanges in (exchange(0), exchange(1)),
        names in prop::collection::vec(words(), 0..3),
        strict in prop::option::of(Just(true)),
        choice in prop::option::of(prop_oneof![
            Just(ToolChoice::Auto), Just(ToolChoice::None), Just(ToolChoice::Required),
            words().prop_map(ToolChoice::Named)
        ]),
        max_tokens in prop::option::of(0_u64..1_000_000),
        temperature in prop::option::of(prop_oneof![Just(0.0), Just(0.7), Just(2.0)]),
        effort in prop::option::of(prop_oneof![Just(Effort::None), Just(Effort::Low), Just(Effort::Max)]),
        user in prop::option::of(words()),
        (stream, one_by_one) in any::<(bool, bool)>(),
    ) -> ChatRequest {
        let parameters = Some(Json::from(&json!({ "type": "object" })));
        let tool = |name| Tool { name, description: None, parameters: parameters.clone(), strict };
        let tools: Vec<Tool> = names.into_iter().map(tool).collect();
        let has_tools = !tools.is_empty();
        ChatRequest {
            messages: [exchanges.0, exchanges.1].concat(),
            tool_choice: choice.filter(|choice| has_tools || !matches!(choice, ToolChoice::Auto | ToolChoice::None)),
            parallel_tool_calls: (has_tools && one_by_one).then_some(false),
            tools,
            max_tokens,
            sampling: Sampling { temperature, ..Sampling::default() },
            reasoning: effort.map(|effort| Reasoning { effort: Some(effort), budget_tokens: None }),
            stream,
            include_usage: stream,
            user,
            ..ChatRequest::default()
        }
    }
}

proptest! {
    #[test]
    fn what_is_asked_is_what_is_read(request in asked()) {
        prop_assert_eq!(carried(&written(&request).to_string()), request);
    }
}
