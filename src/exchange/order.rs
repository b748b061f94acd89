//! What peers ask of each other besides forwarded requests: what an operator has a backend do with a model, and which
//! client keys there are. Orders, what comes of them, and why one is not followed. What is done for an order is not known
//! here.

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use super::ends::{Ends, Stand};
use crate::fleet::{KeyRecord, PeerId, Residency, read_records};

/// What is to be done or said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Take in these client keys, and say which you have.
    Keys {
        /// Some of the sender's, in the order of their ids.
        #[serde(deserialize_with = "read_records")]
        records: Vec<KeyRecord>,
        /// The answer begins behind this id.
        #[serde(default)]
        after: String,
    },
    /// Say what you were asked for, hour by hour.
    History,
    /// Answer a manager's call as if it had come in there.
    Manage(Call),
    /// Answer a question of another ledger. What it means is known there.
    Ledger {
        /// The question.
        question: serde_json::Value,
    },
    /// Say how a request was decided in which you have a part; in an open mesh the sender has to have one, too.
    Decision {
        /// The id of the request.
        id: String,
    },
    /// Say what you have done since you were started.
    Stats,
    /// Say which requests are under way with you, and which have ended of late.
    Requests,
    /// Say which requests have ended with you since.
    Ended {
        /// How far you have told of them; `None` where nothing is asked but how far that is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        after: Option<Stand>,
    },
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
    /// Client keys of the peer that was asked.
    Keys {
        /// In the order of their ids, as many as a frame holds.
        #[serde(deserialize_with = "read_records")]
        records: Vec<KeyRecord>,
        /// Whether there are others behind the last one.
        #[serde(default)]
        more: bool,
    },
    /// What it was asked for. What it means is known where it was asked for.
    History {
        /// Requests by model and hour.
        told: serde_json::Value,
    },
    /// What came of a manager's call.
    Managed(Called),
    /// What its ledger answers. What it means is known there.
    Ledger {
        /// The answer.
        answer: serde_json::Value,
    },
    /// How a request was decided there.
    Decision {
        /// For people; `None` where it is not known, or the sender may not know it.
        told: Option<serde_json::Value>,
    },
    /// What it has done.
    Stats {
        /// For people.
        told: serde_json::Value,
    },
    /// Its requests.
    Requests {
        /// For people: `live` and `ended`, a list of lines each.
        told: serde_json::Value,
    },
    /// Those that have ended, as many as a frame holds.
    Ended(Ends),
}

/// A manager's call, on its way to the peer that it is for. Whether the manager may was asked where it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Of HTTP.
    pub method: String,
    /// With the query.
    pub path: String,
    /// JSON, or nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// The state of the file that the manager has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<String>,
    /// That who asks knows the admin token, where the peer that has let them in asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Who asks, for the audit.
    #[serde(default)]
    pub by: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Called {
    /// Of HTTP.
    pub status: u16,
    /// The state of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// JSON.
    #[serde(default)]
    pub body: String,
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
            Order::History,
            Order::Decision { id: "req-1".to_owned() },
            Order::Stats,
            Order::Requests,
            Order::Ended { after: None },
            Order::Ended { after: Some(Stand { run: 7, last: 8 }) },
            Order::Keys { records: vec![KeyRecord::default()], after: "k1".to_owned() },
            Order::Manage(Call { method: "PUT".to_owned(), path: "/x".to_owned(), ..Call::default() }),
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
