//! Two models on a backend that has room for one of them.

use std::sync::Mutex;

use super::*;
use crate::exchange::full;
use crate::fleet::Residency;

/// An engine that keeps one model in memory, and loads another in 2 s.
#[derive(Default)]
struct Narrow(Mutex<(Option<String>, u32)>);

impl Narrow {
    fn loaded(&self) -> Option<String> {
        self.0.lock().expect("no panic").0.clone()
    }

    fn loads(&self) -> u32 {
        self.0.lock().expect("no panic").1
    }
}

impl HttpExchange for Arc<Narrow> {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        let engine = self.clone();
        Box::pin(async move {
            let body = request.into_body().collect().await.expect("in memory").to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
            let wanted = body["model"].as_str().map(str::to_owned);
            if engine.loaded() != wanted {
                tokio::time::sleep(Duration::from_secs(2)).await;
                let mut state = engine.0.lock().expect("no panic");
                state.1 += u32::from(state.0 != wanted);
                state.0 = wanted;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            Ok(http::Response::new(full(r#"{"choices":[]}"#)))
        })
    }
}

/// What checks find, which follow each load.
async fn checks(engine: &Narrow, registry: &Registry) {
    let entry = registry.snapshot().get("b").expect("there").clone();
    loop {
        let loaded = engine.loaded();
        let model = |id: &str| {
            let residency = if loaded.as_deref() == Some(id) { Residency::Loaded } else { Residency::Unloaded };
            Arc::new(Model { residency, ..Model::named(id) })
        };
        let models = vec![model("m"), model("n")];
        let checked_at = Some(Instant::now());
        registry.update(&entry, Condition { status: Status::Healthy, models, checked_at, ..Condition::default() });
        tokio::select! {
            () = entry.check_now.notified() => {}
            () = tokio::time::sleep(Duration::from_secs(30)) => {}
        }
    }
}

/// Asks for `model` again and again. The longest that it took.
async fn client(gateway: &Arc<Gateway>, model: &str, until: Instant) -> Duration {
    let mut longest = Duration::ZERO;
    while Instant::now() < until {
        let began = Instant::now();
        let body = format!(r#"{{"model":"{model}","messages":[]}}"#);
        let reply = gateway.clone().handle(request(body)).await;
        assert_eq!(reply.status(), 200);
        reply.into_body().collect().await.expect("a whole answer");
        longest = longest.max(began.elapsed());
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    longest
}

/// Two clients in turns once had their models loaded for every single request.
#[tokio::test(start_paused = true)]
async fn two_models_that_push_each_other_out_take_turns_of_half_a_minute() {
    let engine = Arc::new(Narrow::default());
    let (gateway, registry) = gateway_to(Arc::new(engine.clone()), &["b"]);
    let until = Instant::now() + Duration::from_secs(600);
    let clients = async { tokio::join!(client(&gateway, "m", until), client(&gateway, "n", until)) };
    let longest = tokio::select! {
        biased;
        () = checks(&engine, &registry) => unreachable!("they do not end"),
        longest = clients => longest,
    };
    // Three until it is known that there is no room for both; and whoever has waited for as long as it may goes first.
    assert!(engine.loads() <= 600 / 25 + 3, "{} loads in 600 s", engine.loads());
    assert!(longest.0.max(longest.1) < Duration::from_secs(40), "nobody starves: {longest:?}");
}
