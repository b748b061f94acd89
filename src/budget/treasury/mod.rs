//! The treasury of this peer: its ledger on disk, what it hears of other ledgers, and the way to their rights. Start
//! reading at [`Treasury::hold`]; `hear` takes in what others tell, `lend` gives them rights, `forget` inherits from those
//! that are lost, `figures` says how it all stands.

mod events;
mod figures;
mod forget;
mod founding;
mod hear;
mod hold;
mod lend;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use rand::RngExt;
use tokio::sync::Notify;
use tokio::time::Instant;
use tracing::{error, warn};

pub use events::Events;
pub use figures::{AccountFigures, Figures, HolderFigures, Level, Standing};
pub use forget::{ForgetError, Forgotten};
pub use hear::Heard;
pub use hold::{Amount, Hold, Refused, Why};
pub(super) use lend::Spare;
pub use lend::{Lender, Transfer};

use events::EventCounts;

use super::journal::Journal;
use super::ledger::{Claim, Ledger, Record, read_all};
use crate::env::{Clock, Env};
use crate::fleet::{Account, Founding, Holder, LedgerFacts, Month, PeerId, Row, Terms};

/// What a treasury is opened with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The data directory, which this process has claimed.
    pub directory: PathBuf,
    /// The peer whose treasury it is.
    pub peer: String,
    /// Its name, for people.
    pub name: String,
    /// What it is configured to hold to.
    pub terms: Option<Terms>,
    /// The mesh that it belongs to.
    pub mesh: MeshKind,
}

/// The mesh that a treasury belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshKind {
    /// None, or one whose peers prove nothing: its money is its own.
    Alone,
    /// One whose peers prove that they belong.
    Keyed {
        /// What tells it from others.
        tag: String,
        /// Whether this peer made its key, and with it the mesh.
        made_here: bool,
        /// Whether it is known that others were there before: it was invited, or has seeds.
        invited: bool,
    },
}

/// The file of the ledger, in the data directory.
const FILE: &str = "ledger";

/// Transfers that are remembered.
const TRANSFERS: usize = 50;

/// The file is written anew when it is opened, and when so many records were appended.
const RECORDS: u64 = if cfg!(test) { 16 } else { 100_000 };

/// The money of this peer.
pub struct Treasury {
    state: Mutex<State>,
    journal: Option<Journal>,
    file: PathBuf,
    name: String,
    clock: Arc<dyn Clock>,
    lender: OnceLock<Arc<dyn Lender>>,
    spare: OnceLock<Arc<dyn Spare>>,
    standing: ArcSwap<Standing>,
    events: EventCounts,
    /// Something was heard that those who wait for rights may be waiting for.
    news: Notify,
    chance: Mutex<crate::env::Dice>,
}

struct State {
    ledger: Ledger,
    /// When this peer came to its mesh.
    since: Instant,
    mesh: Arc<str>,
    kind: MeshKind,
    terms: Option<Terms>,
    /// The rows of other holders, by holder and account: the latest of each.
    rows: BTreeMap<(Holder, Arc<str>), Row>,
    /// Who is there: their holders, and what they hold to.
    living: BTreeMap<Holder, Living>,
    /// What accounts were limited to when they were last asked for.
    limits: BTreeMap<Arc<str>, u64>,
    claims: BTreeMap<Holder, Pending>,
    transfers: VecDeque<Transfer>,
    /// Nothing is left anywhere, as far as could be asked: until there is news.
    exhausted: bool,
    /// Why nothing may be spent.
    trouble: Option<String>,
    /// What others say that cannot be true, by peer.
    absurd: BTreeMap<String, String>,
    /// A younger founding that was found beside ours, or ours beside an older.
    rival: Option<Founding>,
    /// Records since the file was written anew.
    records: u64,
    /// When its rows were last taken in, so that totals are not summed up for every hold.
    others: Others,
}

/// A peer that is there.
#[derive(Clone, Debug)]
struct Living {
    peer: PeerId,
    terms: Option<Terms>,
    founding: Option<Founding>,
    lost: BTreeSet<Holder>,
}

/// A claim on the rights of a holder that is lost.
#[derive(Clone, Debug)]
struct Pending {
    claim: Claim,
    now: bool,
    acked: BTreeSet<Holder>,
}

/// What others have used of the budget, as far as it was heard.
#[derive(Clone, Copy, Debug, Default)]
struct Others {
    month: Month,
    spent: u64,
    reserved: u64,
}

