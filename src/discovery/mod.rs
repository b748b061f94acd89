//! Finding backends and peers that nobody has named: by mDNS, and on the usual ports of this machine. What is found here
//! is a hint; whether it works is for health checks and gossip to say.

mod announced;
mod config;
mod grace;
mod local;
mod peers;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::env::{Env, Sighting, Sightings};
use crate::fleet::{BackendSpec, PEER_SERVICE};
use crate::registry::{Entry, Registry};

pub use config::Config;
pub use peers::{Herald, PeerSeen};

use grace::Grace;

/// Backends found by mDNS at once: anybody on the network can announce any number.
const MAX_FOUND: usize = 64;

/// How many sightings of peers may wait to be looked at.
const PENDING_PEERS: usize = 64;

/// Looks for backends and, while `herald` says who we are, for peers. Peers seen come out of the channel.
pub fn start(
    config: Config,
    registry: &Arc<Registry>,
    env: &Env,
    own_port: u16,
    herald: watch::Receiver<Option<Herald>>,
) -> mpsc::Receiver<PeerSeen> {
    let (seen, peers) = mpsc::channel(PENDING_PEERS);
    if config.enabled {
        env.tasks.spawn("discovery-local", local::run(config.clone(), registry.clone(), env.clone(), own_port));
    }
    let (registry, env) = (registry.clone(), env.clone());
    let search = Search { config, registry, env: env.clone(), grace: Grace::default(), told_full: false };
    env.tasks.spawn("discovery-mdns", search.run(herald, seen));
    peers
}

struct Search {
    config: Config,
    registry: Arc<Registry>,
    env: Env,
    grace: Grace,
    /// Whether it was said that no more can be taken in; said again only after there was room.
    told_full: bool,
}

impl Search {
    /// Browses until the herald changes, then begins anew: another mesh has another announcement.
    async fn run(mut self, mut herald: watch::Receiver<Option<Herald>>, seen: mpsc::Sender<PeerSeen>) {
        let mut warned = false;
        loop {
            let ours = herald.borrow_and_update().clone();
            match self.open(ours.as_ref()) {
                Some(Ok(sightings)) => self.watch(sightings, ours.as_ref(), &mut herald, &seen).await,
                Some(Err(error)) => {
                    if !std::mem::replace(&mut warned, true) {
                        warn!(%error, "mDNS is not available: only configured and local backends and seeds are found");
                    }
                    if herald.changed().await.is_err() {
                        return;
                    }
                }
                None => {
                    if herald.changed().await.is_err() {
                        return;
                    }
                }
            }
            if herald.has_changed().is_err() {
                return;
            }
        }
    }

    fn open(&self, ours: Option<&Herald>) -> Option<std::io::Result<Sightings>> {
        let mut services: Vec<String> = Vec::new();
        if self.config.enabled {
            services.extend(self.config.service_types.iter().map(|service| announced::dotted(service)));
        }
        services.extend(ours.map(|_| PEER_SERVICE.to_owned()));
        if services.is_empty() {
            return None;
        }
        let announce: Vec<_> = ours.map(|herald| herald.announcement.clone()).into_iter().collect();
        let opened = self.env.mdns.open(&services, &announce);
        if opened.is_ok() {
            info!("mDNS service daemon started");
            for service in &services {
                info!("Browsing for mDNS service: {service}");
            }
        }
        Some(opened)
    }

    async fn watch(
        &mut self,
        mut sightings: Sightings,
        ours: Option<&Herald>,
        herald: &mut watch::Receiver<Option<Herald>>,
        seen: &mpsc::Sender<PeerSeen>,
    ) {
        loop {
            let next_end = self.grace.next_end();
            tokio::select! {
                biased;
                _ = herald.changed() => return,
                sighting = sightings.events.recv() => match sighting {
                    Some(sighting) => self.handle(sighting, ours, seen),
                    None => return,
                },
                () = sleep_until(next_end) => self.forget(),
            }
        }
    }

