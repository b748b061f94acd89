//! `nexus policies`: what must hold for models by name, in the configuration file of a peer. What is not named stays, and what
//! would protect less is asked about first.

use clap::{ArgGroup, Args, Subcommand};
use http::Method;
use serde_json::{Map, Value as Json};

use super::assent::Sure;
use super::render::{Style, clean};
use super::settings::{How, List, Remove};

#[derive(Debug, Subcommand)]
pub(super) enum Policies {
    /// List what must hold for models by name; the first that matches counts
    List(List),
    Set(SetPolicy),
    /// Take a policy out of the configuration file
    Remove(RemovePolicy),
}

/// Say what must hold for the models that a pattern matches: written into the configuration file, and good at once.
///
/// What is not named stays as it is. What protects less than before is asked about first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus policies set 'secret-*' --privacy restricted --tier 3 --fallback no
  nexus policies set 'secret-*' --tier 4           the rest stays
  nexus policies set 'secret-*' --tier none --yes  any tier may answer")]
#[command(override_usage = "nexus policies set [OPTIONS] <PATTERN>")]
#[command(group = ArgGroup::new("demand").required(true).multiple(true).args(DEMANDS))]
pub(super) struct SetPolicy {
    /// The models, by name: `*`, `?`, `[..]`
    pattern: String,
    /// `restricted`: prompts stay on hardware of the fleet's own
    #[arg(long, visible_alias = "zone", value_parser = privacy, value_name = "restricted|unrestricted")]
    privacy: Option<&'static str>,
    /// The lowest tier that may answer
    #[arg(long, value_name = "1..5|none", value_parser = tier)]
    tier: Option<Named<u8>>,
    /// The most that one request may cost, in USD
    #[arg(long, value_name = "USD|none", value_parser = cost, allow_negative_numbers = true)]
    max_cost: Option<Named<f64>>,
    /// Whether the fallback chain may be used
    #[arg(long, value_name = "yes|no", value_parser = yes_or_no)]
    fallback: Option<bool>,
    /// The same as `--fallback no`
    #[arg(long, conflicts_with = "fallback")]
    no_fallback: bool,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    how: How,
}

/// What a policy may demand; one of them at least is to be named.
const DEMANDS: [&str; 5] = ["privacy", "tier", "max_cost", "fallback", "no_fallback"];

/// A value, or that there is to be none.
type Named<T> = Option<T>;

fn privacy(text: &str) -> Result<&'static str, String> {
    match text {
        "restricted" => Ok("restricted"),
        "unrestricted" | "open" => Ok("unrestricted"),
        _ => Err("use restricted or unrestricted".to_owned()),
    }
}

fn tier(text: &str) -> Result<Named<u8>, String> {
    let tier = || text.parse().ok().filter(|tier| (1..=5).contains(tier)).map(Some);
    if text == "none" { Ok(None) } else { tier().ok_or_else(|| "use 1 to 5, or none".to_owned()) }
}

fn cost(text: &str) -> Result<Named<f64>, String> {
    let cost = || text.parse::<f64>().ok().filter(|cost| cost.is_finite() && *cost >= 0.0).map(Some);
    if text == "none" { Ok(None) } else { cost().ok_or_else(|| "use an amount in USD, or none".to_owned()) }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("use yes or no".to_owned()),
    }
}

impl SetPolicy {
    /// What is named of it, and nothing else.
    fn change(&self) -> Json {
        let mut change = Map::new();
        let mut name = |key: &str, value: Option<Json>| change.extend(value.map(|value| (key.to_owned(), value)));
        name("privacy", self.privacy.map(Json::from));
        name("min_tier", self.tier.map(Json::from));
        name("max_cost_per_request", self.max_cost.map(Json::from));
        name("fallback_allowed", self.fallback.or(self.no_fallback.then_some(false)).map(Json::from));
        Json::Object(change)
    }
}

#[derive(Debug, Args)]
pub(super) struct RemovePolicy {
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    remove: Remove,
}

const POLICIES: &str = "/nexus/v1/policies";

impl Policies {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Policies::List(list) => list.show(POLICIES, policies).await,
            Policies::Set(set) => {
                let change = set.change();
                let SetPolicy { pattern, sure, how, .. } = set;
                how.change_if(&sure, Method::PATCH, POLICIES, &pattern, Some(change)).await
            }
            Policies::Remove(RemovePolicy { sure, remove: Remove { name, how } }) => {
                how.change_if(&sure, Method::DELETE, POLICIES, &name, None).await
            }
        }
    }
}

fn policies(style: Style, told: &Json) -> String {
    let mut table = style.table(["Pattern", "Privacy", "Tier", "Cost", "Fallback"]);
    for policy in told["policies"].as_array().into_iter().flatten() {
        let privacy = if policy["privacy"] == "restricted" { "restricted" } else { "unrestricted" };
        let or_any = |value: &Json| if value.is_null() { "any".to_owned() } else { value.to_string() };
        table.add_row([
            clean(policy["model_pattern"].as_str().unwrap_or_default()),
            privacy.to_owned(),
            or_any(&policy["min_tier"]),
            or_any(&policy["max_cost_per_request"]),
            if policy["fallback_allowed"] == false { "no" } else { "yes" }.to_owned(),
        ]);
    }
    style.draw(&table)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_file_says_is_a_table() {
        let told = json!({ "policies": [
            { "model_pattern": "code-*", "privacy": "restricted", "min_tier": 3, "fallback_allowed": false },
            { "model_pattern": "*", "privacy": "unrestricted", "fallback_allowed": true },
        ]});
        insta::assert_snapshot!(policies(Style::plain(), &told), @r"
        ┌─────────┬──────────────┬──────┬──────┬──────────┐
        │ Pattern │ Privacy      │ Tier │ Cost │ Fallback │
        ├─────────┼──────────────┼──────┼──────┼──────────┤
        │ code-*  │ restricted   │ 3    │ any  │ no       │
        │ *       │ unrestricted │ any  │ any  │ yes      │
        └─────────┴──────────────┴──────┴──────┴──────────┘
        ");
    }

    #[test]
    fn what_is_named_is_read_and_nothing_else() {
        assert_eq!((tier("none"), tier("5")), (Ok(None), Ok(Some(5))));
        assert_eq!((cost("none"), cost("0.5")), (Ok(None), Ok(Some(0.5))));
        assert_eq!((privacy("open"), yes_or_no("no")), (Ok("unrestricted"), Ok(false)));
        assert!(tier("6").is_err() && tier("").is_err() && cost("nan").is_err() && cost("-1").is_err());
        assert!(privacy("any").is_err() && yes_or_no("").is_err());
    }
}
