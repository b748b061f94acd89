//! What each tool for the command line needs, as data. Graphical ones are in `apps`.

use serde_json::{Map, Value as Json, json};
use url::{Position, Url};

use super::place::Places;
use super::settings::{File, Format, KEY, Offer, Settings, Target};
use super::{Tool, apps};

/// What points `tool` at the target.
pub(super) fn settings(tool: Tool, target: &Target, places: &Places) -> Settings {
    let mut settings = match tool {
        Tool::Claude => claude(target, places),
        Tool::Codex => codex(target, places),
        Tool::OpenCode => opencode(target, places),
        Tool::Aider => aider(target, places),
        Tool::Goose => goose(target, places),
        Tool::OpenWebui => apps::open_webui(target),
        Tool::Continue => apps::continue_dev(target, places),
        Tool::Cursor => apps::cursor(target),
        Tool::Zed => apps::zed(target, places),
    };
    if target.needs_key {
        settings
            .notes
            .push(format!("This node asks for a key. It is read from {KEY}; this command writes it nowhere."));
    }
    settings
}

/// It puts `/v1/messages` behind the URL itself. Every kind of model that it asks for by itself is the same one here.
fn claude(target: &Target, places: &Places) -> Settings {
    let model = &target.model;
    let environment = vec![
        ("ANTHROPIC_BASE_URL", target.url.clone()),
        ("ANTHROPIC_AUTH_TOKEN", target.key()),
        ("ANTHROPIC_MODEL", model.clone()),
        ("ANTHROPIC_DEFAULT_OPUS_MODEL", model.clone()),
        ("ANTHROPIC_DEFAULT_SONNET_MODEL", model.clone()),
        ("ANTHROPIC_DEFAULT_HAIKU_MODEL", model.clone()),
    ];
    let mut in_file: Map<String, Json> =
        environment.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    in_file.insert("ANTHROPIC_AUTH_TOKEN".to_owned(), target.key_in_file());
    Settings {
        beside: target.needs_key.then(|| ("ANTHROPIC_AUTH_TOKEN", target.key())).into_iter().collect(),
        environment,
        file: Some(File::new(places.claude("settings.json"), Format::Json, json!({ "env": in_file }))),
        command: Some("claude".to_owned()),
        notes: vec!["ANTHROPIC_API_KEY must not be set beside ANTHROPIC_AUTH_TOKEN.".to_owned()],
        ..Settings::default()
    }
}

/// `env_key` names a variable that must be set, so it is only there where a key is asked for.
fn codex(target: &Target, places: &Places) -> Settings {
    let patch = json!({
        "model": target.model,
        "model_provider": "nexus",
        "model_providers": { "nexus": {
            "name": "Nexus",
            "base_url": target.v1(),
            "wire_api": "responses",
            "env_key": if target.needs_key { json!(KEY) } else { Json::Null },
        } },
    });
    let note = |context| {
        format!("Codex does not know how much {} can hold: `model_context_window = {context}` tells it.", target.model)
    };
    Settings {
        file: Some(File::new(places.codex("config.toml"), Format::Toml, patch)),
        command: Some("codex".to_owned()),
        notes: target.offer().context.map(note).into_iter().collect(),
        ..Settings::default()
    }
}

/// Version 2 reads the form of version 1, but the two must not be mixed in one file.
fn opencode(target: &Target, places: &Places) -> Settings {
    let key = if target.needs_key { json!(format!("{{env:{KEY}}}")) } else { Json::Null };
    let all = |of: fn(&Offer) -> Json| -> Map<String, Json> {
        target.models.iter().map(|offer| (offer.id.clone(), of(offer))).collect()
    };
    let model = format!("nexus/{}", target.model);
    let patch = json!({
        "model": model,
        "provider": { "nexus": {
            "npm": "@ai-sdk/openai-compatible",
            "name": "Nexus",
            "options": { "baseURL": target.v1(), "apiKey": key },
            "models": all(opencode_model),
        } },
    });
    let later = json!({
        "model": model,
        "providers": { "nexus": {
            "package": "aisdk:@ai-sdk/openai-compatible",
            "name": "Nexus",
            "settings": { "baseURL": target.v1(), "apiKey": key },
            "models": all(opencode_later_model),
        } },
    });
    let paths = vec![places.config("opencode/opencode.json"), places.config("opencode/opencode.jsonc")];
    Settings {
        file: Some(File {
            paths,
            format: Format::Json,
            fresh: json!({ "$schema": "https://opencode.ai/config.json" }),
            patch,
            later: Some(("providers", later)),
        }),
        command: Some("opencode".to_owned()),
        ..Settings::default()
    }
}

