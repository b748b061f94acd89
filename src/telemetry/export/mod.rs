//! `/metrics`: what was counted, and how things stand at this moment, as Prometheus reads it. Nothing is kept here: what
//! stands somewhere else is asked for when somebody looks.

mod family;
mod fleet;
mod money;
mod peers;

use std::collections::BTreeMap;

use prometheus::TextEncoder;
use prometheus::proto::{MetricFamily, MetricType};

use super::{BackendCounts, Counters};
use crate::budget::{Events, Figures};
use crate::fleet::PeerState;
use crate::{mesh, queue};

/// The type of what is written here.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How things stand.
#[derive(Debug, Default)]
pub struct Now {
    /// Backends of this peer.
    pub backends: Vec<BackendNow>,
    /// Those that answer their checks.
    pub healthy: usize,
    /// Models that can be asked for, here and at other peers.
    pub models: usize,
    /// The queue of this peer.
    pub queue: queue::Counts,
    /// The mesh, where there is one.
    pub mesh: Option<MeshNow>,
    /// The money, where any may be spent.
    pub money: Option<(Figures, Events)>,
    /// What client keys have spent and set aside in this month, by name, in USD, in the whole mesh.
    pub keys_usd: BTreeMap<String, f64>,
}

/// A backend of this peer.
#[derive(Debug, Default)]
pub struct BackendNow {
    /// Its name.
    pub name: String,
    /// Requests that it has now.
    pub in_flight: u32,
    /// What it has done.
    pub counts: BackendCounts,
}

/// The mesh, as this peer sees it.
#[derive(Debug, Default)]
pub struct MeshNow {
    /// The other peers that are heard of.
    pub peers: Vec<PeerNow>,
    /// Bytes of gossip.
    pub gossip_sent: u64,
    /// Bytes of gossip.
    pub gossip_received: u64,
    /// What was forwarded, by the name of the peer.
    pub forwards: BTreeMap<String, mesh::Forwards>,
}

/// Another peer.
#[derive(Debug)]
pub struct PeerNow {
    /// Its name.
    pub name: String,
    /// How it is.
    pub state: PeerState,
    /// How old the last news of it are, in seconds; `None` where it was only heard of.
    pub age: Option<f64>,
}

/// All of it, as text.
pub fn text(counters: &Counters, now: &Now) -> String {
    let mut families: Vec<MetricFamily> = counters.families().iter().flat_map(|family| family.collect()).collect();
    families.extend(fleet::families(now));
    families.extend(now.mesh.iter().flat_map(peers::families));
    if let Some((figures, events)) = &now.money {
        families.extend(money::money(figures, *events));
        families.extend(money::keys(figures, &now.keys_usd));
    }
    families.sort_by(|one, other| one.name().cmp(other.name()));
    let mut text = String::new();
    for family in &families {
        write(family, &mut text);
    }
    text
}

/// What has no sample yet is at least described: whoever sets up a dashboard finds it.
fn write(family: &MetricFamily, text: &mut String) {
    if !family.get_metric().is_empty() {
        TextEncoder::new().encode_utf8(std::slice::from_ref(family), text).expect("it is not empty");
        return;
    }
    let kind = match family.get_field_type() {
        MetricType::COUNTER => "counter",
        MetricType::HISTOGRAM => "histogram",
        _ => "gauge",
    };
    let (name, help) = (family.name(), family.help());
    text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}
