//! Google's Gemini API: `GET /v1beta/models`, page by page.

use serde_json::Value;
use tokio::time::Instant;

use super::Found;
use super::ask::{Ask, ProbeError};
use crate::fleet::{Model, Support};

/// Entries of a page, the most there may be, and pages.
const PAGE: usize = 1000;
const MOST_PAGES: usize = 8;

pub(super) async fn probe(ask: &Ask<'_>, started: Instant) -> Result<Found, ProbeError> {
    let first = ask.get_ok(&format!("/v1beta/models?pageSize={PAGE}")).await?;
    let latency = started.elapsed();
    let Some(mut page) = first.filter(|page| page.get("models").is_some_and(Value::is_array)) else {
        return Ok(Found { latency, models: None, slots: None });
    };
    let mut models = read(&page);
    for _ in 1..MOST_PAGES {
        let token = page.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
        let Some(token) = token else { break };
        let token: String = url::form_urlencoded::byte_serialize(token.as_bytes()).collect();
        let path = format!("/v1beta/models?pageSize={PAGE}&pageToken={token}");
        let Some(next) = ask.get_maybe(&path).await else { break };
        models.extend(read(&next));
        page = next;
    }
    Ok(Found { latency, models: Some(models), slots: None })
}

fn read(page: &Value) -> Vec<Model> {
    let entries = page.get("models").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(model).collect()
}

/// Those that answer or embed; what makes pictures or speaks live is asked in other ways.
fn model(entry: &Value) -> Option<Model> {
    let name = entry.get("name").and_then(Value::as_str)?;
    let id = name.strip_prefix("models/").unwrap_or(name);
    let methods = entry.get("supportedGenerationMethods").and_then(Value::as_array);
    let can = |method: &str| methods.into_iter().flatten().any(|known| known == method);
    let (answers, embeds) = (can("generateContent"), can("embedContent") || can("batchEmbedContents"));
    if id.is_empty() || !(answers || embeds) {
        return None;
    }
    let mut model = Model::named(id);
    let number = |key: &str| entry.get(key).and_then(Value::as_u64).filter(|number| *number > 0);
    model.context_length = number("inputTokenLimit");
    model.max_output_tokens = number("outputTokenLimit");
    model.embeddings = Support::known(Some(embeds));
    if !answers {
        (model.vision, model.tools, model.json_mode) = (Support::No, Support::No, Support::No);
    }
    Some(model)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answers, check};
    use super::*;
    use crate::fleet::Kind;

    #[tokio::test]
    async fn what_answers_or_embeds_is_listed_without_its_prefix() {
        let server = Answers::of(&[
            (
                "/v1beta/models?pageSize=1000",
                r#"{"models":[
                    {"name":"models/gemini-x","inputTokenLimit":8,"supportedGenerationMethods":["generateContent"]},
                    {"name":"models/imagen","supportedGenerationMethods":["predict"]}],"nextPageToken":"a/b"}"#,
            ),
            (
                "/v1beta/models?pageSize=1000&pageToken=a%2Fb",
                r#"{"models":[{"name":"models/z-embed","supportedGenerationMethods":["embedContent"]}]}"#,
            ),
        ]);
        let seen = check(Kind::Google, &server).await;
        let models = seen.models();
        assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["gemini-x", "z-embed"]);
        assert_eq!((models[0].context_length, models[0].embeddings), (Some(8), Support::No));
        assert_eq!((models[1].tools, models[1].embeddings), (Support::No, Support::Yes));
    }
}
