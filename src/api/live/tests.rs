//! What is told to those who fall behind, and where the hub itself does.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::Value;
use tokio::time::sleep;

use super::circle::{MOST_BEHIND, MOST_ENDS, TOGETHER, Told};
use super::socket::tests::{Near, ends, settle};
use super::*;
use crate::api::{Declined, Edit, Reloaded, Settings};
use crate::env::{Env, Seed};
use crate::exchange::{Endpoint, Origin, Request, RequestId};
use crate::fleet::{BackendSpec, Kind, Model, PeerId, Source as Found, Status};
use crate::gateway::Book;
use crate::gateway::testing::{hop, manner};
use crate::mesh::Membership;
use crate::registry::{Condition, Registry};
use crate::route::{self, Rules};

/// The settings of a peer without a file, which nobody asks for here.
struct NoFile;

impl Settings for NoFile {
    fn reload(&self, _: bool) -> Result<Reloaded, Declined> {
        Err(Declined::NoFile(String::new()))
    }

    fn routing(&self) -> (Arc<route::Config>, Option<String>) {
        Default::default()
    }

    fn overruled(&self, _: &Membership) -> Vec<String> {
        Vec::new()
    }

    fn rejected(&self) -> Option<String> {
        None
    }

    fn write(&self, _: Edit, _: Option<String>, _: bool) -> BoxFuture<'_, Result<Reloaded, Declined>> {
        async { Err(Declined::NoFile(String::new())) }.boxed()
    }
}

/// A peer that is followed, with one backend.
struct Scene {
    hub: Arc<Hub>,
    gateway: Arc<Gateway>,
    registry: Arc<Registry>,
}

impl Scene {
    fn new() -> Self {
        let env = Env { seed: Seed::fixed(1), ..Env::real() };
        let registry = Arc::new(Registry::new(Vec::new()));
        let url = "http://b:1".parse().expect("literal");
        registry.add(BackendSpec::new("b", url, Kind::Ollama, Found::Static)).expect("free");
        let rules = Rules::new(&route::Config::default()).expect("defaults");
        let gateway = Arc::new(Gateway::new(rules, manner(), registry.clone(), None, None, &env));
        let view = View {
            registry: registry.clone(),
            mesh: None,
            started: Instant::now(),
            created: 0,
            checks_health: true,
            treasury: None,
            name: "here".into(),
            settings: Arc::new(NoFile),
        };
        let watchers = Arc::new(Watchers::new(Default::default()));
        let hub = Arc::new(Hub::new(view, gateway.clone(), watchers, env.tasks.clone(), env.clock.as_ref()));
        let scene = Scene { hub, gateway, registry };
        scene.stands(Status::Healthy);
        scene
    }

    fn stands(&self, status: Status) {
        let entry = self.registry.snapshot().get("b").expect("there").clone();
        let (models, checked_at) = (vec![Arc::new(Model::named("m"))], Some(Instant::now()));
        self.registry.update(&entry, Condition { status, models, checked_at, ..Condition::default() });
    }

    /// A request ends that nobody can serve: by its model it is known again.
    async fn end(&self, number: usize, from: Option<&str>) {
        let request = Request {
            id: RequestId::from_bits(number as u128),
            endpoint: Endpoint::ChatCompletions,
            model: None,
            headers: HeaderMap::new(),
            body: format!(r#"{{"model":"no-{number}","messages":[]}}"#).into(),
            origin: from.map_or(Origin::Client, |from| Origin::Peer(Box::new(hop(from, &format!("no-{number}"))))),
            client: "c".into(),
            caller: None,
        };
        assert!(!self.gateway.clone().handle(request).await.status().is_success());
    }

    /// So many more end than can be held back, told as they do.
    async fn many_end(&self) {
        for number in 0..MANY {
            self.end(number, None).await;
            if number % 256 == 255 {
                sleep(TELL_EVERY).await;
            }
        }
    }

    /// `story`, while the client behind `near` follows.
    async fn followed(&self, near: Near, story: impl Future<Output = ()>) {
        tokio::select! {
            () = socket::serve(near, |since| self.hub.follow(Scope::Own, since), Default::default()) => panic!("let go"),
            () = story => {}
        }
    }
}

const MANY: usize = MOST_BEHIND * TOGETHER * 3 / 2;

/// By then everybody has been told what changed.
async fn a_look() {
    sleep(TELL_EVERY * (LOOK_EVERY as u32 + 1)).await;
}

/// The messages of what was told.
fn texts(told: &[Told]) -> impl Iterator<Item = &str> {
    told.iter().flat_map(|told| told.texts.iter().map(Utf8Bytes::as_str))
}

/// The ends among `messages`, by their numbers.
fn numbers<'a>(messages: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let number = |text: &str| {
        let told: Value = serde_json::from_str(text).expect("JSON");
        (told["update_type"] == "RequestComplete")
            .then(|| told["data"]["model"].as_str()?.strip_prefix("no-")?.parse().ok())
            .flatten()
    };
    messages.into_iter().filter_map(number).collect()
}

