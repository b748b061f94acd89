use std::io;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::env::{Announcement, Exchange, Mdns, RealDisk, RealNet, Seed, Tasks, WallClock};
use crate::fleet::Status;

/// Multicast whose sightings a test writes.
#[derive(Default)]
struct Script(Mutex<Option<mpsc::Sender<Sighting>>>);

impl Mdns for Script {
    fn open(&self, _: &[String], _: &[Announcement]) -> io::Result<Sightings> {
        let (sender, events) = mpsc::channel(16);
        *self.0.lock().expect("no panic") = Some(sender);
        Ok(Sightings { events, guard: Box::new(()) })
    }
}

impl Script {
    async fn say(&self, sighting: Sighting) {
        let sender = self.0.lock().expect("no panic").clone().expect("opened");
        sender.send(sighting).await.expect("listening");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn seen() -> Sighting {
    Sighting::Seen {
        service: "_llm._tcp.local.".to_owned(),
        instance: "Box._llm._tcp.local.".to_owned(),
        port: 8080,
        addresses: vec!["10.9.8.7".parse().expect("literal")],
        txt: Default::default(),
    }
}

fn gone() -> Sighting {
    Sighting::Gone { service: "_llm._tcp.local.".to_owned(), instance: "Box._llm._tcp.local.".to_owned() }
}

#[tokio::test(start_paused = true)]
async fn a_backend_comes_goes_quiet_returns_and_is_forgotten() {
    let script = Arc::new(Script::default());
    let net: Arc<dyn crate::env::Net> = Arc::new(RealNet);
    let env = Env {
        http: Arc::new(Exchange::new(net.clone(), Duration::from_secs(1))),
        net,
        mdns: script.clone(),
        clock: Arc::new(WallClock),
        seed: Seed::fixed(1),
        disk: Arc::new(RealDisk),
        tasks: Tasks::new(),
    };
    let registry = Arc::new(Registry::new(Vec::new()));
    let config = Config { local_ports: Vec::new(), ..Config::default() };
    let (_herald, ours) = watch::channel(None);
    let _peers = start(config, &registry, &env, 8000, ours);
    tokio::time::sleep(Duration::from_millis(1)).await;

    script.say(seen()).await;
    script.say(seen()).await;
    let entry = registry.snapshot().get("Box").cloned().expect("found once");
    assert_eq!(registry.snapshot().entries.len(), 1);

    script.say(gone()).await;
    assert!(entry.is_withdrawn());
    assert_eq!(entry.condition().status, Status::Unknown);
    tokio::time::sleep(Duration::from_secs(59)).await;
    script.say(seen()).await;
    assert!(!entry.is_withdrawn(), "back within the grace period");
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(registry.snapshot().entries.len(), 1, "kept");

    script.say(gone()).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(registry.snapshot().entries.is_empty(), "forgotten after the grace period");
}
