//! Where this machine is: its addresses, the networks inside it, and what tells it from every other. Read anew each time;
//! nothing is remembered.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use if_addrs::{IfAddr, Interface};

/// A network, by one address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address of it.
    pub address: IpAddr,
    /// How many leading bits all its addresses have in common.
    pub prefix: u8,
}

impl Network {
    /// Whether `ip` is one of its addresses.
    pub fn contains(self, ip: IpAddr) -> bool {
        let differing = match (self.address, ip) {
            (IpAddr::V4(ours), IpAddr::V4(ip)) => (ours.to_bits() ^ ip.to_bits()).leading_zeros(),
            (IpAddr::V6(ours), IpAddr::V6(ip)) => (ours.to_bits() ^ ip.to_bits()).leading_zeros(),
            _ => return false,
        };
        differing >= u32::from(self.prefix)
    }
}

/// Addresses that others might reach, best first; loopback only where there is nothing else.
pub(super) fn addresses() -> Vec<IpAddr> {
    let outside = interfaces().into_iter().filter(|interface| !is_inside(&interface.name));
    let usable = |ip: &IpAddr| !ip.is_loopback() && !is_link_local(ip);
    let mut ranked: Vec<_> = outside.map(|interface| interface.ip()).filter(usable).collect();
    ranked.sort_by_key(|ip| (ip.is_ipv6(), *ip));
    ranked.dedup();
    if ranked.is_empty() {
        ranked.push(Ipv4Addr::LOCALHOST.into());
    }
    ranked
}

/// The networks of bridges.
pub(super) fn inside() -> Vec<Network> {
    let inside = interfaces().into_iter().filter(|interface| is_inside(&interface.name));
    let network = |interface: Interface| match interface.addr {
        IfAddr::V4(addr) => Network { address: addr.ip.into(), prefix: addr.prefixlen },
        IfAddr::V6(addr) => Network { address: addr.ip.into(), prefix: addr.prefixlen },
    };
    inside.map(network).filter(|network| network.prefix > 0 && !is_link_local(&network.address)).collect()
}

fn interfaces() -> Vec<Interface> {
    if_addrs::get_if_addrs().unwrap_or_default()
}

/// Bridges and tunnels of containers and virtual machines begin so: nobody outside this host reaches us there.
const INSIDE: [&str; 23] = [
    "docker",
    "br-",
    "veth",
    "virbr",
    "cni",
    "flannel",
    "podman",
    "nerdctl",
    "lxcbr",
    "lxdbr",
    "incusbr",
    "vboxnet",
    "vmnet",
    "vmenet",
    "bridge1",
    "cali",
    "cilium",
    "kube",
    "tunl",
    "antrea",
    "weave",
    "vEthernet (WSL",
    "vEthernet (Default",
];

fn is_inside(name: &str) -> bool {
    INSIDE.iter().any(|prefix| name.starts_with(prefix))
}

fn is_link_local(ip: &IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// What tells this machine from every other. Where the kernel says which run of it this is, and which of its network
/// stacks we are in, that is it: containers of one image and clones of one disk have the same machine id, and containers
/// of one host see each other's loopback only where they share a network stack.
pub(super) fn machine() -> Option<Arc<str>> {
    let run = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let stack = fs::read_link("/proc/self/ns/net");
    let what = match (run, stack) {
        (Ok(run), Ok(stack)) => format!("{}\0{}", run.trim(), stack.display()),
        _ => ["/etc/machine-id", "/var/lib/dbus/machine-id", "/etc/hostid"]
            .iter()
            .find_map(|path| fs::read_to_string(path).ok().filter(|text| !text.trim().is_empty()))?,
    };
    let hash = blake3::derive_key("nexus machine v1", what.trim().as_bytes());
    Some(data_encoding::BASE32_NOPAD.encode(&hash[..16]).to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("literal")
    }

    #[test]
    fn a_network_ends_where_its_prefix_says() {
        let holds = |address, prefix, other| Network { address: ip(address), prefix }.contains(ip(other));
        assert!(holds("172.17.0.1", 16, "172.17.255.254") && !holds("172.17.0.1", 16, "172.18.0.1"));
        assert!(holds("10.0.0.1", 32, "10.0.0.1") && !holds("10.0.0.1", 32, "10.0.0.2"));
        assert!(holds("fd00::1", 64, "fd00::2") && !holds("fd00::1", 64, "fd00:0:0:1::2"));
        assert!(!holds("10.0.0.1", 8, "::ffff:10.0.0.2"));
    }

    #[test]
    fn bridges_are_told_from_ways_out() {
        for inside in ["docker0", "br-1f2e", "podman0", "lxcbr0", "vboxnet0", "vmnet8", "bridge100", "virbr0"] {
            assert!(is_inside(inside), "{inside}");
        }
        for outside in ["eth0", "enp3s0", "wlan0", "br0", "vmbr0", "bond0", "tailscale0", "wg0", "en0", "bridge0"] {
            assert!(!is_inside(outside), "{outside}");
        }
    }

    #[test]
    fn a_machine_is_itself_each_time_and_tells_nothing() {
        let machine = machine();
        assert_eq!(machine, super::machine());
        if let Some(machine) = machine {
            assert_eq!(machine.len(), 26);
        }
    }
}
