//! How busy an engine is, with whoever's work: asked of the kinds that tell, often and cheaply.

use std::time::Duration;

use super::ask::Ask;
use super::doubt::Doubt;
use super::{Memory, llamacpp, vllm};
use crate::env::HttpExchange;
use crate::fleet::{BackendSpec, Kind};

/// What an engine has to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Busy {
    /// Requests it works on.
    pub running: u32,
    /// Requests that wait inside it.
    pub waiting: u32,
}

impl Busy {
    /// All of it.
    pub fn total(self) -> u32 {
        self.running.saturating_add(self.waiting)
    }
}

/// Asks an engine how busy it is. `None` where it does not tell; kinds that never do are not asked. The answer to a
/// [`probe`](super::probe) of the same memory comes first.
pub async fn busy(http: &dyn HttpExchange, spec: &BackendSpec, timeout: Duration, memory: &mut Memory) -> Option<Busy> {
    let (mut doubt, ask) = (Doubt::default(), Ask::new(http, spec, timeout));
    let (question, told) = match spec.kind {
        Kind::LlamaCpp => (llamacpp::SLOTS, llamacpp::busy(&ask, &memory.llamacpp, &mut doubt).await),
        Kind::Vllm => (vllm::METRICS, vllm::busy(&ask, &mut doubt).await),
        _ => return None,
    };
    memory.complaints.note(&spec.name, question, &doubt);
    told
}

#[cfg(test)]
mod tests;
