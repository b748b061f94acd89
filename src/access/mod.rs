//! Which clients may ask: the ring of keys that this node knows, made here or heard of from its peers. It is kept on disk
//! before anybody is told, and read without a lock. It talks to nobody: `node` hands it what peers say. What a key has
//! used of its limits is not its business.

mod file;
mod shown;
mod wish;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use tokio::sync::watch;
use tracing::warn;

use crate::env::{Env, Seed};
use crate::exchange::Caller;
use crate::fleet::{KeyRecord, key_digest, key_id};

pub use file::OpenError;
pub use wish::{Error, Wish};

use file::KeyFile;
use shown::{Known, Shown};

/// Keys that are kept, revoked ones among them.
pub const MOST_KEYS: usize = 1_000;

/// Bytes of the records that are handed over at once.
const PAGE: usize = 40 * 1024;

/// The ring of keys of one node.
pub struct Ring {
    seed: Seed,
    writer: Mutex<Writer>,
    shown: ArcSwap<Shown>,
    here: watch::Sender<u64>,
    dropped: AtomicU64,
    /// Whether a mesh whose keys are not known yet is to be met.
    awaits: watch::Sender<bool>,
}

struct Writer {
    file: KeyFile,
    /// Keys drawn since the start.
    drawn: u64,
    /// Whether the file says what is shown.
    kept: bool,
}

/// Who makes a key, and when.
#[derive(Clone, Debug)]
pub struct Maker {
    /// The name of the peer.
    pub name: String,
    /// The ledger that holds the rights of its limits at first; empty where there is none.
    pub holder: String,
    /// Seconds since 1970.
    pub now: u64,
}

impl Ring {
    /// The ring that is kept in `data_dir`; an empty one where none is. `claimed`: the directory is this process's own
    /// already. Else it is claimed when there is something to write.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged. It is left as it is.
    pub fn open(data_dir: &Path, claimed: bool, env: &Env) -> Result<Self, OpenError> {
        let file = KeyFile::new(data_dir, claimed, env.disk.clone());
        let mut known = BTreeMap::new();
        let kept = file.read()?;
        for record in kept.keys {
            let damaged = || file.damaged(format!("the record `{}` makes no sense", record.id));
            let id = record.id.clone();
            known.insert(id, Known::of(record.clone()).ok_or_else(damaged)?);
        }
        Ok(Ring {
            seed: env.seed.clone(),
            writer: Mutex::new(Writer { file, drawn: 0, kept: true }),
            shown: ArcSwap::from_pointee(Shown::of(known, kept.settled)),
            here: watch::Sender::new(0),
            dropped: AtomicU64::new(0),
            awaits: watch::Sender::new(false),
        })
    }

    /// Whose key has this hash, if it is good.
    pub fn caller(&self, digest: &[u8; 32]) -> Option<Arc<Caller>> {
        self.shown.load().caller(digest)
    }

    /// Whether no key was ever made.
    pub fn is_empty(&self) -> bool {
        self.shown.load().known.is_empty()
    }

    /// This node belongs to a mesh: as long as its keys are not known, nobody knows whose money a client spends.
    pub fn await_mesh(&self) {
        self.awaits.send_replace(!self.shown.load().is_settled());
    }

    /// This node has come to another mesh, which may know other keys.
    pub fn await_other_mesh(&self) {
        let mut writer = self.writer();
        // What the file says is known before it is written anew. Where it cannot be had, writing tells.
        let _ = self.claim(&mut writer);
        let shown = self.shown.load();
        if shown.known.is_empty() && shown.is_settled() {
            self.shown.store(Arc::new(Shown::of(BTreeMap::new(), false)));
            writer.kept = self.write(&mut writer);
        }
        self.await_mesh();
    }

    /// The mesh has been met, or begins here: there are no keys but those that are known.
    pub fn settle(&self) {
        let mut writer = self.writer();
        let shown = self.shown.load();
        if !shown.is_settled() {
            self.shown.store(Arc::new(Shown::of(shown.known.clone(), true)));
            writer.kept = self.write(&mut writer);
        }
        self.awaits.send_replace(false);
    }

