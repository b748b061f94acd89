//! What faces, gateway, mesh and backends hand each other: a request, where it came from, and its reply.

mod endpoint;
mod ends;
pub mod headers;
mod order;
pub mod text;
pub mod trace;
pub mod visited;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use serde::{Deserialize, Serialize};

use crate::fleet::{Holder, KeyLimits, Load, PeerId, Tier, Zone};

pub use endpoint::{Dialect, Endpoint};
pub use ends::{Ends, Stand, Written};
pub use order::{
    Call, Called, Obey, Objection, ObjectionReason, Operation, OperationKind, OperationStatus, Order, Outcome,
};

/// One id for a request in the logs of every peer it passes: `req-` and 26 characters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// An id from 128 random bits.
    pub fn from_bits(bits: u128) -> Self {
        let mut text = *b"req-00000000000000000000000000";
        data_encoding::BASE32_NOPAD.encode_mut(&bits.to_be_bytes(), &mut text[4..]);
        text.make_ascii_lowercase();
        RequestId(std::str::from_utf8(&text).expect("base32 is ASCII").into())
    }

    /// The id as clients and logs see it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// An id that came from outside, if it is fit for logs and headers: at most 128 visible ASCII characters.
    pub fn from_outside(text: &str) -> Option<Self> {
        let fit = !text.is_empty() && text.len() <= 128 && text.bytes().all(|byte| byte.is_ascii_graphic());
        fit.then(|| RequestId(text.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A request on its way through this peer.
#[derive(Clone, Debug)]
pub struct Request {
    /// The same in every peer's log.
    pub id: RequestId,
    /// What is asked.
    pub endpoint: Endpoint,
    /// The model, where the client names it in the path and not in the body.
    pub model: Option<Arc<str>>,
    /// The client's headers, as they came.
    pub headers: HeaderMap,
    /// The client's body, as it came.
    pub body: Bytes,
    /// Who asks.
    pub origin: Origin,
    /// Who counts as one client where clients take turns: the holder of a key, else an address.
    pub client: Arc<str>,
    /// The client key it came with, where keys are asked for.
    pub caller: Option<Arc<Caller>>,
}

/// A client that has shown its key.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Its name, for people.
    pub name: String,
    /// The models it may use; `None` = all.
    pub models: Option<globset::GlobSet>,
    /// What it may use of them, where there is any limit.
    pub quota: Option<Arc<Quota>>,
    /// Whether it is a stranger: nobody here knows yet which keys there are, nor what they may spend.
    pub is_stranger: bool,
}

/// The limits of one key. What was used of them is known elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Quota {
    /// Names the key: `k…` one of the mesh, `c…` one of this peer's configuration.
    pub id: String,
    /// Who holds the rights of the limits at first; `None` where the key is known to this peer alone.
    pub holder: Option<String>,
    /// What it may use.
    pub limits: KeyLimits,
}

impl Caller {
    /// A client called `name` that may use the models that these globs match, within `quota`.
    ///
    /// # Errors
    /// A glob that is none.
    pub fn new(name: String, globs: Option<&[String]>, quota: Quota) -> Result<Self, globset::Error> {
        let models = globs.map(|globs| {
            let mut set = globset::GlobSetBuilder::new();
            for glob in globs {
                set.add(globset::GlobBuilder::new(glob).literal_separator(false).build()?);
            }
            set.build()
        });
        let quota = quota.limits.is_any().then(|| Arc::new(quota));
        Ok(Caller { name, models: models.transpose()?, quota, is_stranger: false })
    }

    /// Whoever asks while nobody here knows the keys of the mesh.
    pub fn stranger() -> Self {
        Caller { name: String::new(), models: None, quota: None, is_stranger: true }
    }

    /// Whether it may use the model that it names.
    pub fn may_use(&self, model: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.is_match(model))
    }
}

/// Who asks.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A client of this peer.
    Client,
    /// Another peer, for a client of its own.
    Peer(Box<Hop>),
}

