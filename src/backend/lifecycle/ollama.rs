//! Ollama: a question without a prompt loads a model, `keep_alive` says for how long; `/api/ps` says what is there.

use serde_json::{Value, json};

use super::{Standing, Trouble, told};
use crate::backend::ask::Ask;
use crate::backend::ollama::{PS, tagged};
use crate::fleet::Model;

/// Until it is told otherwise.
const FOR_EVER: i64 = -1;

pub(super) async fn standing(ask: &Ask<'_>, model: &str) -> Result<Standing, Trouble> {
    let running = ask.get_ok(PS).await?;
    // One that is on its way is listed as well.
    if lists(running.as_ref(), model)? {
        return Ok(Standing { is_certain: false, ..Standing::of(true) });
    }
    let known = ask.get_ok("/api/tags").await?;
    if lists(known.as_ref(), model)? { Ok(Standing::of(false)) } else { Err(Trouble::NoModel) }
}

fn lists(answer: Option<&Value>, model: &str) -> Result<bool, Trouble> {
    let models = answer.and_then(|answer| answer.get("models")).and_then(Value::as_array);
    let models = models.ok_or_else(|| Trouble::Failed("what it lists is no list of models".to_owned()))?;
    let wanted = tagged(model);
    let names = |entry: &Value| {
        ["name", "model"]
            .iter()
            .any(|key| entry.get(key).and_then(Value::as_str).is_some_and(|it| tagged(it) == wanted))
    };
    Ok(models.iter().any(names))
}

pub(super) async fn load(ask: &Ask<'_>, model: &Model) -> Result<(), Trouble> {
    if model.embeddings.is_yes() {
        return embed(ask, &model.id).await;
    }
    match told(ask, "/api/generate", &json!({ "model": model.id, "keep_alive": FOR_EVER })).await {
        Err(Trouble::Failed(said)) if said.contains("does not support generate") => embed(ask, &model.id).await,
        answer => answer.map(drop),
    }
}

/// The same for one that only embeds.
async fn embed(ask: &Ask<'_>, model: &str) -> Result<(), Trouble> {
    told(ask, "/api/embed", &json!({ "model": model, "input": "", "keep_alive": FOR_EVER })).await.map(drop)
}

pub(super) async fn unload(ask: &Ask<'_>, model: &str) -> Result<(), Trouble> {
    told(ask, "/api/generate", &json!({ "model": model, "keep_alive": 0 })).await.map(drop)
}
