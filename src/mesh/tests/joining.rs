//! Who finds whom, who is let in, and how one leaves.

use super::super::*;
use super::support::*;
use crate::fleet::PeerState;

#[tokio::test]
async fn peers_meet_by_one_seed_and_know_what_the_others_offer() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    let three = node("three", &[&one]).await;
    meet(&one, &two).await;
    meet(&two, &three).await;
    let peers = two.mesh.peers();
    assert_eq!(peers.list.iter().map(|peer| &*peer.name).collect::<Vec<_>>(), ["one", "three"]);
    let (peer, backend, model) = peers.offering("model-three").next().expect("it is offered");
    assert_eq!((&*peer.name, &*backend.about.name, &*model.id), ("three", "gpu-three", "model-three"));
    assert_eq!((backend.load.in_flight, peer.addresses.clone()), (2, vec![three.mesh.myself().listen]));
    assert!(peers.offering("model-four").next().is_none());
    within(5, "connections are measured", || two.mesh.peers().list.iter().any(|peer| peer.rtt.is_some())).await;
    within(5, "everyone knows everyone", || two.mesh.warnings().is_empty()).await;
    assert!(two.mesh.counters().gossip_sent() > 0 && two.mesh.counters().gossip_received() > 0);
}

#[tokio::test]
async fn a_hint_is_enough_with_or_without_an_id() {
    let [one, two, three] = [node("one", &[]).await, node("two", &[]).await, node("three", &[]).await];
    let addresses = vec!["127.0.0.1:9".parse().expect("an address"), one.mesh.myself().listen];
    two.mesh.hint(PeerHint { id: Some(one.id()), addresses: addresses.clone() });
    three.mesh.hint(PeerHint { id: None, addresses });
    meet(&one, &two).await;
    meet(&one, &three).await;
}

#[tokio::test]
async fn a_peer_that_starts_after_its_seed_was_tried_is_found_all_the_same() {
    let placeholder = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = placeholder.local_addr().expect("an address");
    let one = unserved("one", Config { seeds: vec![address.to_string()], ..config() }).await;
    within(5, "the seed is being tried", || one.env.tasks.running().contains_key("mesh-seed")).await;
    drop(placeholder);
    let two = start("two", config(), tempfile::tempdir().expect("a directory"), address).await;
    meet(&one, &two).await;
}

#[tokio::test]
async fn another_key_or_another_name_is_another_mesh() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    let strangers = [
        node_with("key", &[&one], Config { key: key(2), ..config() }).await,
        node_with("name", &[&one], Config { name: "other".to_owned(), ..config() }).await,
        node_with("open", &[&one], Config { key: String::new(), ..config() }).await,
    ];
    meet(&one, &two).await;
    for stranger in &strangers {
        assert_ne!(stranger.mesh.mesh_tag(), one.mesh.mesh_tag());
        let refused = stranger.mesh.0.endpoint.dial(vec![one.mesh.myself().listen], None).await;
        assert!(refused.is_err(), "{} was let in", stranger.mesh.myself().name);
        assert!(stranger.mesh.peers().list.is_empty());
    }
    assert_eq!(one.mesh.peers().list.len(), 1);
    one.ask(&two, &request("still there")).await.expect("the mesh goes on");
}

#[tokio::test]
async fn who_is_dialled_must_be_who_answers() {
    let one = node("one", &[]).await;
    let two = node("two", &[]).await;
    let there = vec![two.mesh.myself().listen];
    let wrong = one.mesh.0.endpoint.dial(there.clone(), Some(&PeerId::from_text("somebody"))).await;
    assert!(wrong.is_err_and(|error| error.to_string().contains("another peer")));
    assert!(one.mesh.0.endpoint.links.linked().is_empty());
    one.mesh.0.endpoint.dial(there, Some(&two.id())).await.expect("the right one");
}

#[tokio::test]
async fn a_node_does_not_meet_itself() {
    let one = node("one", &[]).await;
    let end = one.mesh.0.endpoint.dial(vec![one.mesh.myself().listen], None).await;
    assert!(end.is_err_and(|error| error.to_string().contains("itself")));
    one.mesh.hint(PeerHint { id: Some(one.id()), addresses: vec![one.mesh.myself().listen] });
    assert!(one.mesh.peers().list.is_empty());
}

