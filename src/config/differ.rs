//! Which keys of two configurations differ. Keys only: values may be secrets.

use serde_json::{Map, Value};

use super::Config;

/// Keys that are named of one difference; of more nobody reads them all.
pub const MOST_KEYS: usize = 64;

/// The keys whose values differ, as `routing.aliases.gpt-4`, in the order of the sections. A list counts as one value. It is all
/// of them: who tells only some picks them first.
pub fn differing(one: &Config, other: &Config) -> Vec<String> {
    let tree = |config: &Config| serde_json::to_value(config).unwrap_or_default();
    let mut keys = Vec::new();
    compare(&tree(one), &tree(other), "", &mut keys);
    keys
}

fn compare(one: &Value, other: &Value, at: &str, keys: &mut Vec<String>) {
    if one == other {
        return;
    }
    let table = |value: &Value| value.as_object().cloned().or_else(|| value.is_null().then(Map::new));
    match (table(one), table(other)) {
        (Some(one), Some(other)) if !(one.is_empty() && other.is_empty()) => {
            let added = other.keys().filter(|key| !one.contains_key(*key));
            for key in one.keys().chain(added) {
                let (mine, theirs) = (one.get(key).unwrap_or(&Value::Null), other.get(key).unwrap_or(&Value::Null));
                compare(mine, theirs, &below(at, key), keys);
            }
        }
        _ => keys.push(at.to_owned()),
    }
}

/// The path of a key, in quotes unless it is bare.
pub(super) fn below(at: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
    if at.is_empty() { key } else { format!("{at}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        toml::from_str(text).expect("a literal configuration")
    }

    #[test]
    fn keys_that_differ_are_named_and_nothing_else() {
        let one = config("server.port = 1\n[routing.aliases]\n'gpt-4.1' = 'a'\nsame = 'b'\n[mesh]\nkey = 'secret'");
        let other = config("[routing.aliases]\nsame = 'b'\nnew = 'c'\n[budget]\nmonthly_limit_usd = 5.0");
        let keys = ["server.port", "routing.aliases.\"gpt-4.1\"", "routing.aliases.new"];
        let found = differing(&one, &other);
        assert!(keys.iter().all(|key| found.iter().any(|found| found == key)), "{found:?}");
        assert!(found.contains(&"mesh.key".to_owned()) && !found.concat().contains("secret"), "{found:?}");
        assert!(found.iter().any(|key| key == "budget.monthly_limit_usd"), "{found:?}");
        assert_eq!(differing(&one, &one), [] as [&str; 0]);
    }

    /// Of many keys those that somebody looked for were once cut off before they were looked for.
    #[test]
    fn none_is_left_out() {
        let aliases: String = (0..100).map(|at| format!("a{at} = 'm'\n")).collect();
        let many = config(&format!("[routing.aliases]\n{aliases}[mesh]\nmdns = false\n"));
        let found = differing(&Config::default(), &many);
        assert!(found.len() > 100 && found.contains(&"mesh.mdns".to_owned()), "{found:?}");
    }

    #[test]
    fn a_list_is_one_value() {
        let one = config("[[backends]]\nname = 'a'\nurl = 'http://h:1'\ntype = 'ollama'");
        assert_eq!(differing(&one, &Config::default()), ["backends"]);
    }
}
