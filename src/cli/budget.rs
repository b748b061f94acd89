//! `nexus budget`: what was spent, what is set aside, who holds which rights, and the last that passed; and what a peer is to
//! hold to.

use std::fmt::Write;

use clap::{ArgGroup, Args, Subcommand};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};

use super::assent::Sure;
use super::client::Client;
use super::render::{Style, clean};
use super::settings::How;
use super::{ConfigFile, print, tell};

/// Show the budget of the mesh: spent, set aside, limit, rights of every peer, and the last transfers of rights.
#[derive(Debug, Args)]
pub(super) struct Budget {
    #[command(subcommand)]
    action: Option<Action>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Action {
    Set(Set),
    /// Found the budget of the mesh here, where no peer has done so
    Found {
        #[command(flatten)]
        config: ConfigFile,
    },
}

/// Change what a peer holds to: written into its configuration file, and good at once.
///
/// What is not named stays as it is. Of peers that hold to different limits the strictest counts for all that hear of it: set the
/// same at each. What lets more pass than before is asked about first.
#[derive(Debug, Args)]
#[command(override_usage = "nexus budget set [OPTIONS]")]
#[command(group = ArgGroup::new("terms").required(true).multiple(true).args(["monthly", "soft", "action"]))]
#[command(after_help = "\
Examples:
  nexus budget set --monthly 50 --soft 80% --action block_cloud
  nexus budget set --monthly 80 --peer attic --dry-run")]
struct Set {
    /// The most that cloud backends may cost in a month
    #[arg(long, value_name = "USD|none", value_parser = amount, allow_negative_numbers = true)]
    monthly: Option<Named<f64>>,
    /// From which part of it cloud backends are avoided; none: from 75 %
    #[arg(long, value_name = "PERCENT|none", value_parser = percent, allow_negative_numbers = true)]
    soft: Option<Named<f64>>,
    /// What happens at the limit
    #[arg(long, value_parser = ["warn", "block_cloud", "block_all"])]
    action: Option<String>,
    #[command(flatten)]
    sure: Sure,
    #[command(flatten)]
    how: How,
}

/// A value, or that there is to be none.
type Named<T> = Option<T>;

fn amount(text: &str) -> Result<Named<f64>, String> {
    let amount = || text.parse::<f64>().ok().filter(|amount| amount.is_finite() && *amount > 0.0).map(Some);
    if text == "none" { Ok(None) } else { amount().ok_or_else(|| "use an amount of more than 0, or none".to_owned()) }
}

/// A fraction of 1 and less would be read as such from the file: `1%` is not all of it.
fn percent(text: &str) -> Result<Named<f64>, String> {
    if text == "none" {
        return Ok(None);
    }
    let number = text.strip_suffix('%').unwrap_or(text).trim().parse::<f64>().ok();
    let percent = number.filter(|percent| *percent > 1.0 && *percent <= 100.0);
    percent.map(Some).ok_or_else(|| "use a percentage above 1 and up to 100, or none".to_owned())
}

impl Set {
    /// With what was said before the word `set`.
    fn under(self, json: bool, config: ConfigFile) -> Self {
        Set { how: self.how.under(json, config), ..self }
    }

