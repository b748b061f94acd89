//! Backends that speak only OpenAI's chat completions, asked in every dialect.

use serde_json::json;

use super::{completion, questions, stream_of};
use crate::mesh;
use crate::support::{Answer, FakeBackend, TestNode};

#[tokio::test]
async fn every_dialect_is_answered_in_its_own_shape_here_and_one_hop_away() {
    let backend = FakeBackend::always(&["m1"], completion("héé 😀")).await;
    let (near, far) = mesh::pair("", &backend.entry("gpu", ""), "m1").await;
    for (node, hops) in [(&far, "0"), (&near, "1")] {
        for (dialect, call, place) in questions(node, "m1") {
            let reply = call.whole().await;
            assert_eq!(reply.status, 200, "{dialect}: {}", reply.text());
            assert_eq!(reply.json().pointer(place), Some(&json!("héé 😀")), "{dialect}: {}", reply.text());
            assert_eq!(reply.header("x-nexus-hops"), Some(hops), "{dialect}");
            let sent = backend.requests().pop().expect("it was asked");
            assert_eq!((sent.path.as_str(), sent.json()["model"].as_str()), ("/v1/chat/completions", Some("m1")));
            assert_eq!(sent.json()["messages"][0], json!({"role": "user", "content": "hello"}), "{dialect}");
        }
    }
}

#[tokio::test]
async fn every_stream_is_told_in_its_own_framing_and_ends_properly() {
    let backend = FakeBackend::always(&["m1"], stream_of(&["h\u{e9}", "llo"])).await;
    let (near, _far) = mesh::pair("", &backend.entry("gpu", ""), "m1").await;
    let said = json!([{"role": "user", "content": "hello"}]);
    let contents = json!({"contents": [{"parts": [{"text": "hello"}]}]}).to_string();
    for (path, body, content_type, ends) in [
        (
            "/v1/messages",
            json!({"model": "m1", "max_tokens": 9, "stream": true, "messages": said}).to_string(),
            "text/event-stream",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ),
        (
            "/v1/responses",
            json!({"model": "m1", "input": "hello", "stream": true}).to_string(),
            "text/event-stream",
            "}\n\n",
        ),
        ("/api/chat", json!({"model": "m1", "messages": said}).to_string(), "application/x-ndjson", "}\n"),
        ("/api/generate", json!({"model": "m1", "prompt": "hello"}).to_string(), "application/x-ndjson", "}\n"),
        ("/v1beta/models/m1:streamGenerateContent?alt=sse", contents.clone(), "text/event-stream", "}\n\n"),
        ("/v1beta/models/m1:streamGenerateContent", contents, "application/json", "]"),
    ] {
        let reply = near.client().post(path, body).whole().await;
        assert_eq!((reply.status, reply.broken), (200, false), "{path}: {}", reply.text());
        assert_eq!(reply.header("content-type"), Some(content_type), "{path}");
        assert!(reply.text().trim_end_matches('\n').ends_with(ends.trim_end_matches('\n')), "{path}: {}", reply.text());
        assert!(reply.text().contains("h\u{e9}") && reply.text().contains("llo"), "{path}: {}", reply.text());
        assert!(!reply.text().contains("event: error") && !reply.text().contains("\"error\":{"), "{path}");
        let sent = backend.requests().pop().expect("it was asked").json();
        assert_eq!(
            (sent["stream"].clone(), sent["stream_options"]["include_usage"].clone()),
            (true.into(), true.into())
        );
    }
}

#[tokio::test]
async fn what_another_dialect_has_no_word_for_is_refused_by_name_before_anything_is_sent() {
    let backend = FakeBackend::always(&["m1"], completion("x")).await;
    let (near, far) = mesh::pair("", &backend.entry("gpu", ""), "m1").await;
    let body = json!({
        "model": "m1", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}],
        "mcp_servers": [{"type": "url"}],
    });
    for node in [&near, &far] {
        let reply = node.client().post("/v1/messages", body.to_string()).whole().await;
        assert_eq!(reply.status, 400, "{}", reply.text());
        let told = reply.json();
        assert_eq!(
            (told["type"].as_str(), told["error"]["type"].as_str()),
            (Some("error"), Some("invalid_request_error"))
        );
        assert_eq!(told["error"]["code"], "unsupported_parameter");
        assert_eq!(told["error"]["context"]["unsupported"], json!(["mcp_servers"]));
        assert!(told["error"]["message"].as_str().is_some_and(|message| message.contains("mcp_servers")), "{told}");
    }
    assert_eq!(backend.calls(), 0);
}

