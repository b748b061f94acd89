//! What the commands do where no node answers.

use insta::assert_snapshot;

use super::{Place, scripted};

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
fn what_is_not_nexus_counts_as_nobody() {
    let (place, _) = scripted(&[(404, "<html>"), (404, "{\"detail\":\"Not Found\"}")]);
    assert!(place.run("health").error().contains("is not nexus"));
    assert!(place.run("backends list").ok().stderr.starts_with("Warning: cannot reach nexus"));
}