/// What the entry peer decided before it forwarded a request. The owner checks all of it again; the stricter wins.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// The peer that forwards, as its certificate proves.
    pub from: PeerId,
    /// The model the client named: policies go by it.
    pub asked: String,
    /// The names on the way from that to `model`: aliases, fallbacks, and what the entry calls the model. Their policies
    /// hold as well.
    pub by: Vec<String>,
    /// The model to serve, after aliases and fallbacks.
    pub model: String,
    /// The backend the entry has in mind.
    pub backend: String,
    /// Further hops allowed.
    pub hops_left: u8,
    /// Every peer the request has passed, entry first.
    pub visited: Vec<PeerId>,
    /// How long the entry will still wait for the first byte.
    pub time_left: Duration,
    /// Whether it may wait at the owner for a slot. Without it a busy owner refuses.
    pub may_queue: bool,
    /// Without that: how long a wait at the owner it is worth. Where it would be longer, a busy owner refuses.
    pub may_wait: Duration,
    /// Whether the entry knows that the owner had better not be asked, and has nobody better. Without it an owner whose
    /// backends are to be left alone refuses.
    pub last_resort: bool,
    /// The zone that the entry's policies demand.
    pub zone: Zone,
    /// The tier that the entry's policies demand.
    pub tier: Option<Tier>,
    /// What the entry's policies let the request cost at most, in billionths of a USD.
    pub most: Option<u64>,
    /// Whose money it spends besides that of the mesh.
    pub payer: Option<Payer>,
}

/// The account of a client that pays for its request, and what it may spend in a month.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    /// The name of the account.
    pub account: Arc<str>,
    /// Who held all rights to it at first; `None` = whoever founded the budget of the mesh.
    pub root: Option<Holder>,
    /// Billionths of a USD.
    pub limit: u64,
}

/// A reply whose head is known and whose body still comes. The backend's bytes, unchanged.
pub type Reply = http::Response<Body>;

/// A body that is passed on as it arrives.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Cut>;

/// Why a body ended before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Cut {
    /// The backend closed the connection or broke the protocol.
    #[error("the backend ended the answer early")]
    Backend,
    /// What came is not what the backend's dialect has.
    #[error("the backend sent what is no answer")]
    Garbled,
    /// No byte for longer than the idle deadline.
    #[error("the backend sent nothing for longer than the idle deadline")]
    Idle,
    /// The peer that owns the backend went away.
    #[error("the peer that owns the backend went away")]
    Peer,
    /// This node is stopping.
    #[error("this node is shutting down")]
    Shutdown,
}

/// A body that is all there.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Why the owner of a backend will not serve a forwarded request. The entry tries its next candidate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// What stands in the way.
    pub reason: RefusalReason,
    /// For people.
    pub message: String,
    /// The load of the backend that was asked for, fresh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// With `unfit` and `policy`: what the client is told besides the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Told>,
    /// With `busy`: slots are not what is missing. Every backend that would do gave trouble and is left alone for now, so
    /// whoever is only busy is better worth waiting for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub left_alone: bool,
}

/// What a client is told of a request that cannot be served as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// The code of the error.
    pub code: String,
    /// What a program may want to know besides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<serde_json::Value>,
}

/// What stands in the way of a forwarded request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalReason {
    /// This peer takes no new work.
    Draining,
    /// No backend of this peer serves the model any more.
    NoBackend,
    /// A policy of this peer forbids it.
    Policy,
    /// Every slot is taken.
    Busy,
    /// It has passed here already, or has no hop left.
    Loop,
    /// Every attempt on the backends of this peer failed before the first byte.
    Failed,
    /// Its backends sent no first byte in the time there was.
    Late,
    /// The head or the body cannot be understood.
    Malformed,
    /// The request asks what no backend of this peer has, or what cannot be said in the dialect of those that have the model.
    Unfit,
    /// A reason of a later version.
    #[serde(other)]
    Other,
}

impl RefusalReason {
    /// The word of logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            RefusalReason::Draining => "draining",
            RefusalReason::NoBackend => "no_backend",
            RefusalReason::Policy => "policy",
            RefusalReason::Busy => "busy",
            RefusalReason::Loop => "loop",
            RefusalReason::Failed => "failed",
            RefusalReason::Late => "late",
            RefusalReason::Malformed => "malformed",
            RefusalReason::Unfit => "unfit",
            RefusalReason::Other => "other",
        }
    }
}

/// The one upward call: a peer's request enters the gateway. The gateway implements it, the node plugs it in.
pub trait Serve: Send + Sync + 'static {
    /// Serves a forwarded request from this peer's own backends, or says why not.
    fn serve(&self, request: Request) -> BoxFuture<'_, Result<Reply, Refusal>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_are_30_characters_and_foreign_ones_are_checked() {
        assert_eq!(RequestId::from_bits(u128::MAX).as_str().len(), "req-".len() + 26);
        assert!(RequestId::from_outside("trace-1").is_some());
        assert!(RequestId::from_outside("a b").is_none());
        assert!(RequestId::from_outside(&"x".repeat(129)).is_none());
    }

    #[test]
    fn a_refusal_of_a_later_version_is_understood() {
        let text = r#"{"reason":"too_warm","message":"m","more":1}"#;
        let refusal: Refusal = serde_json::from_str(text).expect("lenient");
        assert_eq!(refusal.reason, RefusalReason::Other);
    }
}
