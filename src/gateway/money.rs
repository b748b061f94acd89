//! Money around a request: what it may cost at most before it is sent, what is set aside for that, and what it came to.
//! Only calls to vendors cost; everything else passes by here without a question.

use std::time::Duration;

use super::outcome::{Miss, Step};
use super::{Ask, Gateway};
use crate::budget::price::Prices;
use crate::budget::{Amount, Hold, Level, Refused, Why, nanos};
use crate::dialect;
use crate::exchange::{Origin, Payer};
use crate::fleet::{Account, HardLimitAction, Holder, Kind, Locality, Model};
use crate::registry::Entry;
use crate::route::{Fee, Money};

/// What vendors add to a prompt of their own, in tokens: rules for tools, marks between messages.
const ADDED: u64 = 1024;

/// Tokens of a prompt where the price list does not say how many there may be.
const LONGEST_PROMPT: u64 = 1 << 21;

/// Tokens of an answer where neither the client nor the price list says how many there may be.
const LONGEST_ANSWER: u64 = 1 << 17;

/// How long other peers are asked for rights while a request waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// What a request may take of any vendor: reckoned once for all candidates.
#[derive(Clone, Copy)]
pub(super) struct Bulk {
    /// Tokens of the prompt at most, where they all stand in the body: no token is shorter than a byte.
    prompt: Option<u64>,
    /// Tokens of an answer at most, where the client says.
    answer: Option<u64>,
    /// Answers that are asked for.
    answers: u64,
    has_answer: bool,
    is_priced: bool,
}

impl Bulk {
    pub(super) fn of(ask: &Ask<'_>) -> Self {
        let Ask { request, asked, .. } = ask;
        let extent = dialect::extent(request.endpoint, &request.body);
        // An image may only be named.
        let is_all_here = extent.is_self_contained && !asked.needs.vision;
        Bulk {
            prompt: is_all_here.then_some((request.body.len() as u64).saturating_add(ADDED)),
            answer: extent.answer_tokens,
            answers: extent.answers,
            has_answer: !request.endpoint.is_embedding(),
            is_priced: request.endpoint.is_read_by_model(),
        }
    }

    /// What it may cost at a model of a vendor.
    pub(super) fn fee(&self, kind: Kind, model: &Model, prices: &Prices) -> Fee {
        if kind.locality() == Locality::Local {
            return Fee::Free;
        }
        let Some(price) = prices.price_of(kind.as_str(), &model.id).filter(|_| self.is_priced) else {
            return Fee::Unknown;
        };
        let about = prices.about(kind.as_str(), &model.id).unwrap_or_default();
        let room = about.max_input_tokens.or(model.context_length);
        let room = room.unwrap_or(LONGEST_PROMPT);
        let prompt = self.prompt.map_or(room, |prompt| prompt.min(room));
        let answer = self.answer.or(about.max_output_tokens).or(model.context_length).unwrap_or(LONGEST_ANSWER);
        let answer = if self.has_answer { answer.saturating_mul(self.answers) } else { 0 };
        Fee::AtMost(nanos(price.worst_case_usd(prompt, answer)))
    }
}

impl Gateway {
    /// What is left to spend, for routing.
    pub(super) fn money(&self, ask: &Ask<'_>) -> Option<Money> {
        if ask.request.caller.as_ref().is_some_and(|caller| caller.is_stranger) {
            let action = HardLimitAction::BlockCloud;
            return Some(Money { left: 0, is_short: true, is_used_up: false, action, is_strangers: true });
        }
        let standing = self.treasury.as_ref()?.standing();
        let terms = standing.terms?;
        Some(Money {
            is_strangers: false,
            left: standing.left(),
            is_short: standing.level >= Level::SoftLimit,
            is_used_up: standing.level == Level::HardLimit,
            action: terms.action,
        })
    }

    /// Sets aside what a call to a vendor may cost at most, on disk, before it goes out. `None` where it costs nothing, or
    /// no ledger is kept.
    ///
    /// # Errors
    /// There is not so much.
    pub(super) async fn set_aside(&self, entry: &Entry, step: &Step, ask: &Ask<'_>) -> Result<Option<Hold>, Miss> {
        if entry.spec.kind.locality() == Locality::Local || ask.request.endpoint.is_count() {
            return Ok(None);
        }
        let payer = self.payer(ask);
        let terms = self.treasury.as_ref().and_then(|treasury| treasury.standing().terms);
        let is_limited = terms.is_some_and(|terms| terms.action != HardLimitAction::Warn) || payer.is_some();
        let Some(treasury) = &self.treasury else {
            return if payer.is_some() { Err(Miss::NoPrice) } else { Ok(None) };
        };
        let fee = Bulk::of(ask).fee(entry.spec.kind, &step.planned.served, &ask.edition.manner.prices);
        let needed = match fee {
            Fee::Free => return Ok(None),
            Fee::AtMost(needed) => needed,
            Fee::Unknown => {
                return if is_limited { Err(Miss::NoPrice) } else { Ok(None) };
            }
        };
        let patience = PATIENCE.min(super::left(step.deadline));
        let of_caller = match payer {
            Some(Payer { account, root: Some(root), limit }) => Some((Account { name: account, root }, limit)),
            Some(Payer { account, root: None, limit }) => {
                let account = treasury.account_of_mesh(&account, patience).await;
                Some((account.map_err(|why| Miss::Unpaid(Refused { why, needed, of_caller: false }))?, limit))
            }
            None => None,
        };
        let hold = treasury.hold(&Amount { nanos: needed, of_caller }, patience).await;
        match hold {
            Ok(hold) => Ok(Some(hold)),
            // Where nothing is limited, a ledger that cannot be written is no reason to refuse.
            Err(Refused { why: Why::Trouble(_), .. }) if !is_limited => Ok(None),
            Err(refused) => Err(Miss::Unpaid(refused)),
        }
    }

    /// Whose money is spent besides that of the mesh: the client's, where its key has a limit.
    pub(super) fn payer(&self, ask: &Ask<'_>) -> Option<Payer> {
        match &ask.request.origin {
            Origin::Peer(hop) => hop.payer.clone(),
            Origin::Client => {
                let quota = ask.request.caller.as_ref()?.quota.as_ref()?;
                let limit = nanos(quota.limits.monthly_limit_usd?);
                let root = quota.holder.as_deref().map(Holder::named).filter(Holder::is_sound);
                Some(Payer { account: format!("key/{}/usd", quota.id).into(), root, limit })
            }
        }
    }
}

/// The call was not made, or came to nothing that costs.
pub(super) fn let_go(hold: Option<Hold>) {
    if let Some(hold) = hold {
        hold.settle(0);
    }
}
