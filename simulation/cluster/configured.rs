//! What every peer of a scenario is configured with: short checks, two seeds, one policy, its own backends.

use std::sync::Arc;

use nexus::api::digest;
use nexus::config::{Backend, ClientSecret, Config, Secrets};
use nexus::fleet::{Kind, Zone};
use nexus::node::Blueprint;
use nexus::route::{Policy, Privacy};

use crate::backend::Scripted;
use crate::checks;
use crate::client::{self, PATIENCE};
use crate::layout::Layout;

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
    config.routing.policies = vec![Policy {
        model_pattern: format!("{}*", checks::SECRET),
        privacy: Privacy::Restricted,
        fallback_allowed: true,
        ..Policy::default()
    }];
    config.backends = backends.iter().filter(|backend| backend.character.owner == at).map(|b| entry(b)).collect();
    let (backends, _) = config.backend_specs(&|_| None);
    let client = |name: &&str| ClientSecret { name: (*name).to_owned(), sha256: digest(name), models: None };
    let client_keys = layout.clients.iter().map(client).collect();
    let secrets = Secrets { admin_token: Some(client::ADMIN_TOKEN.to_owned()), client_keys };
    Blueprint { config, backends, secrets }
}

fn entry(backend: &Scripted) -> Backend {
    Backend {
        context_length: None,
        keep_alive: None,
        name: backend.character.name.clone(),
        url: backend.url(),
        kind: Kind::Generic,
        priority: 50,
        api_key_env: None,
        zone: Some(if backend.character.open { Zone::Open } else { Zone::Restricted }),
        tier: Default::default(),
        concurrency: u32::try_from(backend.character.slots).ok(),
        share: true,
        forward_client_auth: None,
    }
}