    /// Whether there may be keys in the mesh of which nothing is known here.
    pub fn awaits_mesh(&self) -> bool {
        *self.awaits.borrow()
    }

    /// Resolves when the keys of the mesh are known. That may be never.
    pub async fn settled(&self) {
        let mut awaits = self.awaits.subscribe();
        let _ = awaits.wait_for(|awaits| !awaits).await;
    }

    /// Every key, by name and age.
    pub fn list(&self) -> Vec<KeyRecord> {
        let mut list: Vec<_> = self.shown.load().known.values().map(|known| known.record.clone()).collect();
        list.sort_by(|one, other| (&one.name, one.made_at, &one.id).cmp(&(&other.name, other.made_at, &other.id)));
        list
    }

    /// A hash of all records: peers of the same hash know the same keys. `None` where others may know keys that are not known
    /// here.
    pub fn hash(&self) -> Option<Arc<str>> {
        self.shown.load().hash.clone()
    }

    /// Foreign records that were not believed.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Marked whenever a key was made or revoked here, which peers should hear of at once.
    pub fn made_here(&self) -> watch::Receiver<u64> {
        self.here.subscribe()
    }

    /// Makes a key, and gives it and what is known of it. Nobody can give it again.
    ///
    /// # Errors
    /// What is wrong with the wish, or the disk; there is no new key then.
    pub fn add(&self, wish: &Wish, maker: &Maker) -> Result<(KeyRecord, String), Error> {
        let wished = wish.read()?;
        let mut writer = self.writer();
        self.claim(&mut writer)?;
        let mut known = self.shown.load().known.clone();
        if known.values().any(|known| known.record.is_active() && known.record.name == wished.name) {
            return Err(Error::Taken(wished.name));
        }
        if known.len() >= MOST_KEYS {
            return Err(Error::Full);
        }
        let (key, digest) = self.draw(&mut writer, &known);
        let record = KeyRecord {
            id: key_id('k', &digest),
            sha256: HEXLOWER.encode(&digest),
            made_at: maker.now,
            made_by: maker.name.clone(),
            holder: maker.holder.clone(),
            ..wished
        };
        let good = Known::of(record.clone()).expect("the wish was read");
        known.insert(record.id.clone(), good);
        self.replace(&mut writer, known)?;
        Ok((record, key))
    }

    /// Revokes every key of this name, or the one of this id. It is no error where that has been done before.
    ///
    /// # Errors
    /// There is none, or the disk fails; nothing has changed then.
    pub fn revoke(&self, name: &str, now: u64) -> Result<Vec<KeyRecord>, Error> {
        let mut writer = self.writer();
        self.claim(&mut writer)?;
        let mut known = self.shown.load().known.clone();
        let mut meant = Vec::new();
        for one in known.values_mut().filter(|one| one.record.name == name || one.record.id == name) {
            let mut record = one.record.clone();
            record.revoked_at.get_or_insert(now);
            if record != one.record {
                *one = Known::of(record.clone()).expect("it was known before");
            }
            meant.push(record);
        }
        if meant.is_empty() {
            return Err(Error::unknown(name, known.values().map(|one| one.record.name.as_str())));
        }
        self.replace(&mut writer, known)?;
        Ok(meant)
    }

    /// Takes in what a peer knows. What makes no sense is dropped, counted, and logged the first time. Says whether
    /// anything is new. Where the disk fails it holds all the same, and [`Ring::keep`] tries again.
    pub fn merge(&self, heard: Vec<KeyRecord>) -> bool {
        let mut writer = self.writer();
        let before = self.shown.load_full();
        let (known, dropped) = merged(&before.known, heard);
        if dropped > 0 && self.dropped.fetch_add(dropped, Ordering::Relaxed) == 0 {
            warn!(dropped, "Peers tell of client keys that make no sense, or of too many: left out");
        }
        let now_shown = Shown::of(known, before.is_settled());
        if now_shown.hash == before.hash {
            return false;
        }
        self.shown.store(Arc::new(now_shown));
        self.awaits.send_replace(false);
        writer.kept = self.write(&mut writer);
        true
    }

