//! Some treasuries, their disks and clocks.

use std::collections::BTreeMap;
use std::io;
use std::ops::Index;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use crate::budget::{Amount, Heard, Lender, MeshKind, Setup, Treasury};
use crate::env::{Append, Clock, Disk, Env, Seed, Tasks};
use crate::fleet::{Account, HardLimitAction, Holder, PeerId, Terms};

pub(super) const LIMIT: u64 = 1_000_000_000;

pub(super) fn amount(nanos: u64) -> Amount {
    Amount { nanos, of_caller: None }
}

/// An account that `root` held at first.
pub(super) fn account(name: &str, root: &Treasury) -> Account {
    Account { name: name.into(), root: root.holder() }
}

/// What of the last write is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeps {
    Nothing,
    Half,
    All,
}

#[derive(Default)]
struct Plate {
    files: BTreeMap<PathBuf, Vec<u8>>,
    operations: u64,
    dies_at: Option<(u64, Keeps)>,
}

/// A disk that can be made to die.
#[derive(Clone, Default)]
pub(super) struct MemoryDisk {
    plate: Arc<Mutex<Plate>>,
    dead: Arc<AtomicBool>,
}

impl MemoryDisk {
    fn plate(&self) -> MutexGuard<'_, Plate> {
        self.plate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation that changes something. Says what of it is done, and whether it is the last.
    fn work(&self) -> io::Result<Option<Keeps>> {
        let mut plate = self.plate();
        if self.is_dead() {
            return Err(io::Error::other("the disk is dead"));
        }
        plate.operations += 1;
        let last = plate.dies_at.filter(|(at, _)| *at == plate.operations).map(|(_, keeps)| keeps);
        self.dead.store(last.is_some(), Ordering::Relaxed);
        Ok(last)
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// It dies at its `number`-th operation from now on.
    pub(super) fn die_at(&self, number: u64, keeps: Keeps) {
        let mut plate = self.plate();
        plate.operations = 0;
        plate.dies_at = Some((number, keeps));
    }

    pub(super) fn revive(&self) {
        self.plate().dies_at = None;
        self.dead.store(false, Ordering::Relaxed);
    }
}

fn over(last: Option<Keeps>) -> io::Result<()> {
    last.map_or(Ok(()), |_| Err(io::Error::other("the disk has died")))
}

impl Disk for MemoryDisk {
    fn prepare(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        Ok(self.plate().files.get(path).cloned())
    }

    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let last = self.work()?;
        // A file is replaced whole or not at all.
        if !matches!(last, Some(Keeps::Nothing | Keeps::Half)) {
            self.plate().files.insert(path.to_owned(), content.to_vec());
        }
        over(last)
    }

    fn append(&self, path: &Path) -> io::Result<Box<dyn Append>> {
        Ok(Box::new(End(self.clone(), path.to_owned())))
    }

    fn claim(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
        Ok(Some(Box::new(())))
    }
}

struct End(MemoryDisk, PathBuf);

impl Append for End {
    fn write(&mut self, content: Vec<u8>, _: bool) -> BoxFuture<'_, io::Result<()>> {
        let work = || {
            let last = self.0.work()?;
            let kept = match last {
                Some(Keeps::Nothing) => 0,
                Some(Keeps::Half) => content.len() / 2,
                Some(Keeps::All) | None => content.len(),
            };
            self.0.plate().files.entry(self.1.clone()).or_default().extend(&content[..kept]);
            over(last)
        };
        Box::pin(std::future::ready(work()))
    }
}

/// 2026-02-01T00:00:00Z.
const START_MS: u64 = 1_769_904_000_000;

struct TestClock(Instant, Arc<AtomicU64>);

impl Clock for TestClock {
    fn since_epoch(&self) -> Duration {
        Duration::from_millis(START_MS + self.1.load(Ordering::Relaxed)) + self.0.elapsed()
    }
}

type Plugs = Arc<Mutex<BTreeMap<PeerId, (Arc<Treasury>, MemoryDisk)>>>;

struct Wire(Plugs);

impl Lender for Wire {
    fn ask(&self, peer: &PeerId, question: serde_json::Value, _: Duration) -> BoxFuture<'_, Option<serde_json::Value>> {
        let there = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(peer).cloned();
        Box::pin(async move {
            let (treasury, disk) = there?;
            let answer = treasury.answer(question).await;
            (!disk.is_dead()).then_some(answer)
        })
    }
}

struct Peer {
    disk: MemoryDisk,
    holder: Holder,
    up: Option<(Arc<Treasury>, Tasks)>,
}

/// Treasuries of one mesh, the founder first.
pub(super) struct Peers {
    peers: Vec<Peer>,
    plugs: Plugs,
    parted: Arc<AtomicBool>,
    ahead_ms: Arc<AtomicU64>,
    start: Instant,
    lives: u64,
}

impl Index<usize> for Peers {
    type Output = Arc<Treasury>;

    fn index(&self, number: usize) -> &Arc<Treasury> {
        &self.peers[number].up.as_ref().expect("it is up").0
    }
}

fn id(number: usize) -> PeerId {
    PeerId::from_text(format!("p{number}"))
}

