//! Client keys and their money side by side, by the names that people gave the keys. What is spent is the treasury's to
//! say, what may be, the keys'.

use std::collections::BTreeMap;

use super::ClientKeys;
use crate::budget::{Figures, usd};
use crate::fleet::KeyRecord;

/// The names of all keys that are good, and the most that each may spend in a month, in USD, where that is limited.
pub(super) fn limits(keys: &ClientKeys) -> BTreeMap<String, Option<f64>> {
    let configured = keys.callers().into_iter().map(|caller| {
        let limit = caller.quota.as_ref().and_then(|quota| quota.limits.monthly_limit_usd);
        (caller.name.clone(), limit)
    });
    let ring = keys.ring().list().into_iter().filter(KeyRecord::is_active);
    configured.chain(ring.map(|key| (key.name, key.monthly_limit_usd))).collect()
}

/// What bearers of keys with a limit have spent and set aside in this month, in USD, by name. A key of another peer's
/// configuration goes by its id.
pub(super) fn by_name(keys: &ClientKeys, figures: &Figures) -> BTreeMap<String, f64> {
    let callers = keys.callers().into_iter();
    let configured = callers.filter_map(|caller| Some((caller.quota.as_ref()?.id.clone(), caller.name.clone())));
    let ring = keys.ring().list().into_iter().map(|key| (key.id, key.name));
    let names: BTreeMap<String, String> = configured.chain(ring).collect();
    let mut spending: BTreeMap<String, f64> = BTreeMap::new();
    for account in &figures.accounts {
        if let Some(id) = key_of(&account.account) {
            let name = names.get(id).map_or(id, String::as_str);
            *spending.entry(name.to_owned()).or_default() += usd(account.used);
        }
    }
    spending
}

/// Whose money an account is: `key/ID/usd`, or the same with the founding that it goes by.
fn key_of(account: &str) -> Option<&str> {
    let (id, unit) = account.strip_prefix("key/")?.split_once('/')?;
    (unit == "usd" || unit.starts_with("usd@")).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_of_money_are_told_from_others() {
        assert_eq!(key_of("key/kabc/usd"), Some("kabc"));
        assert_eq!(key_of("key/cabc/usd@1234"), Some("cabc"));
        assert_eq!(key_of("key/kabc/tokens"), None);
        assert_eq!(key_of("budget@1234"), None);
    }
}
