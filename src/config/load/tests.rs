use proptest::prelude::*;

use super::*;
use crate::config::environment::nest;

struct World {
    directory: tempfile::TempDir,
    variables: Vec<(&'static str, String)>,
    flags: Table,
}

impl World {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        World { directory, variables: Vec::new(), flags: Table::new() }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("nexus.toml")
    }

    fn load(&self, text: &str) -> Result<Loaded, LoadError> {
        std::fs::write(self.path(), text).expect("write");
        let lookup =
            |name: &str| self.variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        load(Sources { file: Some(&self.path()), optional: false, lookup: &lookup, flags: self.flags.clone() })
    }

    /// What is wrong with `text`, without the directory.
    fn complaint(&self, text: &str) -> String {
        let complaint = self.load(text).expect_err("a bad configuration").to_string();
        complaint.replace(&format!("{}/", self.directory.path().display()), "")
    }
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let mut world = World::new();
    let port = |world: &World, text| world.load(text).expect("good").config.server.port;
    assert_eq!(port(&world, ""), 8000);
    assert_eq!(port(&world, "server.port = 1"), 1);
    world.variables.push(("NEXUS_PORT", "2".to_owned()));
    assert_eq!(port(&world, "server.port = 1"), 2);
    world.flags = nest("server.port", Value::Integer(3));
    assert_eq!(port(&world, "server.port = 1"), 3);
    let loaded = world.load("server.host = 'h'").expect("good");
    assert_eq!((loaded.config.server.host.as_str(), loaded.config.server.port), ("h", 3), "levels mix key by key");
}

