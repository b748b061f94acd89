use serde_json::json;

use super::*;

fn twice(before: &str, patch: &Json) -> String {
    let once = apply(before, patch).expect("simple YAML");
    assert!(!once.changed.is_empty());
    assert_eq!(apply(&once.text, patch).expect("simple YAML"), Edited { text: once.text.clone(), changed: vec![] });
    once.text
}

#[test]
fn values_are_replaced_and_added_and_everything_else_stays() {
    let patch = json!({"model": "openai/q:8b", "base": "http://h:1/v1", "key": null});
    let before = "# mine\nmodel: old   # why\nread:\n- a\n- b\nkey: nexus\nnote: |\n  model: no\n\n# the end\n";
    let after = concat!(
        "# mine\nmodel: \"openai/q:8b\" # why\nread:\n- a\n",
        "- b\nnote: |\n  model: no\nbase: \"http://h:1/v1\"\n",
        "\n# the end\n",
    );
    assert_eq!(twice(before, &patch), after);
    assert_eq!(twice("", &patch), "model: \"openai/q:8b\"\nbase: \"http://h:1/v1\"\n");
    assert_eq!(twice("# mine\r\n", &patch), "# mine\r\nmodel: \"openai/q:8b\"\r\nbase: \"http://h:1/v1\"\r\n");
    assert!(apply("key: secret\n", &patch).expect("simple YAML").text.contains("key: secret\n"));
}

#[test]
fn values_deep_inside_are_found() {
    let patch = json!({"active": "openai", "providers": {"openai": {"enabled": true, "model": "m"}}});
    let before = concat!(
        "---\nactive: anthropic\nproviders:\n    anthropic:\n",
        "        model: c\n    openai: # here\n        model: old\nextensions:\n",
        "  a:\n    model: x\n",
    );
    let after = concat!(
        "---\nactive: openai\nproviders:\n    anthropic:\n",
        "        model: c\n    openai: # here\n        model: m\n        enabled: true\n",
        "extensions:\n  a:\n    model: x\n",
    );
    assert_eq!(twice(before, &patch), after);
    let fresh = "active: openai\nproviders:\n  openai:\n    enabled: true\n    model: m\n";
    assert_eq!(twice("active: a\nproviders: {}\n", &patch), fresh);
    assert_eq!(twice("", &patch), fresh);
}

#[test]
fn items_stand_between_marks() {
    let patch = |model: &str| json!({"models": [{"name": "Nexus", "model": model, "roles": ["chat", "edit"]}]});
    let block = |edge: &str, model: &str| {
        [
            "# nexus: begin",
            "- name: Nexus",
            &format!("  model: {model}"),
            "  roles:",
            "    - chat",
            "    - edit",
            "# nexus: end",
        ]
        .map(|line| format!("{edge}{line}\n"))
        .concat()
    };
    let after = twice("name: Mine\nmodels:\n  # the first\n  - name: other\nrules: []\n", &patch("m"));
    assert_eq!(after, format!("name: Mine\nmodels:\n{}  # the first\n  - name: other\nrules: []\n", block("  ", "m")));
    let again = twice(&after, &patch("k"));
    assert_eq!(again, after.replace("model: m\n", "model: k\n"), "replaced, not added");
    assert_eq!(twice("models:\n- name: other\n", &patch("m")), format!("models:\n{}- name: other\n", block("", "m")));
    assert_eq!(twice("models: []\n", &patch("m")), format!("models:\n{}", block("  ", "m")));
    assert_eq!(twice("name: x\n", &patch("m")), format!("name: x\nmodels:\n{}", block("  ", "m")));
}

#[test]
fn what_is_not_simple_is_refused() {
    let scalar = json!({"model": "m"});
    for text in [
        "model: |\n  old\n",
        "model:\n  old: 1\n",
        "model: {a: b}\n",
        "model: a\nmodel: b\n",
        "{model: a}\n",
        "<<: *base\nmodel: a\n",
        "\"model\": a\n",
        "model: a\n---\nmodel: b\n",
        "a:\n\tb: c\n",
        "- model\n",
    ] {
        assert!(apply(text, &scalar).is_err(), "{text}");
    }
    let nested = json!({"providers": {"openai": {"model": "m"}}});
    for text in ["providers: {openai: {}}\n", "providers:\n- openai\n", "providers: *all\n"] {
        assert!(apply(text, &nested).is_err(), "{text}");
    }
    let items = json!({"models": [{"name": "Nexus"}]});
    for text in ["models: [a]\n", "models:\n  a: b\n", "models:\n  # nexus: begin\n  - a: b\n"] {
        assert!(apply(text, &items).is_err(), "{text}");
    }
    assert_eq!(apply("model: a\nmodel: b\n", &scalar).expect_err("twice"), "`model`: it is there twice");
}
