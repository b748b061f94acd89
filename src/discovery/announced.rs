//! What an mDNS announcement says of a backend: pure.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::Config;
use crate::fleet::{BackendSpec, Kind, Source, Zone, fit_name};

/// A service as it was announced.
#[derive(Clone, Debug)]
pub(super) struct Announced {
    pub(super) service: String,
    pub(super) instance: String,
    pub(super) port: u16,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) txt: BTreeMap<String, String>,
}

/// A service type as mDNS wants it, with a dot at the end.
pub(super) fn dotted(service: &str) -> String {
    format!("{}.", service.trim_end_matches('.'))
}

impl Announced {
    /// The backend, if there is an address to reach it at. One on another host is of the zone `open` until that host is
    /// trusted: anybody on the network can announce anything.
    pub(super) fn backend(&self, config: &Config, own: &[IpAddr]) -> Option<BackendSpec> {
        let ip = self.best_address(own)?;
        let root = self.txt("api_path").trim_end_matches('/').trim_end_matches("/v1").to_owned();
        let url = format!("http://{}{root}", SocketAddr::new(ip, self.port)).parse().ok()?;
        let mut spec = BackendSpec::new(self.name(), url, self.kind(), Source::Mdns);
        let near = ip.is_loopback() || own.contains(&ip);
        let trusted = || config.trusted_hosts.iter().any(|host| host.parse() == Ok(ip));
        if !near && !trusted() {
            spec.zone = Zone::Open;
        }
        Some(spec)
    }

    /// This machine's own first, then IPv4; link-local addresses carry a scope that URLs cannot.
    fn best_address(&self, own: &[IpAddr]) -> Option<IpAddr> {
        let usable = |ip: &&IpAddr| !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        let rank = |ip: &&IpAddr| (!own.contains(ip), ip.is_loopback(), ip.is_ipv6(), **ip);
        self.addresses.iter().filter(usable).min_by_key(rank).copied()
    }

    fn kind(&self) -> Kind {
        let by_service = if self.service.starts_with("_ollama.") { Kind::Ollama } else { Kind::Generic };
        match self.txt("type") {
            "" => by_service,
            named => named.parse().unwrap_or(Kind::Generic),
        }
    }

    fn name(&self) -> String {
        let label = self.instance.strip_suffix(&format!(".{}", self.service)).unwrap_or(&self.instance);
        let first = label.split('.').next().unwrap_or(label);
        fit_name(&first.replace('_', " ")).unwrap_or_else(|| self.kind().to_string())
    }

    fn txt(&self, key: &str) -> &str {
        let found = self.txt.iter().find(|(name, _)| name.eq_ignore_ascii_case(key));
        found.map_or("", |(_, value)| value.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announced(txt: &[(&str, &str)], addresses: &[&str]) -> Announced {
        Announced {
            service: "_llm._tcp.local.".to_owned(),
            instance: "Test_LLM._llm._tcp.local.".to_owned(),
            port: 8080,
            addresses: addresses.iter().map(|ip| ip.parse().expect("literal")).collect(),
            txt: txt.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn backend(txt: &[(&str, &str)], addresses: &[&str]) -> Option<BackendSpec> {
        announced(txt, addresses).backend(&Config::default(), &["192.168.1.5".parse().expect("literal")])
    }

    /// `api_path` was appended twice, and no such backend ever worked.
    #[test]
    fn the_standard_root_is_not_repeated() {
        for api_path in ["/v1", "/v1/", "", "/"] {
            let spec = backend(&[("api_path", api_path), ("TYPE", "LlamaCpp")], &["10.0.0.7"]).expect("an address");
            assert_eq!(spec.url.as_str(), "http://10.0.0.7:8080/", "{api_path}");
            assert_eq!((spec.kind, spec.name.as_str()), (Kind::LlamaCpp, "Test LLM"));
        }
        let spec = backend(&[("api_path", "/proxy/v1")], &["10.0.0.7"]).expect("an address");
        assert_eq!(spec.url.as_str(), "http://10.0.0.7:8080/proxy");
    }

    #[test]
    fn addresses_are_ranked_and_link_local_ones_left_out() {
        let spec = backend(&[], &["fe80::1", "2001:db8::1", "10.0.0.7"]).expect("an address");
        assert_eq!(spec.url.host_str(), Some("10.0.0.7"));
        let spec = backend(&[], &["2001:db8::1"]).expect("an address");
        assert_eq!(spec.url.as_str(), "http://[2001:db8::1]:8080/");
        assert!(backend(&[], &["fe80::1"]).is_none());
    }

    #[test]
    fn names_are_visible_and_of_a_readable_length() {
        let named = |label: &str| {
            let mut announced = announced(&[], &["10.0.0.7"]);
            announced.instance = format!("{label}.{}", announced.service);
            announced.backend(&Config::default(), &[]).expect("an address").name
        };
        assert_eq!(named("a\u{1b}[31m\u{202e}b\n"), "a[31mb");
        assert_eq!(named("\u{200b} \u{7}"), "generic");
        assert_eq!(named(&"x".repeat(500)).len(), 128);
    }

    /// A rogue host on the network was trusted with private prompts.
    #[test]
    fn another_host_is_open_until_it_is_trusted() {
        assert_eq!(backend(&[], &["10.0.0.7"]).map(|spec| spec.zone), Some(Zone::Open));
        assert_eq!(backend(&[], &["192.168.1.5"]).map(|spec| spec.zone), Some(Zone::Restricted));
        let trusting = Config { trusted_hosts: vec!["10.0.0.7".to_owned()], ..Config::default() };
        let spec = announced(&[], &["10.0.0.7"]).backend(&trusting, &[]).expect("an address");
        assert_eq!(spec.zone, Zone::Restricted);
    }

    #[test]
    fn types_come_from_the_record_then_from_the_service() {
        assert_eq!(backend(&[("type", "weird")], &["10.0.0.7"]).map(|spec| spec.kind), Some(Kind::Generic));
        let mut ollama = announced(&[], &["10.0.0.7"]);
        ollama.service = dotted("_ollama._tcp.local");
        assert_eq!(ollama.backend(&Config::default(), &[]).map(|spec| spec.kind), Some(Kind::Ollama));
    }
}
