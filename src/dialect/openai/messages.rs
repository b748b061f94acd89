//! The messages of a client's request as the canonical form: who said what, which result belongs to which call.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use super::body::{Call, Message as Read, Part as ReadPart};
use super::loose::{TextOr, Word};
use super::media;
use super::request::bad;
use crate::dialect::chat::{Json, MediaKind, Message, Part, Role};
use crate::dialect::inspect::BadRequest;

/// A conversation that is being read.
pub(super) struct Conversation<'u> {
    /// The ids of all calls so far.
    calls: BTreeSet<String>,
    uncarried: &'u mut Vec<String>,
}

impl<'u> Conversation<'u> {
    pub(super) fn new(uncarried: &'u mut Vec<String>) -> Self {
        Conversation { calls: BTreeSet::new(), uncarried }
    }

    pub(super) fn read(mut self, messages: Vec<Read<'_>>) -> Result<Vec<Message>, BadRequest> {
        if messages.is_empty() {
            return Err(BadRequest::Missing { field: "messages", wanted: "an array of at least one message" });
        }
        let mut read = Vec::with_capacity(messages.len());
        for (at, message) in messages.into_iter().enumerate() {
            read.extend(self.message(message, at)?);
        }
        Ok(read)
    }

    /// The message at index `at`; `None` where no other dialect has its role.
    fn message(&mut self, mut read: Read<'_>, at: usize) -> Result<Option<Message>, BadRequest> {
        let role = match read.role.as_ref() {
            "system" | "developer" => Role::System,
            "user" => Role::User,
            "assistant" => Role::Assistant,
            "tool" => Role::Tool,
            "function" => {
                self.uncarried.push(format!("messages[{at}]"));
                return Ok(None);
            }
            _ => {
                let problem = "must be system, developer, user, assistant or tool";
                return Err(bad(format_args!("messages[{at}].role"), problem));
            }
        };
        self.note_uncarried(&read, role, at);
        if role != Role::Assistant {
            check_is_not_the_assistants(&read, at)?;
        }
        let content = std::mem::take(&mut read.content);
        let is_missing = matches!(content, TextOr::Nothing) && role != Role::Assistant;
        if is_missing {
            return Err(bad(format_args!("messages[{at}].content"), "is missing: send a string or an array of parts"));
        }
        let content = self.content(content, role, at)?;
        let parts = match role {
            Role::Assistant => self.assistant(read, content, at)?,
            Role::Tool => vec![self.result(read.tool_call_id, content, at)?],
            Role::System | Role::User => settled(content),
        };
        Ok(Some(Message { role, parts }))
    }

    fn note_uncarried(&mut self, read: &Read<'_>, role: Role, at: usize) {
        // With a result it is the name of the tool, which its call has said already.
        let has_name = role != Role::Tool && read.name.as_ref().is_some_and(|name| !name.0.is_empty());
        let fields =
            [(has_name, "name"), (read.audio.is_some(), "audio"), (read.function_call.is_some(), "function_call")];
        for (_, field) in fields.iter().filter(|(is_there, _)| *is_there) {
            self.uncarried.push(format!("messages[{at}].{field}"));
        }
    }

    fn content(&mut self, read: TextOr<'_, Vec<ReadPart<'_>>>, role: Role, at: usize) -> Result<Vec<Part>, BadRequest> {
        match read {
            TextOr::Nothing => Ok(Vec::new()),
            TextOr::Text(text) => Ok(vec![Part::Text(text.into_owned())]),
            TextOr::Other(read) => {
                let mut parts = Vec::with_capacity(read.len());
                for (index, part) in read.into_iter().enumerate() {
                    parts.extend(self.part(part, role, || format!("messages[{at}].content[{index}]"))?);
                }
                Ok(parts)
            }
        }
    }

