//! What was said: contents as messages. A content of results and other parts becomes one message for each result, then
//! one of the rest. Contents of the model that follow on one another are one message: Google's own clients keep a stream
//! as one content for each chunk.

use super::calls::Calls;
use super::media;
use super::outcome::outcome;
use super::request::bad;
use super::wire::{Content, FunctionCall, FunctionResponse, Part};
use crate::dialect::chat::{self, Json, Message, Role};
use crate::dialect::inspect::BadRequest;

/// The messages that `instruction` and `contents` are.
pub(super) fn messages(
    instruction: Option<Content<'_>>,
    contents: Vec<Content<'_>>,
    uncarried: &mut Vec<String>,
) -> Result<Vec<Message>, BadRequest> {
    let mut reader = Reader { messages: Vec::with_capacity(contents.len() + 1), calls: Calls::default(), uncarried };
    if let Some(instruction) = instruction {
        reader.instruction(instruction)?;
    }
    for (at, content) in contents.into_iter().enumerate() {
        let path = format!("contents[{at}]");
        match content.role.as_ref().map(|role| role.0.as_ref()) {
            None | Some("" | "user" | "function" | "tool") => reader.user(content, &path)?,
            Some("model") => reader.model(content, &path)?,
            Some(_) => return Err(bad(format!("{path}.role"), "must be user or model")),
        }
    }
    Ok(reader.messages)
}

struct Reader<'n> {
    messages: Vec<Message>,
    calls: Calls,
    uncarried: &'n mut Vec<String>,
}

/// What a part is.
enum PartKind<'a> {
    /// A part of the canonical form.
    Said(chat::Part),
    Call(FunctionCall),
    Result(FunctionResponse<'a>),
    /// Nothing, or what is noted as uncarried.
    Nothing,
}

impl Reader<'_> {
    fn instruction(&mut self, content: Content<'_>) -> Result<(), BadRequest> {
        let mut texts = Vec::new();
        for (at, part) in content.parts.map_or_else(Vec::new, |parts| parts.0).into_iter().enumerate() {
            let path = format!("systemInstruction.parts[{at}]");
            match self.part(part, &path)? {
                PartKind::Said(text @ chat::Part::Text(_)) => texts.push(text),
                PartKind::Nothing => {}
                _ => self.uncarried.push(path),
            }
        }
        self.push(Role::System, texts);
        Ok(())
    }

    fn user(&mut self, content: Content<'_>, path: &str) -> Result<(), BadRequest> {
        let parts = content.parts.map_or_else(Vec::new, |parts| parts.0);
        if parts.is_empty() {
            return Err(bad(format!("{path}.parts"), "must hold at least one part"));
        }
        let mut said = Vec::with_capacity(parts.len());
        let mut results = false;
        for (at, part) in parts.into_iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match self.part(part, &path)? {
                PartKind::Said(chat::Part::Reasoning { .. }) => {
                    return Err(bad(path, "only a content of role model holds thoughts"));
                }
                PartKind::Said(part) => said.push(part),
                PartKind::Call(_) => return Err(bad(path, "only a content of role model holds a functionCall")),
                PartKind::Result(response) => {
                    let result = self.result(response, &path)?;
                    self.messages.push(Message { role: Role::Tool, parts: vec![result] });
                    results = true;
                }
                PartKind::Nothing => {}
            }
        }
        if results && said.iter().all(is_empty_text) {
            return Ok(());
        }
        self.push(Role::User, said);
        Ok(())
    }

    fn model(&mut self, content: Content<'_>, path: &str) -> Result<(), BadRequest> {
        let mut said = Vec::new();
        for (at, part) in content.parts.map_or_else(Vec::new, |parts| parts.0).into_iter().enumerate() {
            let path = format!("{path}.parts[{at}]");
            match self.part(part, &path)? {
                PartKind::Said(chat::Part::Media(_)) => self.uncarried.push(path),
                PartKind::Said(part) => said.push(part),
                PartKind::Call(call) => said.push(self.call(call, &path)?),
                PartKind::Result(_) => return Err(bad(path, "only a content of role user holds a functionResponse")),
                PartKind::Nothing => {}
            }
        }
        match self.messages.last_mut() {
            Some(Message { role: Role::Assistant, parts }) => join(parts, said),
            _ => self.push(Role::Assistant, said),
        }
        Ok(())
    }

    /// Adds a message, without the empty texts that stand beside something else.
    fn push(&mut self, role: Role, mut parts: Vec<chat::Part>) {
        if parts.len() > 1 {
            if parts.iter().all(is_empty_text) {
                parts.truncate(1);
            } else {
                parts.retain(|part| !is_empty_text(part));
            }
        }
        if !parts.is_empty() {
            self.messages.push(Message { role, parts });
        }
    }

    fn part<'a>(&mut self, part: Part<'a>, path: &str) -> Result<PartKind<'a>, BadRequest> {
        let uncarried = [
            (part.executable_code.is_some(), "executableCode"),
            (part.code_execution_result.is_some(), "codeExecutionResult"),
            (part.tool_call.is_some(), "toolCall"),
            (part.tool_response.is_some(), "toolResponse"),
        ];
        let uncarried: Vec<_> = uncarried.into_iter().filter(|(there, _)| *there).map(|(_, name)| name).collect();
        let carried = [
            part.text.is_some(),
            part.inline_data.is_some(),
            part.file_data.is_some(),
            part.function_call.is_some(),
            part.function_response.is_some(),
        ];
        if uncarried.len() + carried.into_iter().filter(|there| *there).count() > 1 {
            return Err(bad(path, "holds more than one of text, inlineData, fileData, functionCall, functionResponse"));
        }
        if part.video_metadata.is_some() {
            self.uncarried.push(format!("{path}.videoMetadata"));
        }
        if let Some(name) = uncarried.first() {
            self.uncarried.push(format!("{path}.{name}"));
            return Ok(PartKind::Nothing);
        }
        carried_part(part, path)
    }

    fn call(&mut self, call: FunctionCall, path: &str) -> Result<chat::Part, BadRequest> {
        let Some(name) = call.name.filter(|name| !name.is_empty()) else {
            return Err(bad(format!("{path}.functionCall.name"), "must be the name of the function"));
        };
        let arguments = call.args.or_else(|| Json::object("")).filter(Json::is_object);
        let Some(arguments) = arguments else {
            return Err(bad(format!("{path}.functionCall.args"), "must be an object"));
        };
        let id = self.calls.made(call.id, &name);
        Ok(chat::Part::ToolCall { id, name, arguments })
    }

    fn result(&mut self, response: FunctionResponse<'_>, path: &str) -> Result<chat::Part, BadRequest> {
        let path = format!("{path}.functionResponse");
        if response.will_continue == Some(true) {
            self.uncarried.push(format!("{path}.willContinue"));
        }
        if response.scheduling.is_some() {
            self.uncarried.push(format!("{path}.scheduling"));
        }
        let name = response.name.as_ref().map_or("", |name| name.0.as_ref());
        let Some(id) = self.calls.answered(response.id, name) else {
            return Err(bad(path, "belongs to no functionCall before it: give it the id or the name of one"));
        };
        let Some((text, is_error)) = response.response.and_then(outcome) else {
            return Err(bad(format!("{path}.response"), "must be an object"));
        };
        let mut content = vec![chat::Part::Text(text)];
        for (at, part) in response.parts.map_or_else(Vec::new, |parts| parts.0).into_iter().enumerate() {
            let media = match (part.inline_data, part.file_data) {
                (Some(blob), None) => media::inline(blob, &|field| format!("{path}.parts[{at}].inlineData.{field}"))?,
                (None, Some(file)) => media::elsewhere(file, &|field| format!("{path}.parts[{at}].fileData.{field}"))?,
                _ => return Err(bad(format!("{path}.parts[{at}]"), "needs inlineData or fileData")),
            };
            content.push(chat::Part::Media(media));
        }
        if content.len() > 1 && is_empty_text(&content[0]) {
            content.remove(0);
        }
        Ok(chat::Part::ToolResult { id, content, is_error })
    }
}

