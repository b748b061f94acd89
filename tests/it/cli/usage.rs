//! What is said of the commands, and of those that are wrong, before anyone is asked.

use insta::assert_snapshot;

use super::Place;

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
