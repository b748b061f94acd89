//! The protocols that clients and backends speak, as pure functions of bytes: what a body asks for, what its prompt is
//! known by, how one value in it is changed, what a reply says in passing, how an error is told, and how all of it is said
//! in another dialect. No request is sent and nothing is awaited here.

pub mod anthropic;
pub mod chat;
pub mod fault;
mod framing;
pub mod google;
pub mod inspect;
pub mod observe;
pub mod ollama;
pub mod openai;
mod prefix;
pub mod responses;
mod splice;
mod tally;
pub mod translate;

pub use chat::{Label, Took};
pub use fault::Fault;
pub use inspect::{BadRequest, Inspection, ModelAt, extent, inspect};
pub use observe::{Observed, Observer, ReplyKind, Usage};
pub use prefix::{Named, prefix_of};
pub use splice::splice;
pub use tally::{UsageSieve, asking_for_usage};
pub use translate::{
    Flow, Translated, Translation, Untranslated, Ways, answer_to_nothing, count_told, failure_in, prompt_bytes,
    translate,
};
