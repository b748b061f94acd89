//! What an operator has a backend do with a model, in the words that peers hand each other: orders, the operations that
//! come of them, and why one is not followed. What is done for an order is not known here.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::fleet::{PeerId, Residency};

/// What is to be done with a model, or said of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Order {
    /// Take it into memory.
    Load {
        /// The model, by the name its backend knows.
        model: String,
        /// The backend, by its name at its owner.
        backend: String,
        /// Fetch it from its library first.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pull: bool,
    },
    /// Let it go from memory.
    Unload {
        /// The model.
        model: String,
        /// The backend.
        backend: String,
        /// Requests that it has are waited for. Without it they stand in the way.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        drain: bool,
    },
    /// Say whether it is in memory, as its server says now.
    Look {
        /// The model.
        model: String,
        /// The backend.
        backend: String,
    },
    /// Say how an operation is.
    Operation {
        /// Its id.
        id: String,
    },
    /// Say which operations there were lately.
    Operations,
}

/// What comes back for an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The operation that was begun, or asked for.
    Operation(Operation),
    /// Those there were, oldest first.
    Operations(Vec<Operation>),
    /// Where the model is.
    Standing(Residency),
}

/// Something that is done with a model, which takes its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Names it in the whole mesh.
    pub operation_id: String,
    /// What is done.
    pub kind: OperationKind,
    /// The model.
    pub model_id: String,
    /// The backend; where a model moves, the one it moves to.
    pub backend_id: String,
    /// The one it moves from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_backend_id: Option<String>,
    /// The name of the peer that does it.
    #[serde(default)]
    pub peer: String,
    /// How far it is.
    pub status: OperationStatus,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// How much of it is done, where that is known: 0 to 1.
    #[serde(default)]
    pub progress: Option<f32>,
    /// When it began, RFC 3339.
    pub started_at: String,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<String>,
}

impl Operation {
    /// Whether nothing more will come of it.
    pub fn has_ended(&self) -> bool {
        self.status != OperationStatus::InProgress
    }
}

/// What is done with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Into memory.
    Load,
    /// Out of memory.
    Unload,
    /// From one backend to another.
    Migrate,
    /// Something of a later version.
    #[serde(other)]
    Other,
}

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationStatus {
    /// Under way.
    InProgress,
    /// Done, as the backend's server says itself.
    Completed,
    /// Not done.
    #[serde(other)]
    Failed,
}

impl OperationStatus {
    /// The word of JSON and headers.
    pub fn as_str(self) -> &'static str {
        match self {
            OperationStatus::InProgress => "in_progress",
            OperationStatus::Completed => "completed",
            OperationStatus::Failed => "failed",
        }
    }
}

/// Why an order is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Objection {
    /// What stands in the way.
    pub reason: ObjectionReason,
    /// For people.
    pub message: String,
}

impl Objection {
    /// Because of `reason`.
    pub fn new(reason: ObjectionReason, message: impl Into<String>) -> Self {
        Objection { reason, message: message.into() }
    }
}

/// What stands in the way of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectionReason {
    /// It makes no sense, or not now: the model is not there, or there is no room for it.
    Senseless,
    /// Whoever orders may not.
    Forbidden,
    /// There is no such backend, model or operation.
    Unknown,
    /// Something else is being done there.
    Busy,
    /// No server of this kind can do it.
    Impossible,
    /// The backend or its peer failed, or something of a later version.
    #[serde(other)]
    Failed,
}

/// The second upward call: a peer's order enters this node. The node plugs in who follows it.
pub trait Obey: Send + Sync + 'static {
    /// Does what the peer `from` has ordered, or says why not. It answers soon: what takes its time is an operation.
    fn obey(&self, from: PeerId, order: Order) -> BoxFuture<'_, Result<Outcome, Objection>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_read_back_as_written() {
        let (model, backend) = ("m".to_owned(), "b".to_owned());
        for order in [
            Order::Load { model: model.clone(), backend: backend.clone(), pull: true },
            Order::Unload { model: model.clone(), backend: backend.clone(), drain: false },
            Order::Look { model, backend },
            Order::Operation { id: "op-1".to_owned() },
            Order::Operations,
        ] {
            let text = serde_json::to_string(&order).expect("plain data");
            assert_eq!(serde_json::from_str::<Order>(&text).ok(), Some(order), "{text}");
        }
    }

    #[test]
    fn words_of_a_later_version_are_understood() {
        let text = r#"{"operation_id":"op-1","kind":"dream","model_id":"m","backend_id":"b","status":"lost",
            "started_at":"now","more":1}"#;
        let operation: Operation = serde_json::from_str(text).expect("lenient");
        assert_eq!((operation.kind, operation.status), (OperationKind::Other, OperationStatus::Failed));
        let objection: Objection = serde_json::from_str(r#"{"reason":"tired","message":"m"}"#).expect("lenient");
        assert_eq!(objection.reason, ObjectionReason::Failed);
    }
}
