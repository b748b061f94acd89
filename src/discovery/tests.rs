use std::io;
use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::env::{Announcement, Exchange, Mdns, RealDisk, RealNet, Seed, Tasks, WallClock};
use crate::fleet::{Kind, Source, Status, Zone};

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
    announced("Box", "10.9.8.7", 8080, &[])
}

fn announced(label: &str, address: &str, port: u16, txt: &[(&str, &str)]) -> Sighting {
    Sighting::Seen {
        service: "_llm._tcp.local.".to_owned(),
        instance: format!("{label}._llm._tcp.local."),
        port,
        addresses: vec![address.parse().expect("literal")],
        txt: txt.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
    }
}

fn gone() -> Sighting {
    Sighting::Gone { service: "_llm._tcp.local.".to_owned(), instance: "Box._llm._tcp.local.".to_owned() }
}

/// A search that hears nothing but what the script says.
struct World {
    script: Arc<Script>,
    registry: Arc<Registry>,
    _herald: watch::Sender<Option<Herald>>,
    _peers: mpsc::Receiver<PeerSeen>,
    _env: Env,
}

impl World {
    async fn new(config: Config) -> Self {
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
        let (herald, ours) = watch::channel(None);
        let config = Config { local_ports: Vec::new(), ..config };
        let peers = start(config, &registry, &env, 8000, ours);
        tokio::time::sleep(Duration::from_millis(1)).await;
        World { script, registry, _herald: herald, _peers: peers, _env: env }
    }

    fn names(&self) -> Vec<String> {
        self.registry.snapshot().entries.iter().map(|entry| entry.spec.name.clone()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_backend_comes_goes_quiet_returns_and_is_forgotten() {
    let world = World::new(Config::default()).await;
    let World { script, registry, .. } = &world;
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

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_announced_elsewhere_is_used_there() {
    let world = World::new(Config { trusted_hosts: vec!["10.9.8.9".to_owned()], ..Config::default() }).await;
    for (sighting, url, kind, zone) in [
        (seen(), "http://10.9.8.7:8080/", Kind::Generic, Zone::Open),
        (announced("Box", "10.9.8.8", 8080, &[]), "http://10.9.8.8:8080/", Kind::Generic, Zone::Open),
        (announced("Box", "10.9.8.8", 9090, &[]), "http://10.9.8.8:9090/", Kind::Generic, Zone::Open),
        (announced("Box", "10.9.8.8", 9090, &[("type", "vllm")]), "http://10.9.8.8:9090/", Kind::Vllm, Zone::Open),
        (
            announced("Box", "10.9.8.9", 9090, &[("type", "vllm")]),
            "http://10.9.8.9:9090/",
            Kind::Vllm,
            Zone::Restricted,
        ),
    ] {
        let before = world.registry.snapshot().get("Box").cloned();
        world.script.say(sighting.clone()).await;
        let entry = world.registry.snapshot().get("Box").cloned().expect("there");
        assert_eq!((entry.spec.url.as_str(), entry.spec.kind, entry.spec.zone), (url, kind, zone));
        assert!(before.is_none_or(|before| before.gone.is_cancelled()), "the old one is watched no more");
        world.script.say(sighting).await;
        assert!(world.registry.has(&entry), "the same once more changes nothing");
        assert_eq!(world.names(), ["Box"]);
    }
    world.script.say(gone()).await;
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert_eq!(world.names(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_somebody_added_by_hand_is_not_forgotten_with_what_was_found() {
    let world = World::new(Config::default()).await;
    world.script.say(seen()).await;
    world.script.say(gone()).await;
    world.registry.remove("Box");
    let url = "http://10.1.1.1:1".parse().expect("literal");
    let by_hand = world.registry.add(BackendSpec::new("Box", url, Kind::Generic, Source::Manual)).expect("free");
    tokio::time::sleep(Duration::from_secs(61)).await;
    assert!(world.registry.has(&by_hand));
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_announcements_fills_nothing() {
    let world = World::new(Config::default()).await;
    for number in 0..200u16 {
        world.script.say(announced(&format!("flood{number}"), "10.9.8.7", 1000 + number, &[])).await;
    }
    assert_eq!(world.names().len(), MAX_FOUND);
    world.registry.remove("flood0");
    world.script.say(announced("late", "10.9.8.7", 9999, &[])).await;
    assert!(world.registry.snapshot().get("late").is_some(), "there is room again");
}
