//! What became of requests, told to whoever keeps count of them. The gateway does not know who that is, and nothing that
//! it decides depends on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::route::{self, Chain, Intent, Plan, Rule, Rules, World};

/// A request that has ended, however it ended. No content.
#[derive(Clone, Debug, Default)]
pub struct Record<'a> {
    /// The model that the client named.
    pub asked: &'a str,
    /// The model as the backend lists it; `None` where no backend was asked.
    pub model: Option<&'a Arc<str>>,
    /// The backend that was asked last.
    pub backend: Option<&'a Arc<str>>,
    /// Its kind; empty where there is none.
    pub backend_type: &'static str,
    /// The peer whose backend it is, where that is another one.
    pub peer: Option<&'a Arc<str>>,
    /// Another peer asked, for a client of its own: that peer counts the request as well.
    pub is_from_peer: bool,
    /// The name of the client's key, where it showed one.
    pub key: Option<&'a str>,
    /// The HTTP status; 499 where the client left.
    pub status: u16,
    /// What went wrong.
    pub error: Option<&'a str>,
    /// Its kind, one of a few words; `None` where all went well.
    pub error_type: Option<&'static str>,
    /// The model that it stood for and the fallback that answered instead.
    pub fell_back: Option<(&'a str, &'a str)>,
    /// From its coming to the end of its answer.
    pub took: Duration,
    /// To the first byte of an answer, where there was one.
    pub first_byte: Option<Duration>,
    /// Tokens of the prompt and of the answer, where the backend told.
    pub tokens: Option<(u64, u64)>,
    /// What it cost at a vendor, in USD, where this peer paid for it and the price is known.
    pub cost_usd: Option<f64>,
}

impl Record<'_> {
    /// Whether it was answered, to the end.
    pub fn is_success(&self) -> bool {
        self.error.is_none() && self.status < 400
    }
}

/// A backend of this peer was asked for a request, whoever sent it, and this is what became of that. A request that another
/// backend made good has several.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// The backend.
    pub backend: &'a Arc<str>,
    /// How it did.
    pub verdict: Verdict,
    /// From the asking to the end of the answer, or of the hope of one.
    pub took: Duration,
    /// To the first byte of an answer, where there was one.
    pub first_byte: Option<Duration>,
}

/// How a backend did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answered, to the end.
    Well,
    /// It gave no answer, one that broke off, or an error of its own.
    Badly,
    /// It was not its fault: the client left or asked for what cannot be, this peer stopped, or it was too busy.
    Neither,
}

/// Whose limit turned a request away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitOf {
    /// That of a client key.
    Key,
    /// That of a backend.
    Backend,
}

impl LimitOf {
    /// The word of metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            LimitOf::Key => "key",
            LimitOf::Backend => "backend",
        }
    }
}

/// Keeps count. It is called on the way of requests, so it must neither wait nor fail.
pub trait Witness: Send + Sync + 'static {
    /// A request has ended.
    fn ended(&self, record: &Record<'_>);

    /// A backend of this peer was asked.
    fn attempted(&self, attempted: &Attempted<'_>);

    /// A request was planned, which took so long.
    fn planned(&self, took: Duration, plan: &Plan);

    /// One part of routing took so long for all candidates of a request. Not every request is measured.
    fn measured(&self, rule: Rule, took: Duration);

    /// A request was turned away, or a backend passed over, by a limit in a minute: that of the key or backend of this name.
    fn limited(&self, whose: LimitOf, name: &str);
}

/// Measures every part of routing by itself.
pub(super) fn measure(witness: &dyn Witness, intent: &Intent, chain: &Chain, rules: &Rules, world: &World) {
    for rule in Rule::ALL {
        let began = Instant::now();
        std::hint::black_box(route::objections(rule, intent, chain, rules, world));
        witness.measured(rule, began.elapsed());
    }
}
