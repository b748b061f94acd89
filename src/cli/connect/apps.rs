//! What editors and other graphical tools need, as data.

use serde_json::{Value as Json, json};
use url::{Host, Url};

use super::place::Places;
use super::settings::{File, Format, KEY, NO_KEY, Offer, Settings, Target, quoted};

/// What Zed is told a model can hold where nobody knows: it will not do without a number.
const MODEST_CONTEXT: u64 = 32_768;

/// It runs in a container mostly, from where this machine has another name.
pub(super) fn open_webui(target: &Target) -> Settings {
    let environment = vec![("OPENAI_API_BASE_URL", target.v1()), ("OPENAI_API_KEY", target.key())];
    let key = if target.needs_key { format!("\"${KEY}\"") } else { NO_KEY.to_owned() };
    let url = format!("{}/v1", from_container(&target.url));
    let command = format!(
        "docker run -d -p 3000:8080 --add-host=host.docker.internal:host-gateway -e OPENAI_API_BASE_URL={} \
         -e OPENAI_API_KEY={key} -v open-webui:/app/backend/data --name open-webui --restart always \
         ghcr.io/open-webui/open-webui:main",
        quoted(&url)
    );
    Settings {
        environment,
        no_file: "Open WebUI keeps its settings in its own database, not in a file",
        command: Some(command),
        command_head: Some("Or in a container"),
        notes: vec![
            "These are read at its first start only; later: Admin Panel > Settings > Connections.".to_owned(),
            "A container reaches this peer only if it listens on more than 127.0.0.1 (server.host).".to_owned(),
        ],
        ..Settings::default()
    }
}

/// This machine, as a container calls it.
fn from_container(root: &str) -> String {
    let Ok(mut url) = Url::parse(root) else { return root.to_owned() };
    let is_here = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if is_here && url.set_host(Some("host.docker.internal")).is_err() {
        return root.to_owned();
    }
    url.as_str().trim_end_matches('/').to_owned()
}

/// A key that is not in its `config.yaml` is looked up in `.env` beside it, not in the environment.
pub(super) fn continue_dev(target: &Target, places: &Places) -> Settings {
    let offer = target.offer();
    let key = if target.needs_key { format!("${{{{ secrets.{KEY} }}}}") } else { NO_KEY.to_owned() };
    let mut model = json!({
        "name": "Nexus",
        "provider": "openai",
        "model": target.model,
        "apiBase": target.v1(),
        "apiKey": key,
        "roles": ["chat", "edit", "apply"],
    });
    let capabilities: Vec<&str> = [(offer.tools, "tool_use"), (offer.vision, "image_input")]
        .iter()
        .filter(|(has, _)| *has)
        .map(|(_, name)| *name)
        .collect();
    if !capabilities.is_empty() {
        model["capabilities"] = json!(capabilities);
    }
    let path = places.home(".continue/config.yaml");
    let env = places.home(".continue/.env");
    Settings {
        file: Some(File {
            fresh: json!({ "name": "Local Config", "version": "1.0.0", "schema": "v1" }),
            ..File::new(path, Format::Yaml, json!({ "models": [model] }))
        }),
        notes: target
            .needs_key
            .then(|| format!("Continue looks {KEY} up in {}: write `{KEY}=YOUR_KEY` there.", env.display()))
            .into_iter()
            .collect(),
        ..Settings::default()
    }
}

/// All of it is in the application, and requests come from its makers' servers.
pub(super) fn cursor(target: &Target) -> Settings {
    let key = if target.needs_key { format!("the value of {KEY}") } else { format!("`{NO_KEY}`") };
    Settings {
        no_file: "Cursor keeps these settings in the application",
        steps: vec![
            "Open Cursor Settings > Models > API Keys.".to_owned(),
            format!("OpenAI API Key: {key}; switch it on."),
            format!("Override OpenAI Base URL: {}; switch it on.", target.v1()),
            format!("Add a custom model named {} and choose it in the chat.", target.model),
        ],
        notes: vec![
            "Cursor calls from its own cloud, not from this machine: it needs a URL that is open to the internet, \
             best over https (give it with --url). Set client keys ([[auth.client_keys]]) before you open one."
                .to_owned(),
            "The URL then holds for every OpenAI model in Cursor; tab completion stays with Cursor's own.".to_owned(),
        ],
        ..Settings::default()
    }
}

/// The provider's name gives the variable's: `nexus` is `NEXUS_API_KEY`. Without any key it offers no models.
pub(super) fn zed(target: &Target, places: &Places) -> Settings {
    let patch = json!({
        "agent": { "default_model": { "provider": "nexus", "model": target.model } },
        "language_models": { "openai_compatible": { "nexus": {
            "api_url": target.v1(),
            "available_models": target.models.iter().map(zed_model).collect::<Vec<_>>(),
        } } },
    });
    Settings {
        beside: if target.needs_key { Vec::new() } else { vec![(KEY, NO_KEY.to_owned())] },
        file: Some(File::new(places.config("zed/settings.json"), Format::Json, patch)),
        notes: vec![format!(
            "Zed takes the key from {KEY} as it starts, or from Settings > AI > LLM Providers > nexus."
        )],
        ..Settings::default()
    }
}

fn zed_model(offer: &Offer) -> Json {
    json!({
        "name": offer.id,
        "max_tokens": offer.context.unwrap_or(MODEST_CONTEXT),
        "capabilities": {
            "tools": true,
            "images": offer.vision,
            "parallel_tool_calls": false,
            "prompt_cache_key": false,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_another_name_in_a_container() {
        for (url, inside) in [
            ("http://127.0.0.1:8000", "http://host.docker.internal:8000"),
            ("http://[::1]:8000", "http://host.docker.internal:8000"),
            ("http://localhost:1/llm", "http://host.docker.internal:1/llm"),
            ("http://desk.lan:8000", "http://desk.lan:8000"),
        ] {
            assert_eq!(from_container(url), inside);
        }
    }
}
