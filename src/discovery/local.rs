//! The usual ports of this machine: stock Ollama, LM Studio, vLLM and llama.cpp announce nothing, so they are asked.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;
use tracing::info;

use super::{Config, free_name, known_at};
use crate::backend::{Detected, detect};
use crate::env::Env;
use crate::fleet::{BackendSpec, Source, Status};
use crate::registry::Registry;

/// Time between looks. A port where nobody listens costs one refused connection.
const EVERY: Duration = Duration::from_secs(10);

/// Looks for as long as the node lives.
pub(super) async fn run(config: Config, registry: Arc<Registry>, env: Env, own_port: u16) {
    let mut ill_since: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        look(&config, &registry, &env, own_port).await;
        forget(&config, &registry, &mut ill_since);
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(config: &Config, registry: &Registry, env: &Env, own_port: u16) {
    let mut hosts: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    hosts.extend(env.net.own_addresses().into_iter().filter(|ip| !ip.is_loopback()));
    for host in hosts {
        let ports = config.local_ports.iter().filter(|port| **port != own_port && **port != 0);
        let unknown = ports.filter_map(|port| {
            let url: url::Url = format!("http://{}", SocketAddr::new(host, *port)).parse().ok()?;
            known_at(registry, &url).is_none().then_some((*port, url))
        });
        let asked = unknown.map(|(port, url)| async move { (port, detect(env.http.as_ref(), &url).await, url) });
        for (port, detected, url) in join_all(asked).await {
            if let Detected::Backend(kind) = detected {
                let name = free_name(registry, &format!("{kind}-{port}"));
                if let Ok(entry) = registry.add(BackendSpec::new(name, url, kind, Source::Local)) {
                    info!(backend = entry.spec.name.as_str(), %kind, port, "Backend found on this machine");
                }
            }
        }
    }
}

/// One that has been ill for longer than the grace period is gone; it is found again when it comes back.
fn forget(config: &Config, registry: &Registry, ill_since: &mut BTreeMap<String, Instant>) {
    let now = Instant::now();
    let snapshot = registry.snapshot();
    let found = snapshot.entries.iter().filter(|entry| entry.spec.source == Source::Local);
    let ill: Vec<_> = found.filter(|entry| entry.condition().status == Status::Unhealthy).collect();
    ill_since.retain(|name, _| ill.iter().any(|entry| entry.spec.name == *name));
    for entry in ill {
        let since = *ill_since.entry(entry.spec.name.clone()).or_insert(now);
        if now - since >= config.grace_period() {
            info!(backend = entry.spec.name.as_str(), "Backend is forgotten");
            registry.discard(entry);
        }
    }
}
