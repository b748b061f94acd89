use std::fs;
use std::path::Path;

use clap::ValueEnum;
use serde_json::Value as Json;

use super::settings::{Offer, Settings};
use super::*;

fn places(home: &Path) -> Places {
    let home = home.display().to_string();
    Places::new(&|name| (name == "HOME").then(|| home.clone())).expect("a home")
}

fn target(needs_key: bool) -> Target {
    let offer = |id: &str, context, vision| Offer { id: id.to_owned(), context, vision, tools: true, embeds: false };
    Target {
        url: "http://127.0.0.1:8000".to_owned(),
        needs_key,
        models: vec![offer("llava:7b", None, true), offer("qwen3:8b", Some(40_960), false)],
        model: "qwen3:8b".to_owned(),
    }
}

fn planned(settings: &Settings) -> Option<Planned> {
    settings.file.as_ref().map(|file| Planned::new(file).expect("a plan"))
}

/// As it is printed, with a home that is the same everywhere.
fn printed(tool: Tool, needs_key: bool) -> String {
    let settings = tools::settings(tool, &target(needs_key), &places(Path::new("/home/me")));
    settings.as_text(planned(&settings).as_ref(), None)
}

#[test]
fn every_tool_has_settings() {
    for tool in Tool::value_variants() {
        insta::assert_snapshot!(tool.name(), printed(*tool, false));
    }
}

#[test]
fn a_key_is_named_and_never_written() {
    for tool in Tool::value_variants() {
        let text = printed(*tool, true);
        assert!(text.contains("NEXUS_API_KEY"), "{text}");
        insta::assert_snapshot!(format!("{}-with-key", tool.name()), text);
    }
}

#[test]
fn json_is_for_programs() {
    let settings = tools::settings(Tool::Codex, &target(false), &places(Path::new("/home/me")));
    let view = settings.as_json("codex", &target(false), planned(&settings).as_ref(), None);
    insta::assert_snapshot!(serde_json::to_string_pretty(&view).expect("JSON"));
}

/// A server that says the same to everybody, for as long as the test runs.
fn node(status: &'static str, body: &'static str) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let (mut request, mut buffer) = (Vec::new(), [0; 1024]);
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                match stream.read(&mut buffer) {
                    Ok(0) | Err(_) => break,
                    Ok(length) => request.extend_from_slice(&buffer[..length]),
                }
            }
            let is_list = request.starts_with(b"GET /v1/models HTTP");
            let missing = "{\"error\":{\"message\":\"Model 'x' not found. Available: a, m\"}}";
            let (status, body) = if is_list { (status, body) } else { ("404 Not Found", missing) };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            // A client that is gone has seen enough.
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
    });
    port
}

/// What `nexus connect LINE` answers where the configuration names `port`.
async fn answer(line: &str, port: u16, home: &Path, key: Option<&str>) -> anyhow::Result<String> {
    use clap::Parser;
    let file = home.join("nexus.toml");
    fs::write(&file, format!("server.port = {port}\n")).expect("write");
    let words = ["nexus", "connect"].into_iter().chain(line.split(' ')).map(str::to_owned);
    let words = words.chain(["-c".to_owned(), file.display().to_string()]);
    let cli = crate::cli::Cli::try_parse_from(words).expect("a command");
    let crate::cli::Command::Connect(connect) = cli.command else { panic!("another command") };
    let lookup = |name: &str| match name {
        "HOME" => Some(home.display().to_string()),
        "NEXUS_API_KEY" => key.map(str::to_owned),
        _ => None,
    };
    connect.answer(&lookup).await
}

const MODELS: &str = r#"{"object":"list","data":[{"id":"a","capabilities":{"tools":false}},
    {"id":"m","context_length":8192,"capabilities":{"vision":false,"tools":true,"json_mode":false}}]}"#;

