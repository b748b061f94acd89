//! `[mesh]`: which mesh this node is a peer of, and how it is found.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `[mesh]`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    /// Whether this node looks for peers at all.
    pub enabled: bool,
    /// Peers of another mesh name are ignored.
    pub name: String,
    /// Shared secret as printed by `nexus mesh invite`. Empty: an open mesh, encrypted but not authenticated.
    pub key: String,
    /// A file that holds the key, instead of `key`.
    pub key_file: String,
    /// The name of this peer for people. Empty: the host name.
    pub peer_name: String,
    /// One UDP address for gossip and forwarded requests. Empty: every address of this machine, port server.port + 1.
    pub listen: String,
    /// `host:port` told to other peers. Empty: every usable address of this machine.
    pub advertise: Vec<String>,
    /// `host:port` of peers where multicast does not reach.
    pub seeds: Vec<String>,
    /// Announce this peer by mDNS and look for others.
    pub mdns: bool,
    /// Milliseconds between rounds of gossip.
    pub gossip_interval_ms: u64,
    /// No news for so many milliseconds: a peer is not preferred any more.
    pub suspect_after_ms: u64,
    /// No news for so many milliseconds: a peer is no candidate any more.
    pub dead_after_ms: u64,
    /// Peers that a request may pass after the first.
    pub max_hops: u8,
}

/// What other peers are told of the configuration of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configured {
    /// Hash of the policies that it runs under.
    pub policies: String,
    /// Where the file is wrong that it could not take: keys and lines, no values. Empty where there is nothing wrong.
    pub rejected: String,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            enabled: true,
            name: "default".to_owned(),
            key: String::new(),
            key_file: String::new(),
            peer_name: String::new(),
            listen: String::new(),
            advertise: Vec::new(),
            seeds: Vec::new(),
            mdns: true,
            gossip_interval_ms: 250,
            suspect_after_ms: 2_000,
            dead_after_ms: 10_000,
            max_hops: 1,
        }
    }
}

impl Config {
    /// Where to listen unless `listen` says: peers are on other machines, wherever clients may come from. `server` is the
    /// address of the HTTP server; port 0 (any) where there is none after its own.
    pub fn usual_listen(server: SocketAddr) -> SocketAddr {
        let every: IpAddr = if server.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
        SocketAddr::new(every, server.port().checked_add(1).unwrap_or(0))
    }

    /// Time between rounds of gossip.
    pub fn gossip_interval(&self) -> Duration {
        Duration::from_millis(self.gossip_interval_ms)
    }

    /// Silence after which a peer is suspect.
    pub fn suspect_after(&self) -> Duration {
        Duration::from_millis(self.suspect_after_ms)
    }

    /// Silence after which a peer is dead.
    pub fn dead_after(&self) -> Duration {
        Duration::from_millis(self.dead_after_ms)
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("mesh::Config")
            .field("name", &self.name)
            .field("keyed", &!self.key.is_empty())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server for local clients only is a peer like any other.
    #[test]
    fn peers_are_listened_to_everywhere_unless_the_configuration_says_otherwise() {
        for (server, listen) in [
            ("127.0.0.1:8000", "0.0.0.0:8001"),
            ("0.0.0.0:8000", "0.0.0.0:8001"),
            ("192.168.1.5:9", "0.0.0.0:10"),
            ("[::1]:8000", "[::]:8001"),
            ("[::]:8000", "[::]:8001"),
            ("127.0.0.1:65535", "0.0.0.0:0"),
        ] {
            let server = server.parse().expect("literal");
            assert_eq!(Config::usual_listen(server), listen.parse().expect("literal"), "{server}");
        }
    }
}
