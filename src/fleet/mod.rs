//! The words of the fleet: plain data that every floor above speaks in. No behaviour beyond parsing and printing.

mod backend;
mod facts;
mod load;
mod model;
mod needs;
mod peer;
mod policy;

pub use backend::{
    BackendSpec, InvalidUrl, Kind, Locality, NAME_LIMIT, Source, Status, UnknownKind, fit_name, is_fit_name, root_url,
};
pub use facts::{BackendAbout, BackendFacts, Server};
pub use load::Load;
pub use model::{Model, Support};
pub use needs::Needs;
pub use peer::{PEER_SERVICE, PeerId, PeerState};
pub use policy::{Tier, TierOutOfRange, UnknownZone, Zone};
