use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use tokio::sync::{broadcast, mpsc};

use super::*;

/// The near end of a socket: what was sent to the client stands in `sent`, and `room` says how much more of it it takes.
pub(in crate::api::live) struct Near {
    line: Arc<Mutex<Line>>,
    said: mpsc::UnboundedReceiver<Message>,
}

#[derive(Default)]
struct Line {
    sent: VecDeque<Message>,
    room: usize,
    waits: Option<Waker>,
}

impl Stream for Near {
    type Item = Result<Message, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.said.poll_recv(context).map(|said| said.map(Ok))
    }
}

impl Sink<Message> for Near {
    type Error = Error;

    fn poll_ready(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut line = self.line.lock().expect("a line");
        if line.room > 0 {
            return Poll::Ready(Ok(()));
        }
        line.waits = Some(context.waker().clone());
        Poll::Pending
    }

    fn start_send(self: Pin<&mut Self>, message: Message) -> Result<(), Error> {
        let mut line = self.line.lock().expect("a line");
        line.room -= 1;
        line.sent.push_back(message);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }
}

/// The far end.
pub(in crate::api::live) struct Far {
    line: Arc<Mutex<Line>>,
    said: mpsc::UnboundedSender<Message>,
}

impl Far {
    pub(in crate::api::live) fn takes(&self, room: usize) {
        let mut line = self.line.lock().expect("a line");
        line.room = room;
        if let Some(waker) = line.waits.take() {
            waker.wake();
        }
    }

    pub(in crate::api::live) fn texts(&self) -> Vec<String> {
        let sent = std::mem::take(&mut self.line.lock().expect("a line").sent);
        let text = |message: Message| message.to_text().map(str::to_owned).unwrap_or_default();
        sent.into_iter().filter(|message| matches!(message, Message::Text(_))).map(text).collect()
    }

    fn pings(&self) -> usize {
        let line = self.line.lock().expect("a line");
        line.sent.iter().filter(|message| matches!(message, Message::Ping(_))).count()
    }

    /// The code of the last message, where it says goodbye.
    fn code(&self) -> Option<u16> {
        match self.line.lock().expect("a line").sent.back() {
            Some(Message::Close(Some(frame))) => Some(frame.code),
            _ => None,
        }
    }
}

pub(in crate::api::live) fn ends(room: usize) -> (Near, Far) {
    let line = Arc::new(Mutex::new(Line { room, ..Line::default() }));
    let (said, heard) = mpsc::unbounded_channel();
    (Near { line: line.clone(), said: heard }, Far { line, said })
}

/// What there is to follow: how everything stands, and what was told of ends.
struct Source {
    sender: broadcast::Sender<Told>,
    ends: Mutex<Vec<u64>>,
    /// The last ends that are told to who has fallen behind.
    kept: usize,
}

fn end(number: u64) -> Told {
    Told { texts: [format!("end {number}").into()].into(), end: Some(number) }
}

impl Source {
    fn new(room: usize) -> Self {
        Source { sender: broadcast::Sender::new(room), ends: Mutex::default(), kept: usize::MAX }
    }

    fn end(&self, number: u64) {
        self.ends.lock().expect("a list").push(number);
        let _ = self.sender.send(end(number));
    }

    fn follow(&self, since: Option<u64>) -> Following {
        let ends = self.ends.lock().expect("a list");
        let is_missed = |number: &&u64| since.is_some_and(|since| **number > since);
        Following {
            now: vec![Utf8Bytes::from("now")].into(),
            missed: ends.iter().rev().take(self.kept).rev().filter(is_missed).map(|number| end(*number)).collect(),
            until: ends.last().copied().unwrap_or(0),
            live: self.sender.subscribe(),
        }
    }
}

/// Lets everybody do what they can do without waiting for a clock.
pub(in crate::api::live) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_let_go() {
    let source = Source::new(8);
    let (near, _far) = ends(0);
    let began = Instant::now();
    serve(near, |since| source.follow(since), CancellationToken::new()).await;
    assert_eq!(began.elapsed(), STALL);
    assert_eq!(source.sender.receiver_count(), 0, "nothing is kept for it");
}

