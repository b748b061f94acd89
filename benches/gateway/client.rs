//! One client connection: a request goes out, and every byte that comes back is compared with what must come back. A peer
//! that answers wrongly can therefore not look fast.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

/// The longest anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// The most that an answer may be larger than what is expected, head and framing included.
const ANSWER_LIMIT: usize = 4 << 20;

/// A connection that is kept.
pub(crate) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// How an exchange went.
pub(crate) struct Timing {
    /// To the first byte of the body.
    pub(crate) first_byte: Duration,
    /// To the last byte of the body.
    pub(crate) whole: Duration,
    /// Pieces that the body came in; 1 where its length was announced.
    pub(crate) chunks: u64,
}

/// The head of an answer.
struct Head {
    /// Its size in bytes.
    size: usize,
    length: Option<usize>,
    chunked: bool,
}

impl Client {
    pub(crate) fn new(address: SocketAddr) -> Self {
        Client { address, stream: None, buffer: Vec::with_capacity(128 << 10) }
    }

    /// Sends `request` and waits for an answer whose body is `expected` and whose head holds `header`.
    ///
    /// # Errors
    /// Any other answer, or none.
    pub(crate) async fn exchange(&mut self, request: &[u8], expected: &[u8], header: &str) -> Result<Timing> {
        let done = tokio::time::timeout(PATIENCE, self.try_exchange(request, expected, header)).await;
        let done = done.unwrap_or_else(|_| bail!("no answer within {} s", PATIENCE.as_secs()));
        if done.is_err() {
            self.stream = None;
        }
        done
    }

    async fn try_exchange(&mut self, request: &[u8], expected: &[u8], header: &str) -> Result<Timing> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(self.address).await.context("cannot connect")?;
            stream.set_nodelay(true)?;
            self.stream = Some(stream);
        }
        self.buffer.clear();
        let started = Instant::now();
        let stream = self.stream.as_mut().context("connected above")?;
        stream.write_all(request).await.context("cannot send")?;
        let head = loop {
            self.more().await?;
            if let Some(head) = read_head(&self.buffer, header)? {
                break head;
            }
        };
        let (first_byte, chunks) = match head {
            Head { size, length: Some(length), .. } => (self.whole(size, length, expected, started).await?, 1),
            Head { size, chunked: true, .. } => self.stream(size, expected, started).await?,
            Head { .. } => bail!("neither content-length nor chunks"),
        };
        Ok(Timing { first_byte, whole: started.elapsed(), chunks })
    }

    async fn whole(&mut self, start: usize, length: usize, expected: &[u8], started: Instant) -> Result<Duration> {
        ensure!(length == expected.len(), "the body has {length} bytes, not {}", expected.len());
        while self.buffer.len() == start {
            self.more().await?;
        }
        let first_byte = started.elapsed();
        while self.buffer.len() < start + length {
            self.more().await?;
        }
        ensure!(&self.buffer[start..] == expected, "the body is another than the backend sent");
        Ok(first_byte)
    }

    /// Takes chunks apart; says when the first came, and how many there were.
    async fn stream(&mut self, start: usize, expected: &[u8], started: Instant) -> Result<(Duration, u64)> {
        let (mut at, mut seen, mut chunks, mut first_byte) = (start, 0, 0, None);
        loop {
            let Some((data, size)) = read_chunk_size(&self.buffer[at..])? else {
                self.more().await?;
                continue;
            };
            let data = at + data;
            while self.buffer.len() < data + size + 2 {
                self.more().await?;
            }
            if size == 0 {
                ensure!(seen == expected.len(), "the stream ended after {seen} bytes of {}", expected.len());
                return Ok((first_byte.context("an empty stream")?, chunks));
            }
            first_byte.get_or_insert_with(|| started.elapsed());
            let right = expected.get(seen..seen + size).context("more bytes than the backend sent")?;
            ensure!(&self.buffer[data..data + size] == right, "other bytes than the backend sent, at {seen}");
            chunks += 1;
            seen += size;
            at = data + size + 2;
        }
    }

    async fn more(&mut self) -> Result<()> {
        ensure!(self.buffer.len() < ANSWER_LIMIT, "the answer does not end");
        let stream = self.stream.as_mut().context("connected above")?;
        ensure!(stream.read_buf(&mut self.buffer).await? > 0, "the connection was closed");
        Ok(())
    }
}

fn read_head(bytes: &[u8], header: &str) -> Result<Option<Head>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end]).context("the head is no text")?;
    let mut lines = text.split("\r\n");
    let status = lines.next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200"), "answered {status}");
    let mut head = Head { size: end + 4, length: None, chunked: false };
    let mut found = header.is_empty();
    for line in lines {
        found |= line.eq_ignore_ascii_case(header);
        let Some((name, value)) = line.split_once(':') else { continue };
        if name.eq_ignore_ascii_case("content-length") {
            head.length = value.trim().parse().ok();
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            head.chunked = value.trim().eq_ignore_ascii_case("chunked");
        }
    }
    ensure!(found, "the answer does not say '{header}'");
    Ok(Some(head))
}

/// Where the data of a chunk begins, and how much there is; `None` where the line is not all there.
fn read_chunk_size(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end]).context("a chunk without a size")?;
    let size = usize::from_str_radix(line.trim(), 16).context("a chunk without a size")?;
    ensure!(size < ANSWER_LIMIT, "a chunk of {size} bytes");
    Ok(Some((end + 2, size)))
}
