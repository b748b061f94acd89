//! One change of a configuration, in its text: an alias, a fallback chain, a policy, a backend or the budget is changed, and
//! everything else, comments and order among it, stays as it was. Whether the whole is right afterwards is checked elsewhere;
//! no file is touched.

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Key, Table, TableLike, Value};

use super::edit::put;
use crate::api::{Edit, Saved};
use crate::budget::BudgetChange;
use crate::fleet::Amend;
use crate::mesh::{self, Membership};
use crate::route::{PolicyChange, Privacy, covers};

/// Why a text cannot be changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// It is not TOML, or something stands where a table should be.
    #[error("{0}")]
    Form(String),
    /// There is nothing of that name to take out.
    #[error("the file has no {0}")]
    Absent(String),
    /// The name is taken.
    #[error("the file has a {0} already")]
    Taken(String),
}

/// `text` with `edit` done.
///
/// # Errors
/// Why it cannot be.
pub fn changed(text: &str, edit: &Edit) -> Result<String, ChangeError> {
    let form = |error: toml_edit::TomlError| ChangeError::Form(error.message().to_owned());
    let mut document: DocumentMut = text.parse().map_err(form)?;
    match edit {
        Edit::Alias { name, target: Some(target) } => put(entries(&mut document, "aliases")?, name, target.into()),
        Edit::Alias { name, target: None } => take_out(entries(&mut document, "aliases")?, name, "alias")?,
        Edit::Fallback { name, models: Some(models) } => {
            put(entries(&mut document, "fallbacks")?, name, models.iter().collect::<Array>().into());
        }
        Edit::Fallback { name, models: None } => {
            take_out(entries(&mut document, "fallbacks")?, name, "fallback chain")?
        }
        Edit::Policy { pattern, change } => {
            let fields = |table: &mut dyn TableLike| change.iter().for_each(|change| amend_policy(table, change));
            let place = routing(&mut document)?.entry("policies").or_insert_with(list);
            // The first that matches holds: behind a wider one it would never count.
            let behind = |known: &str| covers(known, pattern);
            let of = Listed { key: "model_pattern", name: pattern, what: "policy", behind: &behind };
            of.change(place, change.is_some().then_some(&fields))?;
        }
        Edit::Budget(change) => amend_budget(budget(&mut document)?, change),
        Edit::Membership(membership) => write_membership(of_mesh(&mut document)?, membership),
        Edit::Backend { name, backend } => {
            let fields = |table: &mut dyn TableLike| backend.iter().for_each(|backend| write_backend(table, backend));
            let place = document.entry("backends").or_insert_with(list);
            if backend.is_some() && names(place, "name").any(|known| known == name) {
                return Err(ChangeError::Taken(format!("backend `{name}`")));
            }
            let of = Listed { key: "name", name, what: "backend", behind: &|_| false };
            of.change(place, backend.is_some().then_some(&fields))?;
        }
    }
    Ok(document.to_string())
}

fn list() -> Item {
    Item::ArrayOfTables(ArrayOfTables::new())
}

/// A table that is written only where something stands in it.
fn unwritten() -> Item {
    let mut table = Table::new();
    table.set_implicit(true);
    Item::Table(table)
}

fn routing(document: &mut DocumentMut) -> Result<&mut dyn TableLike, ChangeError> {
    let item = document.entry("routing").or_insert_with(unwritten);
    item.as_table_like_mut().ok_or_else(|| ChangeError::Form("`routing` is not a table: write [routing]".to_owned()))
}

/// The budget, in whichever of its two places it stands.
fn budget(document: &mut DocumentMut) -> Result<&mut dyn TableLike, ChangeError> {
    let is_in_routing = document.get("routing").and_then(|routing| routing.get("budget")).is_some();
    let place: &mut dyn TableLike = if is_in_routing { routing(document)? } else { document.as_table_mut() };
    let item = place.entry("budget").or_insert_with(|| Item::Table(Table::new()));
    item.as_table_like_mut().ok_or_else(|| ChangeError::Form("`budget` is not a table: write [budget]".to_owned()))
}

fn of_mesh(document: &mut DocumentMut) -> Result<&mut dyn TableLike, ChangeError> {
    let item = document.entry("mesh").or_insert_with(|| Item::Table(Table::new()));
    item.as_table_like_mut().ok_or_else(|| ChangeError::Form("`mesh` is not a table: write [mesh]".to_owned()))
}

