use super::*;

fn problems(text: &str) -> Vec<String> {
    let config: Config = toml::from_str(text).expect("a literal configuration");
    check(&config).iter().map(ToString::to_string).collect()
}

#[test]
fn every_rule_names_its_key() {
    let key = "a".repeat(52);
    for (text, path, about) in [
        ("server.host = ' '", "server.host", "empty"),
        ("server.request_timeout_seconds = 0", "server.request_timeout_seconds", "1 or more"),
        ("server.max_concurrent_requests = 0", "server.max_concurrent_requests", "1 or more"),
        ("server.max_body_mb = 0", "server.max_body_mb", "1 or more"),
        ("data_dir = ''", "data_dir", "empty"),
        ("health_check.interval_seconds = 0", "health_check.interval_seconds", "1 or more"),
        ("health_check.timeout_seconds = 0", "health_check.timeout_seconds", "1 or more"),
        ("health_check.failure_threshold = 0", "health_check.failure_threshold", "1 or more"),
        ("discovery.service_types = ['_llm._tcp', 'llm']", "discovery.service_types[1]", "_llm._tcp"),
        ("discovery.trusted_hosts = ['10.0.0.7', 'fe80::1', 'gpu.lan']", "discovery.trusted_hosts[2]", "IP address"),
        ("routing.weights = { priority = 0, load = 0, latency = 0 }", "routing.weights", "at least one"),
        ("routing.policies = [{ model_pattern = '[a' }]", "routing.policies[0].model_pattern", "unclosed"),
        (
            "routing.policies = [{ model_pattern = 'a', max_cost_per_request = 0.0 }, { model_pattern = 'b', max_cost_per_request = -1.0 }]",
            "routing.policies[1].max_cost_per_request",
            "below 0",
        ),
        ("routing.aliases = { a = 'b', b = 'a' }", "routing.aliases.a", "Circular alias detected"),
        ("routing.fallbacks = { a = ['a'] }", "routing.fallbacks.a", "own fallback"),
        ("mesh.name = ''", "mesh.name", "empty"),
        ("mesh.key = 'short'", "mesh.key", "52 characters"),
        (&format!("mesh.key = '{key}1'"), "mesh.key", "52 characters"),
        (&format!("mesh.key = '{key}'\nmesh.key_file = 'f'"), "mesh.key_file", "keep one"),
        ("mesh.listen = '8001'", "mesh.listen", "host:port"),
        ("mesh.advertise = ['a:1', '::1:8001']", "mesh.advertise[1]", "brackets"),
        ("mesh.seeds = ['a:0']", "mesh.seeds[0]", "host:port"),
        ("mesh.gossip_interval_ms = 0", "mesh.gossip_interval_ms", "1 or more"),
        ("mesh.suspect_after_ms = 100", "mesh.suspect_after_ms", "gossip_interval_ms"),
        ("mesh.dead_after_ms = 2000", "mesh.dead_after_ms", "suspect_after_ms"),
        ("mesh.max_hops = 2", "mesh.max_hops", "0 or 1"),
        ("budget.monthly_limit_usd = 0.0", "budget.monthly_limit_usd", "more than 0"),
        ("budget.monthly_limit_usd = nan", "budget.monthly_limit_usd", "more than 0"),
        ("budget.soft_limit_percent = 101.0", "budget.soft_limit_percent", "0 to 100"),
        ("quality.error_rate_threshold = 2.0", "quality.error_rate_threshold", "share"),
        ("quality.error_rate_threshold = 0.0", "quality.error_rate_threshold", "share"),
        ("quality.error_rate_threshold = -0.5", "quality.error_rate_threshold", "share"),
        ("quality.error_rate_threshold = nan", "quality.error_rate_threshold", "share"),
        ("quality.min_samples = 0", "quality.min_samples", "1 or more"),
        ("quality.ttft_penalty_threshold_ms = 0", "quality.ttft_penalty_threshold_ms", "1 or more"),
        ("quality.metrics_interval_seconds = 0", "quality.metrics_interval_seconds", "1 or more"),
        ("auth.client_keys = [{ name = 'a' }]", "auth.client_keys[0]", "key_env"),
        ("auth.client_keys = [{ name = 'a', key_sha256 = 'ff' }]", "auth.client_keys[0].key_sha256", "64 hex"),
        (
            "auth.client_keys = [{ name = 'a', key_env = 'A', models = ['[a'] }]",
            "auth.client_keys[0].models[0]",
            "unclosed",
        ),
        (
            "auth.client_keys = [{ name = 'a', key_env = 'A' }, { name = 'a', key_env = 'B' }]",
            "auth.client_keys[1].name",
            "taken",
        ),
        (
            "auth.client_keys = [{ name = 'a', key_env = 'A', requests_per_minute = 0 }]",
            "auth.client_keys[0].requests_per_minute",
            "never",
        ),
        (
            "auth.client_keys = [{ name = 'a', key_env = 'A', tokens_per_minute = 0 }]",
            "auth.client_keys[0].tokens_per_minute",
            "never",
        ),
        (
            "auth.client_keys = [{ name = 'a', key_env = 'A', monthly_limit_usd = nan }]",
            "auth.client_keys[0].monthly_limit_usd",
            "more than 0",
        ),
        (
            "auth.client_keys = [{ name = 'a', key_env = 'A', monthly_limit_usd = inf }]",
            "auth.client_keys[0].monthly_limit_usd",
            "more than 0",
        ),
        ("backends = [{ name = '', url = 'http://h', type = 'ollama' }]", "backends[0].name", "empty"),
        ("backends = [{ name = 'a', url = 'h:11434', type = 'ollama' }]", "backends[0].url", "http://host:port"),
        ("backends = [{ name = 'a', url = 'http://u:p@h', type = 'ollama' }]", "backends[0].url", "credentials"),
        ("backends = [{ name = 'a', url = '', type = 'ollama' }]", "backends[0].url", "no URL"),
        ("backends = [{ name = 'a', url = 'https://h', type = 'openai' }]", "backends[0]", "api_key_env"),
        (
            "backends = [{ name = 'a', url = 'http://h', type = 'ollama', concurrency = 0 }]",
            "backends[0].concurrency",
            "never",
        ),
        (
            "backends = [{ name = 'a', url = 'http://h', type = 'vllm' }, { name = 'a', url = 'http://i', type = 'exo' }]",
            "backends[1].name",
            "taken",
        ),
    ] {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].starts_with(&format!("{path}: ")) && found[0].contains(about), "{text}: {found:?}");
    }
}

#[test]
fn the_defaults_are_right() {
    assert_eq!(problems(""), Vec::<String>::new());
}

/// Some of these were added to the present moment, which panics where the sum is no moment any more.
#[test]
fn no_time_is_longer_than_thirty_days() {
    for (section, key, most) in [
        ("server", "request_timeout_seconds", 2_592_000_u64),
        ("server", "heartbeat_seconds", 2_592_000),
        ("health_check", "interval_seconds", 2_592_000),
        ("health_check", "timeout_seconds", 2_592_000),
        ("queue", "max_wait_seconds", 2_592_000),
        ("discovery", "grace_period_seconds", 2_592_000),
        ("mesh", "gossip_interval_ms", 2_592_000_000),
        ("mesh", "suspect_after_ms", 2_592_000_000),
        ("mesh", "dead_after_ms", 2_592_000_000),
    ] {
        let complaint = format!("{section}.{key}: is more than 30 days: use {most} or less");
        for (value, wrong) in [(most, false), (most + 1, true), (i64::MAX as u64, true)] {
            let found = problems(&format!("{section}.{key} = {value}"));
            assert_eq!(found.contains(&complaint), wrong, "{section}.{key} = {value}: {found:?}");
        }
    }
}
