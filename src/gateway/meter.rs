//! Limits in a minute: what a client's key may ask, before anything is done for it. What tokens it will take is guessed at
//! first, and put right when the answer is over.

use std::sync::Arc;
use std::time::Duration;

use super::error::Failure;
use super::witness::LimitOf;
use super::{Ask, Gateway};
use crate::budget::{Alone, Limited, Rates};
use crate::dialect::{Inspection, Observed};
use crate::exchange::{Origin, Quota, Request};
use crate::fleet::{Account, BackendSpec, Holder, Needs};

/// How long other peers are asked for their share of a limit while a request waits.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a request waits for the budget of the mesh to be founded, with which limits of configured keys begin.
const FOUNDING: Duration = Duration::from_secs(15);

/// Tokens taken from a limit, until it is known how many there were.
pub(super) struct Metered {
    from: From,
    account: Arc<str>,
    guessed: f64,
    prompt: u64,
    settled: bool,
}

/// What an answer may take, with its prompt. Nobody is charged for more than a minute before it is known.
fn guess(needs: &Needs, limit: u64) -> u64 {
    (needs.prompt_bytes / 4).saturating_add(needs.max_tokens.unwrap_or(0)).clamp(1, limit.max(1))
}

enum From {
    Mesh(Arc<Rates>),
    Here(Arc<Alone>),
}

/// Which limit of a key is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    Requests(u32),
    Tokens(u64),
}

impl Gateway {
    /// Takes a client's request from the limits of its key.
    ///
    /// # Errors
    /// One of them is reached.
    pub(super) async fn meter(&self, request: &Request, asked: &Inspection) -> Result<Option<Metered>, Failure> {
        let quota = match (&request.origin, &request.caller) {
            (Origin::Client, Some(caller)) => caller.quota.as_ref(),
            _ => None,
        };
        let Some(quota) = quota
            .filter(|quota| quota.limits.requests_per_minute.is_some() || quota.limits.tokens_per_minute.is_some())
        else {
            return Ok(None);
        };
        let Some(rates) = &self.rates else { return Err(self.limited(request, Limit::Requests(0), NO_LEDGER)) };
        if let Some(limit) = quota.limits.requests_per_minute {
            let taken = self.take(rates, quota, "requests", f64::from(limit), 1.0).await;
            taken.map_err(|why| self.limited(request, Limit::Requests(limit), why))?;
        }
        let Some(limit) = quota.limits.tokens_per_minute else { return Ok(None) };
        let prompt = asked.needs.prompt_bytes / 4;
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
        let (per_minute, guessed) = (limit as f64, guess(&asked.needs, limit) as f64);
        let taken = self.take(rates, quota, "tokens", per_minute, guessed).await;
        let account = taken.map_err(|why| self.limited(request, Limit::Tokens(limit), why))?;
        Ok(Some(Metered { from: From::Mesh(rates.clone()), account, guessed, prompt, settled: false }))
    }

    fn limited(&self, request: &Request, limit: Limit, why: Limited) -> Failure {
        let caller = request.caller.as_ref().map(|caller| caller.name.clone()).unwrap_or_default();
        self.turned_away(LimitOf::Key, &caller);
        Failure::Limited { caller, limit, why }
    }

    /// Somebody is told to come again later.
    pub(super) fn turned_away(&self, whose: LimitOf, name: &str) {
        if let Some(witness) = &self.witness {
            witness.limited(whose, name);
        }
    }

    /// Takes a request from the limits of one of our own backends.
    ///
    /// # Errors
    /// One of them is reached: in how long it may be tried again.
    pub(super) fn meter_backend(&self, spec: &BackendSpec, ask: &Ask<'_>) -> Result<Option<Metered>, Duration> {
        if let Some(limit) = spec.requests_per_minute {
            let name = format!("{}/requests", spec.name).into();
            self.limits.take(&name, f64::from(limit), 1.0)?;
        }
        let Some(limit) = spec.tokens_per_minute else { return Ok(None) };
        let needs = &ask.asked.needs;
        let prompt = needs.prompt_bytes / 4;
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
        let (per_minute, guessed) = (limit as f64, guess(needs, limit) as f64);
        let account: Arc<str> = format!("{}/tokens", spec.name).into();
        self.limits.take(&account, per_minute, guessed)?;
        Ok(Some(Metered { from: From::Here(self.limits.clone()), account, guessed, prompt, settled: false }))
    }

    async fn take(
        &self,
        rates: &Rates,
        quota: &Quota,
        what: &str,
        per_minute: f64,
        cost: f64,
    ) -> Result<Arc<str>, Limited> {
        let name = format!("key/{}/{what}", quota.id);
        let root = quota.holder.as_deref().map(Holder::named).filter(Holder::is_sound);
        let account = match (root, &self.treasury) {
            (Some(root), _) => Account { name: name.into(), root },
            (None, Some(treasury)) => treasury.account_of_mesh(&name, FOUNDING).await.map_err(|_| NO_LEDGER)?,
            (None, None) => return Err(NO_LEDGER),
        };
        rates.take(&account, per_minute, cost, PATIENCE).await?;
        Ok(account.name)
    }
}

impl Metered {
    /// The answer is over. What was never told is counted by what was seen of it.
    pub(super) fn settle(mut self, observed: Option<&Observed>) {
        self.put_right(observed);
    }

    fn put_right(&mut self, observed: Option<&Observed>) {
        if std::mem::replace(&mut self.settled, true) {
            return;
        }
        let tokens = match observed {
            None => 0,
            Some(observed) => observed.usage.map_or(self.prompt.saturating_add(observed.events), |usage| {
                usage.prompt_tokens.saturating_add(usage.completion_tokens)
            }),
        };
        #[expect(clippy::cast_precision_loss, reason = "tokens of one request")]
        let more = tokens as f64 - self.guessed;
        match &self.from {
            From::Mesh(rates) => rates.correct(&self.account, more),
            From::Here(alone) => alone.correct(&self.account, more),
        }
    }
}

/// Nothing came of it.
impl Drop for Metered {
    fn drop(&mut self) {
        self.put_right(None);
    }
}

/// Nobody can say what was taken: not now.
const NO_LEDGER: Limited = Limited { retry_after: Duration::from_secs(10), no_share: true };

/// What is told of it.
pub(super) fn told(caller: &str, limit: Limit, why: Limited) -> String {
    let limit = match limit {
        Limit::Requests(0) => {
            return format!("The limits of the key of client '{caller}' cannot be kept here: this node has no ledger.");
        }
        Limit::Requests(limit) => format!("{limit} requests"),
        Limit::Tokens(limit) => format!("{limit} tokens"),
    };
    if why.no_share {
        return format!(
            "The key of client '{caller}' is limited to {limit} a minute, and the peers that hold the rest of that cannot \
             be asked now."
        );
    }
    format!("The key of client '{caller}' is limited to {limit} a minute in the whole mesh.")
}
