//! What a peer tells others of a backend: no URL with credentials, no key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Breaker, Digest, Kind, Load, Locality, Model, Pace, PeerId, Status, Tier, Zone};

/// One backend as its peer knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendFacts {
    /// What it is and how it is: changes seldom.
    pub about: BackendAbout,
    /// The models it offers, sorted by id.
    pub models: Vec<Model>,
    /// How busy it is: changes with every request.
    pub load: Load,
    /// What serving has taught, by model.
    pub served: Vec<ModelFacts>,
    /// Those of its breakers that are not closed, each with its whole pause.
    pub breakers: Vec<Breaker>,
}

/// What serving has taught of one model on one backend.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelFacts {
    /// The model.
    pub model: String,
    /// How fast it is.
    pub pace: Pace,
    /// The prompts that it has read lately.
    pub digest: Arc<Digest>,
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
    /// Whether all that it has is used only where nothing else is left: its breakers say so, or it said goodbye.
    #[serde(default)]
    pub suspect: bool,
    /// `host:port` with loopback replaced by the peer's own address.
    pub endpoint: String,
    /// Whether it runs on its peer's own machine.
    #[serde(default)]
    pub near: bool,
    /// The machine it runs on, where its peer knows that; empty where not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub machine: String,
}

/// Which server a backend is on. Equal where two peers reach one server, as far as can be known: private addresses are
/// the same on many machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Server<'a> {
    /// On this machine, at this address.
    On(&'a str, &'a str),
    /// At this address, wherever that is.
    At(&'a str),
    /// Whatever this backend of this peer is on: nobody can tell what else is.
    Of(Option<&'a PeerId>, &'a str),
}

impl BackendAbout {
    /// Which server it is on, as `owner` tells; `None` for our own.
    pub fn server<'a>(&'a self, owner: Option<&'a PeerId>) -> Server<'a> {
        match (self.kind.locality(), self.machine.as_str()) {
            // One API, but the account of each peer is its own.
            (Locality::Cloud, _) => Server::Of(owner, &self.name),
            (Locality::Local, "") if self.near => Server::Of(owner, &self.name),
            (Locality::Local, "") => Server::At(&self.endpoint),
            (Locality::Local, machine) => Server::On(machine, &self.endpoint),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(kind: Kind, near: bool, machine: &str) -> BackendAbout {
        BackendAbout {
            name: "gpu".to_owned(),
            kind,
            zone: Zone::Open,
            tier: Tier::default(),
            priority: 50,
            status: Status::Healthy,
            suspect: false,
            endpoint: "10.88.0.1:11434".to_owned(),
            near,
            machine: machine.to_owned(),
        }
    }

    /// Two machines with the same private address were once taken for one, and one of their servers was never used.
    #[test]
    fn one_address_is_one_server_only_where_that_can_be_known() {
        let (one, other) = (PeerId::from_text("one"), PeerId::from_text("other"));
        let (local, cloud) = (Kind::Ollama, Kind::OpenAi);
        for (first, second, same) in [
            (about(local, true, "m1"), about(local, true, "m1"), true),
            (about(local, true, "m1"), about(local, true, "m2"), false),
            (about(local, true, ""), about(local, true, ""), false),
            (about(local, true, "m1"), about(local, false, ""), false),
            (about(local, true, "m1"), about(local, false, "m1"), true),
            (about(local, false, ""), about(local, false, ""), true),
            (about(cloud, false, ""), about(cloud, false, ""), false),
        ] {
            let is_same = first.server(Some(&one)) == second.server(Some(&other));
            assert_eq!(is_same, same, "{first:?} {second:?}");
        }
    }
}
