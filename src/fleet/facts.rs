//! What a peer tells others of a backend: no URL with credentials, no key.

use serde::{Deserialize, Serialize};

use super::{Kind, Load, Model, Status, Tier, Zone};

/// One backend as its peer knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendFacts {
    /// What it is and how it is: changes seldom.
    pub about: BackendAbout,
    /// The models it offers, sorted by id.
    pub models: Vec<Model>,
    /// How busy it is: changes with every request.
    pub load: Load,
}

/// The part of [`BackendFacts`] that changes seldom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendAbout {
    /// Its id on its peer.
    pub name: String,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Where its prompts may be read, as its peer is configured.
    pub zone: Zone,
    /// How capable it is, as its peer is configured.
    pub tier: Tier,
    /// Lower wins.
    pub priority: u32,
    /// How it is.
    #[serde(default)]
    pub status: Status,
    /// Whether requests to it failed lately: it is used only where nothing else is left.
    #[serde(default)]
    pub suspect: bool,
    /// `host:port` with loopback replaced by the peer's own address: the same server reached by two peers is known by it.
    pub endpoint: String,
    /// Whether it runs on its peer's own machine.
    #[serde(default)]
    pub near: bool,
}
