//! The configuration of a running node, read again: the file is checked whole and taken up whole, or not at all. Requests
//! under way go by what they came under. What only a start can change is told by key.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use super::backends::Changes;
use super::{Blueprint, parts};
use crate::api::{Backends, ClientKeys, Declined, Reloaded, TurnedBudget};
use crate::budget::{Treasury, laxer};
use crate::config::{Config, Loaded, MOST_KEYS, Origin, differing};
use crate::env::Env;
use crate::fleet::BackendSpec;
use crate::gateway::Gateway;
use crate::mesh::{Configured, Membership, Mesh};
use crate::registry::Registry;
use crate::route::{self, Rules, turned, weakened};
use crate::telemetry::Levels;
use crate::telemetry::audit::{By, Deed, note};
use crate::telemetry::events::{Event, Events};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A file that has just changed is looked at again after this: whoever writes it may not be done.
const SETTLED_AFTER: Duration = Duration::from_millis(250);

/// Letters of a place in the file that other peers are told.
const LONGEST_PLACE: usize = 200;

/// Keys that count as soon as they are read, and the tables of them.
const LIVE: [&str; 16] = [
    "auth.client_keys",
    "backends",
    "budget",
    "logging.component_levels",
    "logging.enable_content_logging",
    "logging.level",
    "mesh.max_hops",
    "prices",
    "quality.ttft_penalty_threshold_ms",
    "queue.enabled",
    "queue.max_size",
    "queue.max_wait_seconds",
    "routing",
    "server.heartbeat_seconds",
    "server.max_concurrent_requests",
    "server.request_timeout_seconds",
];

/// Keys of the membership. A running peer takes another one up by `nexus mesh join`.
const MEMBERSHIP: [&str; 4] = ["mesh.name", "mesh.key", "mesh.key_file", "mesh.seeds"];

/// What a node can change of itself, and by what it goes now.
pub(super) struct Reload {
    pub(super) origin: Option<Origin>,
    pub(super) registry: Arc<Registry>,
    pub(super) gateway: Arc<Gateway>,
    pub(super) mesh: Option<Mesh>,
    pub(super) clients: Arc<ClientKeys>,
    pub(super) treasury: Option<Arc<Treasury>>,
    pub(super) levels: Levels,
    pub(super) events: Arc<Events>,
    pub(super) env: Env,
    /// What those parts were started with that cannot be changed.
    pub(super) started: Config,
    pub(super) now: Mutex<Now>,
}

/// By what a node goes.
pub(super) struct Now {
    config: Config,
    routing: Arc<route::Config>,
    specs: Vec<BackendSpec>,
    /// The file as it was taken up.
    text: Option<String>,
    /// The file as it could not be.
    refused: Option<Refused>,
}

impl Now {
    pub(super) fn new(config: &Config, specs: Vec<BackendSpec>, text: Option<String>) -> Self {
        Now { config: config.clone(), routing: Arc::new(config.routing.clone()), specs, text, refused: None }
    }
}

/// A file that could not be taken up.
struct Refused {
    /// What it says, where it can be read.
    text: Option<String>,
    /// Where it is wrong.
    place: String,
}

impl Now {
    /// Where the file is wrong that could not be taken up.
    pub(super) fn rejected(&self) -> Option<String> {
        self.refused.as_ref().map(|refused| refused.place.clone())
    }

    /// The file as it was taken up.
    pub(super) fn text(&self) -> Option<String> {
        self.text.clone()
    }
}

/// A configuration that could be taken up.
struct Candidate {
    config: Config,
    specs: Vec<BackendSpec>,
    keys: Vec<crate::api::ConfiguredKey>,
    rules: Rules,
    text: String,
    warnings: Vec<String>,
}

/// Why one cannot be: for whoever asks, and for every peer.
struct Bad {
    message: String,
    place: String,
}

impl Reload {
    /// Whether there may be something to read again.
    pub(super) fn has_a_file(&self) -> bool {
        self.origin.is_some()
    }

