//! Silence, death, return, and junk.

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::BodyExt;

use super::super::*;
use super::support::*;
use crate::exchange::Cut;
use crate::fleet::PeerState;

#[tokio::test]
async fn a_peer_that_falls_silent_costs_one_request_its_deadline_and_the_next_nothing() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    two.cable.pull();
    let start = Instant::now();
    assert_eq!(one.ask(&two, &request("anybody?")).await.err(), Some(ForwardError::Silent));
    assert!(start.elapsed() < Duration::from_secs(4), "not the whole deadline of 5 s: {:?}", start.elapsed());
    let start = Instant::now();
    assert!(matches!(one.ask(&two, &request("anybody?")).await, Err(ForwardError::Unreachable(_))));
    assert!(start.elapsed() < Duration::from_millis(500), "no dial is waited for: {:?}", start.elapsed());
    within(1, "it is suspect", || one.state_of(&two.id()) == Some(PeerState::Suspect)).await;
    two.cable.plug();
    within(5, "it is back", || one.sees(&two)).await;
    one.ask(&two, &request("hello again")).await.expect("it is back");
}

#[tokio::test]
async fn silence_makes_a_peer_suspect_then_dead_and_news_bring_it_back() {
    let quick = Config { suspect_after_ms: 300, dead_after_ms: 900, ..config() };
    let one = node_with("one", &[], quick.clone()).await;
    let two = node_with("two", &[&one], quick).await;
    meet(&one, &two).await;
    two.cable.pull();
    within(2, "it is suspect", || one.state_of(&two.id()) == Some(PeerState::Suspect)).await;
    within(3, "it is dead", || one.state_of(&two.id()) == Some(PeerState::Dead)).await;
    two.cable.plug();
    within(10, "it is back", || one.sees(&two) && two.sees(&one)).await;
}

#[tokio::test]
async fn a_restarted_peer_is_the_same_peer_once_and_answers_at_once() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    let (id, seed) = (two.id(), one.mesh.myself().listen.to_string());
    let (directory, listen) = two.kill().await;
    let two = start("two", Config { seeds: vec![seed], ..config() }, directory, listen).await;
    assert_eq!(two.id(), id);
    within(5, "it is seen again", || one.sees(&two) && two.sees(&one)).await;
    assert_eq!(one.mesh.peers().list.len(), 1);
    let reply = one.ask(&two, &request("again")).await.expect("a reply");
    assert_eq!(reply.into_body().collect().await.expect("whole").to_bytes(), "again");
}

/// A node that begins every reply and ends none.
async fn endless(name: &str, seed: &Node) -> Node {
    let node = unserved(name, Config { seeds: vec![seed.mesh.myself().listen.to_string()], ..config() }).await;
    node.mesh.serve_with(Arc::new(Script(|_| async {
        let pieces = futures_util::stream::iter([Ok(http_body::Frame::data(Bytes::from("first")))]);
        let endless = futures_util::StreamExt::chain(pieces, futures_util::stream::pending());
        Ok(Reply::new(http_body_util::StreamBody::new(endless).boxed_unsync()))
    })));
    node
}

#[tokio::test]
async fn a_restart_ends_the_connections_of_the_old_process_at_once() {
    let one = node("one", &[]).await;
    let two = endless("two", &one).await;
    meet(&one, &two).await;
    let mut body = one.ask(&two, &request("stream")).await.expect("a reply").into_body();
    body.frame().await.expect("a piece").expect("whole");
    let old = one.mesh.0.endpoint.links.get(&two.id()).expect("a connection");
    let (directory, listen) = two.kill().await;
    assert!(old.close_reason().is_none(), "the old process said nothing");
    let _two = start("two", config(), directory, listen).await;
    assert_eq!(body.frame().await.expect("an end").err(), Some(Cut::Peer));
    assert_eq!(old.close_reason(), Some(quinn::ConnectionError::Reset));
}

#[tokio::test]
async fn a_peer_that_dies_mid_reply_cuts_it() {
    let one = node("one", &[]).await;
    let two = endless("two", &one).await;
    meet(&one, &two).await;
    let mut body = one.ask(&two, &request("stream")).await.expect("a reply").into_body();
    body.frame().await.expect("a piece").expect("whole");
    two.mesh.0.endpoint.links.clear(quinn::VarInt::from_u32(0), "gone");
    assert_eq!(body.frame().await.expect("an end").err(), Some(Cut::Peer));
}

#[tokio::test]
async fn nobody_waits_for_a_peer_that_nobody_knows() {
    let one = node("one", &[]).await;
    let two = node("two", &[]).await;
    let start = Instant::now();
    assert!(matches!(one.ask(&two, &request("hi")).await, Err(ForwardError::Unreachable(_))));
    assert!(start.elapsed() < Duration::from_millis(100));
}

/// Writes bytes as a request and gives the answer, if one comes.
async fn raw(connection: &quinn::Connection, bytes: &[u8]) -> Option<serde_json::Value> {
    let (mut send, mut receive) = connection.open_bi().await.ok()?;
    let _ = send.write_all(bytes).await;
    let _ = send.finish();
    let frame = timeout(Duration::from_secs(5), wire::read_frame(&mut receive)).await.ok()?.ok()?;
    serde_json::from_slice(&frame).ok()
}