#[tokio::test(start_paused = true)]
async fn who_takes_a_little_now_and_then_does_not_stay_for_ever() {
    let source = Source::new(8);
    let (near, far) = ends(0);
    let long: Arc<[Utf8Bytes]> = vec![Utf8Bytes::from("x"); 1_000].into();
    let follow = |since| Following { now: long.clone(), ..source.follow(since) };
    let dribble = async {
        loop {
            tokio::time::sleep(STALL / 2).await;
            far.takes(1);
        }
    };
    let began = Instant::now();
    tokio::select! {
        () = serve(near, follow, CancellationToken::new()) => {}
        () = dribble => {}
    }
    assert_eq!(began.elapsed(), LONGEST);
}

/// The other end's machine was switched off: nothing says so, and what is sent goes nowhere.
#[tokio::test(start_paused = true)]
async fn who_answers_no_ping_is_let_go() {
    let source = Source::new(8);
    let (near, far) = ends(usize::MAX);
    let began = Instant::now();
    serve(near, |since| source.follow(since), CancellationToken::new()).await;
    assert!(began.elapsed() > SILENCE && began.elapsed() <= SILENCE + BEAT, "{:?}", began.elapsed());
    assert_eq!(far.pings(), 3);
}

#[tokio::test(start_paused = true)]
async fn who_answers_stays() {
    let source = Source::new(8);
    let (near, far) = ends(usize::MAX);
    let answers = async {
        for _ in 0..100 {
            tokio::time::sleep(BEAT).await;
            let _ = far.said.send(Message::Pong(Bytes::new()));
        }
    };
    tokio::select! {
        () = serve(near, |since| source.follow(since), CancellationToken::new()) => panic!("it was let go"),
        () = answers => {}
    }
}

/// Ends of requests were once lost to whoever fell behind: first all of them, then those that its own place still held.
#[tokio::test(start_paused = true)]
async fn who_falls_behind_misses_no_end_and_hears_none_twice() {
    for (room, kept) in [(4, usize::MAX), (16, 4)] {
        let source = Source { kept, ..Source::new(room) };
        let (near, far) = ends(usize::MAX);
        let story = async {
            settle().await;
            source.end(1);
            settle().await;
            assert_eq!(far.texts(), ["now", "end 1"]);
            far.takes(1);
            source.end(2);
            source.end(3);
            settle().await;
            (4..22).for_each(|number| source.end(number));
            far.takes(usize::MAX);
            settle().await;
            source.end(22);
            settle().await;
            let told = far.texts();
            let ends: Vec<String> = told.iter().filter(|text| text.starts_with("end")).cloned().collect();
            // What neither its place nor the list holds is lost.
            let lost = if kept < 16 { 4..6 } else { 0..0 };
            let wanted = (2..=22).filter(|number| !lost.contains(number)).map(|number| format!("end {number}"));
            assert_eq!(ends, wanted.collect::<Vec<_>>(), "{room} held, {kept} kept");
            assert_eq!(told.iter().filter(|text| *text == "now").count(), 1, "and how everything stands");
        };
        tokio::select! {
            () = serve(near, |since| source.follow(since), CancellationToken::new()) => panic!("it was let go"),
            () = story => {}
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_talks_without_end_is_told_to_stop() {
    for loud in [Message::Text("x".repeat(1_024).into()), Message::Ping(Bytes::from_static(&[0; 125]))] {
        let source = Source::new(4);
        let (near, far) = ends(usize::MAX);
        for _ in 0..1_000 {
            far.said.send(loud.clone()).expect("it listens");
        }
        serve(near, |since| source.follow(since), CancellationToken::new()).await;
        assert_eq!(far.code(), Some(close_code::POLICY));
    }
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stops_waits_for_nobody_who_does_not_read() {
    let source = Source::new(4);
    let (near, _far) = ends(0);
    let closing = CancellationToken::new();
    closing.cancel();
    let began = Instant::now();
    serve(near, |since| source.follow(since), closing).await;
    assert_eq!(began.elapsed(), GOODBYE);
}