    /// What the file is called.
    pub(super) fn file(&self) -> &Path {
        self.origin.as_ref().map_or(Path::new(""), Origin::path)
    }

    /// The variables that lead this node elsewhere at its next start than `wanted`.
    pub(super) fn overruling(&self, wanted: &Membership) -> Vec<&'static str> {
        self.origin.as_ref().map(|origin| origin.overruling(wanted)).unwrap_or_default()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file as it is now; `None` where there is none.
    pub(super) fn text(&self) -> Result<Option<String>, String> {
        let Some(origin) = &self.origin else { return Ok(None) };
        let cannot = |why: String| format!("cannot read {}: {why}", origin.path().display());
        let bytes = self.env.disk.read(origin.path()).map_err(|error| cannot(error.to_string()))?;
        bytes.map(|bytes| String::from_utf8(bytes).map_err(|_| cannot("it is not UTF-8".to_owned()))).transpose()
    }

    /// Takes up what the file says, or says why not; with `dry_run` only what that would change.
    pub(super) fn read_again(&self, dry_run: bool) -> Result<Reloaded, Declined> {
        let read = self.text();
        let mut now = self.lock();
        match read {
            Ok(None) => Err(self.without_file(&mut now, dry_run)),
            Ok(Some(text)) => self.take_up(&mut now, text, dry_run),
            Err(message) => {
                let bad = Bad { message, place: "the file cannot be read".to_owned() };
                Err(if dry_run { Declined::Wrong(bad.message) } else { self.refuse(&mut now, None, bad) })
            }
        }
    }

    fn without_file(&self, now: &mut Now, dry_run: bool) -> Declined {
        let file = self.file().display();
        if self.origin.is_none() {
            return Declined::NoFile("this peer was not started from a configuration file".to_owned());
        }
        if now.text.is_none() {
            return Declined::NoFile(format!(
                "this peer was started without a configuration file: `nexus config init` makes one, which is read from {file}"
            ));
        }
        let bad = Bad { message: format!("{file} is gone"), place: "the file is gone".to_owned() };
        if dry_run { Declined::Wrong(bad.message) } else { self.refuse(now, None, bad) }
    }

    /// Takes up `text`, whole.
    pub(super) fn take_up(&self, now: &mut Now, text: String, dry_run: bool) -> Result<Reloaded, Declined> {
        let candidate = match self.candidate(text.clone()) {
            Ok(candidate) => candidate,
            Err(bad) if dry_run => return Err(Declined::Wrong(bad.message)),
            Err(bad) => return Err(self.refuse(now, Some(text), bad)),
        };
        let changes = Changes::between(&now.specs, &candidate.specs);
        let (changed, needs_restart) = self.sort_out(&now.config, &candidate.config);
        let report = Reloaded {
            file: self.file().display().to_string(),
            dry_run,
            changed,
            needs_restart,
            backends: changes.names(),
            policies: turned(&now.config.routing.policies, &candidate.config.routing.policies),
            budget: turned_budget(&now.config, &candidate.config),
            weakens: weakens(&now.config, &candidate.config),
            warnings: candidate.warnings.clone(),
            etag: Some(etag(&candidate.text)),
        };
        if !dry_run {
            if !report.weakens.is_empty() {
                warn!(weakens = report.weakens.join("; "), "The configuration protects less than before");
            }
            self.put_in_force(now, candidate, &changes);
            info!(
                file = report.file,
                changed = report.changed.join(", "),
                needs_restart = report.needs_restart.join(", "),
                "Configuration taken up"
            );
            self.tell("config_reloaded", &taken_up(&report));
        }
        Ok(report)
    }

    fn candidate(&self, text: String) -> Result<Candidate, Bad> {
        let nowhere = || Bad { message: String::new(), place: String::new() };
        let origin = self.origin.as_ref().ok_or_else(nowhere)?;
        let loaded = origin.load(text.clone());
        let Loaded { config, mut warnings, .. } =
            loaded.map_err(|error| Bad { message: error.to_string(), place: error.place() })?;
        let made = Blueprint::new(config, origin.lookup());
        let (Blueprint { config, backends, secrets, .. }, more) =
            made.map_err(|error| Bad { message: error.to_string(), place: "auth.client_keys".to_owned() })?;
        let rules =
            parts::rules(&config).map_err(|error| Bad { message: error.to_string(), place: "routing".to_owned() })?;
        warnings.extend(more);
        Ok(Candidate { config, specs: backends, keys: secrets.client_keys, rules, text, warnings })
    }