impl Treasury {
    /// Opens the ledger of this peer, or begins one. One that cannot be trusted is left as it is: nothing is spent until
    /// somebody has mended it, and everything else goes on.
    pub fn open(setup: Setup, env: &Env) -> Arc<Treasury> {
        let file = setup.directory.join(FILE);
        let mut dice = env.seed.fork("ledger");
        let month = Month::at(env.clock.unix_seconds());
        let fresh =
            |dice: &mut crate::env::Dice| Ledger::new(Holder::from_bits(dice.random()), setup.peer.clone(), month);
        let (ledger, mut trouble) = match read(&file, env, &setup.peer) {
            Ok(Some(ledger)) => (ledger, None),
            Ok(None) => (fresh(&mut dice), None),
            Err(reason) => (fresh(&mut dice), Some(reason)),
        };
        let mut journal = None;
        if trouble.is_none() {
            match begin(&file, &ledger, env) {
                Ok(opened) => journal = Some(opened),
                Err(error) => trouble = Some(format!("{} cannot be written: {error}", file.display())),
            }
        }
        if let Some(reason) = &trouble {
            error!(target: "nexus::budget", event = "ledger_refused", reason, "nothing is spent: the ledger cannot be used");
        }
        let claims = ledger.claims().map(|lost| (lost.clone(), Pending::resumed(lost, ledger.holder()))).collect();
        let (mesh, kind) = (mesh_of(&setup.mesh, &ledger), setup.mesh);
        let rows = remains_of(&ledger);
        let state = State {
            ledger,
            since: Instant::now(),
            mesh,
            kind,
            terms: setup.terms,
            rows,
            living: BTreeMap::new(),
            limits: BTreeMap::new(),
            claims,
            transfers: VecDeque::new(),
            exhausted: false,
            trouble,
            absurd: BTreeMap::new(),
            rival: None,
            records: 0,
            others: Others::default(),
        };
        let treasury = Treasury {
            state: Mutex::new(state),
            journal,
            file,
            name: setup.name,
            clock: env.clock.clone(),
            lender: OnceLock::new(),
            spare: OnceLock::new(),
            standing: ArcSwap::default(),
            events: EventCounts::default(),
            news: Notify::new(),
            chance: Mutex::new(dice),
        };
        {
            let mut state = treasury.lock();
            treasury.turn(&mut state);
            treasury.found_if_mine(&mut state);
            treasury.assess(&state);
        }
        Arc::new(treasury)
    }

    /// Plugs in the way to other treasuries.
    pub fn lend_with(&self, lender: Arc<dyn Lender>) {
        let _ = self.lender.set(lender);
    }

    /// Plugs in who knows what of limits in a minute can be given away.
    pub(in crate::budget) fn spare_with(&self, spare: Arc<dyn Spare>) {
        let _ = self.spare.set(spare);
    }

    /// This peer belongs to another mesh from now on.
    pub fn rejoin(&self, kind: MeshKind) {
        let mut state = self.lock();
        state.mesh = mesh_of(&kind, &state.ledger);
        state.kind = kind;
        state.rows = remains_of(&state.ledger);
        state.living.clear();
        state.claims.clear();
        state.limits.clear();
        state.absurd.clear();
        state.transfers.clear();
        (state.since, state.rival, state.exhausted) = (Instant::now(), None, false);
        state.others = Others::default();
        self.found_if_mine(&mut state);
        self.assess(&state);
    }

    /// What this peer tells the others of its ledger, where there is one and they can be believed.
    pub fn facts(&self) -> Option<LedgerFacts> {
        let mut state = self.lock();
        if !state.kind.is_keyed() || state.trouble.is_some() {
            return None;
        }
        self.turn(&mut state);
        let absent = state.rows.values().filter(|row| !state.living.contains_key(&row.holder)).cloned();
        let own = state.ledger.rows(&self.name);
        Some(LedgerFacts {
            holder: state.ledger.holder().clone(),
            founding: state.ledger.founding(&state.mesh).cloned(),
            terms: state.terms,
            lost: state.ledger.lost(),
            rows: own.into_iter().chain(absent).collect(),
        })
    }

    /// Holds to other terms from now on. The stricter of the mesh still counts.
    pub fn agree(&self, terms: Option<Terms>) {
        let mut state = self.lock();
        self.turn(&mut state);
        (state.terms, state.exhausted) = (terms, false);
        self.found_if_mine(&mut state);
        self.assess(&state);
        drop(state);
        self.news.notify_waiters();
    }

    /// The holder whose rights are kept here.
    pub fn holder(&self) -> Holder {
        self.lock().ledger.holder().clone()
    }

