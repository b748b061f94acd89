//! Rows of gossip, and what is made of them as time passes.

use std::time::Duration;

use super::*;
use crate::fleet::{BackendAbout, BackendFacts, Kind, Standing, Status, Tier, Trouble, Zone};

const START: u64 = 1_700_000_000_000;

struct World {
    view: View,
    config: Config,
    reach: Reach,
}

/// A row as chitchat would hold it.
struct Told {
    id: PeerId,
    generation: u64,
    heartbeat: u64,
    state: NodeState,
}

impl Told {
    fn new(name: &str, generation: u64) -> Self {
        let id = PeerId::of_public_key(name.as_bytes());
        let mut told = Told { id, generation, heartbeat: 1, state: NodeState::for_test() };
        told.tell(name, &[], START);
        told
    }

    fn tell(&mut self, name: &str, backends: &[BackendFacts], clock: u64) {
        let about = PeerFact { name: name.to_owned(), clock, started: self.generation, ..PeerFact::default() };
        let facts = super::super::publish::facts(&about, std::iter::empty(), None, backends, None);
        super::super::publish::tell(&mut self.state, &facts);
    }

    fn beat(&mut self) -> &Self {
        self.heartbeat += 1;
        self
    }
}

fn backend(name: &str, models: &[&str]) -> BackendFacts {
    BackendFacts {
        about: BackendAbout {
            name: name.to_owned(),
            kind: Kind::Vllm,
            zone: Zone::Open,
            tier: Tier::default(),
            priority: 1,
            status: Status::Healthy,
            suspect: false,
            endpoint: "10.0.0.1:1".to_owned(),
            near: true,
            machine: String::new(),
        },
        models: models.iter().map(|id| Model::named(*id)).collect(),
        load: Load::default(),
        served: Vec::new(),
        breakers: Vec::new(),
    }
}

impl World {
    fn new() -> Self {
        View::new(PeerId::of_public_key(b"me"), "me".to_owned()).into()
    }

    fn look(&mut self, rows: &[&Told]) -> Seen {
        self.look_at(rows, START)
    }

    fn look_at(&mut self, rows: &[&Told], wall: u64) -> Seen {
        let heard = rows.iter().map(|told| Heard {
            id: told.id.as_str(),
            address: gossip_address(&told.id),
            generation: told.generation,
            heartbeat: told.heartbeat,
            state: &told.state,
        });
        let reach = self.reach;
        self.view.look(heard, |_| reach, Now { instant: Instant::now(), wall }, &self.config)
    }

    fn state(&self, told: &Told) -> Option<PeerState> {
        self.view.peers.get(&told.id).map(|peer| peer.state(Instant::now(), &self.config))
    }
}

impl From<View> for World {
    fn from(view: View) -> Self {
        World { view, config: Config::default(), reach: Reach::default() }
    }
}

