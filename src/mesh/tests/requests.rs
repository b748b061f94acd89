//! Forwarded requests between peers that are well: bytes, cancelling, refusals.

use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::mpsc;

use super::super::*;
use super::support::*;
use crate::exchange::{Body, Cut, Origin, Refusal, RefusalReason};
use crate::fleet::Load;

/// Counts what lives.
#[derive(Clone, Default)]
struct Alive(Arc<AtomicUsize>);

struct Token(Arc<AtomicUsize>);

impl Alive {
    fn token(&self) -> Token {
        self.0.fetch_add(1, Ordering::SeqCst);
        Token(self.0.clone())
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A body that says what it is told.
fn told(mut pieces: mpsc::Receiver<Result<&'static str, Cut>>, token: Token) -> Body {
    let stream = futures_util::stream::poll_fn(move |context| {
        let _alive = &token;
        pieces.poll_recv(context).map(|piece| piece.map(|piece| piece.map(|text| http_body::Frame::data(text.into()))))
    });
    StreamBody::new(stream).boxed_unsync()
}

async fn pair() -> (Node, Node) {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    (one, two)
}

async fn serving<F, T>(serve: F) -> (Node, Node)
where
    F: Fn(Request) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Reply, Refusal>> + Send + 'static,
{
    let one = node("one", &[]).await;
    let two = silent_start("two", &one).await;
    two.mesh.serve_with(Arc::new(Script(serve)));
    meet(&one, &two).await;
    (one, two)
}

async fn silent_start(name: &str, seed: &Node) -> Node {
    let seeds = vec![seed.mesh.myself().listen.to_string()];
    unserved(name, Config { seeds, ..config() }).await
}

#[tokio::test]
async fn a_megabyte_goes_there_and_back_unchanged() {
    let (one, two) = pair().await;
    meet(&one, &two).await;
    for size in [0, 1, 1_000, 65_536, 1 << 20, 5_000_001] {
        let body: Bytes = (0..size).map(|at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let reply = one.ask(&two, &request(body.clone())).await.expect("a reply");
        assert_eq!(reply.extensions().get::<Load>().map(|load| load.in_flight), Some(2), "the owner's load");
        assert_eq!(reply.headers()["content-type"], "application/json");
        assert!(!reply.headers().contains_key("authorization"), "a client's key is for its own peer");
        assert_eq!(reply.into_body().collect().await.expect("whole").to_bytes(), body);
    }
    let (_, forwards) = one.mesh.counters().forwards().pop_first().expect("they were counted");
    assert_eq!(forwards.by_result(), [("answered", 6)]);
    within(2, "nothing is left", || two.mesh.serving() == 0).await;
}

#[tokio::test]
async fn every_piece_is_passed_on_as_it_comes_and_a_cut_arrives_as_itself() {
    for cut in [None, Some(Cut::Backend), Some(Cut::Idle), Some(Cut::Shutdown)] {
        let (say, hear) = mpsc::channel(1);
        let (hear, alive) = (std::sync::Mutex::new(Some(hear)), Alive::default());
        let (one, two) = serving(move |_| {
            let body = told(hear.lock().expect("not poisoned").take().expect("asked once"), alive.token());
            async { Ok(Reply::new(body)) }
        })
        .await;
        let mut body = one.ask(&two, &request("stream")).await.expect("a reply").into_body();
        for piece in ["data: one\n\n", "data: t", "wo\n\n"] {
            say.send(Ok(piece)).await.expect("somebody listens");
            let frame = body.frame().await.expect("more").expect("whole");
            assert_eq!(frame.into_data().expect("data"), piece);
        }
        if let Some(cut) = cut {
            say.send(Err(cut)).await.expect("somebody listens");
        }
        drop(say);
        assert_eq!(body.frame().await.map(|end| end.expect_err("cut off")), cut);
        assert!(body.frame().await.is_none());
    }
}

#[tokio::test]
async fn who_goes_away_frees_the_backend_at_once() {
    let alive = Alive::default();
    let counted = alive.clone();
    let (one, two) = serving(move |request| {
        let token = counted.token();
        async move {
            if request.body == "never" {
                std::future::pending::<()>().await;
            }
            let (say, hear) = mpsc::channel(4);
            say.send(Ok("first")).await.expect("room");
            // Whoever could say more is kept alive by the body that nobody ends.
            std::mem::forget(say);
            Ok(Reply::new(told(hear, token)))
        }
    })
    .await;
    let waiting = request("never");
    let mut asking = Box::pin(one.ask(&two, &waiting));
    assert!(timeout(Duration::from_millis(100), &mut asking).await.is_err());
    assert_eq!((alive.count(), two.mesh.serving()), (1, 1));
    drop(asking);
    within(1, "the request is dropped at its owner", || alive.count() == 0).await;

    let mut body = one.ask(&two, &request("stream")).await.expect("a reply").into_body();
    body.frame().await.expect("a piece").expect("whole");
    assert_eq!(alive.count(), 1);
    drop(body);
    within(1, "the body is dropped at its owner", || alive.count() == 0).await;
    within(1, "nothing is left", || two.mesh.serving() == 0 && !two.env.tasks.running().contains_key("mesh-serve"))
        .await;
}

#[tokio::test]
async fn a_hundred_streams_and_their_departures_leave_nothing_behind() {
    let alive = Alive::default();
    let counted = alive.clone();
    let (one, two) = serving(move |_| {
        let (say, hear) = mpsc::channel(4);
        let body = told(hear, counted.token());
        async move {
            say.send(Ok("first")).await.expect("room");
            std::mem::forget(say);
            Ok(Reply::new(body))
        }
    })
    .await;
    let requests: Vec<Request> = (0..100).map(|_| request("stream")).collect();
    let replies = futures_util::future::join_all(requests.iter().map(|request| one.ask(&two, request))).await;
    let mut bodies: Vec<Body> = replies.into_iter().map(|reply| reply.expect("a reply").into_body()).collect();
    assert_eq!(alive.count(), 100);
    for (at, body) in bodies.iter_mut().enumerate() {
        if at % 3 != 0 {
            body.frame().await.expect("a piece").expect("whole");
        }
    }
    drop(bodies);
    within(3, "nothing is left", || alive.count() == 0 && two.mesh.serving() == 0).await;
    within(3, "no task is left", || !two.env.tasks.running().contains_key("mesh-serve")).await;
}

#[tokio::test]
async fn a_refusal_arrives_as_it_was_meant() {
    let refusal = Refusal {
        reason: RefusalReason::Busy,
        message: "every slot is taken".to_owned(),
        load: Some(Load { queued: 9, ..Load::default() }),
        fault: None,
        left_alone: true,
    };
    let meant = refusal.clone();
    let (one, two) = serving(move |_| {
        let refusal = refusal.clone();
        async move { Err(refusal) }
    })
    .await;
    assert_eq!(one.ask(&two, &request(vec![0; 3 << 20])).await.err(), Some(ForwardError::Refused(meant)));
}

#[tokio::test]
async fn nobody_serves_before_the_gateway_is_there_nor_in_circles() {
    let one = node("one", &[]).await;
    let two = silent_start("two", &one).await;
    meet(&one, &two).await;
    let reason = |end: Result<Reply, ForwardError>| match end {
        Err(ForwardError::Refused(refusal)) => refusal.reason,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(reason(one.ask(&two, &request("early")).await), RefusalReason::Draining);
    two.mesh.serve_with(Arc::new(Script(|_| std::future::pending())));
    let circle = Hop { visited: vec![one.id(), two.id()], ..one.hop(&two) };
    let end = one.mesh.forward(&two.id(), circle, &request("round"), Duration::from_secs(5)).await;
    assert_eq!(reason(end), RefusalReason::Loop);
}

/// Agents use one id for calls that they make side by side: the id of a request says nothing about circles.
#[tokio::test]
async fn requests_of_one_id_are_served_side_by_side() {
    let meeting = Arc::new(tokio::sync::Barrier::new(3));
    let (one, two) = serving(move |request| {
        let meeting = meeting.clone();
        async move {
            meeting.wait().await;
            Ok(Reply::new(crate::exchange::full(request.body)))
        }
    })
    .await;
    let same = request("same");
    let ends = futures_util::future::join_all((0..3).map(|_| one.ask(&two, &same))).await;
    assert!(ends.iter().all(Result::is_ok), "{ends:?}");
    drop(ends);
    within(2, "nothing is left", || two.mesh.serving() == 0).await;
}

#[tokio::test]
async fn what_was_admitted_may_take_as_long_as_the_entry_waits() {
    let (one, two) = serving(|request| async move {
        tokio::time::sleep(ADMISSION_DEADLINE + Duration::from_millis(200)).await;
        Ok(Reply::new(crate::exchange::full(request.body)))
    })
    .await;
    one.ask(&two, &request("slow")).await.expect("it was admitted, and came");
    let hurried = one.mesh.forward(&two.id(), one.hop(&two), &request("slow"), Duration::from_millis(900)).await;
    assert_eq!(hurried.err(), Some(ForwardError::Silent));
    within(2, "it is dropped at its owner", || two.mesh.serving() == 0).await;
    assert!(one.sees(&two), "a slow backend is no dead peer");
}

#[tokio::test]
async fn the_owner_knows_who_forwarded_whatever_the_head_says() {
    let (heard, mut hear) = mpsc::unbounded_channel();
    let (one, two) = serving(move |request| {
        heard.send(request.origin).expect("the test listens");
        async { Ok(Reply::new(crate::exchange::full("ok"))) }
    })
    .await;
    let forged = Hop { from: two.id(), ..one.hop(&two) };
    one.mesh.forward(&two.id(), forged, &request("hi"), Duration::from_secs(5)).await.expect("a reply");
    let Some(Origin::Peer(hop)) = hear.recv().await else { panic!("it came from a peer") };
    assert_eq!(hop.from, one.id());
}
