//! Events as a client's stream: chunks as server-sent events, `[DONE]` at the end.

use serde::Serialize;

use super::tell::{self, Call, Function, Usage};
use crate::dialect::chat::{ChatEvent, Finish, Label, Spoken, StreamEncoder};

/// Writes a client's stream.
#[derive(Debug)]
pub struct Encoder {
    label: Label,
    id: String,
    begun: bool,
    finished: bool,
    usage: Spoken,
    /// The calls so far: their index, and whether arguments have come.
    calls: Vec<(usize, bool)>,
}

impl Encoder {
    /// An encoder of one stream.
    pub fn new(label: Label) -> Self {
        let id = tell::id(&label);
        Encoder { label, id, begun: false, finished: false, usage: Spoken::default(), calls: Vec::new() }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        if let ChatEvent::Start { model: Some(model), .. } = &event {
            self.label.model.clone_from(model);
        }
        if !std::mem::replace(&mut self.begun, true) {
            self.delta(Delta { role: Some("assistant"), content: Some(""), ..Delta::default() }, out);
        }
        match event {
            // The dialect has no word for a signature.
            ChatEvent::Start { .. } | ChatEvent::Signature(_) => {}
            ChatEvent::Text(text) => self.delta(Delta { content: Some(&text), ..Delta::default() }, out),
            ChatEvent::Reasoning(text) => self.delta(Delta { reasoning_content: Some(&text), ..Delta::default() }, out),
            ChatEvent::Refusal(text) => self.delta(Delta { refusal: Some(&text), ..Delta::default() }, out),
            ChatEvent::ToolCall { index, id, name } => self.call(index, &id, &name, out),
            ChatEvent::Arguments { json, .. } if json.is_empty() => {}
            ChatEvent::Arguments { index, json } => self.arguments(index, &json, out),
            ChatEvent::Usage(spoken) => self.usage.add(spoken),
            ChatEvent::Finish(finish) => self.finish(Some(&finish), out),
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if !self.finished {
            self.finish(None, out);
        }
        if self.label.include_usage
            && let Some(usage) = Usage::new(self.usage)
        {
            self.chunk(&[], Some(Some(usage)), out);
        }
        out.extend_from_slice(b"data: [DONE]\n\n");
    }
}

impl Encoder {
    fn call(&mut self, index: usize, id: &str, name: &str, out: &mut Vec<u8>) {
        self.calls.push((index, false));
        let call = Call {
            index: Some(index),
            id: Some(tell::call_id(id, index, &self.label)),
            r#type: Some("function"),
            function: Function { name: Some(name), arguments: "" },
        };
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, out);
    }

    fn arguments(&mut self, index: usize, json: &str, out: &mut Vec<u8>) {
        if let Some((_, have_come)) = self.calls.iter_mut().rfind(|(call, _)| *call == index) {
            *have_come = true;
        }
        let function = Function { name: None, arguments: json };
        let call = Call { index: Some(index), id: None, r#type: None, function };
        self.delta(Delta { tool_calls: Some([call]), ..Delta::default() }, out);
    }

    /// Clients parse the arguments of every call: where none have come, they are an empty object.
    fn finish(&mut self, finish: Option<&Finish>, out: &mut Vec<u8>) {
        let calls = std::mem::take(&mut self.calls);
        for (index, _) in calls.iter().filter(|(_, have_come)| !have_come) {
            self.arguments(*index, "{}", out);
        }
        self.finished = true;
        self.choice(Delta::default(), Some(tell::finish_reason(finish, !calls.is_empty())), out);
    }

    fn delta(&self, delta: Delta<'_>, out: &mut Vec<u8>) {
        self.choice(delta, None, out);
    }

    fn choice(&self, delta: Delta<'_>, finish_reason: Option<&'static str>, out: &mut Vec<u8>) {
        let choice = Choice { index: 0, delta, logprobs: None, finish_reason };
        self.chunk(&[choice], self.label.include_usage.then_some(None), out);
    }

    fn chunk(&self, choices: &[Choice<'_>], usage: Option<Option<Usage>>, out: &mut Vec<u8>) {
        let chunk = Chunk {
            id: &self.id,
            object: "chat.completion.chunk",
            created: self.label.created,
            model: &self.label.model,
            choices,
            usage,
        };
        out.extend_from_slice(b"data: ");
        serde_json::to_writer(&mut *out, &chunk).expect("texts and numbers are JSON");
        out.extend_from_slice(b"\n\n");
    }
}

#[derive(Serialize)]
struct Chunk<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: &'a [Choice<'a>],
    /// Null in all chunks but the last, where the client asks for it; else not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u8,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reasoning_content: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tool_calls: Option<[Call<'a>; 1]>,
}