    /// Which keys count at once, and which with the next start.
    fn sort_out(&self, now: &Config, next: &Config) -> (Vec<String>, Vec<String>) {
        let is_live = |key: &String| {
            let of = |live: &str| key == live || key.strip_prefix(live).is_some_and(|rest| rest.starts_with('.'));
            let keeps_no_ledger = self.treasury.is_none();
            match key.as_str() {
                key if keeps_no_ledger && key.starts_with("budget") => false,
                "auth.client_keys" if keeps_no_ledger => !next.auth.client_keys.iter().any(|key| key.limits().is_any()),
                _ => LIVE.iter().any(|live| of(live)),
            }
        };
        let changed = differing(now, next).into_iter().filter(is_live).take(MOST_KEYS).collect();
        let is_of_membership = |key: &String| MEMBERSHIP.contains(&key.as_str());
        let mut waiting: Vec<String> = differing(&self.started, next);
        let is_done = |key: &String| is_live(key) || is_of_membership(key) && self.is_member_of(next);
        waiting.retain(|key| !is_done(key));
        waiting.truncate(MOST_KEYS);
        (changed, waiting)
    }

    /// Whether the mesh of `config` is that which this node is a peer of: it may have joined it while it ran.
    fn is_member_of(&self, config: &Config) -> bool {
        let Some(mesh) = &self.mesh else { return false };
        let wanted = Membership::read(&config.mesh.name, &config.mesh.key, &config.mesh.seeds);
        wanted.is_ok_and(|wanted| wanted == *mesh.membership())
    }

    fn put_in_force(&self, now: &mut Now, candidate: Candidate, changes: &Changes) {
        let Candidate { mut config, specs, mut keys, rules, text, .. } = candidate;
        if self.treasury.is_none() {
            // Without a ledger nobody would hold them to their limits. Those that are gone are gone at once.
            config.auth.client_keys.retain(|key| !key.limits().is_any());
            keys.retain(|key| !key.limits.is_any());
        }
        if let Err(error) = self.clients.configure(keys) {
            warn!(%error, "Client keys of the configuration not taken up");
        }
        self.gateway.turn_to(rules, parts::manner(&config, self.mesh.as_ref(), &self.env));
        changes.put_in_force(&self.registry);
        if let Some(treasury) = self.treasury.as_ref().filter(|_| config.budget != now.config.budget) {
            treasury.agree(config.budget.as_ref().and_then(crate::budget::Config::terms));
        }
        self.levels.configure(&config.logging);
        if let Some(mesh) = &self.mesh {
            mesh.configure(Configured { policies: parts::policies_hash(&config), rejected: String::new() });
        }
        now.routing = Arc::new(config.routing.clone());
        (now.config, now.specs, now.text, now.refused) = (config, specs, Some(text), None);
    }

    /// Goes on as before, and says so: here once for each state of the file, and to the other peers until it is mended.
    fn refuse(&self, now: &mut Now, text: Option<String>, bad: Bad) -> Declined {
        let place: String = bad.place.chars().take(LONGEST_PLACE).collect();
        if now.refused.as_ref().is_none_or(|refused| refused.text != text) {
            error!(file = %self.file().display(), error = bad.message, "Configuration refused: this peer goes by the one it had");
            now.refused = Some(Refused { text, place: place.clone() });
            // Of what is wrong only the place: the rest may be a secret, and events are for everybody.
            self.tell("config_rejected", &format!("{}: {MEND}", super::lookout::rejected(&bad.place)));
        }
        if let Some(mesh) = &self.mesh {
            mesh.configure(Configured { policies: parts::policies_hash(&now.config), rejected: place });
        }
        Declined::Wrong(bad.message)
    }

