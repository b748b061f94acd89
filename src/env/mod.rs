//! The seams: everything the outside world gives a node. Each file holds a trait and its real form side by side;
//! the simulation brings forms of its own. Nothing above this floor touches sockets, clocks, chance or disks directly.

mod clock;
mod disk;
mod http;
mod mdns;
mod net;
mod place;
mod seed;
mod tasks;
mod udp;

use std::sync::Arc;
use std::time::Duration;

pub use self::clock::{Clock, WallClock};
pub use self::disk::{Append, Disk, RealDisk};
pub use self::http::{Exchange, ExchangeError, HttpExchange};
pub use self::mdns::{Announcement, Mdns, NoMdns, RealMdns, Sighting, Sightings};
pub use self::net::{Accept, BoxIo, Io, Listener, Net, RealNet};
pub use self::place::Network;
pub use self::seed::{Dice, Seed};
pub use self::tasks::Tasks;

/// What a node is given to live on.
#[derive(Clone)]
pub struct Env {
    /// Listening, dialling, datagrams.
    pub net: Arc<dyn Net>,
    /// HTTP to backends.
    pub http: Arc<dyn HttpExchange>,
    /// Multicast discovery.
    pub mdns: Arc<dyn Mdns>,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub seed: Seed,
    /// Files.
    pub disk: Arc<dyn Disk>,
    /// Background work.
    pub tasks: Tasks,
}

impl Env {
    /// How long a backend may take to accept a connection.
    pub const CONNECT_DEADLINE: Duration = Duration::from_secs(3);

    /// The real world.
    pub fn real() -> Self {
        let net: Arc<dyn Net> = Arc::new(RealNet);
        Env {
            http: Arc::new(Exchange::new(net.clone(), Self::CONNECT_DEADLINE)),
            net,
            mdns: Arc::new(RealMdns),
            clock: Arc::new(WallClock),
            seed: Seed::from_os(),
            disk: Arc::new(RealDisk),
            tasks: Tasks::new(),
        }
    }
}
