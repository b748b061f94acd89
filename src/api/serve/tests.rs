use axum::body::Body;
use axum::routing::{get, post};
use futures_util::future::BoxFuture;
use futures_util::stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::sync::mpsc;

use super::*;
use crate::api::respond;
use crate::env::{Accept, BoxIo};

/// A listener to which a test connects without a network.
struct Ear(mpsc::Receiver<DuplexStream>);

impl Accept for Ear {
    fn accept(&mut self) -> BoxFuture<'_, std::io::Result<(BoxIo, SocketAddr)>> {
        Box::pin(async {
            let Some(stream) = self.0.recv().await else { return std::future::pending().await };
            Ok((Box::new(stream) as BoxIo, ([127, 0, 0, 1], 1).into()))
        })
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(([127, 0, 0, 1], 8000).into())
    }
}

/// Of a body, in bytes.
const LIMIT: usize = 100_000;

struct Server {
    door: mpsc::Sender<DuplexStream>,
    _env: Env,
}

impl Server {
    fn start(connections: usize) -> Self {
        let (door, ear) = mpsc::channel(16);
        let read = |request| async {
            match respond::whole_body_of(request, LIMIT).await {
                Ok((_, body)) => respond::json(http::StatusCode::OK, &body.len()),
                Err(fault) => respond::fault(&fault),
            }
        };
        let endless = || async { Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(vec![0; 1 << 12]))) };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/", post(read));
        let router = router.route("/endless", get(endless));
        let env = Env::real();
        let stop = CancellationToken::new();
        env.tasks.spawn("http", serve_at_most(connections, Box::new(Ear(ear)), router, stop, env.clone()));
        Server { door, _env: env }
    }

    async fn connect(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        self.door.send(theirs).await.expect("it serves");
        ours
    }
}

async fn send(stream: &mut DuplexStream, text: &str) {
    stream.write_all(text.as_bytes()).await.expect("connected");
}

/// What comes within `patience`, up to the end where there is one.
async fn hear(stream: &mut DuplexStream, patience: Duration) -> String {
    let mut heard = Vec::new();
    let _ = tokio::time::timeout(patience, stream.read_to_end(&mut heard)).await;
    String::from_utf8(heard).expect("text")
}

const GET: &str = "GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const A_MOMENT: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_connection_too_many_waits_until_another_ends() {
    let server = Server::start(2);
    let (mut first, mut second, mut third) = (server.connect().await, server.connect().await, server.connect().await);
    for stream in [&mut first, &mut second, &mut third] {
        send(stream, GET).await;
    }
    assert!(hear(&mut first, A_MOMENT).await.ends_with("hello"));
    assert!(hear(&mut second, A_MOMENT).await.ends_with("hello"));
    assert_eq!(hear(&mut third, A_MOMENT).await, "");
    drop(first);
    assert!(hear(&mut third, A_MOMENT).await.ends_with("hello"));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_is_refused_and_its_connection_closed() {
    let server = Server::start(2);
    let mut stream = server.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nabc").await;
    let began = Instant::now();
    let reply = hear(&mut stream, 60 * A_MOMENT).await;
    assert!(began.elapsed() < 16 * A_MOMENT, "closed: {:?}", began.elapsed());
    assert!(reply.starts_with("HTTP/1.1 408 ") && reply.contains(r#""code":"request_timeout""#), "{reply}");
    // One that is announced as too large is read for a while, and no longer than any other.
    let mut stream = server.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 200000\r\n\r\nabc").await;
    let reply = hear(&mut stream, 60 * A_MOMENT).await;
    assert!(reply.starts_with("HTTP/1.1 413 ") && began.elapsed() < 32 * A_MOMENT, "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_slow_as_long_as_it_comes() {
    let server = Server::start(2);
    let mut stream = server.connect().await;
    send(&mut stream, "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nconnection: close\r\n\r\n").await;
    for piece in ["ab", "cde"] {
        tokio::time::sleep(14 * A_MOMENT).await;
        send(&mut stream, piece).await;
    }
    let reply = hear(&mut stream, A_MOMENT).await;
    assert!(reply.starts_with("HTTP/1.1 200 ") && reply.ends_with('5'), "{reply}");
}

/// A byte every few seconds once kept a connection, and what had come, for days.
#[tokio::test(start_paused = true)]
async fn a_body_that_drips_is_refused_however_steadily() {
    let server = Server::start(4);
    // 30 s, and one for each 16 KiB announced, or of the limit where nothing is.
    for (announced, begins, seconds) in [
        ("content-length: 1000", "HTTP/1.1 408 ", 30),
        ("transfer-encoding: chunked", "HTTP/1.1 408 ", 30 + LIMIT / (16 << 10)),
        ("content-length: 65536", "HTTP/1.1 408 ", 34),
        ("content-length: 200000", "HTTP/1.1 413 ", 30 + LIMIT / (16 << 10)),
    ] {
        let mut stream = server.connect().await;
        send(&mut stream, &format!("POST / HTTP/1.1\r\nhost: x\r\n{announced}\r\n\r\n")).await;
        let began = Instant::now();
        let mut reply = String::new();
        while reply.is_empty() && began.elapsed() < 100 * A_MOMENT {
            send(&mut stream, if announced.ends_with("chunked") { "1\r\na\r\n" } else { "a" }).await;
            reply = hear(&mut stream, A_MOMENT).await;
        }
        assert!(reply.starts_with(begins), "{announced}: {reply}");
        assert_eq!(began.elapsed().as_secs(), seconds as u64, "{announced}");
    }
}

/// It held its request, and with it the slot of a backend, for as long as it kept its connection.
#[tokio::test(start_paused = true)]
async fn a_client_that_stops_reading_is_given_up() {
    let server = Server::start(1);
    let (mut deaf, mut next) = (server.connect().await, server.connect().await);
    send(&mut deaf, "GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    send(&mut next, GET).await;
    assert_eq!(hear(&mut next, 59 * A_MOMENT).await, "", "the connection before it is still waited for");
    assert!(hear(&mut next, 2 * A_MOMENT).await.ends_with("hello"));
}

/// Without file descriptors, accepting fails twenty times a second.
#[tokio::test(start_paused = true)]
async fn a_complaint_is_made_at_once_and_then_once_a_minute() {
    let mut complained = Complained::default();
    let mut made = Vec::new();
    for second in 0..=121 {
        made.extend(complained.is_due().then_some(second));
        made.extend(complained.is_due().then_some(second));
        tokio::time::advance(A_MOMENT).await;
    }
    assert_eq!(made, [0, 60, 120]);
}
