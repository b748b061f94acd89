//! `nexus models`: what can be asked for, and who has it; and what is to be in memory.

mod orders;

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use super::client::Client;
use super::render::{self, BackendView, Style};
use super::{ConfigFile, backends, print};
use crate::fleet::Status;

/// List, load, unload and move the models of the whole mesh
///
/// Without a command they are listed, with the backends that have them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Models {
    #[command(subcommand)]
    order: Option<Order>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Only those of this backend
    #[arg(short, long, value_name = "ID_OR_NAME")]
    backend: Option<String>,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Order {
    Load(orders::Load),
    Unload(orders::Unload),
    Migrate(orders::Migrate),
}

/// A model and everyone who has it.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    id: String,
    backends: Vec<String>,
    context_length: Option<u64>,
    supports_vision: bool,
    supports_tools: bool,
    supports_json_mode: bool,
}

impl Models {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self.order {
            None => self.list().await,
            Some(Order::Load(load)) => load.run().await,
            Some(Order::Unload(unload)) => unload.run().await,
            Some(Order::Migrate(migrate)) => migrate.run().await,
        }
    }

    async fn list(self) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let mut backends = backends::known(&client).await?;
        match &self.backend {
            Some(name) => {
                backends.retain(|backend| backend.name == *name || backend.id == *name);
                anyhow::ensure!(!backends.is_empty(), "Backend not found: {name}");
            }
            None => backends.retain(|backend| backend.status != Status::Unhealthy),
        }
        let rows = rows(&backends);
        let text = if self.json {
            serde_json::to_string_pretty(&json!({ "models": rows }))? + "\n"
        } else {
            draw(Style::of_stdout(), &rows)
        };
        Ok(print(&text)?)
    }
}

/// One row for each model, by name; what any backend can do, the model can do.
fn rows(backends: &[BackendView]) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for backend in backends {
        for model in &backend.models {
            let row = rows.entry(&model.id).or_insert_with(|| Row {
                id: model.id.clone(),
                backends: Vec::new(),
                context_length: None,
                supports_vision: false,
                supports_tools: false,
                supports_json_mode: false,
            });
            if !row.backends.contains(&backend.name) {
                row.backends.push(backend.name.clone());
            }
            row.context_length = row.context_length.max(model.context_length);
            row.supports_vision |= model.supports_vision;
            row.supports_tools |= model.supports_tools;
            row.supports_json_mode |= model.supports_json_mode;
        }
    }
    rows.into_values().collect()
}

fn draw(style: Style, rows: &[Row]) -> String {
    let mut table = style.table(["Model", "Backends", "Context Length"]);
    for row in rows {
        table.add_row([
            render::clean(&row.id),
            render::clean(&row.backends.join(", ")),
            row.context_length.map_or_else(|| "N/A".to_owned(), |length| length.to_string()),
        ]);
    }
    style.draw(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_several_backends_is_one_row() {
        let backends: Vec<BackendView> = serde_json::from_value(json!([
            {"id": "b", "name": "b", "models": [{"id": "m", "context_length": 4096}, {"id": "k"}]},
            {"id": "a", "name": "a", "models": [{"id": "m", "context_length": 8192, "supports_tools": true}]},
        ]))
        .expect("backends");
        let rows = rows(&backends);
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[1].context_length, rows[1].supports_tools), (Some(8192), true));
        insta::assert_snapshot!(draw(Style::plain(), &rows), @r"
        ┌───────┬──────────┬────────────────┐
        │ Model │ Backends │ Context Length │
        ├───────┼──────────┼────────────────┤
        │ k     │ b        │ N/A            │
        │ m     │ b, a     │ 8192           │
        └───────┴──────────┴────────────────┘
        ");
    }
}
