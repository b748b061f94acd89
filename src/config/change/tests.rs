use super::*;
use crate::fleet::{Kind, Tier, Zone};
use crate::route::Policy;

fn alias(name: &str, target: Option<&str>) -> Edit {
    Edit::Alias { name: name.to_owned(), target: target.map(str::to_owned) }
}

fn policy(pattern: &str, change: &str) -> Edit {
    let change: PolicyChange = serde_json::from_str(change).expect("a change");
    Edit::Policy { pattern: pattern.to_owned(), change: Some(change) }
}

fn policies(text: &str) -> Vec<Policy> {
    let config: crate::config::Config = toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    config.routing.policies
}

/// `[[routing.policies]]` in every form in which it may be written.
const FORMS: [&str; 3] = [
    "[[routing.policies]]\nmodel_pattern = 'code-*' # ours\nprivacy = 'restricted'\nmax_cost_per_request = 1.0 # USD\n",
    "routing.policies = [{ model_pattern = 'code-*', privacy = 'restricted', max_cost_per_request = 1.0 }]\n",
    "[routing.policies.'code-*']\nprivacy = 'restricted'\nmax_cost_per_request = 1.0\n",
];

fn after(text: &str, edit: &Edit) -> String {
    changed(text, edit).expect("a change")
}

#[test]
fn comments_and_order_stay() {
    let text =
        "# mine\n[server] # here\nport = 1\n\n[routing.aliases]\n# the big one\nbig = \"a:70b\" # for now\n\n[mesh]\n";
    let text = after(text, &alias("gpt-4.1", Some("m")));
    let text = after(&text, &alias("big", Some("b:70b")));
    assert_eq!(
        text,
        "# mine\n[server] # here\nport = 1\n\n[routing.aliases]\n# the big one\nbig = \"b:70b\" # for now\n\
         \"gpt-4.1\" = \"m\"\n\n[mesh]\n"
    );
    let text = after(&text, &alias("gpt-4.1", None));
    assert!(!text.contains("gpt"), "{text}");
    assert_eq!(changed(&text, &alias("gpt-4.1", None)), Err(ChangeError::Absent("alias `gpt-4.1`".to_owned())));
}

#[test]
fn what_is_not_there_is_made() {
    assert_eq!(after("", &alias("a", Some("b"))), "[routing.aliases]\na = \"b\"\n");
    assert_eq!(
        after("routing = { aliases = {} }\n", &alias("a", Some("b"))),
        "routing = { aliases = { a = \"b\" } }\n"
    );
    let models = Some(vec!["b".to_owned(), "c".to_owned()]);
    let text = after("[routing]\nmax_retries = 1\n", &Edit::Fallback { name: "a".to_owned(), models });
    assert_eq!(text, "[routing]\nmax_retries = 1\n\n[routing.fallbacks]\na = [\"b\", \"c\"]\n");
}

/// Setting a tier once dropped the privacy that stood beside it.
#[test]
fn a_policy_is_changed_where_it_is_named_and_nowhere_else() {
    let restricted = Policy { model_pattern: "code-*".to_owned(), privacy: Privacy::Restricted, ..Policy::default() };
    let before = Policy { max_cost_per_request: Some(1.0), fallback_allowed: true, ..restricted };
    let tier = |tier| Some(Tier::try_from(tier).expect("a tier"));
    for form in FORMS {
        assert_eq!(policies(form), std::slice::from_ref(&before), "{form}");
        for (change, expected) in [
            ("{\"tier\": 4}", Policy { min_tier: tier(4), ..before.clone() }),
            ("{\"max_cost_per_request\": null}", Policy { max_cost_per_request: None, ..before.clone() }),
            ("{\"privacy\": \"unrestricted\"}", Policy { privacy: Privacy::Unrestricted, ..before.clone() }),
            ("{\"zone\": \"open\"}", Policy { privacy: Privacy::Unrestricted, ..before.clone() }),
            ("{\"fallback_allowed\": false}", Policy { fallback_allowed: false, ..before.clone() }),
            ("{}", before.clone()),
        ] {
            let text = after(form, &policy("code-*", change));
            assert_eq!(policies(&text), std::slice::from_ref(&expected), "{change}: {text}");
        }
        let gone = after(form, &Edit::Policy { pattern: "code-*".to_owned(), change: None });
        assert!(policies(&gone).is_empty(), "{gone}");
    }
    let text = after(FORMS[0], &policy("code-*", "{\"tier\": 4}"));
    assert!(text.contains("# ours\n") && text.contains("1.0 # USD\n"), "{text}");
    let text = after("", &policy("code-*", "{\"zone\": \"restricted\"}"));
    assert_eq!(policies(&text)[0].privacy, Privacy::Restricted);
    let text = after("[routing.policies.default]\nmin_tier = 1\n", &policy("*", "{\"tier\": 2}"));
    assert!(text.starts_with("[routing.policies.default]\nmin_tier = 2\n"), "{text}");
}

