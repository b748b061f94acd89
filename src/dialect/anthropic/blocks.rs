//! One content block of a body into one part. Where in the conversation it stands is for [`super::messages`] to see.

use std::fmt;

use data_encoding::BASE64;

use super::settings::bad;
use super::shapes::Content;
use super::wire::{Block, Inner, Outer, SourceFields};
use crate::dialect::chat::{Json, Media, MediaKind, Part, Role, Source};
use crate::dialect::inspect::BadRequest;

/// Blocks of this dialect that no other has a word for.
const UNCARRIED: [&str; 20] = [
    "redacted_thinking",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "advisor_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
    "search_result",
    "container_upload",
    "tool_reference",
    "tool_addition",
    "tool_removal",
    "browser_state",
    "compaction",
    "fallback",
];

/// Where a block stands.
#[derive(Clone, Copy)]
pub(super) enum Place {
    System(usize),
    Message { message: usize, block: usize, inner: Option<usize> },
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::System(block) => write!(f, "system[{block}]"),
            Place::Message { message, block, inner } => {
                write!(f, "messages[{message}].content[{block}]")?;
                inner.map_or(Ok(()), |inner| write!(f, ".content[{inner}]"))
            }
        }
    }
}

/// A block of the instructions: text.
pub(super) fn instruction(block: Inner<'_>, place: Place) -> Result<Option<Part>, BadRequest> {
    match kind(&block) {
        "text" => text(block, place).map(Some),
        _ => Err(bad(format_args!("{place}.type"), "send `text`: instructions are made of nothing else")),
    }
}

/// A block of a message; `None` where it went to `uncarried`, or says nothing.
pub(super) fn part(
    block: Outer<'_>,
    role: Role,
    place: Place,
    uncarried: &mut Vec<String>,
) -> Result<Option<Part>, BadRequest> {
    let from = match kind(&block) {
        "text" => return text(block, place).map(Some),
        "image" | "document" | "tool_result" => Role::User,
        "tool_use" | "thinking" => Role::Assistant,
        other => return unknown(other, place, uncarried),
    };
    if role != from {
        return Err(bad(format_args!("{place}.type"), "a block of this type cannot stand in a message of this role"));
    }
    match kind(&block) {
        "tool_use" => call(block, place, uncarried).map(Some),
        "thinking" => Ok(thought(block)),
        "tool_result" => result(block, place, uncarried).map(Some),
        _ => media(block, place, uncarried),
    }
}

fn kind<'b, C>(block: &'b Block<'_, C>) -> &'b str {
    block.kind.as_ref().map_or("", |kind| &kind.0)
}

fn unknown(kind: &str, place: Place, uncarried: &mut Vec<String>) -> Result<Option<Part>, BadRequest> {
    if UNCARRIED.contains(&kind) {
        uncarried.push(place.to_string());
        return Ok(None);
    }
    let problem =
        "is no type of content block: send `text`, `image`, `document`, `tool_use`, `tool_result` or `thinking`";
    Err(bad(format_args!("{place}.type"), problem))
}

fn text<C>(block: Block<'_, C>, place: Place) -> Result<Part, BadRequest> {
    block.text.map(Part::Text).ok_or_else(|| bad(format_args!("{place}.text"), "send a string"))
}

fn call(block: Outer<'_>, place: Place, uncarried: &mut Vec<String>) -> Result<Part, BadRequest> {
    if block.toolset_name.is_some() {
        uncarried.push(format!("{place}.toolset_name"));
    }
    let needed = |value: Option<String>, field: &str| {
        let problem = "send a string that is not empty";
        value.filter(|value| !value.is_empty()).ok_or_else(|| bad(format_args!("{place}.{field}"), problem))
    };
    let id = needed(block.id, "id")?;
    let name = needed(block.name, "name")?;
    let arguments = block.input.or_else(|| Json::object("")).filter(Json::is_object);
    let arguments = arguments.ok_or_else(|| bad(format_args!("{place}.input"), "send a JSON object"))?;
    Ok(Part::ToolCall { id, name, arguments })
}