async fn pass(millis: u64) {
    tokio::time::advance(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_is_found_lost_and_found_again() {
    let (mut world, mut peer) = (World::new(), Told::new("a", 1));
    let states = |seen: Seen| seen.events.into_iter().map(|event| (event.before, event.now)).collect::<Vec<_>>();
    assert_eq!(states(world.look(&[&peer])), []);
    assert_eq!(states(world.look(&[peer.beat()])), []);
    assert_eq!(states(world.look(&[peer.beat()])), [(None, PeerState::Alive)]);
    pass(2_000).await;
    assert_eq!(states(world.look(&[&peer])), [(Some(PeerState::Alive), PeerState::Suspect)]);
    pass(8_000).await;
    assert_eq!(states(world.look(&[&peer])), [(Some(PeerState::Suspect), PeerState::Dead)]);
    world.look(&[peer.beat()]);
    assert_eq!(states(world.look(&[peer.beat()])), [(Some(PeerState::Dead), PeerState::Alive)]);
    assert_eq!(world.look(&[]).peers.list.len(), 0, "what gossip forgets is forgotten");
}

/// An entry goes by it for as long as its owner does, though the news of its end may be late.
#[tokio::test(start_paused = true)]
async fn a_breaker_keeps_away_from_its_model_until_its_time_is_over() {
    let (mut world, mut peer) = (World::new(), Told::new("a", 1));
    let standing = Standing::Open(Duration::from_secs(10));
    let open = Breaker { model: Some("m".to_owned()), trouble: Trouble::Silence, standing };
    let told = |breakers: &[&Breaker]| {
        [BackendFacts { breakers: breakers.iter().copied().cloned().collect(), ..backend("gpu", &["m", "n"]) }]
    };
    let keeps_away = |world: &World, model: &str| {
        let peers = &world.view.peers;
        let (_, backend, _) = peers.offering(model).next().expect("offered");
        backend.keeps_away(model, Instant::now())
    };
    peer.tell("a", &told(&[]), START);
    world.look(&[&peer]);
    assert!(!keeps_away(&world, "m"));
    peer.tell("a", &told(&[&open]), START);
    assert!(world.look(&[peer.beat()]).changed);
    pass(9_000).await;
    peer.tell("a", &told(&[&open]), START + 1);
    world.look(&[peer.beat()]);
    assert_eq!((keeps_away(&world, "m"), keeps_away(&world, "n")), (true, false));
    pass(1_000).await;
    assert!(!keeps_away(&world, "m"), "due: the owner lets one request through");
    let probed = Breaker { standing: Standing::Probing, ..open.clone() };
    peer.tell("a", &told(&[&probed]), START);
    world.look(&[peer.beat()]);
    assert!(keeps_away(&world, "m"));
    let cut_off = Breaker { model: None, trouble: Trouble::Connection, standing: Standing::Unchecked };
    peer.tell("a", &told(&[&cut_off]), START);
    world.look(&[peer.beat()]);
    assert!(keeps_away(&world, "m") && keeps_away(&world, "n"));
    peer.tell("a", &told(&[]), START);
    world.look(&[peer.beat()]);
    assert!(!keeps_away(&world, "m") && !keeps_away(&world, "n"));
}

#[tokio::test(start_paused = true)]
async fn what_others_remember_of_the_dead_does_not_raise_them() {
    let (mut world, mut peer) = (World::new(), Told::new("a", 1));
    world.look(&[&peer]);
    peer.tell("a", &[backend("gpu", &["m"])], START + 1);
    world.look(&[peer.beat()]);
    assert_eq!(world.state(&peer), Some(PeerState::Dead), "one remembers a little more than another");
    world.reach.rtt = Some(Duration::from_millis(1));
    world.look(&[&peer]);
    assert_eq!(world.state(&peer), Some(PeerState::Alive), "a connection of our own is proof");
    world.reach = Reach::default();
    pass(60_000).await;
    world.look(&[peer.beat()]);
    assert_eq!(world.state(&peer), Some(PeerState::Dead));
}

#[tokio::test(start_paused = true)]
async fn of_two_generations_the_one_that_lives_is_shown_even_if_its_clock_went_back() {
    let (mut world, mut old, mut new) = (World::new(), Told::new("a", 9_000), Told::new("a", 5));
    for _ in 0..3 {
        world.look(&[old.beat()]);
    }
    pass(2_000).await;
    new.tell("a", &[backend("gpu", &["m"])], START);
    for _ in 0..3 {
        world.look(&[&old, new.beat()]);
    }
    let peers = world.look(&[&old, &new]).peers;
    assert_eq!((peers.list.len(), peers.list[0].started), (1, 5));
    assert_eq!(peers.offering("m").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_restarts_all_the_time_takes_the_place_of_one() {
    let (mut world, mut lives): (World, Vec<Told>) = (World::new(), Vec::new());
    for generation in 1..20 {
        lives.push(Told::new("a", generation));
        for _ in 0..3 {
            let heartbeat = &mut lives.last_mut().expect("one").heartbeat;
            *heartbeat += 1;
            world.look(&lives.iter().collect::<Vec<_>>());
            pass(250).await;
        }
        assert_eq!(world.view.peers.list[0].started, generation);
        assert_eq!(world.view.rows.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn goodbye_and_trouble_count_at_once() {
    let (mut world, mut peer) = (World::new(), Told::new("a", 1));
    for _ in 0..3 {
        world.look(&[peer.beat()]);
    }
    world.reach.failing = true;
    world.look(&[peer.beat()]);
    assert_eq!(world.state(&peer), Some(PeerState::Suspect));
    world.reach.left = true;
    world.look(&[peer.beat()]);
    assert_eq!(world.state(&peer), Some(PeerState::Dead));
}

#[tokio::test(start_paused = true)]
async fn the_index_follows_what_is_offered() {
    let (mut world, mut a, mut b) = (World::new(), Told::new("a", 1), Told::new("b", 1));
    let mut gpu = backend("gpu", &["m", "n"]);
    b.tell("b", std::slice::from_ref(&gpu), START);
    let offered = |seen: &Seen, model: &str| {
        let offers = seen.peers.offering(model);
        offers
            .map(|(peer, backend, model)| format!("{}/{}/{}", peer.name, backend.about.name, model.id))
            .collect::<Vec<_>>()
    };
    assert_eq!(offered(&world.look(&[&a, &b]), "n"), ["b/gpu/n"]);
    a.tell("a", &[backend("x", &["m"]), backend("y", &["m"])], START);
    let seen = world.look(&[&a, &b]);
    assert_eq!(offered(&seen, "m"), ["a/x/m", "a/y/m", "b/gpu/m"]);

    pass(1_000).await;
    gpu.load.in_flight = 5;
    b.tell("zed", std::slice::from_ref(&gpu), START);
    let seen = world.look(&[&a, &b]);
    let (_, busy, _) = seen.peers.offering("n").next().expect("still offered");
    assert_eq!((busy.load.in_flight, busy.heard_at), (5, Instant::now()));
    let (_, idle, _) = seen.peers.offering("m").next().expect("still offered");
    assert_eq!(idle.heard_at.elapsed(), Duration::from_secs(1));

    gpu.models.remove(0);
    b.tell("0", &[gpu], START);
    let seen = world.look(&[&a, &b]);
    assert_eq!(offered(&seen, "m"), ["a/x/m", "a/y/m"]);
    assert_eq!(offered(&seen, "n"), ["0/gpu/n"], "a new name is another place in the list");
    assert!(seen.changed && !world.look(&[&a, &b]).changed);
}

#[tokio::test(start_paused = true)]
async fn nonsense_is_dropped_and_the_rest_believed() {
    let (mut world, mut peer) = (World::new(), Told::new("a", 1));
    peer.tell("a", &[backend("gpu", &["m"])], START);
    peer.state.set("backend/bad", "not json");
    peer.state.set("hologram/gpu", "{}");
    peer.state.set("model/nowhere/x", r#"{"id":"x"}"#);
    let seen = world.look(&[&peer]);
    let why: Vec<_> = seen.dropped.iter().map(|(_, fact, why)| (&**fact, *why)).collect();
    assert_eq!(why, [("backend/bad", "malformed"), ("hologram/gpu", "unknown kind")]);
    assert_eq!(seen.peers.offering("m").count(), 1);
    assert_eq!(seen.peers.offering("x").count(), 0, "no backend, no model");
    assert!(world.look(&[&peer]).dropped.is_empty(), "once");
}

#[tokio::test(start_paused = true)]
async fn a_row_under_another_address_or_beyond_the_limit_is_not_believed() {
    let (mut world, peer) = (World::new(), Told::new("a", 1));
    let now = Now { instant: Instant::now(), wall: START };
    let heard = |number: u64| Heard {
        id: peer.id.as_str(),
        address: "10.0.0.1:1".parse().expect("an address"),
        generation: number,
        heartbeat: 1,
        state: &peer.state,
    };
    let seen = world.view.look([heard(1)].into_iter(), |_| Reach::default(), now, &world.config);
    assert_eq!((seen.peers.list.len(), seen.dropped[0].2), (0, "not its address"));
    let many = (0..5_000).map(|number| Heard { address: gossip_address(&peer.id), ..heard(number) });
    world.view.look(many, |_| Reach::default(), now, &world.config);
    assert_eq!(world.view.rows.len(), MAX_PEERS);
}

#[tokio::test(start_paused = true)]
async fn clocks_are_compared_by_fresh_news_only() {
    let (mut world, mut peer) = (World::new(), Told::new("a", 1));
    let skew = |seen: Seen| seen.peers.list[0].clock_skew_ms;
    assert_eq!(skew(world.look_at(&[&peer], START + 60_000)), None, "the first may be old");
    peer.tell("a", &[], START + 10_000);
    assert_eq!(skew(world.look_at(&[&peer], START + 19_000)), None, "one that was held up is not enough");
    peer.tell("a", &[], START + 20_000);
    assert_eq!(skew(world.look_at(&[&peer], START + 20_300)), Some(-300));
    peer.tell("a", &[], START + 35_000);
    peer.tell("a", &[], START + 45_000);
    assert_eq!(skew(world.look_at(&[&peer], START + 40_000)), Some(-300));
    peer.tell("a", &[], START + 55_000);
    assert_eq!(skew(world.look_at(&[&peer], START + 50_000)), Some(5_000));
}

/// Two nodes of one machine once had one name, and nobody could say which had answered.
#[tokio::test(start_paused = true)]
async fn peers_of_one_name_are_told_apart_while_they_live() {
    let (mut world, mut one, mut other) = (World::new(), Told::new("one", 1), Told::new("other", 1));
    one.tell("desk", &[backend("gpu", &["m"])], START);
    other.tell("desk", &[backend("gpu", &["m"])], START);
    for _ in 0..3 {
        world.look(&[one.beat(), other.beat()]);
    }
    let names = |seen: &Seen| seen.peers.list.iter().map(|peer| peer.name.clone()).collect::<Vec<_>>();
    let mut both = [&one, &other].map(|told| format!("desk-{}", told.id.short()));
    both.sort();
    let seen = world.look(&[one.beat(), other.beat()]);
    assert_eq!((names(&seen), seen.peers.namesake), (both.to_vec(), false));

    pass(10_000).await;
    world.look(&[one.beat(), &other]);
    let mut left = vec!["desk".to_owned(), format!("desk-{}", other.id.short())];
    left.sort();
    let seen = world.look(&[one.beat(), &other]);
    assert_eq!(names(&seen), left, "the dead does not take the name of the living");
    for (peer, _, _) in seen.peers.offering("m") {
        assert_eq!(peer.id == one.id, peer.name == "desk", "the index follows");
    }

    one.tell("me", &[], START);
    world.look(&[one.beat(), &other]);
    let seen = world.look(&[one.beat(), &other]);
    assert!(seen.peers.namesake && names(&seen).contains(&format!("me-{}", one.id.short())), "{:?}", names(&seen));
}