    fn tell(&self, kind: &'static str, what: &str) {
        let name = self.name();
        self.events.publish(Event::new(kind, format!("Peer '{name}' {what}")).about("peer", &*name));
    }

    fn name(&self) -> Arc<str> {
        self.mesh.as_ref().map_or_else(|| parts::peer_name(&self.started, &self.env).into(), Mesh::name)
    }

    /// The section of routing that counts, and what tells the file from others.
    pub(super) fn routing_now(&self) -> (Arc<route::Config>, Option<String>) {
        let now = self.lock();
        (now.routing.clone(), now.text.as_deref().map(etag))
    }

    /// Reads again because somebody has said so from outside, and writes that down.
    pub(super) fn on_word(&self, by: &By) {
        match self.read_again(false) {
            Ok(reloaded) => self.write_down(reloaded.file, by),
            Err(Declined::NoFile(why)) => warn!(why, "There is no configuration to read again"),
            // Said where it was found.
            Err(_) => {}
        }
    }

    fn write_down(&self, file: String, by: &By) {
        note(&Deed { action: "config_reloaded", subject: file }, &self.name(), by);
    }

    /// Looks at the file every now and then, for as long as it is polled. Its content says whether it has changed: time and
    /// size of a file may lie, and it is small.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let seen = self.text();
            if !self.is_news(&seen) {
                continue;
            }
            tokio::time::sleep(SETTLED_AFTER).await;
            if self.text() == seen {
                self.on_word(&By::new(self.file().display().to_string(), "whoever may write the file"));
            }
        }
    }

    fn is_news(&self, seen: &Result<Option<String>, String>) -> bool {
        let mut now = self.lock();
        let text = seen.as_ref().ok().and_then(Option::as_ref);
        if text == now.text.as_ref() && seen.is_ok() {
            if now.refused.take().is_some() {
                // It is again what counts: there is nothing wrong any more.
                if let Some(mesh) = &self.mesh {
                    mesh.configure(Configured { policies: parts::policies_hash(&now.config), rejected: String::new() });
                }
                self.tell("config_mended", "has a good configuration file again");
            }
            return false;
        }
        now.refused.as_ref().is_none_or(|refused| refused.text.as_ref() != text)
    }
}

fn turned_budget(now: &Config, next: &Config) -> Option<TurnedBudget> {
    (now.budget != next.budget).then(|| TurnedBudget { before: now.budget.clone(), after: next.budget.clone() })
}

/// What protects less by `next` than by `now`.
fn weakens(now: &Config, next: &Config) -> Vec<String> {
    let policies = weakened(&now.routing.policies, &next.routing.policies);
    policies.into_iter().chain(laxer(now.budget.as_ref(), next.budget.as_ref())).collect()
}

/// What to do about a file that cannot be taken up.
const MEND: &str = "`nexus config reload --dry-run` there says what is wrong";

/// Keys that are named of a long list.
const MOST_SHOWN: usize = 12;

/// What a reload has done, by key.
fn taken_up(report: &Reloaded) -> String {
    let list = |keys: &[String]| {
        let more = keys.len().saturating_sub(MOST_SHOWN);
        let shown = keys.iter().take(MOST_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
        if more == 0 { shown } else { format!("{shown} and {more} more") }
    };
    let changed = if report.changed.is_empty() { "nothing else counts now".to_owned() } else { list(&report.changed) };
    let waiting = match report.needs_restart.as_slice() {
        [] => String::new(),
        keys => format!("; counts with the next start: {}", list(keys)),
    };
    format!("took up its configuration: {changed}{waiting}")
}

/// What tells one state of the file from others.
pub(super) fn etag(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..16].to_owned()
}

impl Changes {
    fn names(&self) -> Backends {
        let names = |specs: &[BackendSpec]| specs.iter().map(|spec| spec.name.clone()).collect();
        Backends { added: names(&self.added), removed: self.removed.clone(), changed: names(&self.changed) }
    }
}
