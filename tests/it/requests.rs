//! What clients are told of their own mistakes, every one in OpenAI's shape and as JSON.

use http::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Answer, FakeBackend, TestNode, chat};

const CLIENT: &str = "invalid_request_error";
const CHAT: &str = "/v1/chat/completions";

async fn one_backend() -> (FakeBackend, TestNode) {
    let backend = FakeBackend::always(&["m1", "b:2"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    (backend, node)
}

/// These were once told in plain text, with other statuses.
#[tokio::test]
async fn a_request_that_is_none_is_400() {
    let (backend, node) = one_backend().await;
    let cases = [
        ("", "empty"),
        ("{", "JSON"),
        (r#"{"model":"m1","messages":[}"#, "JSON"),
        ("[]", "object"),
        (r#"{"messages":[]}"#, "model"),
        (r#"{"model":"m1"}"#, "messages"),
        (r#"{"model":7,"messages":[]}"#, "model"),
        (r#"{"model":"","messages":[]}"#, "model"),
        (r#"{"model":"m1","messages":"hello"}"#, "messages"),
        (r#"{"model":"m1","messages":[],"stream":"yes"}"#, "stream"),
        (r#"{"model":"m1","model":"m2","messages":[]}"#, "model"),
    ];
    for (body, names) in cases {
        let error = node.client().post(CHAT, body).whole().await.error(400, "bad_request", CLIENT);
        assert!(error["message"].as_str().is_some_and(|message| message.contains(names)), "{body}: {error}");
        assert!(error["param"].is_null(), "{body}: {error}");
    }
    let not_text = node.client().post(CHAT, &b"{\"model\":\"m\xff\",\"messages\":[]}"[..]).whole().await;
    not_text.error(400, "bad_request", CLIENT);
    let content_type = node.client().completions(chat("m1")).header("content-type", "text/plain").whole().await;
    content_type.error(400, "bad_request", CLIENT);
    let deep = format!(r#"{{"model":"m1","messages":[],"x":{}{}}}"#, "[".repeat(50_000), "]".repeat(50_000));
    let deep = node.client().completions(deep).whole().await;
    assert!(deep.status == 400 || deep.status == 200, "no depth kills a node: {}", deep.status);
    assert_eq!(node.get("/health").await.status, 200);
    assert!(backend.calls() <= 1);
}

/// `"stop":"END"` was once refused.
#[tokio::test]
async fn what_openai_allows_is_no_mistake() {
    let (backend, node) = one_backend().await;
    for extra in [r#""stop":"END""#, r#""stop":["a","b"]"#, r#""stream":null"#, r#""stream":false"#, r#""tools":[]"#] {
        let reply = node.client().completions(chat("m1").replacen('{', &format!("{{{extra},"), 1)).whole().await;
        assert_eq!(reply.status, 200, "{extra}: {}", reply.text());
    }
    let charset = node.client().completions(chat("m1")).header("content-type", "application/json; charset=utf-8");
    assert_eq!(charset.whole().await.status, 200);
    assert_eq!(backend.calls(), 6);
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405_in_the_same_shape() {
    let (_backend, node) = one_backend().await;
    for path in ["/nothing", "/v1", "/v1/nothing", "/v2/chat/completions", "/v1/chat/completions/"] {
        node.client().call(Method::PUT, path, "").whole().await.error(404, "not_found", CLIENT);
    }
    for (method, path) in [(Method::GET, CHAT), (Method::DELETE, "/health"), (Method::POST, "/v1/models")] {
        let reply = node.client().call(method, path, "").whole().await;
        assert_eq!((reply.status, reply.header("content-type")), (405, Some("application/json")), "{path}");
        assert_eq!(reply.json()["error"]["type"], CLIENT);
    }
}

/// The limit was once 2 MB, whatever the figure said.
#[tokio::test]
async fn ten_megabytes_pass_and_one_byte_more_is_413() {
    const LIMIT: usize = 10 << 20;
    let (backend, node) = one_backend().await;
    let sized = |size: usize| {
        let frame = r#"{"model":"m1","messages":[{"role":"user","content":""}]}"#;
        frame.replace(r#"content":""#, &format!(r#"content":"{}"#, "a".repeat(size - frame.len())))
    };
    for size in [3 << 20, LIMIT] {
        let reply = node.client().completions(sized(size)).whole().await;
        assert_eq!(reply.status, 200, "{size}: {}", reply.text());
        assert_eq!(backend.requests().last().map(|request| request.body.len()), Some(size));
    }
    for size in [LIMIT + 1, 11_000_000] {
        let error = node.client().completions(sized(size)).whole().await.error(413, "request_too_large", CLIENT);
        assert!(error["message"].as_str().is_some_and(|message| message.contains("max_body_mb")), "{error}");
    }
    assert_eq!(backend.calls(), 2);
}

#[tokio::test]
async fn a_body_that_does_not_tell_its_size_is_limited_all_the_same() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&(backend.entry("a", "") + "[server]\nmax_body_mb = 1\n")).await;
    let mut stream = tokio::net::TcpStream::connect(node.address).await.expect("the node listens");
    let head = format!(
        "POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.expect("sent");
    let chunk = [b"40000\r\n".to_vec(), vec![b' '; 0x40000], b"\r\n".to_vec()].concat();
    for _ in 0..5 {
        // The node may answer and close before all is sent.
        if stream.write_all(&chunk).await.is_err() {
            break;
        }
    }
    let mut reply = [0; 12];
    crate::support::soon("the reply", stream.read_exact(&mut reply)).await.expect("a reply");
    assert_eq!(&reply, b"HTTP/1.1 413");
    assert_eq!(backend.calls(), 0);
}

/// An unknown model once waited 30 s in a queue before it was 503.
#[tokio::test]
async fn an_unknown_model_is_404_at_once_and_names_what_there_is() {
    let (backend, node) = one_backend().await;
    let started = tokio::time::Instant::now();
    for path in [CHAT, "/v1/completions", "/v1/embeddings"] {
        let body = r#"{"model":"nope","messages":[],"prompt":"x","input":"x"}"#;
        let error = node.client().post(path, body).whole().await.error(404, "model_not_found", CLIENT);
        assert_eq!(error["message"], "Model 'nope' not found. Available: b:2, m1", "{path}");
        assert_eq!(error["param"], "model");
    }
    let streamed = node.client().completions(crate::support::stream("nope")).whole().await;
    streamed.error(404, "model_not_found", CLIENT);
    assert!(started.elapsed().as_secs() < 2);
    assert_eq!(backend.calls(), 0);
    let empty = TestNode::start("").await;
    let error = empty.chat("x").await.error(404, "model_not_found", CLIENT);
    assert_eq!(error["message"], "Model 'x' not found. No models available");
}

/// A name of many bytes once panicked where it was shortened, and the connection dropped.
#[tokio::test]
async fn no_name_of_a_model_kills_a_node() {
    let (_backend, node) = one_backend().await;
    let names =
        [format!("a{}", "é".repeat(200)), "x".repeat(100_000), "\\u0000\\n\\u202e".to_owned(), "{}%s".to_owned()];
    for name in names {
        node.chat(&name).await.error(404, "model_not_found", CLIENT);
    }
}

#[tokio::test]
async fn embeddings_have_bounds() {
    let (backend, node) = one_backend().await;
    let with = |input: &str| node.client().post("/v1/embeddings", format!(r#"{{"model":"m1","input":{input}}}"#));
    let many = |count: usize| format!("[{}]", vec!["\"x\""; count].join(","));
    for input in ["[]", &many(2049)] {
        with(input).whole().await.error(400, "bad_request", CLIENT);
    }
    assert_eq!(backend.calls(), 0);
    assert_eq!(with(&many(2048)).whole().await.status, 200);
    assert_eq!(with("\"one\"").whole().await.status, 200);
}
