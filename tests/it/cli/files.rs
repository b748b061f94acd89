//! Files that are written, and files that cannot be read.

use std::path::Path;

use insta::assert_snapshot;

use super::Place;

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
fn the_example_file_can_be_read() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("nexus.example.toml");
    let place = Place::new();
    std::fs::copy(example, place.path("nexus.toml")).expect("copy");
    place.run("backends list").ok();
}