    /// Resolves when everything that has happened is on disk, or cannot be.
    pub async fn flush(&self) {
        if let Some(journal) = &self.journal {
            journal.flush().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a record true and has it written, when its turn comes.
    fn note(&self, state: &mut State, record: &Record) {
        state.ledger.apply(record);
        if let Some(journal) = &self.journal {
            journal.append(line(record));
            self.tidy(state, journal);
        }
    }

    /// Makes a record true, and resolves when it is on disk.
    fn commit(&self, state: &mut State, record: &Record) -> impl Future<Output = Result<(), String>> + Send + use<> {
        state.ledger.apply(record);
        self.write(state, record)
    }

    /// Resolves when a record is on disk; whoever asks makes it true.
    fn write(&self, state: &mut State, record: &Record) -> impl Future<Output = Result<(), String>> + Send + use<> {
        let written = self.journal.as_ref().map(|journal| {
            let written = journal.commit(line(record));
            self.tidy(state, journal);
            written
        });
        async move {
            match written {
                Some(written) => written.await.map_err(|failure| failure.0),
                None => Err("there is no ledger to write to".to_owned()),
            }
        }
    }

    /// Writes the file anew from time to time. A gift on its way to the disk stands in neither form of it: then later.
    fn tidy(&self, state: &mut State, journal: &Journal) {
        state.records += 1;
        if state.records >= RECORDS && state.ledger.has_nothing_on_its_way() {
            state.records = 0;
            journal.rewrite(lines(&state.ledger.records()));
        }
    }

    /// Begins the month that the clock tells, if it has not begun here.
    fn turn(&self, state: &mut State) {
        if let Some(record) = state.ledger.turning(Month::at(self.clock.unix_seconds())) {
            self.note(state, &record);
            self.events.month_began();
            state.exhausted = false;
            self.take_what_waited(state);
        }
    }

    /// Opens an account in the ledger, unless it is open.
    fn open_account(&self, state: &mut State, account: &Account) {
        if let Some(record) = state.ledger.opening(account) {
            self.note(state, &record);
        }
    }

    /// Why nothing may be spent here now.
    fn trouble(&self, state: &State) -> Option<String> {
        let failure = || self.journal.as_ref().and_then(Journal::failure).map(str::to_owned);
        state.trouble.clone().or_else(failure)
    }

    /// The ledger was forgotten by the others: its rights are gone. Another begins, with none.
    fn begin_anew(&self, state: &mut State) {
        let old = state.ledger.holder().clone();
        warn!(target: "nexus::budget", event = "ledger_forgotten", holder = %old, "this peer's rights were given up for lost by the mesh: it begins anew, with none");
        for row in state.ledger.rows(&self.name) {
            state.rows.insert((row.holder.clone(), row.account.name.clone()), row);
        }
        let holder = Holder::from_bits(self.chance.lock().unwrap_or_else(PoisonError::into_inner).random());
        state.ledger = state.ledger.succeeded_by(holder);
        state.claims.clear();
        if let Some(journal) = &self.journal {
            journal.rewrite(lines(&state.ledger.records()));
        }
        // So that it is shown among the others before it has spent anything.
        if let Some(founding) = state.ledger.founding(&state.mesh).cloned() {
            self.open_account(state, &Account::budget(&founding));
        }
    }
}

impl MeshKind {
    fn is_keyed(&self) -> bool {
        matches!(self, MeshKind::Keyed { .. })
    }
}

impl Pending {
    /// A claim that this peer has made before it was started again.
    fn resumed(lost: &Holder, heir: &Holder) -> Self {
        let claim = Claim { lost: lost.clone(), heir: heir.clone(), at_ms: u64::MAX, yielded: BTreeSet::new() };
        Pending { claim, now: false, acked: BTreeSet::new() }
    }
}

/// The last rows of those that this ledger has inherited from.
fn remains_of(ledger: &Ledger) -> BTreeMap<(Holder, Arc<str>), Row> {
    ledger.remains().map(|row| ((row.holder.clone(), row.account.name.clone()), row.clone())).collect()
}

/// What the founding of a mesh is kept under.
fn mesh_of(kind: &MeshKind, ledger: &Ledger) -> Arc<str> {
    match kind {
        MeshKind::Alone => format!("alone-{}", ledger.holder()).into(),
        MeshKind::Keyed { tag, .. } => tag.as_str().into(),
    }
}

fn line(record: &Record) -> Vec<u8> {
    let mut line = Vec::with_capacity(160);
    record.write(&mut line);
    line
}

fn lines(records: &[Record]) -> Vec<u8> {
    let mut lines = Vec::new();
    records.iter().for_each(|record| record.write(&mut lines));
    lines
}

/// The ledger in a file, if there is one.
fn read(file: &Path, env: &Env, peer: &str) -> Result<Option<Ledger>, String> {
    let mend = "Put the file back as it was, or move it away: then this peer begins a new ledger without rights, and \
                `nexus mesh forget` hands the old ones on";
    let shown = file.display();
    let Some(content) = env.disk.read(file).map_err(|error| format!("{shown} cannot be read: {error}"))? else {
        return Ok(None);
    };
    let (records, _) = read_all(&content).map_err(|line| format!("{shown} is damaged in line {line}. {mend}"))?;
    if records.is_empty() {
        return Ok(None);
    }
    let ledger =
        Ledger::replay(&records).map_err(|reason| format!("{shown} is no ledger of this version: {reason}. {mend}"))?;
    if ledger.peer() != peer {
        return Err(format!("{shown} is the ledger of another peer ({}). {mend}", ledger.peer()));
    }
    Ok(Some(ledger))
}

/// Writes the file anew and opens it for more.
fn begin(file: &Path, ledger: &Ledger, env: &Env) -> std::io::Result<Journal> {
    env.disk.replace(file, &lines(&ledger.records()))?;
    Journal::open(file, env)
}

#[cfg(test)]
mod tests;
