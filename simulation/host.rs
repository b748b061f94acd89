//! What a simulated host gives its node besides the network: wall time that can jump, a disk that outlives a crash, and
//! chance that follows from the seed of the run.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nexus::env::{Append, Clock, Disk, Env, Exchange, Net, NoMdns, Seed, Tasks};
use nexus::fleet::Month;

use crate::net::{SimNet, Weather};
use crate::trace;

/// When every run starts: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// A machine: what is left of it while its node is down.
pub(crate) struct Machine {
    /// Its name in the network.
    pub(crate) name: String,
    /// Its address.
    pub(crate) ip: IpAddr,
    /// Its wall clock.
    pub(crate) clock: Arc<SimClock>,
    /// Its disk.
    pub(crate) disk: Arc<SimDisk>,
    weather: Weather,
    seed: u64,
}

impl Machine {
    /// A machine with an empty disk and a clock that is right.
    pub(crate) fn new(name: &str, ip: IpAddr, weather: &Weather, seed: u64) -> Self {
        weather.name(name, ip);
        Machine {
            name: name.to_owned(),
            ip,
            clock: Arc::default(),
            disk: Arc::default(),
            weather: weather.clone(),
            seed,
        }
    }

    /// Its process has died, or lives again: see [`Weather::set_down`].
    pub(crate) fn set_down(&self, down: bool) {
        self.weather.set_down(self.ip, down);
    }

    /// The seams for its `start`-th start.
    pub(crate) fn env(&self, start: u32) -> Env {
        let net: Arc<dyn Net> = Arc::new(SimNet::new(&self.name, self.ip, self.weather.clone()));
        let own = blake3::hash(format!("{} {} {start}", self.seed, self.name).as_bytes());
        let number = own.as_bytes()[..8].iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
        Env {
            http: Arc::new(Exchange::new(net.clone(), Env::CONNECT_DEADLINE)),
            net,
            mdns: Arc::new(NoMdns),
            clock: self.clock.clone(),
            seed: Seed::fixed(number),
            disk: self.disk.clone(),
            tasks: Tasks::new(),
        }
    }
}

/// Wall time of one machine.
#[derive(Default)]
pub(crate) struct SimClock {
    ahead_ms: AtomicI64,
    latest: Mutex<Option<(Month, Option<Duration>)>>,
}

impl SimClock {
    /// From now on the clock is this many milliseconds ahead of the truth.
    pub(crate) fn set_ahead(&self, milliseconds: i64) {
        self.ahead_ms.store(milliseconds, Ordering::Relaxed);
    }

    /// The latest month that anybody has read off it, and since when, where there was one before.
    pub(crate) fn latest(&self) -> Option<(Month, Option<Duration>)> {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever has read it remembers nothing.
    pub(crate) fn forget(&self) {
        *self.latest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn note(&self, time: Duration) {
        let month = Month::at(time.as_secs());
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        match *latest {
            Some((before, _)) if before >= month => {}
            Some(_) => *latest = Some((month, Some(trace::now()))),
            None => *latest = Some((month, None)),
        }
    }
}

impl Clock for SimClock {
    fn since_epoch(&self) -> Duration {
        let truth = EPOCH + trace::now();
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        let time = if ahead < 0 { truth.saturating_sub(by) } else { truth + by };
        self.note(time);
        time
    }
}

/// Files in memory. What was replaced or synced is there after a crash, and nothing else: the seam promises no more.
#[derive(Default)]
pub(crate) struct SimDisk {
    files: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
    claimed: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl SimDisk {
    /// Loses everything.
    pub(crate) fn wipe(&self) {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Disk for SimDisk {
    fn prepare(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(End { files: self.files.clone(), path: path.to_owned(), unsynced: Vec::new() }))
    }

    fn claim(&self, directory: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        let free = self.claimed.lock().unwrap_or_else(PoisonError::into_inner).insert(directory.to_owned());
        let claim = || Claim { of: self.claimed.clone(), directory: directory.to_owned() };
        Ok(free.then(|| Box::new(claim()) as Box<dyn Send + Sync>))
    }
}

struct End {
    files: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
    path: PathBuf,
    unsynced: Vec<u8>,
}

impl Append for End {
    fn write(&mut self, content: Vec<u8>, sync: bool) -> BoxFuture<'_, io::Result<()>> {
        self.unsynced.extend(content);
        if sync {
            let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
            files.entry(self.path.clone()).or_default().append(&mut self.unsynced);
        }
        Box::pin(std::future::ready(Ok(())))
    }
}

struct Claim {
    of: Arc<Mutex<BTreeSet<PathBuf>>>,
    directory: PathBuf,
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.of.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.directory);
    }
}