#[tokio::test]
async fn a_node_joins_another_mesh_without_a_restart() {
    let old = node("old", &[]).await;
    let mover = node("mover", &[&old]).await;
    let new = node_with("new", &[], Config { name: "elsewhere".to_owned(), key: key(2), ..config() }).await;
    meet(&old, &mover).await;
    let (before, tag) = (mover.mesh.myself(), mover.mesh.mesh_tag());
    let key = MeshKey::parse(&key(2)).expect("a key");
    let seeds = vec![new.mesh.myself().listen.to_string()];
    mover.mesh.rejoin(Membership { name: "elsewhere".to_owned(), key, seeds }).await.expect("it joins");
    meet(&mover, &new).await;
    assert_eq!((mover.mesh.myself().listen, mover.id()), (before.listen, before.id));
    assert_ne!(mover.mesh.mesh_tag(), tag);
    assert!(!mover.mesh.peers().list.iter().any(|peer| peer.id == old.id()));
    mover.ask(&new, &request("hello")).await.expect("it is one of them");
    assert!(matches!(old.ask(&mover, &request("hello")).await, Err(ForwardError::Unreachable(_))));
}

#[tokio::test]
async fn a_peer_that_leaves_says_so() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    two.mesh.set_draining(true);
    within(2, "it is seen draining", || one.state_of(&two.id()) == Some(PeerState::Draining)).await;
    let refused = one.ask(&two, &request("more")).await;
    assert!(matches!(refused, Err(ForwardError::Refused(_))), "{refused:?}");
    two.mesh.set_draining(false);
    within(2, "it is seen back", || one.sees(&two)).await;
    two.mesh.leave(Duration::from_secs(5)).await;
    within(1, "it is seen gone", || one.state_of(&two.id()) == Some(PeerState::Dead)).await;
    assert!(one.mesh.0.endpoint.links.reaches()[&two.id()].left, "the connection said so as well");
}

#[tokio::test]
async fn what_cannot_start_says_why_in_one_line() {
    let one = node("one", &[]).await;
    let directory = tempfile::tempdir().expect("a directory");
    let attempt = async |config: Config| {
        let env = Env::real();
        let identity = Identity::open(directory.path(), &env).expect("an identity");
        let setup = Setup {
            config,
            listen: one.mesh.myself().listen,
            identity,
            peer_name: String::new(),
            version: "0.1.0",
            policies: String::new(),
            mine: Arc::new(|_| Vec::new()),
            keys: Arc::new(|| None),
            ledger: Arc::new(|| None),
        };
        Mesh::start(setup, env).await.err().expect("it cannot start").to_string()
    };
    let taken = attempt(config()).await;
    assert!(taken.contains(&one.mesh.myself().listen.to_string()) && taken.contains("mesh.listen"), "{taken}");
    let no_key = attempt(Config { key: "hunter2".to_owned(), ..config() }).await;
    assert!(no_key.contains("mesh.key") && !no_key.contains("hunter2"), "{no_key}");
    let nowhere = attempt(Config { advertise: vec!["nowhere".to_owned()], ..config() }).await;
    assert!(nowhere.contains("mesh.advertise") && nowhere.contains("nowhere"), "{nowhere}");
    assert!([taken, no_key, nowhere].iter().all(|line| !line.contains('\n')));
}

#[tokio::test]
async fn the_announcement_names_the_mesh_and_not_its_key() {
    let one = node("one", &[]).await;
    let announcement = one.mesh.announcement();
    assert_eq!((&*announcement.service, announcement.port), (PEER_SERVICE, one.mesh.myself().listen.port()));
    let txt = |key: &str| announcement.txt.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
    assert_eq!(txt("id"), Some(one.id().to_string()));
    assert_eq!(txt("mesh"), Some(one.mesh.mesh_tag()));
    assert!(!format!("{announcement:?}").contains(&key(1)));
}