fn opencode_model(offer: &Offer) -> Json {
    let mut model = json!({ "name": offer.id });
    if offer.vision {
        model["attachment"] = json!(true);
        model["modalities"] = json!({ "input": ["text", "image"], "output": ["text"] });
    }
    if let Some(limit) = opencode_limit(offer) {
        model["limit"] = limit;
    }
    model
}

fn opencode_later_model(offer: &Offer) -> Json {
    let input = if offer.vision { json!(["text", "image"]) } else { json!(["text"]) };
    let mut model = json!({ "name": offer.id, "capabilities": { "tools": true, "input": input, "output": ["text"] } });
    if let Some(limit) = opencode_limit(offer) {
        model["limit"] = limit;
    }
    model
}

/// Both halves are asked for; a quarter of what a model holds is room enough for an answer.
fn opencode_limit(offer: &Offer) -> Option<Json> {
    offer.context.map(|context| json!({ "context": context, "output": (context / 4).min(32_000) }))
}

/// The prefix says which client aider uses, and is no part of the name that the server sees.
fn aider(target: &Target, places: &Places) -> Settings {
    let model = format!("openai/{}", target.model);
    let patch = json!({
        "openai-api-base": target.v1(),
        "openai-api-key": target.key_in_file(),
        "model": model,
    });
    Settings {
        environment: vec![("OPENAI_API_BASE", target.v1()), ("OPENAI_API_KEY", target.key()), ("AIDER_MODEL", model)],
        beside: target.needs_key.then(|| ("OPENAI_API_KEY", target.key())).into_iter().collect(),
        file: Some(File::new(places.home(".aider.conf.yml"), Format::Yaml, patch)),
        command: Some("aider".to_owned()),
        notes: vec!["A .aider.conf.yml in the repository wins over the one in your home.".to_owned()],
        ..Settings::default()
    }
}

/// It takes host and path apart, and reads keys from the environment or its keyring, never from this file.
fn goose(target: &Target, places: &Places) -> Settings {
    let (host, path) = host_and_path(&target.url);
    let environment = vec![
        ("GOOSE_PROVIDER", "openai".to_owned()),
        ("GOOSE_MODEL", target.model.clone()),
        ("OPENAI_HOST", host.clone()),
        ("OPENAI_BASE_PATH", path.clone()),
        ("OPENAI_API_KEY", target.key()),
    ];
    let patch = json!({
        "GOOSE_PROVIDER": "openai",
        "GOOSE_MODEL": target.model,
        "OPENAI_HOST": host,
        "OPENAI_BASE_PATH": path,
    });
    let later = json!({
        "active_provider": "openai",
        "providers": { "openai": { "enabled": true, "model": target.model, "configured": true } },
        "OPENAI_HOST": host,
        "OPENAI_BASE_PATH": path,
    });
    Settings {
        environment,
        beside: vec![("OPENAI_API_KEY", target.key())],
        file: Some(File {
            later: Some(("active_provider", later)),
            ..File::new(places.config("goose/config.yaml"), Format::Yaml, patch)
        }),
        command: Some("goose session".to_owned()),
        ..Settings::default()
    }
}

fn host_and_path(root: &str) -> (String, String) {
    let Ok(url) = Url::parse(root) else { return (root.to_owned(), "v1/chat/completions".to_owned()) };
    let prefix = url.path().trim_matches('/');
    let path = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
    (url[..Position::BeforePath].to_owned(), format!("{path}v1/chat/completions"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_behind_a_path_keeps_it() {
        let parts = |host: &str, path: &str| (host.to_owned(), path.to_owned());
        assert_eq!(host_and_path("http://[::1]:8000"), parts("http://[::1]:8000", "v1/chat/completions"));
        assert_eq!(host_and_path("https://h/llm"), parts("https://h", "llm/v1/chat/completions"));
    }
}
