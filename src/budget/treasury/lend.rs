//! Rights on their way between treasuries: asking others where too little is here, and giving what is not used.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::{TRANSFERS, Treasury};
use crate::budget::ledger::{Ack, Ask, Claim, NoGift, NoPromise, Short};
use crate::fleet::{Account, Gift, Holder, PeerId, Row, WHOLE, parts_of};

/// The way to other treasuries. What is said is opaque to whoever carries it.
pub trait Lender: Send + Sync + 'static {
    /// Puts a question to a peer and gives its answer, if one comes in time.
    fn ask(
        &self,
        peer: &PeerId,
        question: serde_json::Value,
        patience: Duration,
    ) -> BoxFuture<'_, Option<serde_json::Value>>;
}

/// Rights that passed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Transfer {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Of which account.
    pub account: Arc<str>,
    /// Whose they were.
    pub from: String,
    /// Whose they are.
    pub to: String,
    /// How much, in the unit of the account at its limit then.
    pub amount: u64,
}

/// Knows what of a limit in a minute can be given away.
pub(in crate::budget) trait Spare: Send + Sync + 'static {
    /// `parts` of a share of `share` are to go. Gives what was in their bucket; `None` where nothing can go, because more
    /// was taken than there was.
    fn give(&self, account: &Account, per_minute: f64, share: u64, parts: u64) -> Option<f64>;
}

/// What treasuries ask each other.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Question {
    /// For rights.
    Rights(Ask),
    /// For a promise.
    Promise(Claim),
}

/// What they answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Answer {
    /// How much was given in all, and by whom.
    Gift {
        /// The holder that gives.
        holder: Holder,
        /// In all.
        gift: Gift,
        /// What was in the bucket of the rights, where they are of a limit in a minute.
        #[serde(default)]
        level: f64,
    },
    /// It is promised.
    Promised(Ack),
    /// It is promised to somebody else.
    PromisedTo(Holder),
    /// Nothing comes of it.
    #[serde(other)]
    Nothing,
}

/// How long one peer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What came of asking.
#[derive(Clone, Copy, Default)]
struct Came {
    parts: u64,
    /// What was in the buckets of these parts.
    level: f64,
}

/// Fewer parts of a limit in a minute make no difference.
const WORTH_A_WORD: u64 = WHOLE / 1000;

/// Peers that are asked for one hold.
const ASKED: usize = 32;

impl Treasury {
    /// Answers what another treasury asks. What cannot be understood is answered with nothing.
    pub async fn answer(&self, question: serde_json::Value) -> serde_json::Value {
        let answer = match serde_json::from_value(question) {
            Ok(Question::Rights(ask)) => self.give(&ask).await,
            Ok(Question::Promise(claim)) => self.promise(&claim).await,
            Err(_) => Answer::Nothing,
        };
        serde_json::to_value(answer).unwrap_or_default()
    }