    /// A part that stands where `path` says; `None` where no other dialect has its type.
    fn part(&mut self, read: ReadPart<'_>, role: Role, path: impl Fn() -> String) -> Result<Option<Part>, BadRequest> {
        let field = |field: &str| format!("{}.{field}", path());
        let missing = |name: &str| bad(field(name), "is missing: send a string");
        let media = match read.kind.as_ref() {
            "text" => return Ok(Some(Part::Text(read.text.ok_or_else(|| missing("text"))?))),
            "refusal" if role == Role::Assistant => {
                return Ok(Some(Part::Refusal(read.refusal.ok_or_else(|| missing("refusal"))?)));
            }
            "refusal" => return Err(bad(field("type"), "may be refusal only in messages of the role assistant")),
            "image_url" => media::by_address(read.image_url, MediaKind::Image, &field("image_url"))?,
            "audio_url" => media::by_address(read.audio_url, MediaKind::Audio, &field("audio_url"))?,
            "video_url" => media::by_address(read.video_url, MediaKind::Video, &field("video_url"))?,
            "input_audio" => media::sound(read.input_audio, &field("input_audio"))?,
            "file" => match media::file(read.file, &field("file"))? {
                Some(media) => media,
                None => {
                    self.uncarried.push(field("file.file_id"));
                    return Ok(None);
                }
            },
            // Mistral's, and vLLM's.
            "thinking" | "reference" | "document_url" | "image_embeds" => {
                self.uncarried.push(path());
                return Ok(None);
            }
            _ => return Err(bad(field("type"), "must be text, image_url, input_audio, file or refusal")),
        };
        Ok(Some(Part::Media(media)))
    }

    fn assistant(&mut self, read: Read<'_>, mut content: Vec<Part>, at: usize) -> Result<Vec<Part>, BadRequest> {
        let said = |text: &String| !text.is_empty();
        let reasoning = read.reasoning_content.filter(said).or(read.reasoning.filter(said));
        let mut parts = Vec::with_capacity(content.len() + read.tool_calls.0.len() + 1);
        parts.extend(reasoning.map(|text| Part::Reasoning { text, signature: None }));
        content.sort_by_key(|part| matches!(part, Part::Refusal(_)));
        parts.extend(content);
        parts.extend(read.refusal.filter(said).map(Part::Refusal));
        for (index, call) in read.tool_calls.0.into_iter().enumerate() {
            parts.extend(self.call(call, || format!("messages[{at}].tool_calls[{index}]"))?);
        }
        Ok(settled(parts))
    }

    /// A call that stands where `path` says; `None` where no other dialect has its type.
    fn call(&mut self, read: Call<'_>, path: impl Fn() -> String) -> Result<Option<Part>, BadRequest> {
        let field = |field: &str| format!("{}.{field}", path());
        let id = read.id.ok_or_else(|| bad(field("id"), "is missing: send the id that the call came with"))?;
        self.calls.insert(id.clone());
        if read.kind.is_some_and(|kind| kind.0 != "function") {
            self.uncarried.push(path());
            return Ok(None);
        }
        let function =
            read.function.ok_or_else(|| bad(field("function"), "is missing: send its name and arguments"))?;
        let arguments = arguments(function.arguments)
            .ok_or_else(|| bad(field("function.arguments"), "must be a string that holds a JSON object"))?;
        Ok(Some(Part::ToolCall { id, name: function.name, arguments }))
    }

    fn result(&mut self, id: Option<String>, content: Vec<Part>, at: usize) -> Result<Part, BadRequest> {
        let path = || format!("messages[{at}].tool_call_id");
        let id = id.ok_or_else(|| bad(path(), "is missing: send the id of the call that this is the result of"))?;
        if !self.calls.contains(&id) {
            return Err(bad(
                path(),
                "is the id of no call before: send the assistant's message with its tool_calls first",
            ));
        }
        Ok(Part::ToolResult { id, content: settled(content), is_error: false })
    }
}

/// Only the assistant calls, thinks and refuses.
fn check_is_not_the_assistants(read: &Read<'_>, at: usize) -> Result<(), BadRequest> {
    let has = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let fields = [
        (!read.tool_calls.0.is_empty(), "tool_calls"),
        (has(&read.refusal), "refusal"),
        (has(&read.reasoning_content), "reasoning_content"),
        (has(&read.reasoning), "reasoning"),
    ];
    match fields.iter().find(|(is_there, _)| *is_there) {
        Some((_, field)) => {
            Err(bad(format_args!("messages[{at}].{field}"), "may stand only in messages of the role assistant"))
        }
        None => Ok(()),
    }
}

/// Without empty texts, unless there is nothing else.
fn settled(mut parts: Vec<Part>) -> Vec<Part> {
    if parts.len() > 1 {
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
    }
    if parts.is_empty() {
        parts.push(Part::Text(String::new()));
    }
    parts
}

/// The object that the arguments of a call are: as a string that holds it, or, as some clients send them, as it is. `None`
/// where they are a string that is no text.
fn arguments(arguments: Option<&RawValue>) -> Option<Json> {
    let text = arguments.map_or("", RawValue::get);
    if text.starts_with('"') {
        let text: Word<'_> = serde_json::from_str(text).ok()?;
        return Some(Json::arguments(&text.0));
    }
    Some(Json::arguments(text))
}