fn thought(block: Outer<'_>) -> Option<Part> {
    let text = block.thinking.unwrap_or_default();
    let signature = block.signature.filter(|signature| !signature.is_empty());
    (!text.is_empty() || signature.is_some()).then_some(Part::Reasoning { text, signature })
}

fn result(block: Outer<'_>, place: Place, uncarried: &mut Vec<String>) -> Result<Part, BadRequest> {
    let Some(id) = block.tool_use_id else {
        return Err(bad(format_args!("{place}.tool_use_id"), "send the id of the call"));
    };
    let content = match block.content {
        None => Vec::new(),
        Some(Content::Text(text)) => vec![Part::Text(text)],
        Some(Content::Blocks(blocks)) => pieces(blocks, place, uncarried)?,
        Some(Content::Object) => {
            return Err(bad(format_args!("{place}.content"), "send a string or an array of content blocks"));
        }
    };
    Ok(Part::ToolResult { id, content, is_error: block.is_error.unwrap_or(false) })
}

fn pieces(blocks: Vec<Inner<'_>>, place: Place, uncarried: &mut Vec<String>) -> Result<Vec<Part>, BadRequest> {
    let mut pieces = Vec::with_capacity(blocks.len());
    for (index, piece) in blocks.into_iter().enumerate() {
        let place = match place {
            Place::Message { message, block, .. } => Place::Message { message, block, inner: Some(index) },
            Place::System(_) => place,
        };
        let part = match kind(&piece) {
            "text" => Some(text(piece, place)?).filter(|part| !matches!(part, Part::Text(text) if text.is_empty())),
            "image" | "document" => media(piece, place, uncarried)?,
            other => unknown(other, place, uncarried)?,
        };
        pieces.extend(part);
    }
    Ok(pieces)
}

fn media<C>(block: Block<'_, C>, place: Place, uncarried: &mut Vec<String>) -> Result<Option<Part>, BadRequest> {
    let kind = if kind(&block) == "image" { MediaKind::Image } else { MediaKind::File };
    if block.context.is_some_and(|context| !context.is_empty()) {
        uncarried.push(format!("{place}.context"));
    }
    if block.citations.is_some_and(|citations| citations.wanted) {
        uncarried.push(format!("{place}.citations"));
    }
    let Some(source) = source(block.source.unwrap_or_default().fields, kind, place)? else {
        uncarried.push(format!("{place}.source"));
        return Ok(None);
    };
    let name = block.title.filter(|title| kind == MediaKind::File && !title.is_empty());
    Ok(Some(Part::Media(Media { kind, source, detail: None, name })))
}

/// Where a picture or a document is; `None` where that is known to this dialect's server alone.
fn source(fields: SourceFields<'_>, kind: MediaKind, place: Place) -> Result<Option<Source>, BadRequest> {
    let missing = |field: &str| bad(format_args!("{place}.source.{field}"), "send a string");
    Ok(Some(match fields.kind.as_ref().map_or("", |kind| &kind.0) {
        "base64" => {
            let media_type = fields.media_type.ok_or_else(|| missing("media_type"))?;
            let data = fields.data.ok_or_else(|| missing("data"))?;
            if !is_base64(&data) {
                return Err(bad(format_args!("{place}.source.data"), "send base64 of the standard alphabet"));
            }
            Source::Data { media_type, data }
        }
        "text" if kind == MediaKind::File => {
            let text = fields.data.ok_or_else(|| missing("data"))?;
            Source::Data { media_type: "text/plain".to_owned(), data: BASE64.encode(text.as_bytes()) }
        }
        "url" => {
            let url = fields.url.ok_or_else(|| missing("url"))?;
            if url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:")) {
                let problem = "send an address that can be fetched, or a source of type `base64`";
                return Err(bad(format_args!("{place}.source.url"), problem));
            }
            Source::Url(url)
        }
        "file" | "content" => return Ok(None),
        _ => return Err(bad(format_args!("{place}.source.type"), "send `base64` or `url`")),
    }))
}

fn is_base64(data: &str) -> bool {
    let text = data.trim_end_matches('=').as_bytes();
    let filled = data.len() - text.len();
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !text.is_empty() && filled <= 2 && data.len().is_multiple_of(4) && text.iter().all(in_alphabet)
}
