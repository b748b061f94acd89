//! Taking connections in: HTTP/1.1 over the listener of the seam, every connection a named task, a bounded goodbye.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::env::{Env, Listener};

/// Who made the connection that a request came over.
#[derive(Clone, Copy, Debug)]
pub struct Source(pub SocketAddr);

/// How long a client may take to send the head of a request.
const HEAD_DEADLINE: Duration = Duration::from_secs(30);

/// How long to wait where the system will give no connection, for want of file descriptors mostly.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `stop`: then no connection is taken in any more, and those that are idle close.
/// Those that are busy finish.
pub async fn serve(mut listener: Listener, router: Router, stop: CancellationToken, env: Env) {
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, from) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                warn!(%error, "Cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let (router, stop) = (router.clone(), stop.clone());
        env.tasks.spawn("connection", async move {
            let service = service_fn(move |mut request: http::Request<Incoming>| {
                request.extensions_mut().insert(Source(from));
                let router = router.clone();
                async move {
                    let reply = router.oneshot(request).await;
                    Ok::<_, Infallible>(reply.unwrap_or_else(|never| match never {}))
                }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_DEADLINE)
                .serve_connection(TokioIo::new(stream), service);
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
