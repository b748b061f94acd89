//! Where a backend's server is, told so that two peers that reach the same server say the same, and two that reach
//! different ones do not.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use url::{Host, Url};

use crate::env::{Net, Network};

/// What this machine knows of its own place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its addresses, best first.
    pub addresses: Vec<IpAddr>,
    /// Networks that exist on this machine only: what is there has no address elsewhere, or is another server.
    pub inside: Vec<Network>,
    /// What tells it from every other machine, if anything does.
    pub machine: Option<Arc<str>>,
}

impl Whereabouts {
    /// As they are now.
    pub fn of(net: &dyn Net) -> Self {
        Whereabouts { addresses: net.own_addresses(), inside: net.inside_networks(), machine: net.machine() }
    }
}

impl From<Vec<IpAddr>> for Whereabouts {
    fn from(addresses: Vec<IpAddr>) -> Self {
        Whereabouts { addresses, ..Whereabouts::default() }
    }
}

/// The place of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`; loopback and every address of this machine stand as this machine's first address.
    pub text: String,
    /// Whether it is on this machine.
    pub near: bool,
    /// The machine it is on, where that is this one and can be told from others.
    pub machine: Option<Arc<str>>,
}

impl Endpoint {
    /// The place that `url` names, seen from `here`.
    pub fn of(url: &Url, here: &Whereabouts) -> Self {
        let port = url.port_or_known_default().unwrap_or(80);
        let host = match url.host() {
            Some(Host::Ipv4(ip)) => Ok(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Ok(IpAddr::V6(ip)),
            Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Domain(name)) => Err(name.to_ascii_lowercase()),
            None => Err(String::new()),
        };
        let near = |ip: IpAddr| Endpoint {
            text: SocketAddr::new(ip, port).to_string(),
            near: true,
            machine: here.machine.clone(),
        };
        match host {
            Ok(ip) if ip.is_loopback() || ip.is_unspecified() || here.addresses.contains(&ip) => {
                near(here.addresses.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into()))
            }
            Ok(ip) if here.inside.iter().any(|network| network.contains(ip)) => near(ip),
            Ok(ip) => Endpoint { text: SocketAddr::new(ip, port).to_string(), near: false, machine: None },
            Err(name) => Endpoint { text: format!("{name}:{port}"), near: false, machine: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, here: &Whereabouts) -> Endpoint {
        Endpoint::of(&text.parse().expect("literal"), here)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("literal")
    }

    #[test]
    fn one_server_has_one_name_from_both_sides() {
        let here = Whereabouts {
            addresses: vec![ip("192.168.1.5"), ip("10.0.0.5")],
            inside: Vec::new(),
            machine: Some("m".into()),
        };
        for url in ["http://localhost:11434", "http://127.0.0.1:11434", "http://10.0.0.5:11434", "http://[::1]:11434"] {
            let near = Endpoint { text: "192.168.1.5:11434".to_owned(), near: true, machine: Some("m".into()) };
            assert_eq!(of(url, &here), near, "{url}");
        }
        let from_elsewhere = of("http://192.168.1.5:11434", &vec![ip("192.168.1.9")].into());
        assert_eq!(from_elsewhere, Endpoint { text: "192.168.1.5:11434".to_owned(), near: false, machine: None });
        assert_eq!(of("https://api.Example.com/v1", &here).text, "api.example.com:443");
    }

    /// A container's address is the same on every host, and another server on each.
    #[test]
    fn what_is_on_a_bridge_of_this_machine_is_near_and_keeps_its_own_address() {
        let here = Whereabouts {
            addresses: vec![ip("192.168.1.5")],
            inside: vec![Network { address: ip("172.17.0.1"), prefix: 16 }],
            machine: Some("m".into()),
        };
        let container = of("http://172.17.0.2:8000", &here);
        assert_eq!((container.text.as_str(), container.near), ("172.17.0.2:8000", true));
        assert_eq!(container.machine.as_deref(), Some("m"));
        assert!(!of("http://172.18.0.2:8000", &here).near);
    }
}
