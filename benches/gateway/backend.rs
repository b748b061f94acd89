//! The backend behind every peer: one thread, answers made beforehand, as little work as a server can do. It speaks just
//! enough HTTP for the peers measured here, and ends when its standard input closes.

use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{LocalSet, spawn_local};

use crate::script::{DONE, MOST_CHUNKS, Script, WHOLE, event};

const STREAM_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
    transfer-encoding: chunked\r\n\r\n";

/// The largest request that is taken.
const REQUEST_LIMIT: usize = 4 << 20;

/// All that is ever sent.
struct Answers {
    whole: Vec<u8>,
    models: Vec<u8>,
    health: Vec<u8>,
    missing: Vec<u8>,
    events: Vec<Vec<u8>>,
    last: Vec<u8>,
}

impl Answers {
    fn new() -> Self {
        let models =
            r#"{"object":"list","data":[{"id":"bench","object":"model","owned_by":"bench","max_model_len":131072}]}"#;
        let mut last = chunk(DONE);
        last.extend_from_slice(b"0\r\n\r\n");
        Answers {
            whole: json("200 OK", WHOLE),
            models: json("200 OK", models),
            health: json("200 OK", "{}"),
            missing: json("404 Not Found", "{}"),
            events: (0..MOST_CHUNKS).map(|index| chunk(&event(index))).collect(),
            last,
        }
    }
}

fn json(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// Says where it listens on standard output, and serves until standard input closes.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for the backend")?;
        println!("{}", listener.local_addr()?);
        let answers = Rc::new(Answers::new());
        let (gone, mut driver) = tokio::sync::oneshot::channel::<()>();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            drop(gone);
        });
        loop {
            tokio::select! {
                biased;
                _ = &mut driver => return Ok(()),
                accepted = listener.accept() => {
                    let Ok((stream, _)) = accepted else { continue };
                    let answers = answers.clone();
                    // A connection that ends is all that can go wrong, and the other side notices.
                    spawn_local(async move { drop(serve(stream, &answers).await) });
                }
            }
        }
    })
}

async fn serve(mut stream: TcpStream, answers: &Answers) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(128 << 10);
    loop {
        let request = loop {
            match Request::read(&buffer) {
                Some(request) => break request,
                None if buffer.len() > REQUEST_LIMIT => return Ok(()),
                None if stream.read_buf(&mut buffer).await? == 0 => return Ok(()),
                None => {}
            }
        };
        match request.path {
            Path::Chat => match Script::of(&buffer[request.body..request.end]) {
                Some(script) if script.chunks > 0 => send(&mut stream, script, answers).await?,
                Some(_) => stream.write_all(&answers.whole).await?,
                None => stream.write_all(&answers.missing).await?,
            },
            Path::Models => stream.write_all(&answers.models).await?,
            Path::Health => stream.write_all(&answers.health).await?,
            Path::Other => stream.write_all(&answers.missing).await?,
        }
        buffer.drain(..request.end);
    }
}

/// Every chunk is a write of its own, as servers flush each token.
async fn send(stream: &mut TcpStream, script: Script, answers: &Answers) -> std::io::Result<()> {
    stream.write_all(STREAM_HEAD).await?;
    if script.pause > 0 {
        tokio::time::sleep(Duration::from_micros(script.pause)).await;
    }
    let mut due = tokio::time::Instant::now();
    for event in &answers.events[..script.chunks as usize] {
        stream.write_all(event).await?;
        if script.gap > 0 {
            due += Duration::from_micros(script.gap);
            tokio::time::sleep_until(due).await;
        }
    }
    stream.write_all(&answers.last).await
}

enum Path {
    Chat,
    Models,
    Health,
    Other,
}

/// A whole request at the beginning of what was read.
struct Request {
    path: Path,
    /// Where its body begins.
    body: usize,
    /// Where it ends.
    end: usize,
}

impl Request {
    fn read(bytes: &[u8]) -> Option<Request> {
        let body = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
        let head = std::str::from_utf8(&bytes[..body]).ok()?;
        let mut lines = head.split("\r\n");
        let path = match lines.next()?.split(' ').nth(1)? {
            "/v1/chat/completions" => Path::Chat,
            "/v1/models" => Path::Models,
            "/health" | "/v1/traces" => Path::Health,
            _ => Path::Other,
        };
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let end = body + length.unwrap_or(0).min(REQUEST_LIMIT);
        (bytes.len() >= end).then_some(Request { path, body, end })
    }
}
