//! The shape of the house, checked: who may import whom, what every file opens with, how long one gets, and where the
//! kinds of backends are told apart. It reads words, not types; what the compiler checks is left to it.

#[path = "floors/rules.rs"]
mod rules;
#[path = "floors/source.rs"]
mod source;

use source::Source;

/// Every file of the project's source that goes into the program.
fn project() -> Vec<Source> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &root, &mut files);
    assert!(files.len() > 50, "the tree is there");
    source::without_tests(files)
}

fn collect(root: &std::path::Path, folder: &std::path::Path, files: &mut Vec<(String, String)>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(root, &path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).expect("below the root").to_str().expect("text").replace('\\', "/");
            files.push((name, std::fs::read_to_string(&path).expect("text")));
        }
    }
}

/// A tree in memory.
fn tree(files: &[(&str, &str)]) -> Vec<Source> {
    source::without_tests(files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn imports_go_downward() {
    assert_eq!(rules::imports(&project()), Vec::<String>::new());
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_eq!(rules::openings(&project()), Vec::<String>::new());
}

#[test]
fn no_file_is_long() {
    assert_eq!(rules::lengths(&project()), Vec::<String>::new());
}

#[test]
fn kinds_of_backends_are_told_apart_in_one_place() {
    assert_eq!(rules::kinds(&project()), Vec::<String>::new());
}

#[test]
fn an_upward_import_is_found_however_it_is_written() {
    for text in [
        "use crate::gateway::Gateway;",
        "use crate::{env::Env, gateway::{self, Gateway}};",
        "fn f() { crate::gateway::handle() }",
        "pub(in crate::gateway) fn f() {}",
        "use super::super::gateway;",
        "use crate::\n    /* not */ gateway as g;",
    ] {
        let found = rules::imports(&tree(&[("route/plan.rs", text)]));
        assert_eq!(found, ["route/plan.rs: route (floor 1) names gateway (floor 4)"], "{text}");
    }
}

#[test]
fn siblings_of_the_lower_floors_do_not_know_each_other() {
    let sibling = |name: &str, text: &str| rules::imports(&tree(&[(name, text)])).len();
    assert_eq!(sibling("mesh/mod.rs", "use crate::discovery::X;"), 1);
    assert_eq!(sibling("backend/mod.rs", "use crate::registry::X;"), 1);
    assert_eq!(sibling("route/mod.rs", "use crate::dialect::X;"), 1);
    assert_eq!(sibling("exchange.rs", "use crate::fleet::X;"), 0, "the lowest floor is one");
    assert_eq!(sibling("node.rs", "use crate::config::X;"), 0, "so is the highest");
    assert_eq!(sibling("mesh/view.rs", "use crate::mesh::X; use super::peers;"), 0, "its own");
}

#[test]
fn a_module_without_a_floor_is_found() {
    let found = rules::imports(&tree(&[("utils.rs", ""), ("api/mod.rs", "use crate::helpers::x;")]));
    assert_eq!(found, ["utils.rs: utils stands on no floor", "api/mod.rs: helpers stands on no floor"]);
}

#[test]
fn tests_and_words_may_name_anything() {
    for text in [
        "// use crate::gateway;\n/* crate::node /* nested */ crate::cli */",
        "/// See [`crate::gateway`].\nfn f<'a>(x: &'a str) -> char { '\"' }",
        "const TEXT: &str = \"crate::gateway \\\" crate::node\"; const RAW: &str = r#\"crate::gateway \" crate::node\"#;",
        "#[cfg(test)]\nmod tests { use crate::gateway; fn f() { if true {} } }",
        "#[cfg(test)]\nuse crate::gateway::Gateway;\nfn g() {}",
    ] {
        assert_eq!(rules::imports(&tree(&[("route/mod.rs", text)])), Vec::<String>::new(), "{text}");
    }
    let apart = [
        ("route/mod.rs", "#[cfg(test)]\nmod tests;\n#[cfg(test)]\nmod testing;\nmod plan;"),
        ("route/tests.rs", "use crate::gateway;"),
        ("route/tests/more.rs", "use crate::gateway;"),
        ("route/testing.rs", "use crate::gateway;"),
    ];
    assert_eq!(rules::imports(&tree(&apart)), Vec::<String>::new());
    let after = "#[cfg(test)]\nmod tests { }\nuse crate::gateway;";
    assert_eq!(rules::imports(&tree(&[("route/mod.rs", after)])).len(), 1, "what follows the tests counts");
}

#[test]
fn a_file_that_says_nothing_is_found() {
    assert_eq!(rules::openings(&tree(&[("a.rs", "//! For this."), ("b.rs", "use x;")])), ["b.rs: opens without `//!`"]);
}

#[test]
fn a_long_file_is_found_and_its_tests_do_not_count() {
    let long = "fn f() {}\n".repeat(501);
    assert_eq!(rules::lengths(&tree(&[("a.rs", &long)])), ["a.rs: 501 lines"]);
    let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert_eq!(rules::lengths(&tree(&[("a.rs", &tested)])), Vec::<String>::new());
}

#[test]
fn a_decision_by_kind_is_found() {
    for text in [
        "match kind { Kind::Ollama => 1, _ => 2 }",
        "match kind { fleet::Kind::Vllm | _ => 2 }",
        "matches!(kind, Kind::Exo)",
        "if kind == Kind::Google {}",
        "if Kind::Google != kind {}",
        "if let Kind::OpenAi = kind {}",
    ] {
        assert_eq!(rules::kinds(&tree(&[("api/x.rs", text)])), ["api/x.rs: decides by a backend's kind"], "{text}");
        assert_eq!(rules::kinds(&tree(&[("backend/x.rs", text)])), Vec::<String>::new());
    }
    let made = "let kind = Kind::Generic; match found { None => Kind::Generic, Some(kind) => kind }; f(Kind::Ollama)";
    assert_eq!(rules::kinds(&tree(&[("api/x.rs", made)])), Vec::<String>::new(), "naming one is no decision");
}
