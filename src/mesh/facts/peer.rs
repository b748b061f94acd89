//! `peer`: who this peer is. Changes at start, on drain, when its addresses change, and every few seconds with the clock.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{Dropped, checked_name, lenient, read, write};

pub(in crate::mesh) const KEY: &str = "peer";

/// Addresses of one peer that are told and heard of.
const MAX_ADDRESSES: usize = 16;

/// Characters of the place where a configuration is wrong.
const MAX_REJECTED: usize = 200;

/// The version of the protocols between peers that this build speaks.
pub(in crate::mesh) const PROTOCOL: u32 = 1;

/// Who a peer is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(in crate::mesh) struct PeerFact {
    /// For people; not unique.
    pub(in crate::mesh) name: String,
    /// Of Nexus.
    pub(in crate::mesh) version: String,
    /// Of the protocols between peers.
    pub(in crate::mesh) protocol: u32,
    /// Where it can be dialled, best first.
    #[serde(deserialize_with = "lenient")]
    pub(in crate::mesh) addresses: Vec<SocketAddr>,
    /// Finishes what it has, takes no more.
    pub(in crate::mesh) draining: bool,
    /// Has stopped on purpose.
    pub(in crate::mesh) left: bool,
    /// When it started, in milliseconds since 1970 by its own clock.
    pub(in crate::mesh) started: u64,
    /// Hash of the policies it runs under.
    pub(in crate::mesh) policies: String,
    /// Where the configuration is wrong that it could not take; empty where it could.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(in crate::mesh) rejected: String,
    /// Its clock when this was written, in milliseconds since 1970.
    pub(in crate::mesh) clock: u64,
}

pub(in crate::mesh) fn encode(fact: &PeerFact) -> Option<String> {
    write(fact)
}

pub(super) fn decode(value: &str) -> Result<PeerFact, Dropped> {
    let mut fact: PeerFact = read(value)?;
    checked_name(&fact.name)?;
    if fact.version.len() > 64 || fact.policies.len() > 128 {
        return Err(Dropped::TooLong);
    }
    let rejected = fact.rejected.chars().filter(|letter| !letter.is_control());
    fact.rejected = rejected.take(MAX_REJECTED).collect();
    fact.addresses.retain(|address| address.port() != 0 && !address.ip().is_unspecified());
    fact.addresses.truncate(MAX_ADDRESSES);
    Ok(fact)
}

#[cfg(test)]
mod tests {
    use super::super::{Fact, decode};
    use super::*;

    #[test]
    fn reads_back_as_written() {
        let fact = PeerFact {
            name: "atelier".to_owned(),
            version: "0.1.0".to_owned(),
            protocol: PROTOCOL,
            addresses: vec!["192.168.1.5:8001".parse().expect("v4"), "[fd00::1]:8001".parse().expect("v6")],
            draining: true,
            left: false,
            started: 5,
            policies: "ab12".to_owned(),
            rejected: "routing.weights".to_owned(),
            clock: 1_700_000_000_000,
        };
        let value = encode(&fact).expect("short");
        assert!(value.starts_with(r#"{"v":1,"#), "{value}");
        assert_eq!(decode(KEY, &value), Ok(Fact::Peer(fact)));
    }

    #[test]
    fn a_later_version_is_understood() {
        let value = r#"{"v":9,"name":"n","addresses":["10.0.0.1:1","unix:/run/x",7,"0.0.0.0:1"],"mood":"good"}"#;
        let Ok(Fact::Peer(fact)) = decode(KEY, value) else { panic!("not understood") };
        assert_eq!(fact.addresses, ["10.0.0.1:1".parse().expect("an address")]);
    }

    #[test]
    fn what_is_said_of_a_bad_configuration_is_short_and_fit_for_tables() {
        let value = serde_json::json!({ "name": "n", "rejected": format!("\u{1b}[31m{}", "x".repeat(5_000)) });
        let Ok(Fact::Peer(fact)) = decode(KEY, &value.to_string()) else { panic!("not understood") };
        assert!(fact.rejected.starts_with("[31mx") && fact.rejected.len() == MAX_REJECTED, "{}", fact.rejected);
    }

    #[test]
    fn absurd_names_are_dropped() {
        let named = |name: &str| decode(KEY, &serde_json::json!({ "name": name }).to_string());
        assert_eq!(named(""), Err(Dropped::Malformed));
        assert_eq!(named("a\u{1b}[31mb"), Err(Dropped::Malformed));
        assert_eq!(named(&"n".repeat(257)), Err(Dropped::TooLong));
    }
}