    /// Gives what is not used here to whoever asks. It is on disk before they hear of it.
    async fn give(&self, ask: &Ask) -> Answer {
        let (giver, record, written, limit, level) = {
            let mut state = self.lock();
            self.turn(&mut state);
            let is_sound = ask.account.name.len() <= Account::MAX && ask.account.root.is_sound();
            if !state.kind.is_keyed() || self.trouble(&state).is_some() || !is_sound {
                return Answer::Nothing;
            }
            if state.ledger.holder() == &ask.account.root
                || state.ledger.heir_of().any(|lost| *lost == ask.account.root)
            {
                self.open_account(&mut state, &ask.account);
            }
            let limit = state.limits.get(&ask.account.name).copied().unwrap_or(ask.limit);
            let before = state.ledger.share(&ask.account.name);
            let spare = self.spare.get().filter(|_| ask.account.is_rate());
            #[expect(clippy::cast_precision_loss, reason = "limits in a minute are small")]
            let spared = |parts| spare.map(|spare| spare.give(&ask.account, ask.limit as f64, before, parts));
            if spared(0) == Some(None) {
                return Answer::Nothing;
            }
            let record = match state.ledger.giving(ask, limit) {
                Ok(record) => record,
                Err(why @ (NoGift::Nothing | NoGift::LaterMonth | NoGift::Unwelcome)) => {
                    debug!(target: "nexus::budget", ?why, account = %ask.account.name, "no rights given");
                    return Answer::Nothing;
                }
            };
            let parts = before.saturating_sub(state.ledger.share(&ask.account.name));
            let level = spared(parts).flatten().unwrap_or(0.0);
            let giver = state.ledger.holder().clone();
            (giver, record.clone(), self.write(&mut state, &record), limit, level)
        };
        // What does not get to the disk stays out of reach: nobody can know whether it got there.
        if written.await.is_err() {
            return Answer::Nothing;
        }
        let mut state = self.lock();
        if *state.ledger.holder() != giver {
            return Answer::Nothing;
        }
        let before = state.ledger.gift_to(&ask.account.name, &ask.holder).map_or(0, |gift| gift.parts);
        state.ledger.apply(&record);
        let Some(gift) = state.ledger.gift_to(&ask.account.name, &ask.holder) else { return Answer::Nothing };
        let (me, to) = (self.name.clone(), state.name_of(&ask.holder));
        self.remember(&mut state, &ask.account, me, to, crate::fleet::worth(gift.parts.saturating_sub(before), limit));
        self.assess(&state);
        Answer::Gift { holder: giver, gift, level }
    }

    /// Asks other peers for what is short. Says whether anything came.
    pub(super) async fn fetch(&self, short: &Short, account: &Account, until: Instant) -> bool {
        let Some(lender) = self.lender.get().cloned() else { return false };
        let (ask, holders, limit) = {
            let state = self.lock();
            if !state.kind.is_keyed() {
                return false;
            }
            let Some(limit) = state.limits.get(&short.account).copied().filter(|limit| *limit > 0) else {
                return false;
            };
            (state.ledger.asking(account, short.missing, limit), state.holding_most_of(account, limit), limit)
        };
        self.ask_all(lender, &ask, holders, limit, until).await.parts > 0
    }

    /// The share of this peer of an account, in parts.
    pub(in crate::budget) fn share_of(&self, account: &Account) -> u64 {
        let mut state = self.lock();
        if state.ledger.opening(account).is_some() {
            self.open_account(&mut state, account);
        }
        state.ledger.share(&account.name)
    }

