//! What every peer of a scenario is configured with: short checks, two seeds, policies that are not the same everywhere, its own backends.

use std::sync::Arc;

use nexus::api::{ConfiguredKey, digest};
use nexus::config::{Backend, Config, Secrets};
use nexus::fleet::{HardLimitAction, Kind, Zone};
use nexus::node::Blueprint;
use nexus::route::{Policy, Privacy};

use crate::backend::Scripted;
use crate::checks;
use crate::client::{self, PATIENCE};
use crate::layout::Layout;
use crate::vendor;

/// The variable that holds the key of every vendor.
const VENDOR_KEY: &str = "VENDOR_KEY";

/// What a peer is called, as a host and by people.
pub(super) fn peer_name(at: usize) -> String {
    format!("p{at}")
}

/// What peer `at` is made from.
pub(super) fn blueprint(layout: &Layout, at: usize, names: &[String], backends: &[Arc<Scripted>]) -> Blueprint {
    let mut config = Config { data_dir: "/nexus".to_owned(), ..Config::default() };
    config.server.request_timeout_seconds = PATIENCE.as_secs();
    config.discovery.enabled = layout.discovery;
    config.health_check.interval_seconds = 2;
    config.health_check.timeout_seconds = 1;
    if let Some(size) = layout.queue {
        config.queue.max_size = size;
    }
    config.mesh.peer_name = names[at].clone();
    config.mesh.mdns = false;
    if layout.keyed {
        config.mesh.key = layout.key();
    }
    // Everybody knows the first; the first knows the second, so that it comes back by itself.
    let seed = if at == 0 { names.get(1) } else { names.first() };
    config.mesh.seeds = seed.map(|name| format!("{name}:{}", crate::peer::PORT + 1)).into_iter().collect();
    let held = checks::HELD.into_iter().filter(|model| checks::holds(at, model)).map(str::to_owned);
    let policies = std::iter::once(format!("{}*", checks::SECRET)).chain(held).map(|model_pattern| Policy {
        model_pattern,
        privacy: Privacy::Restricted,
        fallback_allowed: true,
        ..Policy::default()
    });
    config.routing.policies = policies.collect();
    config.backends = backends.iter().filter(|backend| backend.character.owner == at).map(|b| entry(b)).collect();
    config.budget = layout.budget.map(|limit| nexus::budget::Config {
        monthly_limit_usd: Some(limit),
        hard_limit_action: HardLimitAction::BlockCloud,
        ..nexus::budget::Config::default()
    });
    if layout.budget.is_some() {
        config.prices.insert(vendor::CLOUD.to_owned(), vendor::price());
    }
    let (backends, _) = config.backend_specs(&|name| (name == VENDOR_KEY).then(|| "sk-simulated".to_owned()));
    let client =
        |name: &&str| ConfiguredKey { name: (*name).to_owned(), sha256: digest(name), ..ConfiguredKey::default() };
    let client_keys = layout.clients.iter().map(client).collect();
    let secrets = Secrets { admin_token: Some(client::ADMIN_TOKEN.to_owned()), client_keys, collector: None };
    Blueprint { config, backends, secrets, origin: None, levels: Default::default() }
}

fn entry(backend: &Scripted) -> Backend {
    Backend {
        context_length: None,
        keep_alive: None,
        name: backend.character.name.clone(),
        url: backend.url(),
        kind: if backend.character.vendor { Kind::OpenAi } else { Kind::Generic },
        priority: 50,
        api_key_env: backend.character.vendor.then(|| VENDOR_KEY.to_owned()),
        zone: Some(if backend.character.open { Zone::Open } else { Zone::Restricted }),
        tier: Default::default(),
        concurrency: u32::try_from(backend.character.slots).ok(),
        requests_per_minute: None,
        tokens_per_minute: None,
        share: true,
        forward_client_auth: None,
    }
}
