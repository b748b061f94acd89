//! Our order there: one stream, one frame each way. What is ordered, and whether it is followed, is known elsewhere.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::forward::{DIAL_DEADLINE, Forward, MAX_ANSWERS, Sending};
use super::wire::{self, Answer, OrderHead};
use crate::exchange::{Objection, Order, Outcome, RefusalReason};
use crate::fleet::PeerId;

/// Why nothing has come of an order.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OrderError {
    /// There is no connection to the peer, for this reason.
    #[error("cannot reach the peer: {0}")]
    Unreachable(String),
    /// It did not answer in time, or the connection broke. It may have followed the order.
    #[error("the peer did not answer")]
    Silent,
    /// It does not know what orders are.
    #[error("the peer runs an earlier version of Nexus, which takes no orders")]
    Unknown,
    /// It takes none now.
    #[error("the peer refused: {0}")]
    Refused(String),
    /// It will not follow this one.
    #[error("{0}")]
    Objected(Objection),
}

impl Forward {
    /// Has `to` follow an order.
    pub(super) async fn order(&self, to: &PeerId, order: Order, deadline: Duration) -> Result<Outcome, OrderError> {
        let until = Instant::now() + deadline;
        let frame = wire::frame(&OrderHead::new(order));
        let frame = frame.ok_or_else(|| OrderError::Refused("the order is too long".to_owned()))?;
        let connection = self.endpoint.connection(to, DIAL_DEADLINE.min(deadline)).await;
        let connection = connection.map_err(OrderError::Unreachable)?;
        let exchange = async {
            let (send, mut receive) = connection.open_bi().await.ok()?;
            let mut sending = Sending { stream: send, done: false };
            sending.stream.write_all_chunks(&mut [frame]).await.ok()?;
            sending.done = sending.stream.finish().is_ok();
            for _ in 0..MAX_ANSWERS {
                let frame = wire::read_frame(&mut receive).await.ok()?;
                if let Some(result) = read(Answer::read(&frame).ok()?) {
                    return Some(result);
                }
            }
            None
        };
        timeout_at(until, exchange).await.ok().flatten().unwrap_or(Err(OrderError::Silent))
    }
}

/// What an answer says, if that is the last word.
fn read(answer: Answer<'_>) -> Option<Result<Outcome, OrderError>> {
    if let Some(refusal) = answer.refused {
        // To an earlier version an order is a head in which much is missing.
        let is_unknown = refusal.reason == RefusalReason::Malformed;
        return Some(Err(if is_unknown { OrderError::Unknown } else { OrderError::Refused(refusal.message) }));
    }
    let objected = answer.objected.map(|objection| Err(OrderError::Objected(objection)));
    objected.or_else(|| answer.ordered.map(Ok))
}
