//! `input` as the canonical conversation. What the model did between two turns of others (its reasoning, its words, its
//! calls) stands here in items of its own, and becomes one message, as every other dialect has it.

use std::collections::HashSet;

use super::item::SIGNED_HERE;
use super::part;
use super::shape::{Arguments, Content, Input, Words};
use super::wire::{Item, Part as WirePart};
use crate::dialect::chat::{Json, Message, Part, Role};
use crate::dialect::inspect::BadRequest;

/// Items that this dialect has and no other.
const UNCARRIED: [&str; 31] = [
    "additional_tools",
    "agent_message",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_summary",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "configuration_update",
    "context_compaction",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "ghost_snapshot",
    "image_generation_call",
    "item_reference",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "program",
    "program_output",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
];

/// The messages that `instructions` and `input` make.
pub(super) fn messages(
    instructions: Option<Words<'_>>,
    input: Option<Input<'_>>,
    uncarried: &mut Vec<String>,
) -> Result<Vec<Message>, BadRequest> {
    let wanted = "a string, or an array of items";
    let mut conversation = Conversation { messages: Vec::new(), turn: Vec::new(), calls: HashSet::new(), uncarried };
    if let Some(text) = instructions.filter(|text| !text.as_str().is_empty()) {
        conversation.messages.push(Message::text(Role::System, text.into_string()));
    }
    match input {
        None => return Err(BadRequest::Missing { field: "input", wanted }),
        Some(Input::Text(text)) => conversation.messages.push(Message::text(Role::User, text.into_string())),
        Some(Input::Items(items)) if items.is_empty() => {
            return Err(BadRequest::Unusable { field: "input", problem: "is empty: send at least one item" });
        }
        Some(Input::Items(items)) => {
            for (at, item) in items.into_iter().enumerate() {
                conversation.take(at, item)?;
            }
        }
    }
    conversation.end_turn();
    Ok(conversation.messages)
}

struct Conversation<'u> {
    messages: Vec<Message>,
    /// What the model did since somebody else spoke.
    turn: Vec<Part>,
    /// The ids of all calls so far.
    calls: HashSet<String>,
    uncarried: &'u mut Vec<String>,
}