/// What is as it would be without a word stays unwritten.
fn write_membership(table: &mut dyn TableLike, membership: &Membership) {
    let usual = mesh::Config::default();
    let Membership { name, key, seeds } = membership;
    let key = if key.is_keyed() { key.to_string() } else { String::new() };
    for (place, text, is_usual) in [("name", name, *name == usual.name), ("key", &key, key.is_empty())] {
        if !is_usual || table.contains_key(place) {
            put(table, place, text.into());
        }
    }
    if !seeds.is_empty() || table.contains_key("seeds") {
        put(table, "seeds", seeds.iter().collect::<Array>().into());
    }
}

fn amend_budget(table: &mut dyn TableLike, change: &BudgetChange) {
    let BudgetChange { monthly_limit_usd, soft_limit_percent, hard_limit_action } = *change;
    // It may stand there under its older name.
    let limit = if table.contains_key("monthly_limit") { "monthly_limit" } else { "monthly_limit_usd" };
    amend(table, limit, monthly_limit_usd, |limit| Some(limit.into()));
    amend(table, "soft_limit_percent", soft_limit_percent, |percent| Some(percent.into()));
    amend(table, "hard_limit_action", hard_limit_action, |action| Some(action.word().into()));
}

/// A table of `routing`.
fn entries<'a>(document: &'a mut DocumentMut, name: &str) -> Result<&'a mut dyn TableLike, ChangeError> {
    let item = routing(document)?.entry(name).or_insert_with(|| Item::Table(Table::new()));
    let wrong = || ChangeError::Form(format!("`routing.{name}` is not a table: write [routing.{name}]"));
    item.as_table_like_mut().ok_or_else(wrong)
}

fn take_out(table: &mut dyn TableLike, name: &str, what: &str) -> Result<(), ChangeError> {
    table.remove(name).map(drop).ok_or_else(|| ChangeError::Absent(format!("{what} `{name}`")))
}

type Fill<'a> = dyn Fn(&mut dyn TableLike) + 'a;

/// One table of a list.
struct Listed<'a> {
    /// The key that names it.
    key: &'a str,
    name: &'a str,
    /// What it is, for people.
    what: &'a str,
    /// Whether a new one has to stand before the one of this name.
    behind: &'a dyn Fn(&str) -> bool,
}

impl Listed<'_> {
    /// Sets it or takes it out: `[[x]]`, `x = [{…}]`, or a table by that key.
    fn change<F: Fn(&mut dyn TableLike)>(&self, place: &mut Item, fill: Option<&F>) -> Result<(), ChangeError> {
        let fill: Option<&Fill<'_>> = fill.map(|fill| fill as &Fill<'_>);
        let is_inline = place.is_value();
        match place {
            Item::ArrayOfTables(list) => self.in_tables(list, fill),
            Item::Value(Value::Array(list)) => self.in_array(list, fill),
            other => {
                let wrong = || ChangeError::Form(format!("the list of each {} is none: write [[…]]", self.what));
                self.by_name(other.as_table_like_mut().ok_or_else(wrong)?, is_inline, fill)
            }
        }
    }

    fn absent(&self) -> ChangeError {
        ChangeError::Absent(format!("{} `{}`", self.what, self.name))
    }

    fn is_behind(&self, name: Option<&str>) -> bool {
        name.is_some_and(self.behind)
    }

    fn in_tables(&self, list: &mut ArrayOfTables, fill: Option<&Fill<'_>>) -> Result<(), ChangeError> {
        let name = |table: &Table| table.get(self.key).and_then(Item::as_str).map(str::to_owned);
        let at = list.iter().position(|table| name(table).as_deref() == Some(self.name));
        match (at, fill) {
            (Some(at), Some(fill)) => fill(list.get_mut(at).ok_or_else(|| self.absent())?),
            (Some(at), None) => drop(list.remove(at)),
            (None, Some(fill)) => {
                let mut table = Table::new();
                put(&mut table, self.key, self.name.into());
                fill(&mut table);
                let before = list.iter().position(|known| self.is_behind(name(known).as_deref()));
                // Tables are written by their places in the file.
                table.set_position(before.and_then(|before| list.get(before)?.position()));
                list.insert(before.unwrap_or(list.len()), table);
            }
            (None, None) => return Err(self.absent()),
        }
        Ok(())
    }

    fn in_array(&self, list: &mut Array, fill: Option<&Fill<'_>>) -> Result<(), ChangeError> {
        let name = |value: &Value| Some(value.as_inline_table()?.get(self.key)?.as_str()?.to_owned());
        let at = list.iter().position(|value| name(value).as_deref() == Some(self.name));
        match (at, fill) {
            (Some(at), Some(fill)) => {
                fill(list.get_mut(at).and_then(Value::as_inline_table_mut).ok_or_else(|| self.absent())?);
            }
            (Some(at), None) => drop(list.remove(at)),
            (None, Some(fill)) => {
                let mut table = InlineTable::new();
                put(&mut table, self.key, self.name.into());
                fill(&mut table);
                let before = list.iter().position(|known| self.is_behind(name(known).as_deref()));
                list.insert(before.unwrap_or(list.len()), table);
            }
            (None, None) => return Err(self.absent()),
        }
        Ok(())
    }

    fn by_name(&self, table: &mut dyn TableLike, is_inline: bool, fill: Option<&Fill<'_>>) -> Result<(), ChangeError> {
        // In a table of policies by pattern `default` stands for `*`.
        let name = if self.name == "*" && table.contains_key(DEFAULT) { DEFAULT } else { self.name };
        let Some(fill) = fill else { return take_out(table, name, self.what) };
        let wrong = || ChangeError::Form(format!("{} `{name}` is not a table", self.what));
        if let Some(known) = table.get_mut(name) {
            fill(known.as_table_like_mut().ok_or_else(wrong)?);
            return Ok(());
        }
        // `default` comes last wherever it is written.
        let is_behind = |known: &&str| *known != DEFAULT && (self.behind)(known);
        let names: Vec<String> = table.iter().map(|(known, _)| known.to_owned()).collect();
        let first = names.iter().position(|known| is_behind(&known.as_str())).unwrap_or(names.len());
        let mut new = Table::new();
        fill(&mut new);
        let wider = names.get(first).and_then(|wider| table.get(wider));
        new.set_position(wider.and_then(Item::as_table).and_then(Table::position));
        // Tables with a head of their own come behind all values.
        let is_inline = is_inline || wider.is_some_and(|wider| wider.as_table().is_none_or(Table::is_dotted));
        let behind: Vec<(Key, Item)> = names[first..]
            .iter()
            .filter_map(|known| {
                let key = table.get_key_value(known)?.0.clone();
                Some((key, table.remove(known)?))
            })
            .collect();
        let new = if is_inline { Item::Value(Value::InlineTable(new.into_inline_table())) } else { Item::Table(new) };
        table.entry(name).or_insert(new);
        for (key, item) in behind {
            table.entry_format(&key).or_insert(item);
        }
        Ok(())
    }
}