#[tokio::test]
async fn a_running_node_says_what_it_has() {
    let home = tempfile::tempdir().expect("a directory");
    let port = node("200 OK", MODELS);
    let answer = |line: &'static str, key| answer(line, port, home.path(), key);
    let text = answer("claude", None).await.expect("settings");
    assert!(text.contains(&format!("ANTHROPIC_BASE_URL=http://127.0.0.1:{port}\n")), "{text}");
    assert!(text.contains("ANTHROPIC_MODEL=m\n") && text.contains("ANTHROPIC_AUTH_TOKEN=nexus\n"), "{text}");
    let text = answer("aider --model a", Some("secret")).await.expect("settings");
    assert!(text.contains("openai/a") && text.contains("\"$NEXUS_API_KEY\"") && !text.contains("secret"), "{text}");
    let error = answer("aider --model x", None).await.expect_err("no such model").to_string();
    assert_eq!(error, "Model 'x' not found. Available: a, m");
    let text = answer("codex --write --json", None).await.expect("settings");
    let view: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!(view["files"][0]["changed"][0], "model");
    assert!(fs::read_to_string(home.path().join(".codex/config.toml")).expect("there").starts_with("model = \"m\"\n"));
    let text = answer("cursor --write", None).await.expect("settings");
    assert!(text.starts_with("By hand:\n"), "{text}");
}

#[tokio::test]
async fn without_a_node_settings_are_printed_and_never_written() {
    let home = tempfile::tempdir().expect("a directory");
    let text = answer("claude", 1, home.path(), None).await.expect("settings");
    assert!(text.contains("=http://127.0.0.1:1\n") && text.contains("ANTHROPIC_MODEL=MODEL\n"), "{text}");
    let text = answer("claude --model m --url 127.0.0.1:1/v1", 2, home.path(), Some("nexus")).await.expect("settings");
    assert!(text.contains("=http://127.0.0.1:1\n") && text.contains("ANTHROPIC_MODEL=m\n"), "{text}");
    assert!(text.contains("ANTHROPIC_AUTH_TOKEN=nexus\n"), "{text}");
    let error = answer("claude --write", 1, home.path(), None).await.expect_err("nobody").to_string();
    assert!(
        error.starts_with("cannot reach nexus at http://127.0.0.1:1 (") && error.ends_with("): nothing is written"),
        "{error}"
    );
    assert!(!home.path().join(".claude").exists());
    let strict = node("401 Unauthorized", r#"{"error":{"message":"This node asks for a key."}}"#);
    let text = answer("claude", strict, home.path(), None).await.expect("settings");
    assert!(text.contains("ANTHROPIC_AUTH_TOKEN=\"$NEXUS_API_KEY\"\n"), "{text}");
}

/// Writes settings below `home`.
fn write(tool: Tool, home: &Path, needs_key: bool) -> anyhow::Result<String> {
    let settings = tools::settings(tool, &target(needs_key), &places(home));
    let planned = Planned::new(settings.file.as_ref().expect("a file"))?;
    let written = planned.put_in_place()?;
    Ok(settings.as_text(Some(&planned), Some(&written)).replace(&home.display().to_string(), "~"))
}

const WITH_FILES: [(Tool, &str); 7] = [
    (Tool::Claude, ".claude/settings.json"),
    (Tool::Codex, ".codex/config.toml"),
    (Tool::OpenCode, ".config/opencode/opencode.json"),
    (Tool::Aider, ".aider.conf.yml"),
    (Tool::Continue, ".continue/config.yaml"),
    (Tool::Zed, ".config/zed/settings.json"),
    (Tool::Goose, ".config/goose/config.yaml"),
];

#[test]
fn writing_twice_is_writing_once() {
    for (tool, file) in WITH_FILES {
        let home = tempfile::tempdir().expect("a directory");
        let path = home.path().join(file);
        let text = write(tool, home.path(), false).expect("written");
        assert!(text.starts_with(&format!("Created ~/{file}:\n")), "{text}");
        let once = fs::read_to_string(&path).expect("there");
        let again = write(tool, home.path(), false).expect("written");
        assert!(again.starts_with(&format!("Nothing to change in ~/{file}.\n")), "{again}");
        assert_eq!(fs::read_to_string(&path).expect("there"), once);
        write(tool, home.path(), true).expect("written");
        write(tool, home.path(), false).expect("written");
        let back = fs::read_to_string(&path).expect("there");
        assert_eq!(sorted(&back), sorted(&once), "a key comes and goes without a trace");
    }
}

/// The lines in any order, because what comes back may come back elsewhere.
fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().map(|line| line.trim_end_matches(',')).collect();
    lines.sort_unstable();
    lines
}

fn write_over(tool: Tool, file: &str, before: &str) -> (String, String) {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    fs::write(&path, before).expect("write");
    let said = write(tool, home.path(), false).expect("written");
    assert_eq!(fs::read_to_string(home.path().join(format!("{file}.bak"))).expect("a copy"), before);
    (said, fs::read_to_string(path).expect("there"))
}