impl Peers {
    pub(super) fn new(count: usize) -> Self {
        let peer = |_| Peer { disk: MemoryDisk::default(), holder: Holder::named("none"), up: None };
        let (parted, ahead_ms, start) = (Arc::default(), Arc::default(), Instant::now());
        Peers { peers: (0..count).map(peer).collect(), plugs: Plugs::default(), parted, ahead_ms, start, lives: 0 }
    }

    /// All are up, and know that the first has founded.
    pub(super) async fn founded(count: usize) -> Self {
        let mut peers = Peers::new(count);
        (0..count).for_each(|number| peers.start(number));
        peers.gossip().await;
        peers
    }

    pub(super) fn start(&mut self, number: usize) {
        self.lives += 1;
        let tasks = Tasks::new();
        let peer = &mut self.peers[number];
        let env = Env {
            clock: Arc::new(TestClock(self.start, self.ahead_ms.clone())),
            seed: Seed::fixed(self.lives << 8 | number as u64),
            disk: Arc::new(peer.disk.clone()),
            tasks: tasks.clone(),
            ..Env::real()
        };
        let terms = Terms { limit: LIMIT, soft_percent: 75.0, action: HardLimitAction::BlockCloud };
        let setup = Setup {
            directory: "/data".into(),
            peer: id(number).as_str().to_owned(),
            name: format!("m{number}"),
            terms: Some(terms),
            mesh: MeshKind::Keyed { tag: "test".to_owned(), made_here: number == 0, invited: number > 0 },
        };
        let treasury = Treasury::open(setup, &env);
        treasury.lend_with(Arc::new(Wire(self.plugs.clone())));
        peer.holder = treasury.holder();
        peer.up = Some((treasury.clone(), tasks));
        let disk = peer.disk.clone();
        self.plugs().insert(id(number), (treasury, disk));
    }

    /// The process dies.
    pub(super) fn stop(&mut self, number: usize) {
        self.plugs().remove(&id(number));
        if let Some((_, tasks)) = self.peers[number].up.take() {
            tasks.cancel();
        }
    }

    fn plugs(&self) -> MutexGuard<'_, BTreeMap<PeerId, (Arc<Treasury>, MemoryDisk)>> {
        self.plugs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn disk(&self, number: usize) -> &MemoryDisk {
        &self.peers[number].disk
    }

    pub(super) fn holder(&self, number: usize) -> Holder {
        self.peers[number].holder.clone()
    }

    /// Whether its process goes on.
    pub(super) fn is_up(&self, number: usize) -> bool {
        let peer = &self.peers[number];
        peer.up.is_some() && !peer.disk.is_dead()
    }

    /// From now on nobody hears anybody, or all hear all.
    pub(super) fn part(&self, parted: bool) {
        self.parted.store(parted, Ordering::Relaxed);
    }

    /// A few rounds in which everybody who is there hears everybody who is.
    pub(super) async fn gossip(&self) {
        for _ in 0..3 {
            for number in 0..self.peers.len() {
                let others: Vec<usize> = match self.parted.load(Ordering::Relaxed) {
                    true => Vec::new(),
                    false => (0..self.peers.len()).filter(|other| *other != number).collect(),
                };
                self.hear(number, &others).await;
            }
        }
    }

    /// Two hear only each other.
    pub(super) async fn only_hear(&self, one: usize, other: usize) {
        self.hear(one, &[other]).await;
        self.hear(other, &[one]).await;
    }

    async fn hear(&self, number: usize, others: &[usize]) {
        if !self.is_up(number) {
            return;
        }
        let tell = |other: &usize| {
            let facts = Arc::new(self.is_up(*other).then(|| self[*other].facts()).flatten()?);
            Some(Heard { peer: id(*other), name: format!("m{other}"), living: true, facts })
        };
        self[number].hear(&others.iter().filter_map(tell).collect::<Vec<_>>());
        self[number].flush().await;
    }

    /// All clocks go on by a month.
    pub(super) fn next_month(&self) {
        self.ahead_ms.fetch_add(32 * 86_400_000, Ordering::Relaxed);
    }

    pub(super) fn file(&self, number: usize) -> Vec<u8> {
        self.peers[number].disk.plate().files.values().next().cloned().unwrap_or_default()
    }

    /// Changes a ledger behind the back of its peer.
    pub(super) fn change_file(&self, number: usize, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut plate = self.peers[number].disk.plate();
        let content = plate.files.values_mut().next().expect("there is a ledger");
        change(content);
        content.clone()
    }

    /// Parts of the budget that those that are up hold together; of several budgets, of the one of which it is most.
    pub(super) fn shares(&self) -> u64 {
        let up = self.peers.iter().filter_map(|peer| peer.up.as_ref());
        let mut shares: BTreeMap<Arc<str>, u64> = BTreeMap::new();
        for (treasury, _) in up {
            let ledger = &treasury.lock().ledger;
            for account in ledger.accounts() {
                *shares.entry(account.name.clone()).or_default() += ledger.share(&account.name);
            }
        }
        shares.into_values().max().unwrap_or(0)
    }
}