/// The key of a table of policies that stands for every model.
const DEFAULT: &str = "default";

/// What the tables of a list are called.
fn names<'a>(place: &'a Item, key: &'a str) -> Box<dyn Iterator<Item = &'a str> + 'a> {
    match place {
        Item::ArrayOfTables(list) => Box::new(list.iter().filter_map(move |table| table.get(key)?.as_str())),
        Item::Value(Value::Array(list)) => {
            Box::new(list.iter().filter_map(move |value| value.as_inline_table()?.get(key)?.as_str()))
        }
        _ => Box::new(std::iter::empty()),
    }
}

/// Touches what is named, and nothing else. What says no more than the default is not written.
fn amend_policy(table: &mut dyn TableLike, change: &PolicyChange) {
    amend(table, "privacy", change.privacy(), |privacy| (privacy == Privacy::Restricted).then(|| "restricted".into()));
    amend(table, "min_tier", change.min_tier, |tier| Some(i64::from(tier.get()).into()));
    amend(table, "max_cost_per_request", change.max_cost_per_request, |most| Some(most.into()));
    amend(table, "fallback_allowed", change.fallback_allowed, |allowed| (!allowed).then(|| false.into()));
}

fn amend<T>(table: &mut dyn TableLike, key: &str, amend: Amend<T>, write: impl Fn(T) -> Option<Value>) {
    match amend {
        Amend::Keep => {}
        Amend::Clear => put_or_remove(table, key, None),
        Amend::Set(value) => put_or_remove(table, key, write(value)),
    }
}

fn write_backend(table: &mut dyn TableLike, backend: &Saved) {
    put(table, "url", backend.url.as_str().into());
    put(table, "type", backend.kind.as_str().into());
    put_or_remove(table, "priority", backend.priority.map(|priority| i64::from(priority).into()));
    put_or_remove(table, "zone", backend.zone.map(|zone| zone.as_str().into()));
    put_or_remove(table, "tier", backend.tier.map(|tier| i64::from(tier.get()).into()));
}

fn put_or_remove(table: &mut dyn TableLike, key: &str, value: Option<Value>) {
    match value {
        Some(value) => put(table, key, value),
        None => drop(table.remove(key)),
    }
}

#[cfg(test)]
mod tests;