impl Conversation<'_> {
    fn take(&mut self, at: usize, item: Item<'_>) -> Result<(), BadRequest> {
        let kind = match (&item.kind, &item.role, &item.id) {
            (Some(kind), _, _) => kind.as_str(),
            (None, Some(_), _) => "message",
            (None, None, Some(_)) => "item_reference",
            (None, None, None) => return Err(problem(at, "type", "is required: a string")),
        };
        match kind {
            "message" => self.message(at, item),
            "reasoning" => self.reasoning(at, item),
            "function_call" => self.call(at, item),
            "function_call_output" => self.result(at, item),
            kind => {
                let known = UNCARRIED.contains(&kind).then_some(kind);
                note_kind(self.uncarried, "input", at, known);
                Ok(())
            }
        }
    }

    fn message(&mut self, at: usize, item: Item<'_>) -> Result<(), BadRequest> {
        let role = match item.role.as_ref().map(Words::as_str) {
            Some("user") => Role::User,
            Some("assistant") => Role::Assistant,
            Some("system" | "developer") => Role::System,
            _ => return Err(problem(at, "role", "must be `user`, `assistant`, `system` or `developer`")),
        };
        let mut parts = part::read(item.content, at, "content", role == Role::Assistant, self.uncarried)?;
        if role == Role::Assistant {
            self.turn.append(&mut parts);
        } else {
            self.end_turn();
            self.messages.push(Message { role, parts });
        }
        Ok(())
    }

    /// The whole text where there is one, else its summary.
    fn reasoning(&mut self, at: usize, item: Item<'_>) -> Result<(), BadRequest> {
        let mut whole = Vec::new();
        for (place, part) in item.summary.into_iter().flatten().enumerate() {
            whole.push(reasoned(at, "summary", place, part)?);
        }
        match item.content {
            Some(Content::Parts(parts)) if !parts.is_empty() => {
                whole.clear();
                for (place, part) in parts.into_iter().enumerate() {
                    whole.push(reasoned(at, "content", place, part)?);
                }
            }
            None | Some(Content::Parts(_)) => {}
            Some(_) => return Err(problem(at, "content", "must be an array of parts")),
        }
        let text = whole.join("\n\n");
        // OpenAI's own means nothing to anybody else.
        let signed_here =
            item.encrypted_content.as_ref().and_then(|content| content.as_str().strip_prefix(SIGNED_HERE));
        let signature = signed_here.filter(|signature| !signature.is_empty()).map(str::to_owned);
        if !text.is_empty() || signature.is_some() {
            self.turn.push(Part::Reasoning { text, signature });
        }
        Ok(())
    }

    fn call(&mut self, at: usize, item: Item<'_>) -> Result<(), BadRequest> {
        self.note_modes(at, &item);
        let id = needed(item.call_id, at, "call_id")?;
        let name = needed(item.name, at, "name")?;
        let Some(Arguments::Text(text)) = item.arguments else {
            return Err(problem(at, "arguments", "is required: a string of JSON"));
        };
        let arguments = Json::arguments(text.as_str());
        self.calls.insert(id.clone());
        self.turn.push(Part::ToolCall { id, name, arguments });
        Ok(())
    }

    fn result(&mut self, at: usize, item: Item<'_>) -> Result<(), BadRequest> {
        self.note_modes(at, &item);
        if item.call_id.is_none() && item.name.is_some() {
            self.uncarried.push(format!("input[{at}].name"));
            return Ok(());
        }
        let id = needed(item.call_id, at, "call_id")?;
        if !self.calls.contains(&id) {
            return Err(problem(at, "call_id", "is of no call before it: send the function_call as well"));
        }
        let content = part::read(item.output, at, "output", false, self.uncarried)?;
        self.end_turn();
        self.messages
            .push(Message { role: Role::Tool, parts: vec![Part::ToolResult { id, content, is_error: false }] });
        Ok(())
    }

    /// Ways to call that no other dialect has.
    fn note_modes(&mut self, at: usize, item: &Item<'_>) {
        let caller = item.caller.as_ref().and_then(|caller| caller.kind.as_ref());
        let mut note = |is_there: bool, field: &str| {
            if is_there {
                self.uncarried.push(format!("input[{at}].{field}"));
            }
        };
        note(item.namespace.is_some(), "namespace");
        note(item.is_async == Some(true), "async");
        note(caller.is_some_and(|kind| kind.as_str() != "direct"), "caller");
    }

    fn end_turn(&mut self) {
        if !self.turn.is_empty() {
            let mut parts = std::mem::take(&mut self.turn);
            part::tidy(&mut parts);
            self.messages.push(Message { role: Role::Assistant, parts });
        }
    }
}

/// What stands in this one is of no concern any more.
pub(super) fn forget(uncarried: &mut Vec<String>, list: &str, at: usize) {
    let within = format!("{list}[{at}].");
    uncarried.retain(|path| !path.starts_with(&within));
}

/// Notes the kind of what no other dialect has, and no longer what stands in it. Kinds that nobody knows are not named.
pub(super) fn note_kind(uncarried: &mut Vec<String>, list: &str, at: usize, kind: Option<&str>) {
    forget(uncarried, list, at);
    let name = kind.map(|kind| format!(": {kind}")).unwrap_or_default();
    uncarried.push(format!("{list}[{at}].type{name}"));
}

fn reasoned(at: usize, field: &str, place: usize, part: WirePart<'_>) -> Result<String, BadRequest> {
    let is_known =
        part.kind.as_ref().is_some_and(|kind| matches!(kind.as_str(), "summary_text" | "reasoning_text" | "text"));
    match part.text {
        Some(text) if is_known => Ok(text.into_string()),
        _ => {
            let wanted = "must be a summary_text or reasoning_text with its `text`";
            Err(BadRequest::Value { path: format!("input[{at}].{field}[{place}]"), problem: wanted.to_owned() })
        }
    }
}

fn needed(text: Option<Words<'_>>, at: usize, field: &str) -> Result<String, BadRequest> {
    match text.filter(|text| !text.as_str().is_empty()) {
        Some(text) => Ok(text.into_string()),
        None => Err(problem(at, field, "is required: a string that is not empty")),
    }
}

fn problem(at: usize, field: &str, problem: &str) -> BadRequest {
    BadRequest::Value { path: format!("input[{at}].{field}"), problem: problem.to_owned() }
}
