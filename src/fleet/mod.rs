//! The words of the fleet: plain data that every floor above speaks in. No behaviour beyond parsing and printing.

mod amend;
mod backend;
mod breaker;
mod digest;
mod facts;
mod key;
mod ledger;
mod load;
mod model;
mod name;
mod needs;
mod pace;
mod peer;
mod policy;
mod prefix;
mod speech;

pub use amend::Amend;
pub use backend::{
    BackendSpec, InvalidUrl, Kind, Loading, Locality, NAME_LIMIT, Source, Status, UnknownKind, fit_name, is_fit_name,
    root_url,
};
pub use breaker::{Breaker, Standing, Trouble};
pub use digest::{Digest, InvalidDigest, MAX_HASHES, Recent};
pub use facts::{BackendAbout, BackendFacts, ModelFacts, Server};
pub use key::{KEY_GLOBS_BYTES, KEY_GLOBS_LIMIT, KeyLimits, KeyRecord, key_digest, key_id, read_records};
pub use ledger::{
    Account, Founding, Gift, HardLimitAction, Holder, LedgerFacts, Month, NoMonth, Row, Terms, WHOLE, is_budget,
    parts_of, worth,
};
pub use load::Load;
pub use model::{Model, Residency, Support, Weights};
pub use name::{Identity, Likeness, Size};
pub use needs::Needs;
pub use pace::{FASTEST, Pace};
pub use peer::{PEER_SERVICE, PeerId, PeerState};
pub use policy::{Tier, TierOutOfRange, UnknownZone, Zone};
pub use prefix::{MAX_LANDMARKS, Mark, Piece, Prefix};
pub use speech::Speech;