    fn handle(&mut self, sighting: Sighting, ours: Option<&Herald>, seen: &mpsc::Sender<PeerSeen>) {
        match sighting {
            Sighting::Seen { ref service, .. } | Sighting::Gone { ref service, .. } if service == PEER_SERVICE => {
                let found = ours.and_then(|ours| peers::read(&sighting, ours));
                // A full channel means that plenty of hints wait already; announcements come again.
                found.map(|found| seen.try_send(found));
            }
            Sighting::Gone { instance, .. } => self.gone(&instance),
            Sighting::Seen { service, instance, port, addresses, txt } => {
                let announced = announced::Announced { service, instance, port, addresses, txt };
                self.appeared(&announced);
            }
        }
    }

    fn appeared(&mut self, announced: &announced::Announced) {
        let instance = announced.instance.as_str();
        let spec = announced.backend(&self.config, &self.env.net.own_addresses());
        let Some(entry) = self.entry_of(instance) else {
            match spec {
                Some(spec) => self.take_in(instance, spec),
                None => debug!(instance, "Announcement without a usable address"),
            }
            return;
        };
        let is_same = |spec: &BackendSpec| {
            (&spec.url, spec.kind, spec.zone) == (&entry.spec.url, entry.spec.kind, entry.spec.zone)
        };
        match spec.filter(|spec| !is_same(spec)) {
            Some(spec) => {
                info!(backend = entry.spec.name.as_str(), "Backend is announced with another address or type");
                self.registry.discard(&entry);
                self.take_in(instance, BackendSpec { name: entry.spec.name.clone(), ..spec });
            }
            None if self.grace.back(instance) => {
                info!(backend = entry.spec.name.as_str(), "Backend is announced again");
                self.registry.withdraw(&entry, false);
            }
            None => {}
        }
    }

    fn take_in(&mut self, instance: &str, mut spec: BackendSpec) {
        if let Some(known) = known_at(&self.registry, &spec.url) {
            debug!(backend = known.spec.name.as_str(), "Announced backend is known already");
            return;
        }
        let registry = &self.registry;
        self.grace.keep(|entry| registry.has(entry));
        if self.grace.len() >= MAX_FOUND {
            if !std::mem::replace(&mut self.told_full, true) {
                warn!(backends = MAX_FOUND, "Too many backends are announced by mDNS: further ones are ignored");
            }
            return;
        }
        self.told_full = false;
        spec.name = free_name(&self.registry, &spec.name);
        let (kind, zone) = (spec.kind, spec.zone);
        if let Ok(entry) = self.registry.add(spec) {
            info!(backend = entry.spec.name.as_str(), %kind, %zone, "Backend found by mDNS");
            self.grace.found(instance, entry);
        }
    }

    fn gone(&mut self, instance: &str) {
        let Some(entry) = self.entry_of(instance) else { return };
        info!(backend = entry.spec.name.as_str(), "Backend is announced no more");
        self.registry.withdraw(&entry, true);
        self.grace.gone(instance, Instant::now() + self.config.grace_period());
    }

    fn forget(&mut self) {
        for entry in self.grace.ended(Instant::now()) {
            if self.registry.has(&entry) {
                info!(backend = entry.spec.name.as_str(), "Backend is forgotten");
                self.registry.discard(&entry);
            }
        }
    }

    /// The backend that an announced instance became, unless somebody has removed it since.
    fn entry_of(&self, instance: &str) -> Option<Arc<Entry>> {
        self.grace.entry_of(instance).filter(|entry| self.registry.has(entry)).cloned()
    }
}

async fn sleep_until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// The backend that is reached at `url` already, by whatever name.
fn known_at(registry: &Registry, url: &url::Url) -> Option<Arc<Entry>> {
    let endpoint = registry.endpoint(url);
    registry.snapshot().entries.iter().find(|entry| *entry.endpoint() == endpoint).cloned()
}

/// `name`, or `name-2` and so on where it is taken.
fn free_name(registry: &Registry, name: &str) -> String {
    let snapshot = registry.snapshot();
    let mut numbered = (2u32..).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned())
        .chain(numbered.by_ref())
        .find(|candidate| snapshot.get(candidate).is_none())
        .expect("names never run out")
}

#[cfg(test)]
mod tests;