    async fn run(self) -> anyhow::Result<()> {
        let mut change = Map::new();
        let mut name = |key: &str, value: Option<Json>| change.extend(value.map(|value| (key.to_owned(), value)));
        name("monthly_limit_usd", self.monthly.map(Json::from));
        name("soft_limit_percent", self.soft.map(Json::from));
        name("hard_limit_action", self.action.map(Json::from));
        self.how.change_at(&self.sure, Method::PATCH, PATH, Some(Json::Object(change))).await
    }
}

#[derive(Deserialize)]
struct View {
    month: String,
    next_reset: String,
    limit_usd: Option<f64>,
    spent_usd: f64,
    reserved_usd: f64,
    remaining_usd: Option<f64>,
    utilization_percent: f64,
    status: String,
    hard_limit_action: Option<String>,
    mesh_wide: bool,
    #[serde(default)]
    holders: Vec<Holder>,
    #[serde(default)]
    accounts: Vec<Account>,
    #[serde(default)]
    transfers: Vec<Transfer>,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Holder {
    peer: String,
    state: String,
    rights_usd: Option<f64>,
    rights_percent: f64,
    spent_usd: f64,
    reserved_usd: f64,
}

#[derive(Deserialize)]
struct Account {
    account: String,
    used: u64,
}

#[derive(Deserialize)]
struct Transfer {
    at_ms: i64,
    account: String,
    from: String,
    to: String,
    amount: u64,
}

impl View {
    /// Says whose the accounts are, where a list of keys tells it.
    fn name_keys(&mut self, keys: &Json) {
        let names = self.accounts.iter_mut().map(|account| &mut account.account);
        for name in names.chain(self.transfers.iter_mut().map(|transfer| &mut transfer.account)) {
            let Some((id, unit)) = name.strip_prefix("key/").and_then(|rest| rest.split_once('/')) else { continue };
            let known = keys["keys"].as_array().into_iter().flatten().find(|key| key["id"] == id);
            let whose = known.and_then(|key| key["name"].as_str()).unwrap_or(id);
            // The founding behind an account of a configured key says nothing to people.
            let unit = unit.split('@').next().unwrap_or_default();
            *name = if unit == "usd" { whose.to_owned() } else { format!("{whose} ({unit} a minute)") };
        }
    }
}

const PATH: &str = "/nexus/v1/budget";

/// Transfers that are shown.
const SHOWN: usize = 10;

impl Budget {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let action = match self.action {
            Some(Action::Set(set)) => return set.under(self.json, self.config).run().await,
            other => other,
        };
        if let Some(Action::Found { config }) = &action {
            let client = Client::find(config.path.as_deref().or(self.config.path.as_deref()))?;
            let founded: Json = client.post("/nexus/v1/budget/found", &json!({})).await?;
            if self.json {
                return Ok(print(&(serde_json::to_string_pretty(&founded)? + "\n"))?);
            }
            let is_new = founded["founded"] == true;
            tell(if is_new { "The budget was founded here." } else { "The budget of this mesh was founded already." });
            return Ok(());
        }
        let client = Client::find(self.config.path.as_deref())?;
        let told: Json = client.get(PATH).await?;
        if self.json {
            return Ok(print(&(serde_json::to_string_pretty(&told)? + "\n"))?);
        }
        if told.is_null() {
            return Ok(print("No budget is kept: set budget.monthly_limit_usd in the configuration.\n")?);
        }
        let mut view: View = serde_json::from_value(told)?;
        if !view.accounts.is_empty() {
            let keys: Json = client.get("/nexus/v1/keys").await.unwrap_or_default();
            view.name_keys(&keys);
        }
        Ok(print(&draw(Style::of_stdout(), &view))?)
    }
}

fn draw(style: Style, view: &View) -> String {
    let mut text = String::new();
    let scope = if view.mesh_wide { "the whole mesh" } else { "this peer alone" };
    let _ = match view.limit_usd {
        Some(limit) => writeln!(
            text,
            "Budget of {}, for {scope}: {} of {} USD spent ({:.1} %), {} set aside, {} left; {}",
            clean(&view.month),
            usd(view.spent_usd),
            usd(limit),
            view.utilization_percent,
            usd(view.reserved_usd),
            usd(view.remaining_usd.unwrap_or_default()),
            level(&view.status),
        ),
        None => writeln!(
            text,
            "Budget of {}, for {scope}: {} USD spent, {} set aside; no limit is set",
            clean(&view.month),
            usd(view.spent_usd),
            usd(view.reserved_usd)
        ),
    };
    if let Some(action) = &view.hard_limit_action {
        let _ = writeln!(
            text,
            "At the limit: {}. The next month begins on {} UTC.",
            clean(action),
            clean(&view.next_reset)
        );
    }
    if !view.holders.is_empty() {
        let rows = view.holders.iter().map(|holder| {
            let rights = holder.rights_usd.map_or_else(|| format!("{:.1} %", holder.rights_percent), usd);
            [clean(&holder.peer), clean(&holder.state), rights, usd(holder.spent_usd), usd(holder.reserved_usd)]
        });
        let _ = write!(text, "\n{}", table(style, ["Peer", "State", "Rights", "Spent", "Set aside"], rows));
    }
    if !view.accounts.is_empty() {
        let rows = view.accounts.iter().map(|account| [clean(&account.account), usd(in_usd(account.used))]);
        let _ = write!(text, "\n{}", table(style, ["Client key", "Used"], rows));
    }
    if !view.transfers.is_empty() {
        let rows = view.transfers.iter().rev().take(SHOWN).map(|transfer| {
            let when = jiff::Timestamp::from_millisecond(transfer.at_ms).unwrap_or_default();
            [
                format!("{when:.0}"),
                clean(&transfer.from),
                clean(&transfer.to),
                usd(in_usd(transfer.amount)),
                clean(&transfer.account),
            ]
        });
        let _ = write!(text, "\n{}", table(style, ["Transferred", "From", "To", "Rights", "Account"], rows));
    }
    for warning in &view.warnings {
        let _ = writeln!(text, "Warning: {}", clean(warning));
    }
    text
}

fn table<const N: usize>(style: Style, headers: [&str; N], rows: impl Iterator<Item = [String; N]>) -> String {
    let mut table = style.table(headers);
    for row in rows {
        table.add_row(row);
    }
    style.draw(&table)
}

fn level(status: &str) -> &'static str {
    match status {
        "Normal" => "within the soft limit",
        "SoftLimit" => "over the soft limit: cloud backends are avoided",
        _ => "used up",
    }
}

