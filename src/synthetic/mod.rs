//! A server that speaks OpenAI's API and makes up its text at a given speed with a given number of slots: for trying
//! Nexus out, for demos, benchmarks and tests. It runs no model, reads no meaning, and has no faults to switch on.

mod embed;
mod pace;
mod reply;
mod request;
mod routes;
mod slots;
mod stream;
#[cfg(test)]
mod tests;
mod text;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::routes::Service;
pub use self::slots::Stats;
use crate::env::{BoxIo, Env, Listener, Tasks};

/// How many tokens prompt and reply may have together, as `/v1/models` says.
pub const CONTEXT: u32 = 131_072;

/// How many connections are served at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 8192;

/// How long to leave a listener alone that could not accept, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the server pretends to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Name or address to listen on.
    pub host: String,
    /// TCP port; 0 takes any free one.
    pub port: u16,
    /// The models it has; another name is answered with 404.
    pub models: Vec<String>,
    /// Decode speed of each slot, in tokens per second; 0 is as fast as it can.
    pub tokens_per_second: f64,
    /// Speed of reading the prompt, in tokens per second; 0 takes no time.
    pub prefill_per_second: f64,
    /// How many requests run at once, 1 to 4096; the others wait for their turn.
    pub slots: u32,
    /// Send the head of a stream before waiting for a slot and reading the prompt (as vLLM does), not with the first
    /// chunk (as llama.cpp does).
    pub head_first: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            host: "127.0.0.1".to_owned(),
            port: 0,
            models: vec!["synthetic".to_owned()],
            tokens_per_second: 50.0,
            prefill_per_second: 0.0,
            slots: 4,
            head_first: false,
        }
    }
}

/// A running server. Dropping it stops it without waiting.
pub struct Synthetic {
    address: SocketAddr,
    service: Arc<Service>,
    alive: TaskTracker,
    _stop: DropGuard,
}

impl Synthetic {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a client on this host reaches it: `http://host:port`, without a path.
    pub fn url(&self) -> String {
        let mut address = self.address;
        if address.ip().is_unspecified() {
            address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        format!("http://{address}")
    }

    /// What it has done so far; also served as `/stats`.
    pub fn stats(&self) -> Stats {
        self.service.slots.stats()
    }

    /// Closes the port and every connection, then returns.
    pub async fn stop(self) {
        let Synthetic { alive, _stop: stop, .. } = self;
        drop(stop);
        alive.close();
        alive.wait().await;
    }
}

/// Starts a server as `options` describe it.
///
/// # Errors
/// The host does not resolve, or the port cannot be listened on.
pub async fn start(options: Options, env: &Env) -> io::Result<Synthetic> {
    let addresses = env.net.resolve(options.host.clone(), options.port).await?;
    let address = *addresses.first().ok_or_else(|| {
        io::Error::new(io::ErrorKind::AddrNotAvailable, format!("'{}' stands for no address", options.host))
    })?;
    let listener = env.net.listen(address).await?;
    let address = listener.local_addr()?;
    let service = Arc::new(Service::new(&options, env.clock.unix_seconds()));
    let (stop, alive) = (CancellationToken::new(), TaskTracker::new());
    let door = Door {
        router: routes::router(service.clone()),
        tasks: env.tasks.clone(),
        stop: stop.clone(),
        alive: alive.clone(),
    };
    let (token, stopped) = (alive.token(), stop.clone());
    env.tasks.spawn("synthetic", async move {
        let _alive = token;
        tokio::select! {
            () = stopped.cancelled() => {}
            () = door.accept(listener) => {}
        }
    });
    Ok(Synthetic { address, service, alive, _stop: stop.drop_guard() })
}

struct Door {
    router: Router,
    tasks: Tasks,
    stop: CancellationToken,
    alive: TaskTracker,
}

impl Door {
    async fn accept(&self, mut listener: Listener) {
        let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        loop {
            let Ok(place) = room.clone().acquire_owned().await else { return };
            match listener.accept().await {
                Ok((io, _)) => self.serve(io, place),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    fn serve(&self, io: BoxIo, place: OwnedSemaphorePermit) {
        let service = TowerToHyperService::new(self.router.clone());
        let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
        let (stop, token) = (self.stop.clone(), self.alive.token());
        self.tasks.spawn("synthetic-connection", async move {
            let _held = (token, place);
            tokio::select! {
                () = stop.cancelled() => {}
                // A client that breaks off is the client's business.
                _ = connection => {}
            }
        });
    }
}
