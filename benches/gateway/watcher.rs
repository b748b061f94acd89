//! Somebody who watches: a dashboard that follows `/ws`, and a Prometheus that asks for `/metrics` every second. A process of
//! its own, one thread. It says so when it follows, and how many ends of requests it was told whenever it is asked.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::{LocalSet, spawn_local};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::load::READY;

/// What a message about the end of a request says.
const TOLD: &[u8] = br#""RequestComplete""#;

/// How often Prometheus asks.
const SCRAPE_EVERY: Duration = Duration::from_secs(1);

/// Watches the peer at `address` until standard input closes.
pub(crate) fn run(address: SocketAddr, scrapes: bool) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let told = Rc::new(Cell::new(0));
        let stream = follow(address).await?;
        println!("{READY}");
        let following = spawn_local(count(stream, told.clone()));
        if scrapes {
            spawn_local(scrape(address));
        }
        let mut asked = BufReader::new(tokio::io::stdin()).lines();
        while asked.next_line().await?.is_some() {
            ensure!(!following.is_finished(), "the connection to {address} has ended");
            println!("{}", told.get());
        }
        Ok(())
    })
}

async fn follow(address: SocketAddr) -> Result<WebSocketStream<TcpStream>> {
    let stream = TcpStream::connect(address).await?;
    let (stream, _) = client_async(format!("ws://{address}/ws"), stream).await.context("refused")?;
    Ok(stream)
}

/// Reads whatever comes. Pings are answered by that: who does not is taken for gone.
async fn count(mut stream: WebSocketStream<TcpStream>, told: Rc<Cell<u64>>) -> Result<()> {
    while let Some(message) = stream.next().await {
        let message = message?.into_data();
        let seen = message.windows(TOLD.len()).filter(|window| *window == TOLD).count();
        told.set(told.get() + seen as u64);
    }
    Ok(())
}

async fn scrape(address: SocketAddr) -> std::io::Result<()> {
    let mut every = tokio::time::interval(SCRAPE_EVERY);
    let request = format!("GET /metrics HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut text = Vec::new();
    loop {
        every.tick().await;
        text.clear();
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        stream.read_to_end(&mut text).await?;
    }
}