#[test]
fn what_is_there_stays() {
    let before =
        "{\n  \"permissions\": {\"allow\": []},\n  \"env\": {\"OTHER\": \"1\", \"ANTHROPIC_MODEL\": \"old\"}\n}\n";
    let (said, after) = write_over(Tool::Claude, ".claude/settings.json", before);
    insta::assert_snapshot!("claude-written", format!("{said}---\n{after}"));
    let before = "# mine\nmodel = \"old\" # why\n\n[mcp_servers.a]\ncommand = \"x\"\n";
    let (said, after) = write_over(Tool::Codex, ".codex/config.toml", before);
    insta::assert_snapshot!("codex-written", format!("{said}---\n{after}"));
    let before = "# mine\nGOOSE_PROVIDER: anthropic # why\nextensions:\n  developer:\n    enabled: true\n";
    let (said, after) = write_over(Tool::Goose, ".config/goose/config.yaml", before);
    insta::assert_snapshot!("goose-written", format!("{said}---\n{after}"));
    let before = "name: Mine\nversion: 0.0.1\nschema: v1\nmodels:\n  - name: other # mine\n    provider: ollama\n";
    let (said, after) = write_over(Tool::Continue, ".continue/config.yaml", before);
    insta::assert_snapshot!("continue-written", format!("{said}---\n{after}"));
}

#[test]
fn a_file_in_a_later_form_gets_the_later_form() {
    let before = "{\"providers\": {\"local\": {}}}";
    let (_, after) = write_over(Tool::OpenCode, ".config/opencode/opencode.jsonc", before);
    let after: Json = serde_json::from_str(&after).expect("JSON");
    assert_eq!(after["providers"]["nexus"]["package"], "aisdk:@ai-sdk/openai-compatible");
    assert!(after.get("provider").is_none() && after["providers"].get("local").is_some(), "{after}");
    let before = "active_provider: anthropic\nproviders:\n  anthropic:\n    enabled: true\n    model: c\n";
    let (_, after) = write_over(Tool::Goose, ".config/goose/config.yaml", before);
    insta::assert_snapshot!("goose-later-written", after);
}

#[test]
fn a_file_with_comments_is_left_alone() {
    let home = tempfile::tempdir().expect("a directory");
    let path = home.path().join(".config/zed/settings.json");
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    let before = "// Zed settings\n{\n  \"theme\": \"One\",\n}\n";
    fs::write(&path, before).expect("write");
    let error = write(Tool::Zed, home.path(), false).expect_err("refused").to_string();
    assert!(error.contains("is left as it is: it has comments or is no plain JSON"), "{error}");
    assert!(error.contains("Add this by hand:\n\n{\n") && error.contains("\"api_url\""), "{error}");
    assert_eq!(fs::read_to_string(&path).expect("there"), before);
    assert_eq!(fs::read_dir(path.parent().expect("a parent")).expect("list").count(), 1, "no copy, nothing beside it");
}

#[cfg(unix)]
#[test]
fn permissions_and_the_first_copy_stay() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().expect("a directory");
    let (path, copy) = (home.path().join(".aider.conf.yml"), home.path().join(".aider.conf.yml.bak"));
    fs::write(&path, "model: first\n").expect("write");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("chmod");
    write(Tool::Aider, home.path(), false).expect("written");
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
    fs::write(&path, "model: second\n").expect("write");
    write(Tool::Aider, home.path(), false).expect("written");
    assert_eq!(fs::read_to_string(&copy).expect("a copy"), "model: first\n");
}

#[test]
fn an_address_is_the_root_of_a_node() {
    for (text, url) in [
        ("desk:8000", "http://desk:8000"),
        ("http://desk:8000/v1/", "http://desk:8000"),
        ("https://h/llm/", "https://h/llm"),
        ("[::1]:8000", "http://[::1]:8000"),
    ] {
        assert_eq!(root(text).expect("an address"), url);
    }
    for text in ["", "ftp://h", "http://h/?a=b", "http://me:secret@h", "a b"] {
        assert!(root(text).is_err(), "{text}");
    }
}

#[test]
fn a_tool_that_nobody_knows_is_a_usage_error() {
    use clap::Parser;
    let error = crate::cli::Cli::try_parse_from(["nexus", "connect", "emacs"]).expect_err("no such tool");
    assert_eq!(error.exit_code(), 2);
    let text = error.to_string();
    for tool in Tool::value_variants() {
        assert!(text.contains(&tool.name()), "{text}");
    }
}
