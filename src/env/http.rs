//! HTTP to backends: plain HTTP by hyper over [`Net`], so that it is the same code in a simulation; HTTPS by reqwest.
//! Retries, deadlines and meaning are above this.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::{BoxIo, Net};
use crate::exchange::{Cut, Reply};

/// One HTTP exchange with a backend: the head is awaited, the body streams.
pub trait HttpExchange: Send + Sync + 'static {
    /// Sends `request`, whose URI is absolute. Dropping the future or the reply's body closes the connection.
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>>;
}

/// Why there is no reply. Messages name no URL and no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// Nobody accepted the connection.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// The connection broke before the head of a reply, or what came was not HTTP.
    #[error("connection lost before an answer: {0}")]
    Broken(String),
}

/// Idle connections kept per backend, and for how long.
const IDLE_PER_HOST: usize = 64;
const IDLE_FOR: Duration = Duration::from_secs(60);

/// Both ways of speaking HTTP.
pub struct Exchange {
    plain: Client<Dialler, Full<Bytes>>,
    secure: std::sync::OnceLock<Result<reqwest::Client, String>>,
    connect_deadline: Duration,
}

impl Exchange {
    /// Plain HTTP goes through `net`.
    pub fn new(net: Arc<dyn Net>, connect_deadline: Duration) -> Self {
        let plain = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_PER_HOST)
            .build(Dialler { net, deadline: connect_deadline });
        Exchange { plain, secure: std::sync::OnceLock::new(), connect_deadline }
    }

    /// Made at first use: reading the machine's trust store takes time and memory that a LAN never needs.
    fn secure(&self) -> Result<reqwest::Client, ExchangeError> {
        let client = self.secure.get_or_init(|| {
            // Another part may have installed it already.
            let _ = rustls::crypto::ring::default_provider().install_default();
            reqwest::Client::builder()
                .connect_timeout(self.connect_deadline)
                .pool_idle_timeout(IDLE_FOR)
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .map_err(|error| error.without_url().to_string())
        });
        client.clone().map_err(ExchangeError::Connect)
    }
}

impl HttpExchange for Exchange {
    fn send(&self, request: http::Request<Full<Bytes>>) -> BoxFuture<'static, Result<Reply, ExchangeError>> {
        if request.uri().scheme() == Some(&http::uri::Scheme::HTTPS) {
            let client = self.secure();
            return Box::pin(async move {
                let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map_err(secure_error)?;
                let reply = client?.execute(request).await.map_err(secure_error)?;
                Ok(http::Response::from(reply).map(|body| body.map_err(|_| Cut::Backend).boxed_unsync()))
            });
        }
        let exchange = self.plain.request(request);
        Box::pin(async move {
            let reply = exchange.await.map_err(|error| plain_error(&error))?;
            Ok(reply.map(|body| body.map_err(|_| Cut::Backend).boxed_unsync()))
        })
    }
}

fn plain_error(error: &hyper_util::client::legacy::Error) -> ExchangeError {
    let cause = root_cause(error);
    if error.is_connect() { ExchangeError::Connect(cause) } else { ExchangeError::Broken(cause) }
}

fn secure_error(error: reqwest::Error) -> ExchangeError {
    let error = error.without_url();
    let cause = root_cause(&error);
    if error.is_connect() { ExchangeError::Connect(cause) } else { ExchangeError::Broken(cause) }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[derive(Clone)]
struct Dialler {
    net: Arc<dyn Net>,
    deadline: Duration,
}

impl tower::Service<http::Uri> for Dialler {
    type Response = Dialled;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Dialled>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: http::Uri) -> Self::Future {
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let dial = self.net.dial(host, uri.port_u16().unwrap_or(80));
        let deadline = self.deadline;
        Box::pin(async move {
            match tokio::time::timeout(deadline, dial).await {
                Ok(stream) => Ok(Dialled(TokioIo::new(stream?))),
                Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no connection within the connect deadline")),
            }
        })
    }
}

struct Dialled(TokioIo<BoxIo>);

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl hyper::rt::Read for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: hyper::rt::ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl hyper::rt::Write for Dialled {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(context, buffers)
    }
}
