//! What values must be: every rule of the configuration that its types cannot say. All problems are found, not the
//! first. It reads no file and changes nothing.

use toml::{Table, Value};

use super::{Backend, Config, Problem, later, shape};
use crate::budget::price::Prices;
use crate::fleet::{InvalidUrl, Locality, root_url};
use crate::mesh::{host_and_port, not_an_address, wrong_fields};
use crate::route::{Rules, covers};

/// Everything that is wrong.
pub fn check(config: &Config) -> Vec<Problem> {
    let mut found = Found::default();
    found.server(config);
    found.watching(config);
    found.durations(config);
    found.routing(config);
    found.mesh(config);
    found.auth(config);
    found.tracing(config);
    found.quality(config);
    found.later(config);
    found.prices(config);
    for (index, backend) in config.backends.iter().enumerate() {
        found.backend(&format!("backends[{index}]"), backend, &config.backends[..index]);
    }
    found.0
}

/// What is wrong in a file, though a flag may say it.
pub(super) fn file_only(file: &Table) -> Option<Problem> {
    let port = file.get("server")?.get("port")?;
    (port == &Value::Integer(0)).then(|| Problem {
        path: "server.port".to_owned(),
        message: "0 is no port to listen on: use 1 to 65535".to_owned(),
    })
}

/// What is right but probably not meant. `set` is what file and environment say.
pub(super) fn suspicious(config: &Config) -> Vec<String> {
    let mut warnings = Vec::new();
    for name in config.logging.component_levels.keys() {
        if !COMPONENTS.contains(&name.as_str()) {
            let near = shape::near(name, COMPONENTS.into_iter()).map(|near| format!(": did you mean `{near}`?"));
            let near = near.unwrap_or_else(|| format!(": there are {}", COMPONENTS.join(", ")));
            warnings.push(format!("logging.component_levels: no part is called `{name}`{near}"));
        }
    }
    let policies = &config.routing.policies;
    for (at, policy) in policies.iter().enumerate() {
        let pattern = &policy.model_pattern;
        if let Some(wide) = policies[..at].iter().find(|before| covers(&before.model_pattern, pattern)) {
            let wide = &wide.model_pattern;
            warnings.push(format!(
                "routing.policies: `{pattern}` never counts: `{wide}` stands before it and matches the same models. Write \
                 `{pattern}` before `{wide}`, or take it out"
            ));
        }
    }
    let waiting = later::without_effect(config);
    if !waiting.is_empty() {
        warnings.push(format!("set, but without effect in this version: {}", waiting.join(", ")));
    }
    warnings
}

const COMPONENTS: [&str; 5] = ["routing", "api", "health", "discovery", "mesh"];

/// The longest time that a key may say. What is added to a moment must not overflow it.
const LONGEST_DAYS: u64 = 30;
const LONGEST_SECONDS: u64 = LONGEST_DAYS * 24 * 60 * 60;

#[derive(Default)]
struct Found(Vec<Problem>);

