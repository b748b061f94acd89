//! Requests and replies pass unchanged: what a backend gets is what the client sent, what the client gets is what the
//! backend sent, and only the name of the model may differ.

use crate::support::{Answer, FakeBackend, Plan, TestNode, chat};

/// A body with everything that a parser and printer would change: order, spaces, escapes, numbers, fields nobody knows.
const ODD: &str = "{\n  \"zzz\" : [1e400, 1.0, -0.0, 12345678901234567890123, {\"b\":1,\"a\":2,\"a\":3}],\r\n\t\"messages\" \
    :[ {\"content\" :\"h\\u00e9 \\/ \\ud83d\\ude00 é😀 model\",\"role\":\"user\",\"cache_control\":{\"type\":\"ephemeral\"}},\
    {\"role\":\"assistant\",\"tool_calls\":[{\"id\":\"t\",\"function\":{\"arguments\":\"{\\\"model\\\":\\\"x\\\"}\"}}]},\
    {\"role\":\"tool\",\"tool_call_id\":\"t\",\"content\":\"\"}],\n\"stop\":\"END\" , \"model\"  :  \"MODEL\" ,\"seed\":null,\
    \"metadata\":{\"model\":\"inner\"}}  \n";

/// Bodies once went through types, which dropped what the types did not know.
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

/// Only the value of `model` is rewritten; a `model` further in stays.
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
}

/// The other endpoints are relayed to their namesakes, embeddings not folded into another shape.
#[tokio::test]
async fn completions_and_embeddings_pass_unchanged() {
    let odd = "{ \"data\" : [ ], \"usage\" : { \"prompt_tokens\" : 3.0 } }";
    let backend = FakeBackend::always(&["m1"], Answer::json(200, odd)).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let bodies = [
        ("/v1/completions", "{ \"prompt\" : [\"a\", \"b\"], \"model\":\"m1\", \"x\" : 1.0 }"),
        ("/v1/embeddings", "{\"input\" : [[1, 2], [3]] , \"model\":\"m1\",\"dimensions\": 7}"),
    ];
    for (number, (path, body)) in bodies.into_iter().enumerate() {
        let reply = node.client().post(path, body).whole().await;
        assert_eq!((reply.status, reply.text()), (200, odd), "{path}");
        assert_eq!(reply.header("x-nexus-backend"), Some("a"), "{path}");
        let seen = &backend.requests()[number];
        assert_eq!((seen.path.as_str(), seen.text()), (path, body));
    }
}

/// No messages is for the backend to judge.
#[tokio::test]
async fn an_empty_list_of_messages_is_forwarded() {
    let backend = FakeBackend::always(&["m1"], Answer::says("")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let reply = node.client().completions(r#"{"model":"m1","messages":[]}"#).whole().await;
    assert_eq!((reply.status, backend.calls()), (200, 1));
}

/// What a reply says of its way, on success, on a backend's error and on a stream alike.
#[tokio::test]
async fn every_reply_of_a_backend_says_where_it_came_from() {
    let backend = FakeBackend::script(&["m1"], |request| match request.json() {
        body if body["stream"] == true => Answer::stream(["data: {}\n\n", "data: [DONE]\n\n"]),
        body if body["max_tokens"] == -1 => Answer::json(422, r#"{"error":{"message":"no"}}"#),
        _ => Answer::says("hi"),
    })
    .await;
    let node = TestNode::start(&(backend.entry("a", "") + "[mesh]\npeer_name = 'box'\n")).await;
    let asked = [
        (chat("m1"), 200),
        (chat("m1").replace("\"model\"", "\"max_tokens\":-1,\"model\""), 422),
        (chat("m1").replace("\"model\"", "\"stream\":true,\"model\""), 200),
    ];
    for (body, status) in asked {
        let reply = node.client().completions(body).whole().await;
        assert_eq!(reply.status, status);
        for (name, value) in [
            ("x-nexus-backend", "a"),
            ("x-nexus-backend-type", "local"),
            ("x-nexus-route-reason", "capability-match"),
            ("x-nexus-privacy-zone", "restricted"),
            ("x-nexus-peer", "box"),
            ("x-nexus-hops", "0"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{name} of {status}");
        }
        for name in ["x-nexus-cost-estimated", "x-nexus-fallback-model", "x-nexus-rejection-reasons"] {
            assert_eq!(reply.header(name), None, "{name} of {status}");
        }
        assert!(reply.header("x-request-id").is_some_and(|id| id.starts_with("req-") && id.len() == 30));
    }
}

#[tokio::test]
async fn a_request_keeps_the_id_that_its_client_gave_it() {
    let backend = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let reply = node.client().completions(chat("m1")).header("x-request-id", "mine-7").whole().await;
    assert_eq!(reply.header("x-request-id"), Some("mine-7"));
    assert_eq!(backend.requests()[0].header("x-request-id"), Some("mine-7"));
    let missing = node.client().completions(chat("nope")).header("x-request-id", "mine-8").whole().await;
    assert_eq!(missing.header("x-request-id"), Some("mine-8"), "on an error, too");
    let unfit = node.client().completions(chat("m1")).header("x-request-id", &"x".repeat(500)).whole().await;
    assert!(unfit.header("x-request-id").is_some_and(|id| id.starts_with("req-")), "not just any text");
}

/// A configured key wins over the client's; without one the client's goes to backends the operator named.
#[tokio::test]
async fn keys_go_where_they_belong() {
    let cloud = FakeBackend::always(&["m1"], Answer::says("hi")).await;
    let local = FakeBackend::always(&["m2"], Answer::says("hi")).await;
    let closed = FakeBackend::always(&["m3"], Answer::says("hi")).await;
    let config = cloud.entry("cloud", "type = 'openai'\napi_key_env = 'CLOUD_KEY'")
        + &local.entry("local", "")
        + &closed.entry("closed", "forward_client_auth = false");
    let node = Plan::new(&config).variable("CLOUD_KEY", "sk-own").start().await;
    for model in ["m1", "m2", "m3"] {
        let call = node.client().completions(chat(model)).header("authorization", "Bearer not-needed");
        assert_eq!(call.header("cookie", "session=1").whole().await.status, 200);
    }
    let key = |backend: &FakeBackend| backend.requests()[0].header("authorization").map(str::to_owned);
    assert_eq!(key(&cloud).as_deref(), Some("Bearer sk-own"));
    assert_eq!(key(&local).as_deref(), Some("Bearer not-needed"));
    assert_eq!(key(&closed), None);
    assert!(local.requests()[0].header("cookie").is_none(), "cookies are between client and node");
    let reply = node.chat("m1").await;
    assert_eq!(reply.header("x-nexus-backend-type"), Some("cloud"));
    assert_eq!(reply.header("x-nexus-privacy-zone"), Some("open"));
}

#[tokio::test]
async fn headers_of_a_backend_that_speak_to_clients_pass_and_others_do_not() {
    let answer = Answer::says("hi")
        .header("x-ratelimit-remaining-tokens", "7")
        .header("openai-processing-ms", "12")
        .header("set-cookie", "a=b")
        .header("server", "somebody")
        .header("x-nexus-backend", "liar");
    let backend = FakeBackend::always(&["m1"], answer).await;
    let node = TestNode::start(&backend.entry("a", "")).await;
    let reply = node.chat("m1").await;
    assert_eq!(reply.header("x-ratelimit-remaining-tokens"), Some("7"));
    assert_eq!(reply.header("openai-processing-ms"), Some("12"));
    assert_eq!((reply.header("set-cookie"), reply.header("server")), (None, None));
    assert_eq!(reply.header("x-nexus-backend"), Some("a"));
}
