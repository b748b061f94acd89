//! The protocols that clients and backends speak, as pure functions of bytes: what a body asks for, what its prompt is
//! known by, how one value in it is changed, what a reply says in passing, and how an error is told. No request is sent and nothing is awaited here.
//!
//! OpenAI's dialect is the one that is spoken; its endpoints are those of [`crate::exchange::Endpoint`].

pub mod chat;
pub mod fault;
mod framing;
pub mod inspect;
pub mod observe;
mod prefix;
mod splice;

pub use fault::Fault;
pub use inspect::{BadRequest, Inspection, inspect};
pub use observe::{Observed, Observer, ReplyKind, Usage};
pub use prefix::{Named, prefix_of};
pub use splice::splice;
