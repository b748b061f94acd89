//! Engines that load and unload models when they are told to, and list what they have.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::{Answer, FakeBackend, model};

/// An engine with a memory.
pub(super) struct Engine {
    pub(super) backend: FakeBackend,
    kind: &'static str,
    memory: Arc<Memory>,
}

#[derive(Default)]
struct Memory {
    known: Mutex<Vec<String>>,
    loaded: Mutex<BTreeSet<String>>,
    orders: Mutex<Vec<(String, Value)>>,
    slow: AtomicBool,
}

impl Memory {
    fn told(&self, path: &str, order: Value) {
        self.orders.lock().expect("no panic").push((path.to_owned(), order));
    }

    fn loads(&self, model: &Value) {
        if !self.slow.load(Ordering::SeqCst) {
            self.loaded.lock().expect("no panic").insert(model.as_str().expect("a name").to_owned());
        }
    }

    fn unloads(&self, model: &Value) {
        self.loaded.lock().expect("no panic").remove(model.as_str().expect("a name"));
    }

    fn has(&self, model: &str) -> bool {
        self.loaded.lock().expect("no panic").contains(model)
    }

    /// Every model that it knows, each as `entry` says by whether it is loaded.
    fn list(&self, entry: impl Fn(&str, bool) -> Value) -> Vec<Value> {
        let known = self.known.lock().expect("no panic");
        known.iter().map(|name| entry(name, self.has(name))).collect()
    }
}

fn ok(body: &Value) -> Answer {
    Answer::json(200, body.to_string())
}

impl Engine {
    async fn new(kind: &'static str, models: &[&str], answer: Answer) -> Self {
        let memory = Arc::new(Memory::default());
        *memory.known.lock().expect("no panic") = models.iter().map(|name| (*name).to_owned()).collect();
        Engine { backend: FakeBackend::always(models, answer).await, kind, memory }
    }

    /// Ollama: its answer to an order comes at once, what it lists is its memory.
    pub(super) async fn ollama(models: &[&str]) -> Self {
        Self::ollama_saying(models, Answer::says("hi")).await
    }

    /// The same, which answers requests so.
    pub(super) async fn ollama_saying(models: &[&str], answer: Answer) -> Self {
        let engine = Self::new("ollama", models, answer).await;
        let memory = engine.memory.clone();
        engine.backend.does("/api/ps", move |_| {
            let loaded = memory.loaded.lock().expect("no panic");
            let list: Vec<Value> = loaded.iter().map(|name| json!({"name": name, "model": name})).collect();
            ok(&json!({ "models": list }))
        });
        let memory = engine.memory.clone();
        engine.backend.does("/api/generate", move |request| {
            let order = request.json();
            if order["keep_alive"] == 0 {
                memory.unloads(&order["model"])
            } else {
                memory.loads(&order["model"])
            }
            memory.told("/api/generate", order);
            ok(&json!({"response": "", "done": true}))
        });
        engine
    }

    /// llama.cpp as a router.
    pub(super) async fn llamacpp(models: &[&str]) -> Self {
        let engine = Self::new("llamacpp", models, Answer::says("hi")).await;
        engine.backend.says("/health", ok(&json!({"status": "ok"})));
        let memory = engine.memory.clone();
        engine.backend.does("/v1/models", move |_| {
            let word = |is_loaded| if is_loaded { "loaded" } else { "unloaded" };
            ok(&json!({"data": memory.list(|name, is_loaded| json!({"id": name, "status": {"value": word(is_loaded)}}))}))
        });
        engine.follows("/models/load", "model", true);
        engine.follows("/models/unload", "model", false);
        engine
    }

    /// LM Studio since 0.4.
    pub(super) async fn lmstudio(models: &[&str]) -> Self {
        let engine = Self::new("lmstudio", models, Answer::says("hi")).await;
        let memory = engine.memory.clone();
        engine.backend.does("/api/v1/models", move |_| {
            ok(&json!({"models": memory.list(|name, is_loaded| {
                let instances = if is_loaded { json!([{"id": name}]) } else { json!([]) };
                json!({"type": "llm", "key": name, "loaded_instances": instances})
            })}))
        });
        engine.follows("/api/v1/models/load", "model", true);
        engine.follows("/api/v1/models/unload", "instance_id", false);
        engine
    }

    fn follows(&self, path: &'static str, key: &'static str, is_load: bool) {
        let memory = self.memory.clone();
        self.backend.does(path, move |request| {
            let order = request.json();
            if is_load {
                memory.loads(&order[key])
            } else {
                memory.unloads(&order[key])
            }
            memory.told(path, order);
            ok(&json!({"success": true}))
        });
    }

    /// Its `[[backends]]` entry.
    pub(super) fn entry(&self, name: &str) -> String {
        self.backend.entry(name, &format!("type = '{}'", self.kind))
    }

    /// Whether it says yes to an order, and takes its time: see [`Engine::arrives`].
    pub(super) fn is_slow(&self, slow: bool) {
        self.memory.slow.store(slow, Ordering::SeqCst);
    }

    /// A model is in its memory from now on.
    pub(super) fn arrives(&self, name: &str) {
        self.memory.loaded.lock().expect("no panic").insert(name.to_owned());
    }

    /// It has one more model on its disk.
    pub(super) fn knows(&self, name: &str) {
        let mut known = self.memory.known.lock().expect("no panic");
        known.push(name.to_owned());
        self.backend.set_models(known.iter().map(|name| model(name)).collect());
    }

    /// What is in its memory.
    pub(super) fn loaded(&self) -> Vec<String> {
        self.memory.loaded.lock().expect("no panic").iter().cloned().collect()
    }

    /// What it was told at this path.
    pub(super) fn orders(&self, path: &str) -> Vec<Value> {
        let orders = self.memory.orders.lock().expect("no panic");
        orders.iter().filter(|(at, _)| at == path).map(|(_, order)| order.clone()).collect()
    }
}
