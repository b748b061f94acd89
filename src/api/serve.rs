//! Taking connections in: HTTP/1.1 over the listener of the seam, every connection a named task, every request and its
//! reply under one id, a bounded goodbye.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use http::{HeaderMap, HeaderName, HeaderValue};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rand::RngExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use super::patient::Patient;
use crate::env::{Dice, Env, Listener};
use crate::exchange::RequestId;

/// Who made the connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Source(pub SocketAddr);

/// The id of a request, in its extensions, in its reply and in every log.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Makes ids for requests that bring none.
#[derive(Clone)]
struct Ids(Arc<Mutex<Dice>>);

impl Ids {
    /// The id that the client chose, if it is fit, else a fresh one.
    fn of(&self, headers: &HeaderMap) -> RequestId {
        let named = headers.get(&REQUEST_ID).and_then(|value| RequestId::from_outside(value.to_str().ok()?));
        named.unwrap_or_else(|| RequestId::from_bits(self.0.lock().unwrap_or_else(PoisonError::into_inner).random()))
    }
}

/// How long a client may take to send the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// How long to wait where the system will give no connection, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Connections at once. Further ones wait to be accepted until one of these ends.
const MAX_CONNECTIONS: usize = 8192;

/// Time between two complaints about the same.
const COMPLAINT_PAUSE: Duration = Duration::from_secs(60);

/// When something was complained about last.
#[derive(Default)]
struct Complained(Option<Instant>);

impl Complained {
    /// Whether to complain now. If so, it counts as done.
    fn is_due(&mut self) -> bool {
        let due = self.0.is_none_or(|at| at.elapsed() >= COMPLAINT_PAUSE);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Room for so many connections.
struct Room {
    places: Arc<Semaphore>,
    size: usize,
    complained: Complained,
}

impl Room {
    fn new(size: usize) -> Self {
        Room { places: Arc::new(Semaphore::new(size)), size, complained: Complained::default() }
    }

    /// A place, as soon as there is one.
    async fn place(&mut self) -> OwnedSemaphorePermit {
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return place;
        }
        if self.complained.is_due() {
            warn!(connections = self.size, "Too many connections: new ones wait until others end");
        }
        self.places.clone().acquire_owned().await.expect("the semaphore is never closed")
    }
}

/// Serves `router` on `listener` until `stop`: then no connection is taken in any more, and those that are idle close.
/// Those that are busy finish.
pub async fn serve(listener: Listener, router: Router, stop: CancellationToken, env: Env) {
    serve_at_most(MAX_CONNECTIONS, listener, router, stop, env).await;
}

async fn serve_at_most(connections: usize, mut listener: Listener, router: Router, stop: CancellationToken, env: Env) {
    let mut room = Room::new(connections);
    let mut complained = Complained::default();
    let ids = Ids(Arc::new(Mutex::new(env.seed.fork("request ids"))));
    loop {
        let (place, accepted) = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = async { (room.place().await, listener.accept().await) } => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                if complained.is_due() {
                    warn!(%error, "Cannot accept a connection");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, ids, stop) = (router.clone(), ids.clone(), stop.clone());
        env.tasks.spawn("connection", async move {
            let _place = place;
            let service = service_fn(move |mut request: http::Request<Incoming>| {
                let id = ids.of(request.headers());
                request.extensions_mut().insert(Source(from));
                request.extensions_mut().insert(id.clone());
                let router = router.clone();
                async move {
                    let reply = router.oneshot(request).await;
                    Ok::<_, Infallible>(named(reply.unwrap_or_else(|never| match never {}), &id))
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .serve_connection(TokioIo::new(Patient::new(stream)), service)
                .with_upgrades();
            let mut connection = std::pin::pin!(connection);
            let ended = tokio::select! {
                biased;
                ended = connection.as_mut() => ended,
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    connection.await
                }
            };
            if let Err(error) = ended {
                debug!(%error, "Connection ended");
            }
        });
    }
}

/// The gateway names its replies itself; this names all others.
fn named(mut reply: Response, id: &RequestId) -> Response {
    if !reply.headers().contains_key(&REQUEST_ID)
        && let Ok(value) = HeaderValue::from_str(id.as_str())
    {
        reply.headers_mut().insert(REQUEST_ID, value);
    }
    reply
}

#[cfg(test)]
mod tests;
