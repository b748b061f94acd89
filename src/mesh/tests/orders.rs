//! Orders between peers that are well: what comes back, and what is refused.

use futures_util::future::BoxFuture;

use super::super::*;
use super::support::*;
use crate::exchange::{Objection, ObjectionReason, Operation, OperationKind, OperationStatus};

/// Objects to every load, names whoever asks in one operation, and has a very long list of them.
struct Obedient;

fn operation(id: &str) -> Operation {
    Operation {
        operation_id: id.to_owned(),
        kind: OperationKind::Load,
        model_id: "m".repeat(900),
        backend_id: "b".to_owned(),
        source_backend_id: None,
        peer: String::new(),
        status: OperationStatus::Completed,
        error: None,
        progress: Some(1.0),
        started_at: String::new(),
        ended_at: None,
    }
}

impl Obey for Obedient {
    fn obey(&self, from: PeerId, order: Order) -> BoxFuture<'_, Result<Outcome, Objection>> {
        Box::pin(async move {
            match order {
                Order::Operation { .. } => Ok(Outcome::Operation(operation(from.as_str()))),
                Order::Operations => Ok(Outcome::Operations((0..100).map(|n| operation(&n.to_string())).collect())),
                _ => Err(Objection::new(ObjectionReason::Busy, "not now")),
            }
        })
    }
}

const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_order_is_followed_or_objected_to() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    let ask = async |order| one.mesh.order(&two.id(), order, PATIENCE).await;
    let early = ask(Order::Operations).await;
    assert!(matches!(early, Err(OrderError::Refused(_))), "nobody follows it yet: {early:?}");
    two.mesh.obey_with(Arc::new(Obedient));
    let order = Order::Load { model: "m".to_owned(), backend: "b".to_owned(), pull: false };
    let objection = Objection::new(ObjectionReason::Busy, "not now");
    assert_eq!(ask(order).await, Err(OrderError::Objected(objection)));
    let Ok(Outcome::Operation(seen)) = ask(Order::Operation { id: "x".to_owned() }).await else {
        panic!("no operation")
    };
    assert_eq!(seen.operation_id, one.id().as_str(), "who orders is proven by its certificate");
    let Ok(Outcome::Operations(list)) = ask(Order::Operations).await else { panic!("no list") };
    assert!((30..100).contains(&list.len()), "as many as a frame holds: {}", list.len());
    assert_eq!(list.last().map(|last| last.operation_id.as_str()), Some("99"), "the oldest are left out");
}

#[tokio::test]
async fn a_peer_that_is_gone_is_told_apart_from_one_that_objects() {
    let one = node("one", &[]).await;
    let two = node("two", &[&one]).await;
    meet(&one, &two).await;
    two.cable.pull();
    let answer = one.mesh.order(&two.id(), Order::Operations, Duration::from_millis(500)).await;
    assert!(matches!(answer, Err(OrderError::Silent | OrderError::Unreachable(_))), "{answer:?}");
}