/// A part of one of the kinds that other dialects have too.
fn carried_part<'a>(part: Part<'a>, path: &str) -> Result<PartKind<'a>, BadRequest> {
    if let Some(blob) = part.inline_data {
        let media = media::inline(blob, &|field| format!("{path}.inlineData.{field}"))?;
        return Ok(PartKind::Said(chat::Part::Media(media)));
    }
    if let Some(file) = part.file_data {
        let media = media::elsewhere(file, &|field| format!("{path}.fileData.{field}"))?;
        return Ok(PartKind::Said(chat::Part::Media(media)));
    }
    if let Some(call) = part.function_call {
        return Ok(PartKind::Call(call));
    }
    if let Some(response) = part.function_response {
        return Ok(PartKind::Result(response));
    }
    let signature = part.thought_signature.and_then(media::standard_base64);
    match (part.text, part.thought.unwrap_or(false)) {
        (text, true) => Ok(match (text.unwrap_or_default(), signature) {
            (text, None) if text.is_empty() => PartKind::Nothing,
            (text, signature) => PartKind::Said(chat::Part::Reasoning { text, signature }),
        }),
        (Some(text), false) => Ok(PartKind::Said(chat::Part::Text(text))),
        (None, false) if signature.is_some() => Ok(PartKind::Nothing),
        (None, false) => Err(bad(path, "needs text, inlineData, fileData, functionCall or functionResponse")),
    }
}

fn is_empty_text(part: &chat::Part) -> bool {
    matches!(part, chat::Part::Text(text) if text.is_empty())
}

/// Adds what the model went on to say. A text or a thought may have been cut between the two.
fn join(said: &mut Vec<chat::Part>, more: Vec<chat::Part>) {
    for (at, part) in more.into_iter().enumerate() {
        match (said.last_mut(), part) {
            (Some(chat::Part::Text(text)), chat::Part::Text(more)) if at == 0 => text.push_str(&more),
            (
                Some(chat::Part::Reasoning { text, signature: signature @ None }),
                chat::Part::Reasoning { text: more, signature: told },
            ) if at == 0 => {
                text.push_str(&more);
                *signature = told;
            }
            (_, part) if is_empty_text(&part) => {}
            (Some(last), part) if is_empty_text(last) => *last = part,
            (_, part) => said.push(part),
        }
    }
}
