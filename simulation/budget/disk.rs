//! The disk and the clock of a machine in the laboratory. Writing takes time, and what was being written when the power
//! went is there in part, whole, or not at all.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use nexus::env::{Append, Clock, Dice, Disk};
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep};

/// The disk of one machine.
pub(super) struct LabDisk(Arc<Mutex<Plate>>);

struct Plate {
    files: BTreeMap<PathBuf, Vec<u8>>,
    writing: Option<(PathBuf, Vec<u8>)>,
    /// What an earlier process still holds open writes nothing any more.
    life: u64,
    dice: Dice,
    slowest_ms: u64,
}

impl LabDisk {
    pub(super) fn new(seed: u64, slowest_ms: u64) -> Self {
        let dice = Dice::seed_from_u64(seed);
        LabDisk(Arc::new(Mutex::new(Plate { files: BTreeMap::new(), writing: None, life: 0, dice, slowest_ms })))
    }

    /// The process is gone, and the power with it.
    pub(super) fn crash(&self) {
        let mut plate = lock(&self.0);
        plate.life += 1;
        if let Some((path, content)) = plate.writing.take() {
            let kept = match plate.dice.random_range(0..4) {
                0 => 0,
                1 => content.len(),
                _ => plate.dice.random_range(0..=content.len()),
            };
            plate.files.entry(path).or_default().extend(&content[..kept]);
        }
    }

    /// Everything on it is lost.
    pub(super) fn wipe(&self) {
        lock(&self.0).files.clear();
    }
}

fn lock(plate: &Mutex<Plate>) -> MutexGuard<'_, Plate> {
    plate.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for LabDisk {
    fn prepare(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(lock(&self.0).files.get(path).cloned())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        lock(&self.0).files.insert(path.to_owned(), content.to_vec());
        Ok(())
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        let life = lock(&self.0).life;
        Ok(Box::new(End { plate: self.0.clone(), path: path.to_owned(), life }))
    }

    fn claim(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(Some(Box::new(())))
    }
}

struct End {
    plate: Arc<Mutex<Plate>>,
    path: PathBuf,
    life: u64,
}

impl End {
    fn plate(&self) -> io::Result<MutexGuard<'_, Plate>> {
        let plate = lock(&self.plate);
        if plate.life == self.life { Ok(plate) } else { Err(io::Error::other("the power is off")) }
    }

    fn begin(&self, content: Vec<u8>) -> io::Result<Duration> {
        let mut plate = self.plate()?;
        plate.writing = Some((self.path.clone(), content));
        let slowest = plate.slowest_ms;
        Ok(Duration::from_millis(plate.dice.random_range(0..=slowest)))
    }

    fn end(&self) -> io::Result<()> {
        let mut plate = self.plate()?;
        if let Some((path, content)) = plate.writing.take() {
            plate.files.entry(path).or_default().extend(content);
        }
        Ok(())
    }
}

impl Append for End {
    fn write(&mut self, content: Vec<u8>, _: bool) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(async move {
            let takes = self.begin(content)?;
            sleep(takes).await;
            self.end()
        })
    }
}

/// The wall clock of one machine, which may be wrong.
pub(super) struct LabClock {
    start: Instant,
    start_ms: u64,
    ahead_ms: AtomicI64,
}

impl LabClock {
    /// A clock that is right: it shows `start_ms` now.
    pub(super) fn new(start_ms: u64) -> Self {
        LabClock { start: Instant::now(), start_ms, ahead_ms: AtomicI64::new(0) }
    }

    /// It is so many milliseconds ahead of the truth from now on.
    pub(super) fn set_ahead(&self, milliseconds: i64) {
        self.ahead_ms.store(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for LabClock {
    fn since_epoch(&self) -> Duration {
        let truth = Duration::from_millis(self.start_ms) + self.start.elapsed();
        let ahead = self.ahead_ms.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { truth.saturating_sub(by) } else { truth + by }
    }
}
