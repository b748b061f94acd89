//! Where a backend's server is, told so that two peers that reach the same server say the same.

use std::net::{IpAddr, Ipv4Addr};

use url::{Host, Url};

/// The place of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`; loopback and every address of this machine stand as this machine's first address.
    pub text: String,
    /// Whether it is on this machine.
    pub near: bool,
}

impl Endpoint {
    /// The place that `url` names, seen from a machine with these addresses, best first.
    pub fn of(url: &Url, own: &[IpAddr]) -> Self {
        let port = url.port_or_known_default().unwrap_or(80);
        let host = match url.host() {
            Some(Host::Ipv4(ip)) => Ok(IpAddr::V4(ip)),
            Some(Host::Ipv6(ip)) => Ok(IpAddr::V6(ip)),
            Some(Host::Domain(name)) if name.eq_ignore_ascii_case("localhost") => Ok(Ipv4Addr::LOCALHOST.into()),
            Some(Host::Domain(name)) => Err(name.to_ascii_lowercase()),
            None => Err(String::new()),
        };
        match host {
            Ok(ip) if ip.is_loopback() || ip.is_unspecified() || own.contains(&ip) => {
                let address = own.first().copied().unwrap_or(Ipv4Addr::LOCALHOST.into());
                Endpoint { text: std::net::SocketAddr::new(address, port).to_string(), near: true }
            }
            Ok(ip) => Endpoint { text: std::net::SocketAddr::new(ip, port).to_string(), near: false },
            Err(name) => Endpoint { text: format!("{name}:{port}"), near: false },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_server_has_one_name_from_both_sides() {
        let own: Vec<IpAddr> = vec!["192.168.1.5".parse().expect("literal"), "10.0.0.5".parse().expect("literal")];
        let of = |text: &str, own: &[IpAddr]| Endpoint::of(&text.parse().expect("literal"), own);
        for here in ["http://localhost:11434", "http://127.0.0.1:11434", "http://10.0.0.5:11434", "http://[::1]:11434"]
        {
            assert_eq!(of(here, &own), Endpoint { text: "192.168.1.5:11434".to_owned(), near: true }, "{here}");
        }
        let from_elsewhere = of("http://192.168.1.5:11434", &["192.168.1.9".parse().expect("literal")]);
        assert_eq!(from_elsewhere, Endpoint { text: "192.168.1.5:11434".to_owned(), near: false });
        assert_eq!(of("https://api.Example.com/v1", &own).text, "api.example.com:443");
    }
}