fn framed(content: &str) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    bytes.put_u32(content.len() as u32);
    bytes.put_slice(content.as_bytes());
    bytes.to_vec()
}

#[tokio::test]
async fn junk_changes_nothing() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for number in 0..1_000u32 {
        let length = 1 + (number as usize * 37) % 1_400;
        let junk: Vec<u8> = (0..length).map(|at| (number as usize * 31 + at * 7) as u8).collect();
        let _ = socket.send_to(&junk, two.mesh.myself().listen);
    }
    let connection = one.mesh.0.endpoint.connection(&two.id(), Duration::from_secs(5)).await.expect("a connection");
    for head in ["", "{", "[]", "null", r#"{"v":1}"#, "\u{0}\u{1}"] {
        let answer = raw(&connection, &framed(head)).await.expect("an answer");
        assert_eq!(answer["refused"]["reason"], "malformed", "{head}");
    }
    let oversized = raw(&connection, &u32::MAX.to_be_bytes()).await.expect("an answer");
    assert_eq!(oversized["refused"]["reason"], "malformed");
    assert!(raw(&connection, b"\0\0").await.is_none(), "half a frame is no frame");

    let hop = one.hop(&two);
    let good = wire::frame(&wire::Head::new(&hop, &request("1234"))).expect("short");
    for body in ["123", "12345"] {
        let answer = raw(&connection, &[&good[..], body.as_bytes()].concat()).await.expect("an answer");
        assert_eq!(answer["refused"]["reason"], "malformed", "a body of another length than its head says");
    }
    for message in [&b""[..], b"\x00", b"not gossip at all", &[0xff; 900]] {
        let _ = connection.send_datagram(Bytes::copy_from_slice(message));
        let mut stream = connection.open_uni().await.expect("a stream");
        let _ = stream.write_all(message).await;
        let _ = stream.finish();
    }
    let (send, receive) = connection.open_bi().await.expect("a stream");
    drop((send, receive));
    one.ask(&two, &request("still there")).await.expect("all goes on");
    within(3, "nothing is left", || two.mesh.serving() == 0 && one.sees(&two) && two.sees(&one)).await;
}

#[tokio::test]
async fn every_kind_of_junk_is_one_line() {
    let log = Log::capture();
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    assert_eq!(log.count("junk"), 0, "peers are no junk: {}", log.text());

    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for junk in [&b"hello"[..], &[0; 100], &[0xff; 1_200], b"1 datagram that is long enough to be something"] {
        for _ in 0..50 {
            let _ = socket.send_to(junk, two.mesh.myself().listen);
        }
    }
    within(5, "it is noticed", || log.count("not QUIC: 127.0.0.1") > 0).await;

    // What calls on a connection that never was looks like QUIC in every other respect.
    let other = std::net::UdpSocket::bind("127.0.0.2:0").expect("a socket");
    for number in 0..50_u8 {
        let _ = other.send_to(&[0x40 | number; 60], two.mesh.myself().listen);
    }
    within(5, "it is noticed", || log.count("not QUIC: 127.0.0.2") > 0).await;

    let stranger = node_with("stranger", &[], Config { key: key(2), ..config() }).await;
    for _ in 0..3 {
        let refused = stranger.mesh.0.endpoint.dial(vec![two.mesh.myself().listen], None).await;
        assert!(refused.is_err());
    }
    within(5, "it is noticed", || log.count("handshake: 127.0.0.1") > 0).await;

    let connection = one.mesh.0.endpoint.connection(&two.id(), Duration::from_secs(5)).await.expect("a connection");
    for bytes in [u32::MAX.to_be_bytes().to_vec(), framed("{"), u32::MAX.to_be_bytes().to_vec()] {
        raw(&connection, &bytes).await.expect("an answer");
    }
    one.ask(&two, &request("still there")).await.expect("all goes on");
    for line in [
        "not QUIC: 127.0.0.1",
        "not QUIC: 127.0.0.2",
        "handshake: 127.0.0.1",
        &format!("malformed request: {}", one.id()),
    ] {
        assert_eq!(log.count(line), 1, "{line}: {}", log.text());
    }
}

#[tokio::test]
async fn a_replayed_handshake_brings_nobody_in() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    let connection = one.mesh.0.endpoint.connection(&two.id(), Duration::from_secs(5)).await.expect("a connection");
    let recorded = two.cable.first_sent();
    assert!(recorded.iter().any(|datagram| datagram.len() >= 1_200), "the first flight of a handshake is among them");

    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    for _ in 0..3 {
        for datagram in &recorded {
            let _ = stranger.send_to(datagram, one.mesh.myself().listen);
        }
    }
    one.ask(&two, &request("still there")).await.expect("all goes on");
    assert_eq!(one.mesh.peers().list.len(), 1);
    let now = one.mesh.0.endpoint.connection(&two.id(), Duration::from_secs(5)).await.expect("a connection");
    assert_eq!(now.stable_id(), connection.stable_id(), "the connection is the one it was");
}

#[tokio::test]
async fn a_mesh_survives_the_end_of_its_gossip() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    let three = node("three", &[&two]).await;
    one.mesh.0.rounds.forget();
    one.mesh.gossip(&mut *one.mesh.0.gossiping.lock().await);
    meet(&one, &two).await;
    meet(&one, &three).await;
    assert_eq!(two.mesh.peers().list.len(), 2, "the new generation takes the place of the old");
}