    /// Asks other peers for parts of a limit in a minute, and gives what was in the bucket of what came. `None` where too
    /// little came to be worth a word.
    pub(in crate::budget) async fn gather(
        &self,
        account: &Account,
        per_minute: f64,
        needs: u64,
        until: Instant,
    ) -> Option<f64> {
        let lender = self.lender.get().cloned()?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "limits are whole and above 0")]
        let limit = per_minute as u64;
        let (ask, holders) = {
            let state = self.lock();
            if !state.kind.is_keyed() || self.trouble(&state).is_some() {
                return None;
            }
            let ask = Ask { needs, likes: WHOLE / 2, ..state.ledger.asking(account, 0, limit) };
            (ask, state.holding_most_of(account, limit))
        };
        let came = self.ask_all(lender, &ask, holders, limit, until).await;
        (came.parts > WORTH_A_WORD.min(needs.saturating_sub(1))).then_some(came.level)
    }

    /// Asks one peer after the other until there is enough.
    async fn ask_all(
        &self,
        lender: Arc<dyn Lender>,
        ask: &Ask,
        holders: Vec<(Holder, PeerId)>,
        limit: u64,
        until: Instant,
    ) -> Came {
        let (account, mut came) = (&ask.account, Came::default());
        for (holder, peer) in holders.into_iter().take(ASKED) {
            let asking = Ask { needs: ask.needs - came.parts, ..ask.clone() };
            let question = serde_json::to_value(Question::Rights(asking)).unwrap_or_default();
            let patience = PATIENCE.min(until.saturating_duration_since(Instant::now()));
            let Ok(answer) = timeout_at(until, lender.ask(&peer, question, patience)).await else { break };
            let Some(Ok(Answer::Gift { holder: giver, gift, level })) = answer.map(serde_json::from_value) else {
                continue;
            };
            if giver != holder {
                continue;
            }
            let mut state = self.lock();
            if *state.ledger.holder() != ask.holder {
                // It was given to a ledger that was given up for lost meanwhile, and belongs to its estate.
                break;
            }
            let before = state.ledger.share(&account.name);
            let Some(record) = state.ledger.taking(&account.name, &holder, gift) else { continue };
            self.note(&mut state, &record);
            let parts = state.ledger.share(&account.name).saturating_sub(before);
            let (from, me) = (state.name_of(&holder), self.name.clone());
            self.remember(&mut state, account, from, me, crate::fleet::worth(parts, limit));
            came.parts += parts;
            came.level += level.max(0.0);
            if came.parts >= ask.needs {
                break;
            }
        }
        came
    }

    fn remember(&self, state: &mut super::State, account: &Account, from: String, to: String, amount: u64) {
        if account.is_rate() {
            return;
        }
        let account = &account.name;
        let at_ms = self.clock.unix_millis();
        state.transfers.push_back(Transfer { at_ms, account: account.clone(), from, to, amount });
        if state.transfers.len() > TRANSFERS {
            state.transfers.pop_front();
        }
    }

    /// Promises what a claim asks for, unless somebody else was promised.
    async fn promise(&self, claim: &Claim) -> Answer {
        let written = {
            let mut state = self.lock();
            if !state.kind.is_keyed() || self.trouble(&state).is_some() {
                return Answer::Nothing;
            }
            if state.living.contains_key(&claim.lost) {
                return Answer::Nothing;
            }
            let own = state.claims.get(&claim.lost).map(|pending| pending.claim.at_ms);
            let records = match state.ledger.promising(claim, own) {
                Ok(records) => records,
                Err(NoPromise::PromisedTo(heir)) => return Answer::PromisedTo(heir),
                Err(NoPromise::StillHere | NoPromise::HeirIsLost) => return Answer::Nothing,
            };
            if records.len() > 1 {
                state.claims.remove(&claim.lost);
            }
            records.iter().map(|record| self.commit(&mut state, record)).collect::<Vec<_>>()
        };
        for written in written {
            if written.await.is_err() {
                return Answer::Nothing;
            }
        }
        let state = self.lock();
        let own = state.ledger.rows(&self.name);
        // What has nothing to do with any that are lost is heard by gossip, and would not fit into a frame.
        let is_about_the_lost = |row: &Row| {
            let names = row.given.keys().chain(row.taken.keys()).chain(row.inherited.keys()).chain([&row.holder]);
            names.chain([&row.account.root]).any(|holder| *holder == claim.lost || state.ledger.is_lost(holder))
        };
        let rows = own.into_iter().chain(state.rows.values().cloned());
        Answer::Promised(Ack {
            holder: state.ledger.holder().clone(),
            rows: rows.filter(is_about_the_lost).collect(),
            met: state.ledger.met(&state.mesh).cloned().collect(),
        })
    }
}

impl super::State {
    /// Those that are there and have rights to give, who has most first.
    fn holding_most_of(&self, account: &Account, limit: u64) -> Vec<(Holder, PeerId)> {
        let month = self.ledger.month();
        let unused = |holder: &Holder| match self.rows.get(&(holder.clone(), account.name.clone())) {
            Some(row) => row.share(month).saturating_sub(parts_of(row.used(month), limit)),
            None if *holder == account.root => WHOLE,
            // Who was never heard of in this account may be an heir to it.
            None => 1,
        };
        let mut holders: Vec<(u64, Holder, PeerId)> = self
            .living
            .iter()
            .map(|(holder, living)| (unused(holder), holder.clone(), living.peer.clone()))
            .filter(|(unused, ..)| *unused > 0)
            .collect();
        holders.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        holders.into_iter().map(|(_, holder, peer)| (holder, peer)).collect()
    }

    /// What a holder's peer is called.
    pub(super) fn name_of(&self, holder: &Holder) -> String {
        let named = self.rows.values().find(|row| row.holder == *holder && !row.by.is_empty());
        named.map_or_else(|| holder.as_str().chars().take(8).collect(), |row| row.by.clone())
    }
}
