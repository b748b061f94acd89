//! A connection whose other end must take what it is sent: a client that stops reading would hold its request, and the
//! slot of the backend that serves it, for ever. Time counts only while a write waits and nothing of it is taken. How
//! long a client may be silent is not decided here, nor how slowly it may read as long as it does.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a write may wait without a byte being taken.
const PATIENCE: Duration = Duration::from_secs(60);

/// `T`, whose writes fail with [`io::ErrorKind::TimedOut`] where they wait for more than a minute.
pub(super) struct Patient<T> {
    stream: T,
    writing: Wait,
    flushing: Wait,
}

impl<T> Patient<T> {
    pub(super) fn new(stream: T) -> Self {
        Patient { stream, writing: Wait(None), flushing: Wait(None) }
    }
}

/// Since when something waits. Flushing has its own: a flush that has nothing to do says nothing about a write.
struct Wait(Option<Pin<Box<Sleep>>>);

impl Wait {
    fn bounded<R>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if polled.is_ready() {
            self.0 = None;
            return polled;
        }
        let over = self.0.get_or_insert_with(|| Box::pin(sleep(PATIENCE)));
        over.as_mut().poll(context).map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the client does not read")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Patient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Patient<T> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.writing.bounded(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.writing.bounded(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.flushing.bounded(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.flushing.bounded(context, polled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_write_that_nobody_takes_ends_after_a_minute() {
        let (stream, mut client) = duplex(4);
        let mut stream = Patient::new(stream);
        stream.write_all(b"1234").await.expect("room");
        // An hour without anything to write is none of its business.
        tokio::time::sleep(60 * PATIENCE).await;
        stream.flush().await.expect("nothing waits");

        let began = Instant::now();
        let error = stream.write_all(b"5").await.expect_err("no room");
        assert_eq!((error.kind(), began.elapsed().as_secs()), (io::ErrorKind::TimedOut, 60));
        let slices = [IoSlice::new(b"5")];
        let error = stream.write_vectored(&slices).await.expect_err("no room");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut taken = [0; 4];
        client.read_exact(&mut taken).await.expect("they are there");
        stream.write_all(b"5").await.expect("room again");
    }

    #[tokio::test(start_paused = true)]
    async fn flushes_between_do_not_give_a_write_more_time() {
        let (stream, _client) = duplex(1);
        let mut stream = Patient::new(stream);
        stream.write_all(b"1").await.expect("room");
        let began = Instant::now();
        let error = loop {
            let waited = tokio::time::timeout(PATIENCE / 4, stream.write(b"2")).await;
            if let Ok(ended) = waited {
                break ended.expect_err("no room");
            }
            assert!(began.elapsed() < 2 * PATIENCE, "for ever");
            stream.flush().await.expect("a duplex has nothing to flush");
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_slowly_is_served_to_the_end() {
        let (stream, mut client) = duplex(1);
        let mut stream = Patient::new(stream);
        let read = async {
            let mut heard = Vec::new();
            while heard.len() < 5 {
                tokio::time::sleep(PATIENCE - Duration::from_secs(1)).await;
                heard.push(client.read_u8().await.expect("it is written"));
            }
            heard
        };
        let (written, heard) = tokio::join!(stream.write_all(b"hello"), read);
        written.expect("every byte was taken in time");
        assert_eq!(heard, b"hello");
    }
}
