//! What an mDNS announcement says of a peer: pure. It only ever adds addresses; whether the peer lives is for gossip to say.

use std::net::{IpAddr, SocketAddr};

use crate::env::{Announcement, Sighting};
use crate::fleet::PeerId;

/// Who we are on the local network, and whom we look for.
#[derive(Clone, Debug)]
pub struct Herald {
    /// What we announce.
    pub announcement: Announcement,
    /// Our own id: one always sees oneself.
    pub id: PeerId,
    /// The tag of our mesh: others are not for us.
    pub tag: String,
}

/// A peer of our mesh, and where it might be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSeen {
    /// Who it says it is; its certificate will prove it.
    pub id: PeerId,
    /// Where to dial.
    pub addresses: Vec<SocketAddr>,
}

/// How many addresses of one peer are believed.
const ADDRESSES: usize = 16;

/// The peer in a sighting, if it is one of our mesh and not ourselves.
pub(super) fn read(sighting: &Sighting, ours: &Herald) -> Option<PeerSeen> {
    let Sighting::Seen { port, addresses, txt, .. } = sighting else { return None };
    let id = txt.get("id").filter(|id| !id.is_empty() && id.len() <= 64)?;
    if txt.get("mesh") != Some(&ours.tag) || id == ours.id.as_str() {
        return None;
    }
    let usable = |ip: &&IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let addresses: Vec<_> =
        addresses.iter().filter(usable).take(ADDRESSES).map(|ip| SocketAddr::new(*ip, *port)).collect();
    (!addresses.is_empty()).then(|| PeerSeen { id: PeerId::from_text(id.as_str()), addresses })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::PEER_SERVICE;

    fn herald() -> Herald {
        let announcement =
            Announcement { service: PEER_SERVICE.to_owned(), instance: "me".to_owned(), port: 8001, txt: Vec::new() };
        Herald { announcement, id: PeerId::from_text("me"), tag: "t1".to_owned() }
    }

    fn sighting(id: &str, tag: &str, addresses: &[&str]) -> Sighting {
        Sighting::Seen {
            service: PEER_SERVICE.to_owned(),
            instance: id.to_owned(),
            port: 8001,
            addresses: addresses.iter().map(|ip| ip.parse().expect("literal")).collect(),
            txt: [("id", id), ("mesh", tag)].map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        }
    }

    #[test]
    fn only_others_of_our_own_mesh_are_peers() {
        let seen = read(&sighting("you", "t1", &["fe80::1", "10.0.0.7"]), &herald()).expect("a peer");
        assert_eq!(seen.addresses, ["10.0.0.7:8001".parse().expect("literal")]);
        assert_eq!(read(&sighting("you", "t2", &["10.0.0.7"]), &herald()), None, "another mesh");
        assert_eq!(read(&sighting("me", "t1", &["10.0.0.7"]), &herald()), None, "ourselves");
        assert_eq!(read(&sighting("you", "t1", &["fe80::1"]), &herald()), None, "nowhere to dial");
    }
}