/// Cents are not enough for what is cheap.
fn usd(amount: f64) -> String {
    format!("{amount:.4}")
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn in_usd(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        budget: Budget,
    }

    /// `nexus budget -c FILE set` once changed the peer of another file.
    #[test]
    fn what_is_said_before_the_word_set_counts() {
        let said = |line: &str| {
            let Budget { action, json, config } = Line::parse_from(line.split(' ')).budget;
            let Some(Action::Set(set)) = action else { panic!("{line}") };
            let set = set.under(json, config);
            let (file, json) = set.how.said();
            (file.map(Path::to_owned), json)
        };
        let file = |name: &str| Some(Path::new(name).to_owned());
        assert_eq!(said("nexus -c a.toml --json set --monthly 5"), (file("a.toml"), true));
        assert_eq!(said("nexus -c a.toml set --monthly 5 -c b.toml"), (file("b.toml"), false));
        assert_eq!(said("nexus set --monthly 5"), (None, false));
    }

    #[test]
    fn amounts_and_percentages_are_read() {
        assert_eq!((amount("50"), amount("none")), (Ok(Some(50.0)), Ok(None)));
        assert_eq!((percent("80%"), percent("62.5"), percent("none")), (Ok(Some(80.0)), Ok(Some(62.5)), Ok(None)));
        assert!(amount("0").is_err() && amount("nan").is_err() && amount("-1").is_err());
        assert!(percent("0.8").is_err() && percent("101%").is_err() && percent("%").is_err());
    }

    #[test]
    fn it_says_what_is_left_and_who_holds_it() {
        let view = json!({
            "month": "2026-11", "next_reset": "2026-12-01", "limit_usd": 50.0, "spent_usd": 12.5, "reserved_usd": 0.25,
            "remaining_usd": 37.25, "utilization_percent": 25.0, "status": "Normal", "hard_limit_action": "block_cloud",
            "mesh_wide": true,
            "holders": [
                { "holder": "h1", "peer": "atelier", "state": "self", "rights_usd": 40.0, "rights_percent": 80.0,
                  "spent_usd": 12.5, "reserved_usd": 0.25 },
                { "holder": "h2", "peer": "cellar", "state": "away", "rights_usd": 10.0, "rights_percent": 20.0,
                  "spent_usd": 0.0, "reserved_usd": 0.0 },
            ],
            "accounts": [{ "account": "key/k1/usd", "used": 1_500_000_000u64 }],
            "transfers": [{ "at_ms": 1_767_225_600_000u64, "account": "budget@f", "from": "atelier", "to": "cellar",
                            "amount": 10_000_000_000u64 }],
            "warnings": ["1 peers have another budget configured: the stricter counts"],
        });
        let mut view: View = serde_json::from_value(view).expect("what the API tells");
        view.name_keys(&json!({ "keys": [{ "id": "k1", "name": "laptop" }] }));
        insta::assert_snapshot!(draw(Style::plain(), &view));
    }
}