/// Whoever restricted a model behind `*` was told that it holds, and it never did.
#[test]
fn a_new_policy_stands_before_a_wider_one() {
    let wide = [
        "[[routing.policies]]\nmodel_pattern = 'a'\n[[routing.policies]]\nmodel_pattern = '*'\n[server]\nport = 1\n\
         [[routing.policies]]\nmodel_pattern = 'z'\n",
        "# mine\n[routing]\npolicies = [{ model_pattern = 'a' }, { model_pattern = '*' }, { model_pattern = 'z' }]\n",
        "[routing.policies.a]\nmin_tier = 1\n[routing.policies.'*'] # all\nmin_tier = 1\n[server]\nport = 1\n\
         [routing.policies.z]\nmin_tier = 1\n",
        "routing = { policies = { a = { min_tier = 1 }, '*' = { min_tier = 1 }, z = { min_tier = 1 } } }\n",
        "[routing.policies]\na = { min_tier = 1 }\n'*' = { min_tier = 1 } # all\nz.min_tier = 1\n",
    ];
    for text in wide {
        let text = after(text, &policy("secret-*", "{\"privacy\": \"restricted\"}"));
        let now = policies(&text);
        let patterns: Vec<&str> = now.iter().map(|policy| policy.model_pattern.as_str()).collect();
        assert_eq!(patterns, ["a", "secret-*", "*", "z"], "{text}");
        assert_eq!(now[1].privacy, Privacy::Restricted, "{text}");
    }
    let text = after("[routing.policies.default]\nmin_tier = 2\n", &policy("b", "{\"tier\": 3}"));
    assert_eq!(text, "[routing.policies.default]\nmin_tier = 2\n\n[routing.policies.b]\nmin_tier = 3\n");
    let text = after("[[routing.policies]]\nmodel_pattern = 's*'\n", &policy("*", "{\"tier\": 3}"));
    assert_eq!(policies(&text)[1].model_pattern, "*", "a wider one comes last: {text}");
}

#[test]
fn a_policy_that_is_said_whole_keeps_nothing_else() {
    for form in FORMS {
        let whole: PolicyChange = serde_json::from_str("{\"tier\": 3}").expect("a change");
        let edit = Edit::Policy { pattern: "code-*".to_owned(), change: Some(whole.whole()) };
        let set = &policies(&after(form, &edit))[0];
        assert_eq!((set.privacy, set.max_cost_per_request), (Privacy::Unrestricted, None), "{form}");
        assert_eq!(set.min_tier.map(Tier::get), Some(3));
    }
}

#[test]
fn a_budget_is_changed_in_the_place_where_it_stands() {
    let edit = |change: &str| Edit::Budget(serde_json::from_str(change).expect("a change"));
    let set = edit("{\"monthly_limit_usd\": 50, \"hard_limit_action\": \"block_cloud\"}");
    assert_eq!(after("", &set), "[budget]\nmonthly_limit_usd = 50.0\nhard_limit_action = \"block_cloud\"\n");
    assert_eq!(
        after("[budget] # ours\nmonthly_limit = 5.0 # USD\nsoft_limit_percent = 80\n", &set),
        "[budget] # ours\nmonthly_limit = 50.0 # USD\nsoft_limit_percent = 80\nhard_limit_action = \"block_cloud\"\n"
    );
    let gone = edit("{\"monthly_limit_usd\": null, \"soft_limit_percent\": 70.5}");
    assert_eq!(
        after("[routing.budget]\nmonthly_limit_usd = 5.0\n", &gone),
        "[routing.budget]\nsoft_limit_percent = 70.5\n"
    );
    assert_eq!(after("routing = { budget = {} }\n", &gone), "routing = { budget = { soft_limit_percent = 70.5 } }\n");
    assert!(matches!(changed("budget = 3\n", &set), Err(ChangeError::Form(_))));
    assert!(serde_json::from_str::<BudgetChange>("{\"monthly\": 5}").is_err());
}

#[test]
fn a_backend_is_saved_once() {
    let backend = Saved {
        url: "http://h:1".to_owned(),
        kind: Kind::Ollama,
        priority: Some(3),
        zone: Some(Zone::Open),
        tier: None,
    };
    let edit = Edit::Backend { name: "gpu".to_owned(), backend: Some(backend) };
    let text = after("[server]\nport = 1\n", &edit);
    assert_eq!(
        text,
        "[server]\nport = 1\n\n[[backends]]\nname = \"gpu\"\nurl = \"http://h:1\"\ntype = \"ollama\"\npriority = 3\n\
         zone = \"open\"\n"
    );
    assert!(matches!(changed(&text, &edit), Err(ChangeError::Taken(_))));
    let gone = after(&text, &Edit::Backend { name: "gpu".to_owned(), backend: None });
    assert_eq!(gone, "[server]\nport = 1\n");
}

/// Whoever joins from the page finds the file as it was, but for what it says of the mesh.
#[test]
fn a_membership_is_written_beside_what_is_there() {
    let key = "a".repeat(52);
    let seeds = ["desk:8001".to_owned()];
    let member = |name: &str, key: &str| Edit::Membership(Membership::read(name, key, &seeds).expect("a membership"));
    let text = "# ours\n[mesh]\nkey = '' # none yet\nmdns = false\n";
    let after = changed(text, &member("default", &key)).expect("a change");
    assert_eq!(after, format!("# ours\n[mesh]\nkey = \"{key}\" # none yet\nmdns = false\nseeds = [\"desk:8001\"]\n"));
    let open = changed(&after, &member("other", "")).expect("a change");
    let config: crate::config::Config = toml::from_str(&open).expect("a configuration");
    assert_eq!((config.mesh.name.as_str(), config.mesh.key.as_str(), config.mesh.mdns), ("other", "", false));
    assert_eq!(changed("", &member("default", "")).expect("a change"), "[mesh]\nseeds = [\"desk:8001\"]\n");
}
