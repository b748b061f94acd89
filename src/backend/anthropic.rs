//! Anthropic's API: `GET /v1/models`, page by page. It costs nothing; a message would.

use serde_json::Value;
use tokio::time::Instant;

use super::Found;
use super::ask::{Ask, ProbeError};
use crate::fleet::{Model, Support};

/// Entries of a page, the most there may be, and pages.
const PAGE: usize = 1000;
const MOST_PAGES: usize = 8;

pub(super) async fn probe(ask: &Ask<'_>, started: Instant) -> Result<Found, ProbeError> {
    let first = ask.get_ok(&format!("/v1/models?limit={PAGE}")).await?;
    let latency = started.elapsed();
    let Some(mut page) = first.filter(|page| page.get("data").is_some_and(Value::is_array)) else {
        return Ok(Found { latency, models: None, slots: None });
    };
    let mut models = read(&page);
    for _ in 1..MOST_PAGES {
        let more = page.get("has_more").and_then(Value::as_bool).unwrap_or(false);
        let Some(last) = page.get("last_id").and_then(Value::as_str).filter(|_| more) else { break };
        let last: String = url::form_urlencoded::byte_serialize(last.as_bytes()).collect();
        let Some(next) = ask.get_maybe(&format!("/v1/models?limit={PAGE}&after_id={last}")).await else { break };
        models.extend(read(&next));
        page = next;
    }
    Ok(Found { latency, models: Some(models), slots: None })
}

fn read(page: &Value) -> Vec<Model> {
    let entries = page.get("data").and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(model).collect()
}

fn model(entry: &Value) -> Option<Model> {
    let id = entry.get("id").and_then(Value::as_str).filter(|id| !id.is_empty())?;
    let mut model = Model::named(id);
    let number = |key: &str| entry.get(key).and_then(Value::as_u64).filter(|number| *number > 0);
    model.context_length = number("max_input_tokens");
    model.max_output_tokens = number("max_tokens");
    // Every model that the API lists takes tools and makes no embeddings.
    (model.tools, model.embeddings) = (Support::Yes, Support::No);
    let image = entry.pointer("/capabilities/image_input/supported").and_then(Value::as_bool);
    model.vision = Support::known(image);
    Some(model)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Answers, check};
    use crate::fleet::Kind;

    #[tokio::test]
    async fn every_page_is_read_and_nothing_is_paid_for() {
        let server = Answers::of(&[
            (
                "/v1/models?limit=1000",
                r#"{"data":[{"type":"model","id":"claude-a","max_input_tokens":200000,"max_tokens":64000}],
                    "has_more":true,"last_id":"claude-a"}"#,
            ),
            ("/v1/models?limit=1000&after_id=claude-a", r#"{"data":[{"id":"claude-b"},{"id":""},3],"has_more":false}"#),
        ]);
        let seen = check(Kind::Anthropic, &server).await;
        let models = seen.models();
        assert_eq!(models.iter().map(|model| model.id.as_str()).collect::<Vec<_>>(), ["claude-a", "claude-b"]);
        assert_eq!((models[0].context_length, models[0].max_output_tokens), (Some(200_000), Some(64_000)));
        assert_eq!((server.asked("/messages"), server.asked("/v1/")), (0, 2), "the list, and nothing else");
    }
}
