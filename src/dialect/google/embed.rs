//! Embeddings: `embedContent` of one text, `batchEmbedContents` of several. A backend is always asked for a batch.

use serde::{Deserialize, Serialize};

use super::ask::{resource, written};
use super::reply::{UsageMetadata, garbled};
use super::request::bad;
use super::settings::natural;
use super::values::{Many, Whole};
use super::wire::Content;
use crate::dialect::chat::{EmbedReply, EmbedRequest, Garbled, Hint, Spoken, Unsupported, read_body};
use crate::dialect::inspect::{BadRequest, MAX_INPUTS};

/// The API takes no more texts in one batch.
const MAX_BATCH: usize = 100;

/// Reads the body of `batchEmbedContents`, or of `embedContent` where it is no `batch`. Fields that no other dialect has
/// are refused: there is nothing else that they could be noted in.
///
/// # Errors
/// It is none.
pub fn decode_embed_request(body: &str, batch: bool) -> Result<EmbedRequest, BadRequest> {
    let mut unknown = Vec::new();
    let requests = match batch {
        true => read_body::<Batch<'_>>(body, &mut unknown)?.requests.map_or_else(Vec::new, |requests| requests.0),
        false => vec![read_body::<One<'_>>(body, &mut unknown)?],
    };
    if let Some(path) = unknown.into_iter().next() {
        return Err(bad(path, "is not known here: leave it out"));
    }
    if requests.is_empty() {
        return Err(BadRequest::Missing { field: "requests", wanted: "one for each text" });
    }
    if requests.len() as u64 > MAX_INPUTS {
        return Err(bad("requests", &format!("are {}: send at most {MAX_INPUTS} at once", requests.len())));
    }
    let mut told = EmbedRequest { inputs: Vec::with_capacity(requests.len()), ..EmbedRequest::default() };
    for (at, one) in requests.into_iter().enumerate() {
        let path = |field: &str| if batch { format!("requests[{at}].{field}") } else { field.to_owned() };
        let config = one.embed_content_config.and_then(|config| config.output_dimensionality);
        let dimensions = natural(one.output_dimensionality.or(config), &path("outputDimensionality"))?;
        if at > 0 && dimensions != told.dimensions {
            return Err(bad(path("outputDimensionality"), "must be the same in all requests"));
        }
        told.dimensions = dimensions;
        told.inputs.push(text(one.content, &path("content"))?);
    }
    Ok(told)
}

/// The text of a content; one of several parts is one text.
fn text(content: Option<Content<'_>>, path: &str) -> Result<String, BadRequest> {
    let parts = content.and_then(|content| content.parts).map_or_else(Vec::new, |parts| parts.0);
    let mut texts = Vec::with_capacity(parts.len());
    for (at, part) in parts.into_iter().enumerate() {
        let wanted = "must be a text: nothing else can be embedded here";
        texts.push(part.text.ok_or_else(|| bad(format!("{path}.parts[{at}]"), wanted))?);
    }
    match texts.len() {
        0 => Err(bad(path, "must hold the text, as {\"parts\":[{\"text\":...}]}")),
        1 => Ok(texts.swap_remove(0)),
        _ => Ok(texts.join("\n")),
    }
}

/// Writes the body of `batchEmbedContents`.
///
/// # Errors
/// There are more texts than the API takes in one batch.
pub fn encode_embed_request(request: &EmbedRequest, model: &str) -> Result<Vec<u8>, Unsupported> {
    let mut refused = Unsupported::default();
    refused.note(request.inputs.len() > MAX_BATCH, "input: more than 100 texts");
    refused.check()?;
    let model = resource(model);
    let requests = request.inputs.iter().map(|text| AskedOne {
        model: &model,
        content: AskedContent { parts: [AskedPart { text }] },
        output_dimensionality: request.dimensions,
    });
    Ok(written(&Asked { requests: requests.collect() }))
}

/// Reads a backend's answer to `batchEmbedContents`.
///
/// # Errors
/// It is none.
pub fn decode_embed_reply(body: &[u8]) -> Result<EmbedReply, Garbled> {
    let told: Embeddings = serde_json::from_slice(body)
        .map_err(|error| garbled(&format!("no embeddings (line {}, column {})", error.line(), error.column())))?;
    let one = told.embedding.map_or_else(Vec::new, |one| vec![one]);
    let all = told.embeddings.unwrap_or(one);
    let vectors: Option<Vec<_>> = all.into_iter().map(|one| one.values).collect();
    let vectors = vectors.filter(|vectors| !vectors.is_empty()).ok_or_else(|| garbled("it holds no embeddings"))?;
    let used = told.usage_metadata.map(Spoken::from).unwrap_or_default();
    Ok(EmbedReply { model: None, vectors, prompt_tokens: used.prompt_tokens })
}

/// Writes the answer to `batchEmbedContents`, or to `embedContent` where it was no `batch`.
pub fn encode_embed_reply(reply: &EmbedReply, batch: bool) -> Vec<u8> {
    let usage_metadata = reply.prompt_tokens.map(|prompt_token_count| Used { prompt_token_count });
    let mut all = reply.vectors.iter().map(|values| Vector { values });
    let answer = match batch {
        true => Written { embeddings: Some(all.collect()), embedding: None, usage_metadata },
        false => Written { embeddings: None, embedding: all.next(), usage_metadata },
    };
    written(&answer)
}

#[derive(Debug, Deserialize)]
struct Batch<'a> {
    #[serde(borrow)]
    requests: Option<Many<One<'a>>>,
    #[serde(rename = "model")]
    _model: Option<Hint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct One<'a> {
    #[serde(borrow)]
    content: Option<Content<'a>>,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<Whole>,
    #[serde(alias = "embed_content_config")]
    embed_content_config: Option<Config>,
    /// It is in the path.
    #[serde(rename = "model")]
    _model: Option<Hint>,
    /// What the embedding is for.
    #[serde(rename = "taskType", alias = "task_type")]
    _task_type: Option<Hint>,
    /// What the text is called.
    #[serde(rename = "title")]
    _title: Option<Hint>,
}

/// The newer place of the same.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<Whole>,
    #[serde(rename = "taskType", alias = "task_type")]
    _task_type: Option<Hint>,
    #[serde(rename = "title")]
    _title: Option<Hint>,
    /// Whether a text that is too long is cut.
    #[serde(rename = "autoTruncate", alias = "auto_truncate")]
    _auto_truncate: Option<Hint>,
}

#[derive(Serialize)]
struct Asked<'a> {
    requests: Vec<AskedOne<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AskedOne<'a> {
    model: &'a str,
    content: AskedContent<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output_dimensionality: Option<u64>,
}

#[derive(Serialize)]
struct AskedContent<'a> {
    parts: [AskedPart<'a>; 1],
}

#[derive(Serialize)]
struct AskedPart<'a> {
    text: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Embeddings {
    embeddings: Option<Vec<Embedding>>,
    embedding: Option<Embedding>,
    usage_metadata: Option<UsageMetadata>,
}

#[derive(Deserialize)]
struct Embedding {
    values: Option<Vec<f32>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<Vec<Vector<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embedding: Option<Vector<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage_metadata: Option<Used>,
}

#[derive(Serialize)]
struct Vector<'a> {
    values: &'a [f32],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Used {
    prompt_token_count: u64,
}