/// A request that only some backends can be asked goes to those.
#[tokio::test]
async fn whoever_speaks_the_dialect_is_asked_what_others_cannot_be() {
    let plain = FakeBackend::always(&["m1"], completion("x")).await;
    let native = FakeBackend::always(&["m1"], Answer::json(200, r#"{"type":"message","content":[]}"#)).await;
    let (first, second) = (plain.entry("plain", "priority = 1"), native.entry("native", "type = 'vllm'\npriority = 9"));
    let node = TestNode::start(&format!("[routing]\nstrategy = 'priority_only'\n{first}{second}")).await;
    let body = r#"{"model":"m1","max_tokens":9,"messages":[],"mcp_servers":[{"type":"url"}]}"#;
    let reply = node.client().post("/v1/messages", body).whole().await;
    assert_eq!((reply.status, reply.header("x-nexus-backend")), (200, Some("native")), "{}", reply.text());
    assert_eq!(native.requests()[0].text(), body, "as it came");
    assert_eq!(plain.calls(), 0);
}

/// Older servers of a kind lack what newer ones have.
#[tokio::test]
async fn an_endpoint_that_is_not_there_is_asked_for_once() {
    let backend = FakeBackend::script(&["m1"], |request| match request.path.as_str() {
        "/v1/messages" => Answer::json(404, r#"{"detail":"Not Found"}"#),
        _ => completion("x"),
    })
    .await;
    let node = TestNode::start(&backend.entry("gpu", "type = 'vllm'")).await;
    let body = r#"{"model":"m1","max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#;
    for _ in 0..2 {
        let reply = node.client().post("/v1/messages", body).whole().await;
        assert_eq!((reply.status, reply.json()["content"][0]["text"].as_str()), (200, Some("x")));
    }
    let paths: Vec<String> = backend.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/v1/messages", "/v1/chat/completions", "/v1/chat/completions"]);
}

#[tokio::test]
async fn errors_of_the_backend_are_told_in_the_clients_shape() {
    let error = r#"{"object":"error","message":"too long","type":"BadRequestError","code":400}"#;
    let backend = FakeBackend::always(&["m1"], Answer::json(400, error)).await;
    let node = TestNode::start(&backend.entry("gpu", "")).await;
    for (dialect, call, _) in questions(&node, "m1") {
        let reply = call.whole().await;
        assert_eq!(reply.status, 400, "{dialect}");
        let told = reply.json();
        let message = match dialect {
            "openai" => &told["message"],
            "ollama" => &told["error"],
            _ => &told["error"]["message"],
        };
        assert_eq!(message, "too long", "{dialect}: {told}");
    }
    assert_eq!(backend.calls(), 5, "a client's mistake is not tried again");
}

#[tokio::test]
async fn a_stream_that_breaks_off_or_fails_ends_with_an_error_of_the_dialect() {
    let backend = FakeBackend::script(&["cut", "fails", "garbled"], |request| {
        let begins = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\n";
        match request.json()["model"].as_str() {
            Some("cut") => Answer::stream([begins]).then_cut(),
            Some("fails") => Answer::stream([begins, "data: {\"error\":{\"message\":\"out of memory\"}}\n\n"]),
            _ => Answer::stream([begins, "data: {\"choices\": 7}\n\n", "data: [DONE]\n\n"]),
        }
    })
    .await;
    let (near, _far) = mesh::pair("", &backend.entry("gpu", ""), "cut").await;
    for model in ["cut", "fails", "garbled"] {
        let said = json!([{"role": "user", "content": "x"}]);
        for (path, body, tells) in [
            (
                "/v1/messages".to_owned(),
                json!({"model": model, "max_tokens": 9, "stream": true, "messages": said}),
                "event: error\ndata: {\"type\":\"error\",",
            ),
            ("/v1/responses".to_owned(), json!({"model": model, "input": "x", "stream": true}), "event: error\ndata: "),
            ("/api/chat".to_owned(), json!({"model": model, "messages": said}), "{\"error\":\""),
            (
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
                json!({"contents": [{"parts": [{"text": "x"}]}]}),
                "data: {\"error\":{\"code\":502",
            ),
        ] {
            let reply = near.client().post(&path, body.to_string()).whole().await;
            let (text, place) = (reply.text(), format!("{path} {model}"));
            assert_eq!((reply.status, reply.broken, text.matches(tells).count()), (200, false, 1), "{place}: {text}");
            assert_eq!(text.contains("out of memory"), model == "fails", "{place}: {text}");
            assert!(!text.contains("message_stop") && !text.contains("response.completed"), "{place}: {text}");
        }
    }
}

#[tokio::test]
async fn tokens_are_estimated_where_the_backend_cannot_count() {
    let backend = FakeBackend::always(&["m1"], completion("x")).await;
    let (near, _far) = mesh::pair("", &backend.entry("gpu", ""), "m1").await;
    let text = "x".repeat(400);
    let anthropic = json!({"model": "m1", "messages": [{"role": "user", "content": text}]});
    let reply = near.client().post("/v1/messages/count_tokens", anthropic.to_string()).whole().await;
    assert_eq!((reply.status, reply.json()["input_tokens"].as_u64()), (200, Some(100)));
    assert_eq!(reply.header("x-nexus-token-count"), Some("estimated"));
    let contents = json!({"contents": [{"parts": [{"text": text}]}]});
    for body in [contents.clone(), json!({"generateContentRequest": contents})] {
        let reply = near.client().post("/v1beta/models/m1:countTokens", body.to_string()).whole().await;
        assert_eq!(reply.json()["totalTokens"].as_u64(), Some(100), "{}", reply.text());
    }
    assert_eq!(backend.calls(), 0);
}

#[tokio::test]
async fn what_no_backend_of_the_model_has_is_501_and_names_those_that_would() {
    let backend = FakeBackend::always(&["m1"], completion("x")).await;
    let (near, _far) = mesh::pair("", &backend.entry("gpu", "type = 'ollama'"), "m1").await;
    let reply = near.client().post("/v1/images/generations", r#"{"model":"m1","prompt":"x"}"#).whole().await;
    let error = reply.error(501, "not_implemented", "invalid_request_error");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("openai, generic")), "{error}");
}

#[tokio::test]
async fn a_form_is_relayed_with_the_model_put_in_place() {
    let backend = FakeBackend::always(&["whisper"], Answer::json(200, r#"{"text":"hi"}"#)).await;
    let aliases = "[routing.aliases]\nears = 'whisper'\n";
    let node = TestNode::start(&format!("{aliases}{}", backend.entry("gpu", ""))).await;
    let form = |model: &str| {
        format!(
            "--xyz\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n{model}\r\n\
             --xyz\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\r\nRIFF\0\r\n--xyz--\r\n"
        )
    };
    let call = node.client().post("/v1/audio/transcriptions", form("ears"));
    let reply = call.header("content-type", "multipart/form-data; boundary=xyz").whole().await;
    assert_eq!((reply.status, reply.text()), (200, r#"{"text":"hi"}"#));
    let sent = backend.requests().pop().expect("it was asked");
    assert_eq!(sent.text(), form("whisper"));
    assert_eq!(sent.header("content-type"), Some("multipart/form-data; boundary=xyz"));
}

/// Only in its own dialect can Ollama be told how to load a model.
#[tokio::test]
async fn ollama_is_told_how_to_load_whatever_its_client_speaks() {
    let answer =
        json!({"model": "m1", "message": {"role": "assistant", "content": "hi"}, "done": true, "done_reason": "stop"});
    let backend = FakeBackend::always(&["m1"], Answer::json(200, answer.to_string())).await;
    let wishes = "type = 'ollama'\ncontext_length = 16384\nkeep_alive = '30m'";
    let node = TestNode::start(&backend.entry("mac", wishes)).await;
    let asks = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];
    for path in asks {
        let body = match path {
            "/v1/responses" => json!({"model": "m1", "input": "x"}),
            _ => json!({"model": "m1", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}),
        };
        let reply = node.client().post(path, body.to_string()).whole().await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        assert!(reply.text().contains("hi"), "{path}: {}", reply.text());
        let sent = backend.requests().pop().expect("it was asked");
        assert_eq!(sent.path, "/api/chat", "{path}");
        assert_eq!(
            (sent.json()["options"]["num_ctx"].as_u64(), sent.json()["keep_alive"].as_str()),
            (Some(16384), Some("30m"))
        );
    }
}
