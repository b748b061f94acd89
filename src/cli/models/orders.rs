//! `nexus models load`, `unload` and `migrate`: what a running peer is told to do with a model, and the wait for it.

use std::time::Duration;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value as Json, json};

use crate::cli::client::{Client, ClientError};
use crate::cli::render::clean;
use crate::cli::{ConfigFile, backends, print, tell};
use crate::exchange::{Operation, OperationStatus};

/// Have a backend load a model into memory, and wait until it is there.
///
/// Any peer can be told, for any backend of a mesh that has a key. Ollama, LM Studio and llama.cpp's router can do it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  nexus models load llama3.2 --backend gpu-box
  nexus models load qwen3:8b --backend gpu-box --pull")]
pub(super) struct Load {
    /// The model, as its backend names it
    model: String,
    /// The backend [default: the only one that has the model]
    #[arg(short, long, value_name = "NAME")]
    backend: Option<String>,
    /// The peer of the backend, where more than one has a backend of that name
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Fetch the model first (Ollama)
    #[arg(long)]
    pull: bool,
    #[command(flatten)]
    waiting: Waiting,
}

/// Have a backend let a model go from memory.
///
/// A model that has active requests stays: `nexus models migrate` waits for them.
#[derive(Debug, Args)]
pub(super) struct Unload {
    /// The model, as its backend names it
    model: String,
    /// The backend [default: the only one that has the model in memory]
    #[arg(short, long, value_name = "NAME")]
    backend: Option<String>,
    /// The peer of the backend, where more than one has a backend of that name
    #[arg(long, value_name = "NAME")]
    peer: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// Move a model from one backend to another. The first serves until the second has it.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  nexus models migrate llama3.2 --from laptop --to gpu-box")]
pub(super) struct Migrate {
    /// The model, as both backends name it
    model: String,
    /// The backend that has it
    #[arg(long, value_name = "NAME")]
    from: String,
    /// The backend that is to have it
    #[arg(long, value_name = "NAME")]
    to: String,
    /// The peer of the first, where more than one has a backend of that name
    #[arg(long, value_name = "NAME")]
    from_peer: Option<String>,
    /// The peer of the second
    #[arg(long, value_name = "NAME")]
    to_peer: Option<String>,
    #[command(flatten)]
    waiting: Waiting,
}

#[derive(Debug, Args)]
struct Waiting {
    /// Print the id of the operation and do not wait for its end
    #[arg(long)]
    no_wait: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// How often it is asked how an operation is.
const ASK_EVERY: Duration = Duration::from_millis(250);

impl Load {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Load { model, backend, peer, pull, waiting } = self;
        let body = json!({ "model_id": model, "backend_id": backend, "peer": peer, "pull": pull });
        waiting
            .order("/v1/models/load", &body, "Loading", |ended| {
                format!("Loaded {} on {}", ended.model_id, place(ended))
            })
            .await
    }
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Migrate { model, from, to, from_peer, to_peer, waiting } = self;
        let body = json!({
            "model_id": model, "source_backend_id": from, "target_backend_id": to,
            "source_peer": from_peer, "target_peer": to_peer,
        });
        waiting
            .order("/v1/models/migrate", &body, "Moving", |ended| {
                format!("Moved {} from {from} to {}", ended.model_id, ended.backend_id)
            })
            .await
    }
}

impl Unload {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Unload { model, backend, peer, json, config } = self;
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (key, value) in [("backend_id", &backend), ("peer", &peer)] {
            if let Some(value) = value {
                query.append_pair(key, value);
            }
        }
        let path = format!("/v1/models/{}?{}", backends::percent_encode(&model), query.finish());
        let answer: Json = Client::find(config.path.as_deref())?.delete(&path).await?;
        if json {
            return Ok(print(&(serde_json::to_string_pretty(&answer)? + "\n"))?);
        }
        let backend = answer["backend_id"].as_str().unwrap_or_default();
        Ok(print(&format!("Unloaded {} from {}\n", clean(&model), clean(backend)))?)
    }
}

impl Waiting {
    async fn order(
        &self,
        path: &str,
        body: &Json,
        doing: &'static str,
        done: impl Fn(&Operation) -> String,
    ) -> anyhow::Result<()> {
        let client = Client::find(self.config.path.as_deref())?;
        let begun: Json = client.post(path, body).await?;
        let id = begun["operation_id"].as_str().unwrap_or_default();
        if self.no_wait {
            let text = if self.json { serde_json::to_string_pretty(&begun)? } else { clean(id) };
            return Ok(print(&format!("{text}\n"))?);
        }
        let model = body["model_id"].as_str().unwrap_or_default();
        let ended = wait(&client, id, &format!("{doing} {}", clean(model))).await?;
        if self.json {
            print(&(serde_json::to_string_pretty(&ended)? + "\n"))?;
        }
        match ended.status {
            OperationStatus::Completed if self.json => Ok(()),
            OperationStatus::Completed => Ok(print(&format!("{}\n", clean(&done(&ended))))?),
            _ => Err(anyhow::anyhow!("{}", clean(ended.error.as_deref().unwrap_or("it failed")))),
        }
    }
}

/// The operation when it has ended. A node that does not answer once may answer again.
async fn wait(client: &Client, id: &str, doing: &str) -> anyhow::Result<Operation> {
    let bar = bar(doing);
    if bar.is_hidden() {
        tell(&format!("{doing} ({id})"));
    }
    let path = format!("/v1/operations/{}", backends::percent_encode(id));
    let mut silent = 0;
    loop {
        match client.get::<Operation>(&path).await {
            Ok(operation) if operation.has_ended() => {
                bar.finish_and_clear();
                return Ok(operation);
            }
            Ok(operation) => {
                silent = 0;
                show(&bar, operation.progress);
            }
            Err(ClientError::Unreachable { .. }) if silent < MOST_SILENT => silent += 1,
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Questions in a row that may go unanswered.
const MOST_SILENT: u32 = 8;

fn bar(doing: &str) -> ProgressBar {
    let bar = ProgressBar::new(1000);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.set_message(doing.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar
}

fn show(bar: &ProgressBar, progress: Option<f32>) {
    let Some(share) = progress else { return };
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} [{bar:24}] {percent}% {elapsed}") {
        bar.set_style(style);
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1000")]
    let steps = (share.clamp(0.0, 1.0) * 1000.0) as u64;
    bar.set_position(steps);
}

fn place(ended: &Operation) -> String {
    if ended.peer.is_empty() { ended.backend_id.clone() } else { format!("{} ({})", ended.backend_id, ended.peer) }
}
