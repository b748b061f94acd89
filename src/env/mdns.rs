//! Multicast discovery: what is announced on the local network, and telling it about this node. A sighting is a hint
//! that an address exists; whether anybody lives there is for others to find out.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::net::IpAddr;

use mdns_sd::{ServiceDaemon, ServiceEvent, ServiceInfo};
use tokio::sync::mpsc;

/// Something seen on the local network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sighting {
    /// A service is announced, or its announcement has changed. Several of these come for one service.
    Seen {
        /// The type browsed for, such as `_llm._tcp.local.`.
        service: String,
        /// The full instance name: the key under which it goes away again.
        instance: String,
        /// Where it listens.
        port: u16,
        /// Every address announced so far.
        addresses: Vec<IpAddr>,
        /// Its TXT record.
        txt: BTreeMap<String, String>,
    },
    /// A service said goodbye, or its record ran out.
    Gone {
        /// The type browsed for.
        service: String,
        /// The full instance name.
        instance: String,
    },
}

/// What this node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Service type, such as `_nexus-peer._udp.local.`.
    pub service: String,
    /// Instance name: unique on the network.
    pub instance: String,
    /// Where this node listens.
    pub port: u16,
    /// The TXT record.
    pub txt: Vec<(String, String)>,
}

/// Sightings as they come, until this is dropped; announcements are withdrawn with it.
pub struct Sightings {
    /// The sightings.
    pub events: mpsc::Receiver<Sighting>,
    /// What keeps them coming.
    pub guard: Box<dyn Send>,
}

/// Multicast discovery.
pub trait Mdns: Send + Sync + 'static {
    /// Browses for service types and announces this node.
    ///
    /// # Errors
    /// Where the machine has no multicast: the node runs on without it.
    fn open(&self, browse: &[String], announce: &[Announcement]) -> io::Result<Sightings>;
}

/// No multicast at all.
#[derive(Debug)]
pub struct NoMdns;

impl Mdns for NoMdns {
    fn open(&self, _: &[String], _: &[Announcement]) -> io::Result<Sightings> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "there is no multicast here"))
    }
}

/// How many sightings may wait: a busy network must not grow this node.
const PENDING: usize = 256;

/// The multicast of the machine.
#[derive(Debug)]
pub struct RealMdns;

impl Mdns for RealMdns {
    fn open(&self, browse: &[String], announce: &[Announcement]) -> io::Result<Sightings> {
        let daemon = ServiceDaemon::new().map_err(io::Error::other)?;
        let guard = Daemon { daemon, announced: announce.to_vec() };
        let (sender, events) = mpsc::channel(PENDING);
        for service in browse {
            let found = guard.daemon.browse(service).map_err(io::Error::other)?;
            let (service, sender) = (service.clone(), sender.clone());
            // The daemon is a thread with channels of its own; this bridge ends when either side does.
            std::thread::Builder::new().name("nexus-mdns".to_owned()).spawn(move || {
                while let Ok(event) = found.recv() {
                    let Some(sighting) = read(&service, event) else { continue };
                    if sender.blocking_send(sighting).is_err() {
                        return;
                    }
                }
            })?;
        }
        for announcement in announce {
            guard.daemon.register(service_info(announcement)?).map_err(io::Error::other)?;
        }
        Ok(Sightings { events, guard: Box::new(guard) })
    }
}

struct Daemon {
    daemon: ServiceDaemon,
    announced: Vec<Announcement>,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Goodbyes are queued before the shutdown; nobody waits for either.
        for announcement in &self.announced {
            let _ = self.daemon.unregister(&format!("{}.{}", announcement.instance, announcement.service));
        }
        let _ = self.daemon.shutdown();
    }
}

fn service_info(announcement: &Announcement) -> io::Result<ServiceInfo> {
    let Announcement { service, instance, port, txt } = announcement;
    let host = format!("{instance}.local.");
    let info = ServiceInfo::new(service, instance, &host, "", *port, &txt[..]).map_err(io::Error::other)?;
    Ok(info.enable_addr_auto())
}

fn read(service: &str, event: ServiceEvent) -> Option<Sighting> {
    match event {
        ServiceEvent::ServiceResolved(found) => {
            let addresses: HashSet<IpAddr> = found.addresses.iter().map(mdns_sd::ScopedIp::to_ip_addr).collect();
            let mut addresses: Vec<IpAddr> = addresses.into_iter().collect();
            addresses.sort_by_key(|ip| (ip.is_ipv6(), *ip));
            let property = |property: &mdns_sd::TxtProperty| (property.key().to_owned(), property.val_str().to_owned());
            let txt = found.txt_properties.iter().map(property).collect();
            Some(Sighting::Seen {
                service: service.to_owned(),
                instance: found.fullname.clone(),
                port: found.port,
                addresses,
                txt,
            })
        }
        ServiceEvent::ServiceRemoved(_, instance) => Some(Sighting::Gone { service: service.to_owned(), instance }),
        _ => None,
    }
}