#[test]
fn all_problems_are_told_at_once_with_their_lines() {
    let world = World::new();
    let text = "\
[server]
port = \"http\"
hots = \"x\"
max_body_mb = 0
[routing]
strategy = \"smrt\"
[[routing.policies]]
privacy = \"restricted\"
min_tier = 9
[[backends]]
name = \"a\"
ulr = \"http://h\"
type = \"ollama\"
[[backends]]
name = \"a\"
url = \"http://h\"
type = \"olama\"
tier = 9
zone = \"moon\"
[[backends]]
name = \"c\"
url = \"https://h\"
type = \"openai\"
[mesh]
seeds = [\"x\"]
";
    insta::assert_snapshot!(world.complaint(text));
}

#[test]
fn an_unknown_key_is_a_warning_with_its_neighbour() {
    let world = World::new();
    let loaded = world.load("[routting]\nstrategy = 'smart'\n[server]\nprot = 1\nzebra = 2").expect("good");
    let warnings: Vec<_> = loaded.warnings.iter().map(|line| line.rsplit('/').next().expect("a part")).collect();
    assert_eq!(
        warnings,
        [
            "nexus.toml:1: routting: unknown key, ignored: did you mean `routing`?",
            "nexus.toml:4: server.prot: unknown key, ignored: did you mean `port`?",
            "nexus.toml:5: server.zebra: unknown key, ignored",
        ]
    );
}

#[test]
fn another_version_is_one_clear_error() {
    let complaint = World::new().complaint("version = 2\nserver.port = 'x'");
    assert_eq!(complaint, "nexus.toml: `version = 2` is not known to this program, which reads version 1");
}

#[test]
fn text_that_is_no_toml_is_told_by_line_and_column() {
    let complaint = World::new().complaint("[server]\nport = = 1\n");
    assert!(complaint.starts_with("nexus.toml:2:8: "), "{complaint}");
}

#[test]
fn a_named_file_must_be_there_and_the_default_one_need_not() {
    let missing = PathBuf::from("/nonexistent/nexus.toml");
    let load_it =
        |file: Option<&Path>, lookup: &Lookup<'_>| load(Sources { file, optional: false, lookup, flags: Table::new() });
    assert!(matches!(load_it(Some(&missing), &|_| None), Err(LoadError::Unreadable { .. })));
    let variable = |name: &str| (name == "NEXUS_CONFIG").then(|| "/nonexistent/nexus.toml".to_owned());
    assert!(matches!(load_it(None, &variable), Err(LoadError::Unreadable { .. })));
    assert_eq!(load_it(None, &|_| None).expect("defaults").config.server.port, 8000);
}

#[test]
fn a_problem_names_the_variable_or_the_flag_it_came_from() {
    let mut world = World::new();
    world.variables.push(("NEXUS_MESH_KEY", "short".to_owned()));
    world.flags = nest("server.host", Value::String(" ".to_owned()));
    let complaint = world.complaint("");
    assert!(complaint.contains("NEXUS_MESH_KEY: mesh.key: "), "{complaint}");
    assert!(complaint.contains("command line: server.host: "), "{complaint}");
}

#[test]
fn port_0_is_for_flags_and_not_for_files() {
    let mut world = World::new();
    assert!(world.complaint("server.port = 0").contains("server.port"));
    world.flags = nest("server.port", Value::Integer(0));
    assert_eq!(world.load("").expect("good").config.server.port, 0);
}

#[test]
fn both_names_of_the_budget_are_the_same_section() {
    let world = World::new();
    let loaded = world.load("[routing.budget]\nmonthly_limit = 50.0\nsoft_limit_percent = 80").expect("good");
    let budget = loaded.config.budget.expect("a budget");
    assert_eq!((budget.monthly_limit_usd, budget.soft_limit_percent), (Some(50.0), Some(80.0)));
    assert!(world.complaint("[budget]\n[routing.budget]\n").contains("same section"));
}

#[test]
fn what_has_no_effect_yet_is_named_in_one_line() {
    let text = "queue.max_size = 1\nlifecycle.vram_buffer_percent = 1\n\
                [[backends]]\nname = 'c'\nurl = 'https://h'\ntype = 'anthropic'\napi_key_env = 'K'\n";
    let loaded = World::new().load(text).expect("good");
    assert_eq!(loaded.warnings, ["set, but without effect in this version: lifecycle.vram_buffer_percent"]);
}

#[test]
fn home_and_key_files_are_followed() {
    let mut world = World::new();
    let key = "b".repeat(51) + "a";
    std::fs::write(world.directory.path().join("key"), format!("{key}\n")).expect("write");
    world.variables.push(("HOME", world.directory.path().display().to_string()));
    let config = world.load("data_dir = '~/d'\nmesh.key_file = '~/key'").expect("good").config;
    assert_eq!(Path::new(&config.data_dir), world.directory.path().join("d"));
    assert_eq!(config.mesh.key, key);
    assert!(world.complaint("mesh.key_file = '/nonexistent'").contains("mesh.key_file: cannot read"));
}

#[test]
fn policies_may_be_a_map_in_file_order() {
    let text = "[routing.policies.default]\nfallback_allowed = false\n[routing.policies.\"b-*\"]\nmin_tier = 3\n\
                [routing.policies.\"a-*\"]\nprivacy = \"restricted\"\n";
    let policies = World::new().load(text).expect("good").config.routing.policies;
    let patterns: Vec<_> = policies.iter().map(|policy| policy.model_pattern.as_str()).collect();
    assert_eq!(patterns, ["b-*", "a-*", "*"]);
}

#[test]
fn a_key_has_one_form_however_it_was_written() {
    let keys = ["00".repeat(32), "A".repeat(52), "a".repeat(52)];
    for key in keys {
        assert_eq!(World::new().load(&format!("mesh.key = '{key}'")).expect("good").config.mesh.key, "a".repeat(52));
    }
}

#[test]
fn every_snippet_of_the_guides_is_read() {
    let world = World::new();
    for snippet in include_str!("snippets.toml").split("#---\n") {
        let loaded = world.load(snippet).unwrap_or_else(|error| panic!("{error}\n{snippet}"));
        let unknown: Vec<_> = loaded.warnings.iter().filter(|line| line.contains("unknown")).collect();
        assert!(unknown.is_empty(), "{unknown:?}\n{snippet}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC*", path in "[a-z.\\[\\]\"é]*") {
        let _ = Lines::of(&text).find(&path);
        let _ = World::new().load(&text);
    }

    #[test]
    fn no_value_anywhere_makes_it_panic(
        section in prop::sample::select(vec![
            "server", "discovery", "health_check", "routing", "budget", "mesh", "auth", "logging", "quality", "queue",
            "lifecycle", "fleet", "backends", "version", "data_dir", "other",
        ]),
        key in prop::sample::select(vec![
            "port", "host", "enabled", "policies", "weights", "aliases", "key", "seeds", "name", "url", "type",
            "client_keys", "level", "budget", "component_levels",
        ]),
        value in prop::sample::select(vec![
            "1", "-1", "1.5", "nan", "true", "'x'", "[]", "[1, 'x']", "{}", "{ a = 1 }", "[{}]", "[{ name = 1 }]",
            "1979-05-27", "[[]]",
        ]),
        nested in any::<bool>(),
    ) {
        let text = if nested { format!("{section} = {{ {key} = {value} }}") } else { format!("{section} = {value}") };
        let table: Table = text.parse().expect("well formed");
        let (config, problems, _) = crate::config::repair::deserialise(table);
        prop_assert!(config.is_some(), "what is wrong can be left out: {text}: {problems:?}");
    }
}

#[test]
fn a_node_is_found_by_a_file_that_is_wrong_further_down() {
    let world = World::new();
    for broken in [
        "[server]\nport = 7\n[routing]\nmax_retries = 99\n",
        "[server]\nport = 7\n[mesh]\nx = [\n",
        "server.port = 7\n[x\n",
    ] {
        assert!(world.load(broken).is_err(), "{broken}");
        let sources = Sources { file: Some(&world.path()), optional: false, lookup: &|_| None, flags: Table::new() };
        assert_eq!(whereabouts(&sources).expect("enough").config.server.port, 7, "{broken}");
    }
}
