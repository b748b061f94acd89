//! The command line of the real binary where no node is needed: words, exit codes, files. A scripted server stands in
//! where an answer is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;

use insta::assert_snapshot;

/// A directory to run in, and nothing of this machine's environment.
struct Place {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
}

/// Nobody listens there.
const NOBODY: &str = "1";

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        Place { directory, variables: vec![("NEXUS_PORT", NOBODY.to_owned())] }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.to_owned()));
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("write");
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).expect("read")
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nexus"));
        command
            .args(line.split_whitespace())
            .current_dir(self.directory.path())
            .env_clear()
            .env("COLUMNS", "100")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    fn run(&self, line: &str) -> Ran {
        Ran::of(&self.command(line).output().expect("the program runs"))
    }
}

#[derive(Debug)]
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        Ran { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:?}");
        self
    }

    /// The error of a run that failed with 1.
    #[track_caller]
    fn error(self) -> String {
        assert_eq!(self.code, Some(1), "{self:?}");
        assert!(self.stdout.is_empty(), "{self:?}");
        self.stderr
    }
}

#[test]
fn version_is_one_line() {
    assert_eq!(Place::new().run("--version").ok().stdout, format!("nexus {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn help_teaches_every_command() {
    for command in [
        "",
        "serve",
        "backends",
        "backends list",
        "backends add",
        "backends remove",
        "backends drain",
        "backends undrain",
        "models",
        "models load",
        "models unload",
        "models migrate",
        "health",
        "connect",
        "config",
        "config init",
        "config reload",
        "aliases",
        "aliases set",
        "fallbacks",
        "fallbacks set",
        "budget",
        "budget set",
        "policies",
        "policies set",
        "log",
        "mesh",
        "mesh status",
        "mesh events",
        "mesh invite",
        "mesh join",
        "mesh drain",
        "mesh undrain",
        "keys",
        "keys add",
        "keys list",
        "keys revoke",
        "demo",
        "synthetic",
        "completions",
    ] {
        let help = Place::new().run(&format!("{command} --help")).ok().stdout;
        let name = format!("help {command}").trim().replace(' ', "-");
        assert_snapshot!(name, help);
    }
}

#[test]
fn usage_errors_exit_2() {
    for line in [
        "",
        "--frobnicate",
        "fly",
        "serve --port http",
        "serve --port 70000",
        "serve --log-level loud",
        "backends",
        "backends add",
        "mesh join",
        "completions tcsh",
        "connect",
        "connect emacs",
        "demo --peers 0",
        "synthetic --slots 0",
        "health --json --format text",
    ] {
        let ran = Place::new().run(line);
        assert_eq!(ran.code, Some(2), "{line}: {ran:?}");
        assert!(line.is_empty() || line == "backends" || ran.stderr.contains("error"), "{line}: {ran:?}");
    }
}

/// A policy that cannot be read never silently does not hold.
#[test]
fn policies_and_zones_that_cannot_be_read_stop_the_start_with_their_place() {
    let place = Place::new();
    let backend = "[[backends]]\nname = 'b'\nurl = 'http://127.0.0.1:1'\n";
    for (text, path) in [
        (
            "[[routing.policies]]\nmodel_pattern = 'ok'\n[[routing.policies]]\nmodel_pattern = 'a['\n",
            "routing.policies[1].model_pattern",
        ),
        ("[[routing.policies]]\nmodel_pattern = ''\n", "routing.policies[0].model_pattern"),
        ("[[routing.policies]]\nmodel_pattern = 'a'\nprivacy = 'secret'\n", "privacy"),
        ("[[routing.policies]]\nmodel_pattern = 'a'\nmin_tier = 6\n", "min_tier"),
        (&format!("{backend}zone = 'nowhere'\n"), "zone"),
        (&format!("{backend}tier = 9\n"), "tier"),
    ] {
        place.write("policy.toml", text);
        let error = place.run("serve -c policy.toml").error();
        assert!(error.contains(path), "{text}: {error}");
    }
}

#[test]
fn a_port_of_the_environment_that_is_none_stops_serve_and_nothing_else() {
    let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
    let place = place.with("NEXUS_PORT", "http");
    let ran = place.run("serve");
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(ran.stderr.contains("error") && ran.stderr.contains("NEXUS_PORT"), "{ran:?}");
    place.run("completions bash").ok();
}

#[test]
fn completions_for_five_shells() {
    for (shell, word) in [
        ("bash", "complete"),
        ("zsh", "compdef"),
        ("fish", "complete"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion"),
    ] {
        let script = Place::new().run(&format!("completions {shell}")).ok().stdout;
        assert!(script.contains(word) && script.contains("nexus"), "{shell}");
    }
}

#[test]
fn config_init_writes_once() {
    let place = Place::new();
    assert_eq!(place.run("config init").ok().stdout, "Configuration file created: nexus.toml\n");
    let text = place.read("nexus.toml");
    for section in ["[server]", "[discovery]", "[health_check]", "[routing]", "[logging]", "strategy = \"smart\""] {
        assert!(text.lines().any(|line| line == section), "{section}");
    }
    let error = place.run("config init --minimal").error();
    assert!(error.starts_with("Error: ") && error.contains("exists"), "{error}");
    assert_eq!(place.read("nexus.toml"), text, "untouched");

    place.run("config init --minimal --force").ok();
    assert!(place.read("nexus.toml").len() < text.len() / 2, "minimal is short");
    place.run("config init -o other.toml").ok();
    assert_ne!(place.read("other.toml"), text, "every file has a key of its own");
    assert_eq!(place.run("backends list").ok().stdout.lines().count(), 4, "what is written can be read");
}

#[cfg(unix)]
#[test]
fn a_file_with_a_key_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    place.run("config init").ok();
    let mode = std::fs::metadata(place.path("nexus.toml")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn config_init_says_where_it_cannot_write() {
    let error = Place::new().run("config init -o nowhere/nexus.toml").error();
    assert!(error.starts_with("Error: cannot write nowhere/nexus.toml: "), "{error}");
}

#[test]
fn a_bad_configuration_is_told_whole() {
    let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
    place.write(
        "bad.toml",
        "[server]\nprot = 1\nport = \"x\"\n[[backends]]\nname = \"bad-openai\"\n\
                             url = \"https://api.openai.com\"\ntype = \"openai\"\n[mesh]\nkey = \"guess\"\n",
    );
    assert_snapshot!(place.run("serve -c bad.toml").error(), @r#"
    Error: the configuration has 4 problems:
      bad.toml:2: server.prot: unknown key, ignored: did you mean `port`?
      bad.toml:3: server.port: found string "x", expected a whole number from 0 to 65535
      bad.toml:4: backends[0]: backend `bad-openai` of type `openai` needs `api_key_env`: the name of the variable that holds its key
      bad.toml:9: mesh.key: the mesh key must be 52 characters of base32 or 64 of hex, as `nexus mesh invite` prints it; this has 5
    "#);
    assert_eq!(place.run("health -c bad.toml").error(), place.run("serve -c bad.toml").error());
}

#[test]
fn files_that_cannot_be_read_are_one_line() {
    let place = Place::new();
    place.write("later.toml", "version = 2\n");
    place.write("text.toml", "hello\n");
    for (line, about) in [
        ("serve -c missing.toml", "cannot read missing.toml"),
        ("serve -c later.toml", "later.toml: `version = 2`"),
        ("serve -c text.toml", "text.toml:1:"),
        ("backends list -c missing.toml", "cannot read missing.toml"),
    ] {
        let error = place.run(line).error();
        assert!(error.starts_with(&format!("Error: {about}")), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let error = Place::new().with("NEXUS_CONFIG", "missing.toml").run("models").error();
    assert!(error.contains("missing.toml"), "{error}");
}

#[test]
fn arguments_are_refused_before_anyone_is_asked() {
    for (line, error) in [
        ("backends list --status fine", "Error: Invalid status: fine. Use: healthy, unhealthy, unknown, draining\n"),
        ("backends add http://h --type gpt", "Error: Unknown backend type: gpt\n"),
        ("backends add http://h --backend-type gpt", "Error: Unknown backend type: gpt\n"),
        ("backends add h:1", "Error: Invalid URL: `h:1` is neither http nor https: use http://host:port\n"),
    ] {
        assert_eq!(Place::new().run(line).error(), error);
    }
}

#[test]
fn without_a_server_what_needs_one_fails() {
    for line in ["health", "health --json", "backends add http://h:1", "backends remove a", "mesh status"] {
        let error = Place::new().run(line).error();
        assert!(error.starts_with("Error: cannot reach nexus at http://127.0.0.1:1"), "{line}: {error}");
    }
}

#[test]
fn without_a_server_lists_come_from_the_file() {
    let place = Place::new();
    place.write("nexus.toml", "[[backends]]\nname = 'a'\nurl = 'http://h:1'\ntype = 'ollama'\n");
    let listed = place.run("backends list").ok();
    assert!(listed.stderr.starts_with("Warning: cannot reach nexus at http://127.0.0.1:1"), "{listed:?}");
    assert_snapshot!(listed.stdout, @r"
    ┌──────┬────────────┬────────┬───────────┬────────┬─────────┬──────────┐
    │ Name │ URL        │ Type   │ Status    │ Models │ Latency │ Source   │
    ├──────┼────────────┼────────┼───────────┼────────┼─────────┼──────────┤
    │ a    │ http://h:1 │ ollama │ ? Unknown │ 0      │ N/A     │ [static] │
    └──────┴────────────┴────────┴───────────┴────────┴─────────┴──────────┘
    ");
    assert_snapshot!(place.run("backends list --json").ok().stdout, @r#"
    {
      "backends": [
        {
          "id": "a",
          "name": "a",
          "url": "http://h:1",
          "backend_type": "ollama",
          "type": "ollama",
          "status": "unknown",
          "models": [],
          "priority": 50,
          "pending_requests": 0,
          "total_requests": 0,
          "avg_latency_ms": null,
          "discovery_source": "static",
          "peer": "self"
        }
      ]
    }
    "#);
    assert_eq!(place.run("backends list -s HEALTHY").ok().stdout.lines().count(), 4, "header only");
    assert_snapshot!(place.run("models").ok().stdout, @r"
    ┌───────┬──────────┬────────────────┐
    │ Model │ Backends │ Context Length │
    ├───────┼──────────┼────────────────┤
    └───────┴──────────┴────────────────┘
    ");
    assert_eq!(place.run("models --json --backend a").ok().stdout, "{\n  \"models\": []\n}\n");
    assert!(place.run("models -b b").code == Some(1));
}

#[test]
fn without_a_server_settings_are_printed_and_not_written() {
    let place = Place::new().with("HOME", "/nowhere");
    let ran = place.run("connect claude").ok();
    assert!(ran.stderr.starts_with("Warning: cannot reach nexus at http://127.0.0.1:1"), "{ran:?}");
    assert!(ran.stdout.contains("export ANTHROPIC_BASE_URL=http://127.0.0.1:1\n"), "{ran:?}");
    assert!(ran.stdout.contains("export ANTHROPIC_MODEL=MODEL\n"), "{ran:?}");
    let error = place.run("connect claude --write").error();
    assert!(error.starts_with("Error: cannot reach nexus at http://127.0.0.1:1"), "{error}");
    assert!(Place::new().run("connect claude").error().contains("HOME is not set"));
}

#[test]
fn an_invitation_is_followed() {
    let (here, there) = (Place::new(), Place::new());
    here.write("nexus.toml", "# mine\n[mesh]\nname = \"home\" # ours\nadvertise = [\"10.0.0.1:8001\"]\n");
    let invited = here.run("mesh invite").ok();
    let token = invited.stdout.trim();
    assert!(token.starts_with("nexus1-") && invited.stdout.lines().count() == 1, "{invited:?}");
    let text = here.read("nexus.toml");
    assert!(text.starts_with("# mine\n[mesh]\nname = \"home\" # ours\n") && text.contains("\nkey = \""), "{text}");
    assert_eq!(here.run("mesh invite").ok().stdout.trim(), token, "the key is made once");

    there.write("nexus.toml", "[server] # here\nport = 9000\n");
    let joined = there.run(&format!("mesh join {token}")).ok();
    assert!(joined.stderr.contains("next start"), "{joined:?}");
    let key = text.lines().find(|line| line.starts_with("key = ")).expect("a key");
    let expected =
        format!("[server] # here\nport = 9000\n\n[mesh]\nname = \"home\"\n{key}\nseeds = [\"10.0.0.1:8001\"]\n");
    assert_eq!(there.read("nexus.toml"), expected);
    there.run(&format!("mesh join {token}")).ok();
    assert_eq!(there.read("nexus.toml"), expected, "twice is once");
}

#[test]
fn an_invitation_makes_a_file_where_there_is_none() {
    let place = Place::new();
    place.run("mesh invite -c new.toml").ok();
    assert!(place.read("new.toml").starts_with("[mesh]\nkey = \""));
    place.run("mesh join desk -c other.toml").ok();
    assert_eq!(place.read("other.toml"), "[mesh]\nseeds = [\"desk:8001\"]\n");
}

#[test]
fn a_broken_token_is_refused_and_nothing_written() {
    let place = Place::new();
    for token in ["nexus1-eyJuIjoi", "nexus2-eyJuIjoi", "http://desk:8001"] {
        let error = place.run(&format!("mesh join {token}")).error();
        assert!(error.starts_with("Error: "), "{error}");
        assert!(!place.path("nexus.toml").exists());
    }
}

/// Answers each request in turn with the next of `answers`; hands back what was asked.
fn scripted(answers: &'static [(u16, &'static str)]) -> (Place, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let (asked, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for (status, body) in answers {
            let Ok((mut stream, _)) = listener.accept() else { return };
            let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
            let mut head = String::new();
            while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
            let length = head.to_ascii_lowercase();
            let length = length.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            let mut content = vec![0; length.unwrap_or(0)];
            reader.read_exact(&mut content).expect("a body");
            let _ = asked.send(head + &String::from_utf8_lossy(&content));
            write!(stream, "HTTP/1.1 {status} S\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
                .expect("answer");
            let _ = stream.shutdown(Shutdown::Write);
        }
    });
    let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
    (place.with("NEXUS_PORT", &port.to_string()), receiver)
}

const BACKENDS: &str = r#"{"backends":[
    {"id":"a","name":"a","url":"http://h:1","type":"ollama","backend_type":"ollama","status":"healthy","models":[
        {"id":"m","name":"m","context_length":8192,"supports_vision":false,"supports_tools":true,
         "supports_json_mode":true,"max_output_tokens":null}],"priority":1,"pending_requests":0,"total_requests":42,
     "avg_latency_ms":12,"discovery_source":"static","peer":"self","last_check_seconds_ago":2,"zone":"restricted"},
    {"id":"b","name":"b","url":"","type":"vllm","backend_type":"vllm","status":"unhealthy","models":[],"priority":50,
     "pending_requests":0,"total_requests":0,"avg_latency_ms":null,"discovery_source":"mdns","peer":"attic"}]}"#;

#[test]
fn a_running_peer_is_listed() {
    let (place, _) = scripted(&[(200, BACKENDS), (200, BACKENDS), (200, BACKENDS), (200, BACKENDS), (200, BACKENDS)]);
    assert_snapshot!(place.run("backends list").ok().stdout, @r"
    ┌──────┬────────────┬────────┬─────────────┬────────┬─────────┬──────────────┐
    │ Name │ URL        │ Type   │ Status      │ Models │ Latency │ Source       │
    ├──────┼────────────┼────────┼─────────────┼────────┼─────────┼──────────────┤
    │ a    │ http://h:1 │ ollama │ ✓ Healthy   │ 1      │ 12ms    │ [static]     │
    │ b    │            │ vllm   │ ✗ Unhealthy │ 0      │ N/A     │ [peer:attic] │
    └──────┴────────────┴────────┴─────────────┴────────┴─────────┴──────────────┘
    ");
    let json = place.run("backends list --json --status unhealthy").ok().stdout;
    assert!(json.contains("\"id\": \"b\"") && !json.contains("\"id\": \"a\""), "{json}");
    assert_snapshot!(place.run("models").ok().stdout, @r"
    ┌───────┬──────────┬────────────────┐
    │ Model │ Backends │ Context Length │
    ├───────┼──────────┼────────────────┤
    │ m     │ a        │ 8192           │
    └───────┴──────────┴────────────────┘
    ");
    assert_snapshot!(place.run("models --json -b a").ok().stdout, @r#"
    {
      "models": [
        {
          "id": "m",
          "backends": [
            "a"
          ],
          "context_length": 8192,
          "supports_vision": false,
          "supports_tools": true,
          "supports_json_mode": true
        }
      ]
    }
    "#);
    assert_eq!(place.run("models -b c").error(), "Error: Backend not found: c\n");
}

#[test]
fn a_backend_is_added_and_removed() {
    let added = r#"{"backend":{"id":"gpu","name":"gpu","url":"http://h:1","type":"vllm","status":"unknown"}}"#;
    let taken =
        r#"{"error":{"message":"a backend named `gpu` exists already","type":"x","param":null,"code":"conflict"}}"#;
    let gone = r#"{"error":{"message":"no","type":"x","param":null,"code":"not_found"}}"#;
    let (place, asked) =
        scripted(Box::leak(Box::new([(201, added), (409, taken), (200, r#"{"removed":"gpu"}"#), (404, gone)])));
    let place = place.with("NEXUS_ADMIN_TOKEN", "secret");
    let ran = place.run("backends add http://h:1/v1 -n gpu -t llama.cpp -p -3").ok();
    assert_eq!(ran.stdout, "Added backend 'gpu' (gpu) as vllm\n");
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("POST /nexus/v1/backends HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer secret\r\n"), "{request}");
    assert!(request.ends_with(r#"{"url":"http://h:1/v1","priority":0,"name":"gpu","type":"llamacpp"}"#), "{request}");
    assert_eq!(place.run("backends add http://h:1").error(), "Error: a backend named `gpu` exists already\n");
    assert_eq!(place.run("backends remove gpu").ok().stdout, "Removed backend: gpu\n");
    assert_eq!(place.run("backends remove g/pu").error(), "Error: backend not found: g/pu\n");
    assert!(asked.iter().nth(2).is_some_and(|request| request.starts_with("DELETE /nexus/v1/backends/g%2Fpu ")));
}

#[test]
fn a_key_is_alone_on_stdout_and_everything_else_is_told_beside_it() {
    let made = r#"{"id":"k1","name":"laptop","key":"nxk_secret","state":"active","notes":["From now on."]}"#;
    let taken =
        r#"{"error":{"message":"a key named `laptop` exists already","type":"x","param":null,"code":"conflict"}}"#;
    let listed = r#"{"keys":[{"id":"k1","name":"laptop","models":null,"requests_per_minute":60,"made_at":1700000000,
        "made_by":"attic","state":"revoked","revoked_at":1700000001}],"open":false,"notes":["No key is good."]}"#;
    let revoked = r#"{"revoked":[{"id":"k1","name":"la top"}],"notes":[]}"#;
    let (place, asked) = scripted(Box::leak(Box::new([
        (201, made),
        (409, taken),
        (201, made),
        (200, listed),
        (200, listed),
        (200, revoked),
        (200, revoked),
    ])));
    let ran = place.run("keys add laptop --models llama*,qwen* --monthly-limit-usd 5 --requests-per-minute 60").ok();
    assert_eq!(ran.stdout, "nxk_secret\n");
    assert!(
        ran.stderr.contains("shown once; kept only as a hash") && ran.stderr.contains("From now on."),
        "{}",
        ran.stderr
    );
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("POST /nexus/v1/keys HTTP/1.1\r\n"), "{request}");
    let wish = r#"{"name":"laptop","models":["llama*","qwen*"],"monthly_limit_usd":5.0,"requests_per_minute":60,"tokens_per_minute":null}"#;
    assert!(request.ends_with(wish), "{request}");
    assert_eq!(place.run("keys add laptop").error(), "Error: a key named `laptop` exists already\n");
    let json: serde_json::Value = serde_json::from_str(&place.run("keys add laptop --json").ok().stdout).expect("JSON");
    assert_eq!(json["key"], "nxk_secret");
    let ran = place.run("keys list").ok();
    assert_snapshot!(ran.stdout, @r"
    ┌────────┬────────┬────────────┬────────────┬───────┬─────────┐
    │ Name   │ Models │ Limits     │ Made       │ By    │ State   │
    ├────────┼────────┼────────────┼────────────┼───────┼─────────┤
    │ laptop │ all    │ 60 req/min │ 2023-11-14 │ attic │ revoked │
    └────────┴────────┴────────────┴────────────┴───────┴─────────┘
    ");
    assert_eq!(ran.stderr, "No key is good.\n");
    let json: serde_json::Value = serde_json::from_str(&place.run("keys list --json").ok().stdout).expect("JSON");
    assert_eq!(json["keys"][0]["state"], "revoked");
    assert_eq!(place.run("keys revoke la/top").ok().stdout, "Revoked key: la top (k1)\n");
    assert!(place.run("keys revoke laptop --json").ok().stdout.contains("\"revoked\""));
    assert!(asked.iter().any(|request| request.starts_with("DELETE /nexus/v1/keys/la%2Ftop ")));
}

#[test]
fn limits_of_a_key_that_are_none_are_refused_before_anyone_is_asked() {
    for wrong in [
        "--monthly-limit-usd nan",
        "--monthly-limit-usd inf",
        "--monthly-limit-usd -1",
        "--monthly-limit-usd 0",
        "--requests-per-minute 0",
        "--tokens-per-minute 0",
    ] {
        let ran = Place::new().run(&format!("keys add laptop {wrong}"));
        assert_eq!(ran.code, Some(2), "{wrong}: {}", ran.stderr);
    }
    assert!(Place::new().with("NEXUS_PORT", "1").run("keys add laptop").error().contains("cannot reach nexus at"));
}

#[test]
fn health_reads_the_running_peer() {
    let health = r#"{"status":"healthy","uptime_seconds":61,"backends":{"total":1,"healthy":1,"unhealthy":0},"models":1,
        "version":"0.1.0","mesh":{}}"#;
    let answers = Box::leak(Box::new([(200, health), (200, BACKENDS), (200, health), (200, BACKENDS)]));
    let (place, _) = scripted(answers);
    assert_snapshot!(place.run("health").ok().stdout, @r"
    System Health: Healthy
    Version: 0.1.0
    Uptime: 1m 1s
    Backends: 1/1 healthy
    Models: 1 available

    Backends:
      ✓ a (Healthy)
        Last check: 2s ago
        Response time: 12ms
    ");
    let json = place.run("health --format json").ok().stdout;
    assert!(json.contains("\"models\": {\n    \"total\": 1\n  }"), "{json}");
}

#[test]
fn what_is_not_nexus_counts_as_nobody() {
    let (place, _) = scripted(&[(404, "<html>"), (404, "{\"detail\":\"Not Found\"}")]);
    assert!(place.run("health").error().contains("is not nexus"));
    assert!(place.run("backends list").ok().stderr.starts_with("Warning: cannot reach nexus"));
}

#[test]
fn a_running_peer_takes_up_what_was_joined() {
    let (place, asked) = scripted(&[(200, "{}")]);
    let joined = place.run("mesh join desk:1").ok();
    assert!(joined.stderr.contains("has taken it up"), "{joined:?}");
    let request = asked.recv().expect("asked");
    assert!(request.starts_with("POST /nexus/v1/mesh/join ") && request.contains(r#""seeds":["desk:1"]"#), "{request}");
}

#[test]
fn the_example_file_can_be_read() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("nexus.example.toml");
    let place = Place::new();
    std::fs::copy(example, place.path("nexus.toml")).expect("copy");
    place.run("backends list").ok();
}

/// A node that meets nobody.
const ALONE: &str = "serve --host 127.0.0.1 --data-dir data --no-discovery";

#[test]
fn a_port_that_is_taken_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("bound");
    let place = Place::new().with("NEXUS_MESH", "off");
    let error = place.run(&format!("{ALONE} -p {}", address.port())).error();
    let lines: Vec<_> = error.lines().filter(|line| line.starts_with("Error: ")).collect();
    assert!(lines.len() == 1 && lines[0].contains(&address.to_string()), "{error}");
}

#[cfg(unix)]
#[test]
fn serve_ends_well_when_asked_to() {
    for signal in ["-TERM", "-INT"] {
        let place = Place::new().with("NEXUS_MESH", "off");
        let mut serve = place.command(&format!("{ALONE} -p 0")).stderr(Stdio::piped()).spawn().expect("it runs");
        let stderr = BufReader::new(serve.stderr.take().expect("piped"));
        let mut lines = stderr.lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("127.0.0.1:")), "it says where it listens");
        let id = serve.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
        lines.for_each(drop);
        assert_eq!(serve.wait().expect("it ends").code(), Some(0), "{signal}");
    }
}

#[test]
fn events_are_a_line_each_until_the_peer_goes() {
    const STREAM: &str = ": events\n\nid: 1-1\ndata: {\"at\":\"2026-11-21T06:00:00Z\",\"kind\":\"peer_joined\",\
                          \"message\":\"Peer 'attic' joined the mesh\"}\n\n";
    let (place, asked) = scripted(&[(200, STREAM), (200, STREAM)]);
    let ran = place.run("mesh events --last 3");
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (Some(1), "2026-11-21 06:00:00  peer_joined         Peer 'attic' joined the mesh\n")
    );
    assert!(ran.stderr.contains("has stopped"), "{ran:?}");
    assert!(asked.recv().is_ok_and(|head| head.starts_with("GET /nexus/v1/events?follow=true&limit=3 ")));
    let json = place.run("mesh events --json").stdout;
    assert_eq!(json.lines().count(), 1);
    assert!(json.starts_with("{\"at\":"), "{json}");
}

#[cfg(unix)]
#[test]
fn following_ends_well_when_asked_to() {
    let place = Place::new().with("NEXUS_MESH", "off");
    let mut serve = place.command(&format!("{ALONE} -p 0")).stderr(Stdio::piped()).spawn().expect("it runs");
    let stderr = BufReader::new(serve.stderr.take().expect("piped"));
    let mut lines = stderr.lines().map_while(Result::ok);
    let at = |line: &String| {
        line.split("127.0.0.1:").nth(1).map(|rest| rest.chars().take_while(char::is_ascii_digit).collect())
    };
    let port: String = lines.find_map(|line| at(&line)).expect("it says where it listens");
    let kill = |child: &std::process::Child, signal: &str| {
        let id = child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
    };
    let follow = |end: &dyn Fn(&std::process::Child)| {
        let place = Place { directory: tempfile::tempdir().expect("a directory"), variables: Vec::new() };
        let place = place.with("NEXUS_PORT", &port);
        let mut follow = place.command("mesh events --json --last 256");
        let mut follow = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
        let mut stdout = BufReader::new(follow.stdout.take().expect("piped"));
        let mut first = String::new();
        stdout.read_line(&mut first).expect("an event");
        assert!(first.contains("backend_added"), "{first}");
        end(&follow);
        Ran::of(&follow.wait_with_output().expect("it ends"))
    };
    let mut added = place.command("backends add http://127.0.0.1:1 --name x --type generic");
    let added = added.env("NEXUS_PORT", &port).output().expect("it runs");
    assert!(added.status.success(), "{added:?}");
    assert_eq!(follow(&|follow| kill(follow, "-INT")).code, Some(0));
    let ran = follow(&|_| kill(&serve, "-TERM"));
    assert!(ran.code == Some(1) && ran.stderr.contains("has stopped"), "{ran:?}");
    lines.for_each(drop);
    assert_eq!(serve.wait().expect("it ends").code(), Some(0));
}

/// A directory called `~` was once made where the program stood.
#[test]
fn without_a_home_no_data_directory_is_made_up() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let place = Place::new();
    let error = place.run(&format!("serve --host 127.0.0.1 --no-discovery -p {port}")).error();
    assert!(error.contains("data_dir") && error.contains("NEXUS_DATA_DIR"), "{error}");
    assert!(!place.path("~").exists());
}

#[test]
fn a_node_without_a_mesh_says_so() {
    const OFF: &str = r#"{"mesh":null,"self":null,"peers":[],"budget":null,"warnings":[]}"#;
    let (place, _) = scripted(&[(200, OFF), (200, OFF)]);
    assert!(place.run("mesh status").ok().stdout.contains("mesh.enabled = true"));
    assert!(place.run("mesh status --json").ok().stdout.contains("\"mesh\": null"));
}
