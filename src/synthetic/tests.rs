use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::response::Response;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tower::ServiceExt;

use super::*;

fn quick() -> Options {
    Options { tokens_per_second: 0.0, ..Options::default() }
}

fn server(options: &Options) -> (Router, Arc<Service>) {
    let service = Arc::new(Service::new(options, 1_700_000_000));
    (routes::router(service.clone()), service)
}

fn ask(path: &str, body: &Value) -> Request<Body> {
    Request::post(path).body(Body::from(body.to_string())).unwrap()
}

fn chat(words: &str, more: Value) -> Request<Body> {
    let mut body = json!({"model": "synthetic", "messages": [{"role": "user", "content": words}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    ask("/v1/chat/completions", &body)
}

async fn text(response: Response) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn whole(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    (status, serde_json::from_str(&text(response).await).unwrap())
}

async fn frames(router: &Router, request: Request<Body>) -> Vec<Value> {
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let text = text(response).await;
    let mut frames: Vec<_> = text.strip_suffix("\n\n").unwrap().split("\n\n").collect();
    assert_eq!(frames.pop(), Some("data: [DONE]"));
    frames.into_iter().map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap()).collect()
}

/// Waits for something that another task is about to do.
async fn until(what: impl Fn() -> bool) {
    timeout(Duration::from_secs(5), async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .expect("it came about");
}

#[tokio::test]
async fn a_whole_reply_has_exactly_the_tokens_it_says() {
    let (router, _) = server(&quick());
    for (more, tokens, reason) in [(json!({}), 32, "stop"), (json!({"max_tokens": 5}), 5, "length")] {
        let (status, reply) = whole(&router, chat("three plain words", more)).await;
        let content = reply["choices"][0]["message"]["content"].as_str().unwrap();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(content.split(' ').count(), tokens);
        assert_eq!(reply["choices"][0]["finish_reason"], reason);
        let usage = json!({"prompt_tokens": 3, "completion_tokens": tokens, "total_tokens": 3 + tokens});
        assert_eq!(reply["usage"], usage);
        assert_eq!((&reply["model"], &reply["object"]), (&json!("synthetic"), &json!("chat.completion")));
    }
}

#[tokio::test]
async fn a_stream_says_what_the_whole_reply_says() {
    let (router, _) = server(&quick());
    let (_, reply) = whole(&router, chat("hello", json!({"max_tokens": 4}))).await;
    let more = json!({"max_tokens": 4, "stream": true, "stream_options": {"include_usage": true}});
    let frames = frames(&router, chat("hello", more)).await;
    let said: String = frames.iter().filter_map(|frame| frame["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(said, reply["choices"][0]["message"]["content"]);
    assert_eq!(frames.len(), 1 + 4 + 1 + 1);
    assert_eq!(frames[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(frames[5]["choices"][0], json!({"index": 0, "delta": {}, "finish_reason": "length"}));
    assert_eq!((&frames[6]["choices"], &frames[6]["usage"]), (&json!([]), &reply["usage"]));
    assert!(frames.iter().all(|frame| frame["id"] == reply["id"] && frame["object"] == "chat.completion.chunk"));
}

#[tokio::test]
async fn usage_comes_in_a_stream_only_when_asked_for() {
    let (router, _) = server(&quick());
    let frames = frames(&router, chat("hello", json!({"stream": true}))).await;
    assert!(frames.iter().all(|frame| frame.get("usage").is_none()));
}

#[tokio::test]
async fn a_plain_completion_streams_the_same_text() {
    let (router, _) = server(&quick());
    let body = |stream: bool| json!({"model": "synthetic", "prompt": "once upon", "max_tokens": 3, "stream": stream});
    let (_, reply) = whole(&router, ask("/v1/completions", &body(false))).await;
    let frames = frames(&router, ask("/v1/completions", &body(true))).await;
    let said: String = frames.iter().filter_map(|frame| frame["choices"][0]["text"].as_str()).collect();
    assert_eq!(reply["choices"][0]["text"], said);
    assert_eq!((&reply["object"], &reply["usage"]["total_tokens"]), (&json!("text_completion"), &json!(5)));
    assert!(frames.iter().all(|frame| frame["object"] == "text_completion"));
}

#[tokio::test]
async fn a_name_that_needs_escaping_stays_a_name() {
    let name = "a \"quoted\" \u{2028} </script>";
    let (router, _) = server(&Options { models: vec![name.to_owned()], ..quick() });
    let body = json!({"model": name, "messages": [], "stream": true, "max_tokens": 1});
    for frame in frames(&router, ask("/v1/chat/completions", &body)).await {
        assert_eq!(frame["model"], name);
    }
}

#[tokio::test]
async fn embeddings_come_in_order_with_usage() {
    let (router, _) = server(&quick());
    let body = json!({"model": "synthetic", "input": ["one", "two words"], "dimensions": 3});
    let (_, reply) = whole(&router, ask("/v1/embeddings", &body)).await;
    assert_eq!((&reply["data"][0]["index"], &reply["data"][1]["index"]), (&json!(0), &json!(1)));
    assert_eq!(reply["data"][1]["embedding"].as_array().unwrap().len(), 3);
    assert_eq!(reply["usage"], json!({"prompt_tokens": 3, "total_tokens": 3}));
}

#[tokio::test]
async fn what_is_refused_is_refused_in_the_shape_of_openai() {
    let (router, service) = server(&quick());
    let other = json!({"model": "other", "messages": []});
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    for (request, status, code) in [
        (ask("/v1/chat/completions", &other), 404, "model_not_found"),
        (ask("/v1/embeddings", &json!({"model": "other", "input": "a"})), 404, "model_not_found"),
        (ask("/v1/chat/completions", &json!([])), 400, "bad_request"),
        (get("/v1/nothing"), 404, "not_found"),
        (get("/v1/chat/completions"), 405, "method_not_allowed"),
    ] {
        let (answered, reply) = whole(&router, request).await;
        assert_eq!((answered.as_u16(), reply["error"]["code"].as_str()), (status, Some(code)));
        assert!(reply["error"]["message"].is_string() && reply["error"]["type"].is_string());
    }
    assert_eq!(service.slots.stats().requests, 0);
}

#[tokio::test]
async fn it_says_what_it_is_and_does_not_pass_for_llama_cpp() {
    let (router, _) = server(&Options { slots: 2, ..quick() });
    let get = |path: &str| whole(&router, Request::get(path).body(Body::empty()).unwrap());
    assert_eq!(get("/health").await.1, json!({"status": "synthetic"}));
    let (_, models) = get("/v1/models").await;
    assert_eq!((&models["data"][0]["id"], &models["data"][0]["max_model_len"]), (&json!("synthetic"), &json!(131_072)));
    let slot = |id: u32| json!({"id": id, "n_ctx": 131_072, "is_processing": false});
    assert_eq!(get("/slots").await.1, json!([slot(0), slot(1)]));
}

#[tokio::test(start_paused = true)]
async fn tokens_come_at_the_speed_that_was_asked_for() {
    let options = Options { tokens_per_second: 10.0, prefill_per_second: 100.0, ..Options::default() };
    let (router, _) = server(&options);
    let prompt = "word ".repeat(50);
    let begin = Instant::now();
    let since = || (begin.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    let stream = router.clone().oneshot(chat(&prompt, json!({"stream": true, "max_tokens": 10}))).await.unwrap();
    assert_eq!(since(), 0.5, "the head comes with the first chunk");
    let mut body = stream.into_body();
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        frame.unwrap();
        seen.push(since());
    }
    let mut due = vec![0.5];
    due.extend((1..=10).map(|token| 0.5 + f64::from(token) / 10.0));
    due.extend([1.5, 1.5]);
    assert_eq!(seen, due);

    let (again, _) = (Instant::now(), whole(&router, chat(&prompt, json!({"max_tokens": 10}))).await);
    assert_eq!(again.elapsed().as_millis().div_ceil(10), 150);
}

#[tokio::test(start_paused = true)]
async fn the_head_may_come_first() {
    let options = Options { prefill_per_second: 1.0, head_first: true, ..quick() };
    let (router, service) = server(&options);
    let begin = Instant::now();
    let stream = router.oneshot(chat("two words", json!({"stream": true}))).await.unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(service.slots.stats().waiting, 1);
    text(stream).await;
    assert_eq!(begin.elapsed().as_secs(), 2);
}

#[tokio::test]
async fn chunks_that_are_ready_leave_one_by_one() {
    let (router, _) = server(&quick());
    let mut body = router.oneshot(chat("hello", json!({"stream": true}))).await.unwrap().into_body();
    assert!(body.frame().now_or_never().is_some());
    assert!(body.frame().now_or_never().is_none(), "the writer gets its turn between two chunks");
    assert!(body.frame().await.is_some());
}

#[tokio::test(start_paused = true)]
async fn slots_are_given_in_the_order_of_asking() {
    let (router, service) = server(&Options { slots: 1, tokens_per_second: 10.0, ..Options::default() });
    let begin = Instant::now();
    let run = |tokens: u32| {
        let router = router.clone();
        async move {
            whole(&router, chat("hello", json!({"max_tokens": tokens}))).await;
            begin.elapsed().as_secs()
        }
    };
    assert_eq!(tokio::join!(run(20), run(10), run(30)), (2, 3, 6));
    let stats = Stats { requests: 3, in_flight: 0, waiting: 0, peak: 1, cancelled: 0 };
    assert_eq!(service.slots.stats(), stats);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_gives_the_slot_or_the_place_in_the_queue_back() {
    let (router, service) = server(&Options { slots: 1, tokens_per_second: 1.0, ..Options::default() });
    let running = router.clone().oneshot(chat("hello", json!({"stream": true}))).await.unwrap();
    let waiting = router.clone().oneshot(chat("hello", json!({})));
    assert!(timeout(Duration::from_millis(10), waiting).await.is_err());
    assert_eq!(service.slots.stats(), Stats { requests: 2, in_flight: 1, waiting: 0, peak: 1, cancelled: 1 });
    assert_eq!(service.slots.busy(), [true]);
    drop(running);
    assert_eq!(service.slots.stats(), Stats { requests: 2, in_flight: 0, waiting: 0, peak: 1, cancelled: 2 });
    assert_eq!(service.slots.busy(), [false]);
}

#[tokio::test]
async fn the_slot_is_free_when_the_end_of_the_stream_is_seen() {
    let (router, service) = server(&quick());
    let mut body = router.oneshot(chat("hello", json!({"stream": true}))).await.unwrap().into_body();
    loop {
        let chunk = body.frame().await.unwrap().unwrap().into_data().unwrap();
        if chunk == "data: [DONE]\n\n" {
            break;
        }
        assert_eq!(service.slots.stats().in_flight, 1);
    }
    assert_eq!((service.slots.stats().in_flight, service.slots.stats().cancelled), (0, 0));
}

#[tokio::test]
async fn a_client_that_hangs_up_frees_the_slot() {
    let synthetic = start(Options { tokens_per_second: 0.1, ..Options::default() }, &Env::real()).await.unwrap();
    for stream in [true, false] {
        let mut client = TcpStream::connect(synthetic.address()).await.unwrap();
        let body = json!({"model": "synthetic", "messages": [], "stream": stream}).to_string();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        client.write_all((head + &body).as_bytes()).await.unwrap();
        until(|| synthetic.stats().in_flight == 1).await;
        drop(client);
        until(|| synthetic.stats().in_flight == 0).await;
    }
    assert_eq!(synthetic.stats().cancelled, 2);
}

#[tokio::test]
async fn stopping_closes_the_port_and_what_is_connected() {
    let env = Env::real();
    let synthetic = start(quick(), &env).await.unwrap();
    let address = synthetic.address();
    assert_eq!(synthetic.url(), format!("http://{address}"));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut buffer = [0; 1024];
    assert!(client.read(&mut buffer).await.unwrap() > 0);
    synthetic.stop().await;
    assert_eq!(client.read(&mut buffer).await.unwrap_or(0), 0);
    assert!(TcpStream::connect(address).await.is_err());
    until(|| env.tasks.running().is_empty()).await;
}

#[tokio::test]
async fn a_taken_port_is_an_error() {
    let env = Env::real();
    let first = start(quick(), &env).await.unwrap();
    let options = Options { port: first.address().port(), ..quick() };
    assert_eq!(start(options, &env).await.err().unwrap().kind(), io::ErrorKind::AddrInUse);
}
