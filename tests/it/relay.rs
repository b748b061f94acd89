//! Requests and replies pass unchanged: what a backend gets is what the client sent, what the client gets is what the
//! backend sent, and only the name of the model may differ.

use crate::support::{Answer, FakeBackend, TestNode};

/// A body with everything that a parser and printer would change: order, spaces, escapes, numbers, fields nobody knows.
const ODD: &str = "{\n  \"zzz\" : [1e400, 1.0, -0.0, 12345678901234567890123, {\"b\":1,\"a\":2,\"a\":3}],\r\n\t\"messages\" \
    :[ {\"content\" :\"h\\u00e9 \\/ \\ud83d\\ude00 é😀 model\",\"role\":\"user\",\"cache_control\":{\"type\":\"ephemeral\"}},\
    {\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"t\",\"function\":{\"arguments\":\"{\\\"model\\\":\\\"x\\\"}\"}}]},\
    {\"role\":\"tool\",\"tool_call_id\":\"t\",\"content\":\"\"}],\n\"stop\":\"END\" , \"model\"  :  \"MODEL\" ,\"seed\":null,\
    \"metadata\":{\"model\":\"inner\"}}  \n";

/// F01, W25: bodies once went through types, which dropped what the types did not know.
#[tokio::test]
async fn a_request_reaches_the_backend_byte_for_byte() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let body = ODD.replace("MODEL", "m1");
    let reply = node.client().completions(body.clone()).whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = &backend.requests()[0];
    assert_eq!(seen.text(), body);
    assert_eq!(seen.path, "/v1/chat/completions");
    assert_eq!(seen.header("content-type"), Some("application/json"));
}

/// F07: only the value of `model` is rewritten; a `model` further in stays.
#[tokio::test]
async fn an_alias_rewrites_the_model_and_nothing_else() {
    let backend = FakeBackend::always(&["m1/über:7b"], Answer::says("hi")).await;
    let config = backend.entry("a", "") + "[routing.aliases]\ngpt-4 = 'm1/über:7b'\n";
    let node = TestNode::start(&config).await;
    let reply = node.client().completions(ODD.replace("MODEL", "gpt-4")).whole().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let seen = &backend.requests()[0];
    assert_eq!(seen.text(), ODD.replace("MODEL", "m1/über:7b"));
    assert_eq!(seen.header("content-length"), Some(seen.body.len().to_string().as_str()));
}

#[tokio::test]
async fn a_reply_reaches_the_client_byte_for_byte() {
    let odd = "\n {\"choices\" : [], \"n\":1e400,\"é\\u00e9\":\"\\/\", \"usage\":{ \"x\":1.0 } , \"choices\":7 }\n\n";
    let backend = FakeBackend::always(&["m1"], Answer::json(200, odd)).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let reply = node.chat("m1").await;
    assert_eq!((reply.status, reply.text()), (200, odd));
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("content-length"), Some(odd.len().to_string().as_str()));
}