impl Found {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { path: path.into(), message: message.into() });
    }

    fn at_least_one(&mut self, path: &str, value: u64) {
        if value == 0 {
            self.add(path, "0 makes no sense here: use 1 or more");
        }
    }

    fn durations(&mut self, config: &Config) {
        let (server, health, mesh) = (&config.server, &config.health_check, &config.mesh);
        for (path, value, most) in [
            ("server.request_timeout_seconds", server.request_timeout_seconds, LONGEST_SECONDS),
            ("server.heartbeat_seconds", server.heartbeat_seconds, LONGEST_SECONDS),
            ("health_check.interval_seconds", health.interval_seconds, LONGEST_SECONDS),
            ("health_check.timeout_seconds", health.timeout_seconds, LONGEST_SECONDS),
            ("queue.max_wait_seconds", config.queue.max_wait_seconds, LONGEST_SECONDS),
            ("discovery.grace_period_seconds", config.discovery.grace_period_seconds, LONGEST_SECONDS),
            ("mesh.gossip_interval_ms", mesh.gossip_interval_ms, LONGEST_SECONDS * 1000),
            ("mesh.suspect_after_ms", mesh.suspect_after_ms, LONGEST_SECONDS * 1000),
            ("mesh.dead_after_ms", mesh.dead_after_ms, LONGEST_SECONDS * 1000),
        ] {
            if value > most {
                self.add(path, format!("is more than {LONGEST_DAYS} days: use {most} or less"));
            }
        }
    }

    fn server(&mut self, config: &Config) {
        let server = &config.server;
        if server.host.trim().is_empty() {
            self.add("server.host", "is empty: use 0.0.0.0 for every address, 127.0.0.1 for this machine only");
        }
        self.at_least_one("server.request_timeout_seconds", server.request_timeout_seconds);
        self.at_least_one("server.max_concurrent_requests", server.max_concurrent_requests.into());
        self.at_least_one("server.max_body_mb", server.max_body_mb.into());
        if config.data_dir.trim().is_empty() {
            self.add("data_dir", "is empty: name a directory");
        }
    }

    fn watching(&mut self, config: &Config) {
        let health = &config.health_check;
        self.at_least_one("health_check.interval_seconds", health.interval_seconds);
        self.at_least_one("health_check.timeout_seconds", health.timeout_seconds);
        self.at_least_one("health_check.failure_threshold", health.failure_threshold.into());
        self.at_least_one("health_check.recovery_threshold", health.recovery_threshold.into());
        for (index, name) in config.discovery.service_types.iter().enumerate() {
            if !name.starts_with('_') || !(name.contains("._tcp") || name.contains("._udp")) {
                let message = format!("`{name}` is no service type: they look like `_llm._tcp.local`");
                self.add(format!("discovery.service_types[{index}]"), message);
            }
        }
        for (index, host) in config.discovery.trusted_hosts.iter().enumerate() {
            if host.parse::<std::net::IpAddr>().is_err() {
                let message =
                    format!("`{host}` is no IP address; anybody can announce any name, so names are not trusted");
                self.add(format!("discovery.trusted_hosts[{index}]"), message);
            }
        }
    }

    fn routing(&mut self, config: &Config) {
        if let Err(problems) = Rules::new(&config.routing) {
            problems.into_iter().for_each(|problem| self.add(problem.path, problem.message));
        }
    }

    fn mesh(&mut self, config: &Config) {
        let mesh = &config.mesh;
        for wrong in wrong_fields(&mesh.name, &mesh.key, &mesh.seeds) {
            self.add(format!("mesh.{}", wrong.field), wrong.reason);
        }
        if !mesh.key.is_empty() && !mesh.key_file.is_empty() {
            self.add("mesh.key_file", "`key` and `key_file` are both set: keep one");
        }
        if !mesh.listen.is_empty() && host_and_port(&mesh.listen).is_none() {
            self.add("mesh.listen", not_an_address(&mesh.listen));
        }
        for (index, text) in mesh.advertise.iter().enumerate() {
            if host_and_port(text).is_none_or(|(_, port)| port == 0) {
                self.add(format!("mesh.advertise[{index}]"), not_an_address(text));
            }
        }
        self.at_least_one("mesh.gossip_interval_ms", mesh.gossip_interval_ms);
        if mesh.suspect_after_ms <= mesh.gossip_interval_ms {
            self.add("mesh.suspect_after_ms", "must be more than `gossip_interval_ms`, or every peer is suspect");
        }
        if mesh.dead_after_ms <= mesh.suspect_after_ms {
            self.add("mesh.dead_after_ms", "must be more than `suspect_after_ms`");
        }
        if mesh.max_hops > 1 {
            self.add("mesh.max_hops", "a request passes at most one peer after the first: use 0 or 1");
        }
    }

    fn auth(&mut self, config: &Config) {
        let keys = &config.auth.client_keys;
        for (index, key) in keys.iter().enumerate() {
            let at = format!("auth.client_keys[{index}]");
            self.name(&at, &key.name, keys[..index].iter().map(|key| key.name.as_str()));
            match (&key.key_env, &key.key_sha256) {
                (Some(_), Some(_)) => self.add(&at, "`key_env` and `key_sha256` are both set: keep one"),
                (None, None) => self.add(&at, "no key: set `key_env` or `key_sha256`"),
                (None, Some(hash)) if super::secrets::sha256(hash).is_none() => {
                    self.add(format!("{at}.key_sha256"), "must be the SHA-256 of the key: 64 hex digits");
                }
                _ => {}
            }
            for (pattern, glob) in key.models.iter().flatten().enumerate() {
                if let Err(error) = globset::Glob::new(glob) {
                    self.add(format!("{at}.models[{pattern}]"), error.to_string());
                }
            }
            if key.monthly_limit_usd.is_some_and(|limit| !(limit.is_finite() && limit > 0.0)) {
                self.add(format!("{at}.monthly_limit_usd"), "must be more than 0; leave it out for no limit");
            }
            for (name, limit) in [
                ("requests_per_minute", key.requests_per_minute.map(u64::from)),
                ("tokens_per_minute", key.tokens_per_minute),
            ] {
                if limit == Some(0) {
                    self.add(format!("{at}.{name}"), "0 would mean never: leave it out for no limit");
                }
            }
        }
    }

    fn later(&mut self, config: &Config) {
        self.at_least_one("lifecycle.timeout_ms", config.lifecycle.timeout_ms);
        if let Some(budget) = &config.budget {
            if budget.monthly_limit_usd.is_some_and(|limit| !(limit.is_finite() && limit > 0.0)) {
                self.add("budget.monthly_limit_usd", "must be more than 0; leave it out for no budget");
            }
            if budget.soft_limit_percent.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
                self.add("budget.soft_limit_percent", "must be 0 to 100");
            }
            self.at_least_one("budget.reconciliation_interval_secs", budget.reconciliation_interval_secs.unwrap_or(1));
        }
    }

    fn prices(&mut self, config: &Config) {
        for bad in Prices::check(&config.prices) {
            self.add("prices", bad.to_string());
        }
    }

    fn tracing(&mut self, config: &Config) {
        for (key, message) in config.tracing.problems() {
            self.add(format!("tracing.{key}"), message);
        }
    }

    fn quality(&mut self, config: &Config) {
        let quality = &config.quality;
        let share = quality.error_rate_threshold;
        if !(share > 0.0 && share <= 1.0) {
            self.add("quality.error_rate_threshold", "is a share: use more than 0.0, at most 1.0");
        }
        self.at_least_one("quality.min_samples", quality.min_samples.into());
        self.at_least_one("quality.ttft_penalty_threshold_ms", quality.ttft_penalty_threshold_ms.into());
        self.at_least_one("quality.metrics_interval_seconds", quality.metrics_interval_seconds);
    }

    fn backend(&mut self, at: &str, backend: &Backend, before: &[Backend]) {
        self.name(at, &backend.name, before.iter().map(|other| other.name.as_str()));
        if let Err(InvalidUrl(message)) = root_url(&backend.url) {
            self.add(format!("{at}.url"), message);
        }
        let variable = backend.api_key_env.as_deref().map(str::trim);
        if backend.kind.locality() == Locality::Cloud && variable.is_none_or(str::is_empty) {
            let message = format!(
                "backend `{}` of type `{}` needs `api_key_env`: the name of the variable that holds its key",
                backend.name, backend.kind
            );
            self.add(at, message);
        }
        if (backend.context_length.is_some() || backend.keep_alive.is_some()) && !backend.kind.is_told_how_to_load() {
            let message = format!("`context_length` and `keep_alive` are for `ollama`, not for `{}`", backend.kind);
            self.add(at, message);
        }
        if backend.context_length == Some(0) {
            self.add(format!("{at}.context_length"), "0 holds nothing: leave it out to let the server choose");
        }
        if backend.concurrency == Some(0) {
            self.add(format!("{at}.concurrency"), "0 would mean never: leave it out for no limit");
        }
        for (key, is_zero) in [
            ("requests_per_minute", backend.requests_per_minute == Some(0)),
            ("tokens_per_minute", backend.tokens_per_minute == Some(0)),
        ] {
            if is_zero {
                self.add(format!("{at}.{key}"), "0 would mean never: leave it out for no limit");
            }
        }
    }

    fn name<'a>(&mut self, at: &str, name: &str, mut before: impl Iterator<Item = &'a str>) {
        if name.trim().is_empty() {
            self.add(format!("{at}.name"), "is empty: every name must say something");
        } else if name.chars().any(char::is_control) {
            self.add(format!("{at}.name"), "holds a control character");
        } else if before.any(|other| other == name) {
            self.add(format!("{at}.name"), format!("`{name}` is taken already: names must differ"));
        }
    }
}

#[cfg(test)]
mod tests;