/// How the backend stands in the last of `messages` that says so, and how many do.
fn status<'a>(messages: impl IntoIterator<Item = &'a str>) -> (String, usize) {
    let told = messages.into_iter().map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    let told: Vec<Value> = told.filter(|told| told["update_type"] == "BackendStatus").collect();
    let last = told.last().and_then(|told| told["data"][0]["status"].as_str()).unwrap_or_default();
    (last.to_owned(), told.len())
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_is_given_how_everything_stands_and_the_last_ends() {
    let scene = Scene::new();
    let mut slow = scene.hub.follow(Scope::Own, None);
    assert_eq!(status(slow.now.iter().map(Utf8Bytes::as_str)).0, "Healthy");
    scene.many_end().await;
    scene.stands(Status::Unhealthy);
    a_look().await;
    assert!(matches!(slow.live.try_recv(), Err(TryRecvError::Lagged(_))), "it has fallen behind");
    let mut anew = scene.hub.follow(Scope::Own, Some(slow.until));
    assert_eq!(status(anew.now.iter().map(Utf8Bytes::as_str)), ("Unhealthy".to_owned(), 1));
    let missed = numbers(texts(&anew.missed));
    assert_eq!(missed, (MANY - MOST_ENDS..MANY).collect::<Vec<_>>());
    assert!(matches!(anew.live.try_recv(), Err(TryRecvError::Empty)), "nothing of it comes twice");
    scene.end(MANY, None).await;
    a_look().await;
    let next = anew.live.try_recv().expect("what comes now");
    assert_eq!(numbers(texts(&[next])), [MANY]);
}

/// The same as its client sees it, which takes nothing for a while and then everything.
#[tokio::test(start_paused = true)]
async fn a_client_that_falls_behind_ends_up_where_the_others_are() {
    let scene = Scene::new();
    let (near, far) = ends(usize::MAX);
    let story = async {
        settle().await;
        assert_eq!(status(far.texts().iter().map(String::as_str)), ("Healthy".to_owned(), 1));
        far.takes(0);
        scene.many_end().await;
        scene.stands(Status::Unhealthy);
        a_look().await;
        far.takes(usize::MAX);
        a_look().await;
        scene.end(MANY, None).await;
        a_look().await;
        let told = far.texts();
        let told = || told.iter().map(String::as_str);
        assert_eq!(status(told()).0, "Unhealthy");
        let numbers = numbers(told());
        let gaps = numbers.windows(2).filter(|pair| pair[1] != pair[0] + 1).count();
        assert!(gaps <= 1 && numbers.is_sorted(), "what nobody holds any more, and no more than that: {numbers:?}");
        assert!(numbers.ends_with(&(MANY - MOST_ENDS..=MANY).collect::<Vec<_>>()), "{numbers:?}");
    };
    scene.followed(near, story).await;
}

/// More end between two moments of telling than the book keeps, and meanwhile another peer's ends are heard.
#[tokio::test(start_paused = true)]
async fn ends_here_are_not_lost_while_those_of_others_are_heard() {
    let scene = Scene::new();
    let mut following = scene.hub.follow(Scope::Own, None);
    a_look().await;
    let many = 512;
    for number in 0..many {
        scene.end(number, None).await;
    }
    scene.end(many, Some("far")).await;
    let ours = scene.hub.ours(&scene.hub.lock());
    let (far, id) = (PeerId::from_text("far"), RequestId::from_bits(many as u128));
    assert_eq!(ours.into_iter().collect::<Vec<_>>(), [(far, id)], "it is told soon, by us");
    a_look().await;
    let told: Vec<Told> = std::iter::from_fn(|| following.live.try_recv().ok()).collect();
    assert_eq!(numbers(texts(&told)), (0..many).collect::<Vec<_>>());
}

/// At full speed more end between two moments of telling than anybody holds.
#[tokio::test(start_paused = true)]
async fn many_ends_are_told_as_soon_as_they_are_many() {
    let scene = Scene::new();
    let mut following = scene.hub.follow(Scope::Own, None);
    a_look().await;
    let (began, mut told) = (Instant::now(), Vec::new());
    for number in 0..MANY {
        scene.end(number, None).await;
        settle().await;
        told.extend(std::iter::from_fn(|| following.live.try_recv().ok()));
    }
    let numbers = numbers(texts(&told));
    let left = MANY - numbers.len();
    assert!(left < Book::MANY as usize && numbers == (0..MANY - left).collect::<Vec<_>>(), "{left} are left");
    assert_eq!(began.elapsed(), Duration::ZERO);
}

/// Few end at once, for long, and it takes one message now and then: what its place holds no more is in the list of the last ends.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_while_few_end_misses_none() {
    let scene = Scene::new();
    let (near, far) = ends(usize::MAX);
    let story = async {
        settle().await;
        far.takes(0);
        let many = 2 * MOST_BEHIND;
        for number in 0..many {
            // A peer's has a number as well, and is not told here.
            scene.end(10_000 + number, Some("far")).await;
            scene.end(number, None).await;
            sleep(TELL_EVERY).await;
            if number % 20 == 19 {
                far.takes(1);
            }
        }
        far.takes(usize::MAX);
        a_look().await;
        let told = far.texts();
        let told = || told.iter().map(String::as_str);
        assert_eq!(status(told()).1, 2, "it has fallen behind");
        assert_eq!(numbers(told()), (0..many).collect::<Vec<_>>());
    };
    scene.followed(near, story).await;
}

/// What the hub itself was too slow for is told from the book, which keeps clients' requests and peers' apart.
#[tokio::test(start_paused = true)]
async fn ends_of_clients_are_not_lost_among_those_of_peers() {
    let scene = Scene::new();
    let mut following = scene.hub.follow(Scope::Own, None);
    a_look().await;
    for number in 0..3 {
        scene.end(number, None).await;
    }
    for number in 0..MANY {
        scene.end(10_000 + number, Some("far")).await;
    }
    scene.end(3, None).await;
    a_look().await;
    let told: Vec<Told> = std::iter::from_fn(|| following.live.try_recv().ok()).collect();
    assert_eq!(numbers(texts(&told)), [0, 1, 2, 3]);
}
