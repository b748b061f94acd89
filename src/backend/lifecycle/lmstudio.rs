//! LM Studio: since version 0.4 it loads a model and unloads an instance of one when it is told to. Before that a model
//! was loaded by asking it something, for as long as the question said, and never unloaded.

use serde_json::{Value, json};

use super::{Standing, Trouble, told};
use crate::backend::ask::Ask;
use crate::backend::lmstudio::NATIVE;
use crate::fleet::{Model, Residency};

/// For how long an older version keeps a model that nobody asks for, in seconds: a day.
const KEPT: u32 = 86_400;

/// What it lists.
enum List {
    /// Models, each with its instances in memory.
    Instances(Vec<Value>),
    /// Models, each with a word for where it is.
    States(Vec<Value>),
}

async fn list(ask: &Ask<'_>) -> Result<List, Trouble> {
    let array = |answer: Option<Value>, key: &str| answer?.get(key)?.as_array().cloned();
    // Whoever is not there at all says so here.
    let (status, answer) = ask.get(NATIVE).await?;
    if let Some(models) = array(answer.filter(|_| status.is_success()), "models") {
        return Ok(List::Instances(models));
    }
    let older = array(ask.get_ok("/api/v0/models").await?, "data");
    older.map(List::States).ok_or_else(|| Trouble::Failed("it does not say what it has in memory".to_owned()))
}

fn text<'v>(entry: &'v Value, key: &str) -> Option<&'v str> {
    entry.get(key).and_then(Value::as_str)
}

/// The names under which it is in memory; `None` where there is no such model.
fn instances(models: &[Value], model: &str) -> Option<Vec<String>> {
    let loaded = |entry: &Value| -> Vec<String> {
        let instances = entry.get("loaded_instances").and_then(Value::as_array).into_iter().flatten();
        instances.filter_map(|instance| text(instance, "id")).map(str::to_owned).collect()
    };
    if let Some(entry) = models.iter().find(|entry| text(entry, "key") == Some(model)) {
        return Some(loaded(entry));
    }
    let is_one = |name: &String| name == model;
    models.iter().flat_map(loaded).find(is_one).map(|instance| vec![instance])
}

pub(super) async fn standing(ask: &Ask<'_>, model: &str) -> Result<Standing, Trouble> {
    match list(ask).await? {
        List::Instances(models) => {
            let instances = instances(&models, model).ok_or(Trouble::NoModel)?;
            Ok(Standing::of(!instances.is_empty()))
        }
        List::States(models) => {
            let is_it = |entry: &&Value| text(entry, "id") == Some(model);
            let entry = models.iter().find(is_it).ok_or(Trouble::NoModel)?;
            let residency = match text(entry, "state") {
                Some("loaded") => Residency::Loaded,
                Some("loading") => Residency::Loading,
                _ => Residency::Unloaded,
            };
            Ok(Standing { residency, ..Standing::of(false) })
        }
    }
}

pub(super) async fn load(ask: &Ask<'_>, model: &Model) -> Result<(), Trouble> {
    let order = told(ask, "/api/v1/models/load", &json!({ "model": model.id })).await;
    match order {
        Err(trouble) if is_of_path(&trouble) && !is_new(ask).await => load_by_asking(ask, model).await,
        answer => answer.map(drop),
    }
}

async fn load_by_asking(ask: &Ask<'_>, model: &Model) -> Result<(), Trouble> {
    if model.embeddings.is_yes() {
        let question = json!({ "model": model.id, "input": "hello", "ttl": KEPT });
        return told(ask, "/v1/embeddings", &question).await.map(drop);
    }
    let messages = json!([{ "role": "user", "content": "hello" }]);
    let question = json!({ "model": model.id, "messages": messages, "max_tokens": 1, "ttl": KEPT });
    told(ask, "/v1/chat/completions", &question).await.map(drop)
}

pub(super) async fn unload(ask: &Ask<'_>, model: &str) -> Result<(), Trouble> {
    let named = match list(ask).await? {
        List::Instances(models) => instances(&models, model).ok_or(Trouble::NoModel)?,
        // Most instances are called as their model is.
        List::States(_) => vec![model.to_owned()],
    };
    for instance in named {
        let order = told(ask, "/api/v1/models/unload", &json!({ "instance_id": instance })).await;
        match order {
            Err(trouble) if is_of_path(&trouble) && !is_new(ask).await => {
                let instead = "this version of LM Studio cannot be told to unload a model: version 0.4 can";
                return Err(Trouble::Impossible(instead.to_owned()));
            }
            answer => drop(answer?),
        }
    }
    Ok(())
}

/// Whether it may be the path that it does not know, and not the model.
fn is_of_path(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::NoModel => true,
        Trouble::Failed(said) => said.contains("405") || said.to_ascii_lowercase().contains("unexpected endpoint"),
        _ => false,
    }
}

async fn is_new(ask: &Ask<'_>) -> bool {
    matches!(list(ask).await, Ok(List::Instances(_)))
}
