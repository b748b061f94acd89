//! What a running node says of itself: where it answers, which models it has, and which of them a tool should use.

use std::collections::BTreeMap;

use http::StatusCode;
use serde::Deserialize;

use super::settings::{Offer, PLACEHOLDER};
use crate::cli::client::{Client, ClientError};
use crate::fleet::Model;

/// An answer, or what stands in for one.
#[derive(Debug)]
pub(super) struct Node {
    /// The root of its URL.
    pub(super) url: String,
    /// The model to use.
    pub(super) model: String,
    /// Every model that can chat, the one to use among them.
    pub(super) models: Vec<Offer>,
    /// It answers nobody without a key.
    pub(super) asks_for_key: bool,
    /// Why nothing of this is known for sure.
    pub(super) problem: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Listing {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    #[serde(default)]
    context_length: Option<u64>,
    #[serde(default)]
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Capabilities {
    vision: bool,
    tools: bool,
    embeddings: bool,
}

impl Node {
    /// Asks what there is. A node that does not answer is a problem and no error.
    ///
    /// # Errors
    /// It does not have the model that is wanted.
    pub(super) async fn ask(client: &Client, wanted: Option<&str>) -> anyhow::Result<Self> {
        let (listing, url) = match client.get_and_place::<Listing>("/v1/models").await {
            Ok(answer) => answer,
            Err(error) => {
                let asks_for_key = matches!(error, ClientError::Refused { status: StatusCode::UNAUTHORIZED, .. });
                return Ok(Node::unknown(client.first_place(), wanted, error.to_string(), asks_for_key));
            }
        };
        let offers = offers(listing);
        let Some(model) = wanted else { return Ok(Node::of(url, offers)) };
        let offer = match offers.iter().find(|offer| offer.id == model) {
            Some(offer) => offer.clone(),
            // Not everything that can be asked for is listed: an alias answers to its own name.
            None => {
                let entry: Entry = client.get(&format!("/v1/models/{}", percent_encode(model))).await?;
                Offer { id: model.to_owned(), ..Offer::of(&entry) }
            }
        };
        let others = offers.into_iter().filter(|other| !other.embeds && other.id != model);
        let models = std::iter::once(offer).chain(others).collect();
        Ok(Node { url: url.to_owned(), model: model.to_owned(), models, asks_for_key: false, problem: None })
    }

    fn unknown(url: &str, wanted: Option<&str>, problem: String, asks_for_key: bool) -> Self {
        let problem = problem.trim_end_matches('.').to_owned();
        let model = wanted.unwrap_or(PLACEHOLDER).to_owned();
        let models = vec![Offer { id: model.clone(), ..Offer::default() }];
        Node { url: url.to_owned(), model, models, asks_for_key, problem: Some(problem) }
    }

    /// Among models that can chat, one that is known to call tools is preferred.
    pub(super) fn of(url: &str, models: Vec<Offer>) -> Self {
        let chats: Vec<Offer> = models.into_iter().filter(|offer| !offer.embeds).collect();
        match chats.iter().find(|offer| offer.tools).or_else(|| chats.first()) {
            Some(best) => {
                let model = best.id.clone();
                Node { url: url.to_owned(), model, models: chats, asks_for_key: false, problem: None }
            }
            None => Node::unknown(url, None, format!("nexus at {url} has no model to chat with"), false),
        }
    }
}

/// One for each model, by name; what any backend can do, the model can do.
pub(super) fn offers(listing: Listing) -> Vec<Offer> {
    let mut offers: BTreeMap<String, Offer> = BTreeMap::new();
    // Such a name is no name of a model, and would do harm on a terminal.
    for entry in listing.data.iter().filter(|entry| !entry.id.chars().any(char::is_control)) {
        let next = Offer::of(entry);
        let offer = offers.entry(entry.id.clone()).or_insert_with(|| next.clone());
        offer.context = offer.context.max(next.context);
        offer.vision |= next.vision;
        offer.tools |= next.tools;
        offer.embeds |= next.embeds;
    }
    offers.into_values().collect()
}

impl Offer {
    fn of(entry: &Entry) -> Self {
        Offer {
            id: entry.id.clone(),
            // What is listed where nothing is known says nothing.
            context: entry.context_length.filter(|length| *length != Model::DISPLAY_CONTEXT),
            vision: entry.capabilities.vision,
            tools: entry.capabilities.tools,
            embeds: entry.capabilities.embeddings || sounds_like_embedding(&entry.id),
        }
    }
}

/// The list does not say what a model is for; its name mostly does.
fn sounds_like_embedding(id: &str) -> bool {
    let id = id.to_ascii_lowercase();
    let name = id.rsplit('/').next().unwrap_or(&id);
    let inside = ["embed", "rerank", "minilm"].iter().any(|word| name.contains(word));
    inside || ["bge-", "gte-", "e5-", "multilingual-e5"].iter().any(|start| name.starts_with(start))
}

/// One segment of a path.
fn percent_encode(segment: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    segment.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node(entries: serde_json::Value) -> Node {
        Node::of("http://h:1", offers(serde_json::from_value(json!({ "data": entries })).expect("a listing")))
    }

    #[test]
    fn a_model_that_calls_tools_is_preferred_and_one_that_embeds_is_never_taken() {
        let tools = json!({"tools": true});
        let all = node(json!([
            {"id": "all-minilm"}, {"id": "b"}, {"id": "c"}, {"id": "c", "capabilities": tools, "context_length": 9},
            {"id": "nomic-embed-text", "capabilities": tools}, {"id": "x\u{1b}[2J", "capabilities": tools},
        ]));
        assert_eq!((all.model.as_str(), all.models.len()), ("c", 2));
        assert_eq!(all.models[1].context, Some(9));
        assert_eq!(node(json!([{"id": "BAAI/bge-m3"}, {"id": "b", "context_length": 4096}])).model, "b");
        assert_eq!(node(json!([{"id": "b", "context_length": 4096}])).models[0].context, None);
    }

    #[test]
    fn no_model_is_a_problem() {
        let none = node(json!([{"id": "e5-large"}]));
        assert_eq!(none.model, PLACEHOLDER);
        assert_eq!(none.problem.as_deref(), Some("nexus at http://h:1 has no model to chat with"));
    }
}