    /// Whether the file says what is known; tries to make it so.
    pub fn keep(&self) -> bool {
        let mut writer = self.writer();
        if !writer.kept {
            writer.kept = self.write(&mut writer);
        }
        writer.kept
    }

    /// The records behind the id `after`, as many as are handed over at once, and whether there are others behind.
    pub fn page(&self, after: &str) -> (Vec<KeyRecord>, bool) {
        let shown = self.shown.load();
        let (mut page, mut size) = (Vec::new(), 0);
        for known in shown.known.range::<str, _>((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded)) {
            size += known.1.text.len();
            if size > PAGE && !page.is_empty() {
                return (page, true);
            }
            page.push(known.1.record.clone());
        }
        (page, false)
    }

    /// These are the keys from now on, if that can be kept.
    fn replace(&self, writer: &mut Writer, known: BTreeMap<String, Known>) -> Result<(), Error> {
        let shown = Shown::of(known, self.shown.load().is_settled());
        writer.file.write(&shown)?;
        writer.kept = true;
        self.shown.store(Arc::new(shown));
        self.awaits.send_replace(false);
        self.here.send_modify(|count| *count += 1);
        Ok(())
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the directory this process's own. Whoever had it before may have written meanwhile.
    fn claim(&self, writer: &mut Writer) -> Result<(), Error> {
        if let Some(read) = writer.file.claim()? {
            let shown = self.shown.load();
            let known = merged(&shown.known, read.keys).0;
            self.shown.store(Arc::new(Shown::of(known, shown.is_settled() || read.settled)));
        }
        Ok(())
    }

    fn write(&self, writer: &mut Writer) -> bool {
        let written = self.claim(writer).and_then(|()| writer.file.write(&self.shown.load()));
        match written {
            Ok(()) => true,
            Err(error) => {
                if writer.kept {
                    warn!(%error, "Client keys that peers told of cannot be kept: they are good until this node stops");
                }
                false
            }
        }
    }

    /// A key that there is not.
    fn draw(&self, writer: &mut Writer, known: &BTreeMap<String, Known>) -> (String, [u8; 32]) {
        loop {
            let bytes = self.seed.bytes(&format!("client key {}", writer.drawn));
            writer.drawn += 1;
            let key = format!("nxk_{}", BASE32_NOPAD.encode(&bytes).to_ascii_lowercase());
            let digest = key_digest(&key);
            if !known.contains_key(&key_id('k', &digest)) {
                return (key, digest);
            }
        }
    }
}

/// All of `known` and what is sound of `heard`, and how many are left out. Where there are too many the oldest stay:
/// every peer leaves out the same.
fn merged(known: &BTreeMap<String, Known>, heard: Vec<KeyRecord>) -> (BTreeMap<String, Known>, u64) {
    let (mut all, mut dropped) = (known.clone(), 0);
    for record in heard {
        if !record.is_sound() {
            dropped += 1;
            continue;
        }
        let mut merged = all.get(&record.id).map_or_else(|| record.clone(), |one| one.record.clone());
        merged.absorb(&record);
        if all.get(&record.id).is_some_and(|one| one.record == merged) {
            continue;
        }
        match Known::of(merged) {
            Some(one) => drop(all.insert(record.id, one)),
            None => dropped += 1,
        }
    }
    if all.len() > MOST_KEYS {
        let mut ages: Vec<(u64, String)> = all.iter().map(|(id, one)| (one.record.made_at, id.clone())).collect();
        ages.sort();
        for (_, id) in ages.drain(MOST_KEYS..) {
            all.remove(&id);
            dropped += 1;
        }
    }
    (all, dropped)
}

#[cfg(test)]
mod tests;
