//! Streams for clients: a line of JSON for each piece of text, and a last one that says how the answer ended. A call is
//! written in one line, once it is whole.

use std::borrow::Cow;

use super::say::{Ending, Head, SaidCall, Saying, Shape};
use crate::dialect::chat::{ChatEvent, Finish, Label, Spoken, StreamEncoder};

/// Writes the stream of one answer.
#[derive(Debug)]
pub struct Encoder {
    head: Head,
    label: Label,
    /// Those that began and are not written.
    calls: Vec<Call>,
    finish: Option<Finish>,
    usage: Spoken,
}

/// A call whose arguments may still come.
#[derive(Debug)]
struct Call {
    index: usize,
    id: String,
    name: String,
    arguments: String,
}

impl Encoder {
    /// For a client of `/api/chat`.
    pub fn new(label: Label) -> Self {
        Encoder::of(label, Shape::Chat)
    }

    /// For a client of `/api/generate`.
    pub fn generate(label: Label) -> Self {
        Encoder::of(label, Shape::Generate)
    }

    fn of(label: Label, shape: Shape) -> Self {
        let head = Head::new(&label, shape);
        Encoder { head, label, calls: Vec::new(), finish: None, usage: Spoken::default() }
    }

    fn write(&self, saying: &Saying<'_>, out: &mut Vec<u8>) {
        self.head.write(saying, out);
        out.push(b'\n');
    }

    /// Writes every call that is there: no more of their arguments can come.
    fn write_calls(&mut self, out: &mut Vec<u8>) {
        for Call { index, id, name, arguments } in std::mem::take(&mut self.calls) {
            let calls = vec![SaidCall::of_reply(&self.label, index, &id, &name, &arguments)];
            self.write(&Saying { calls, ..Saying::default() }, out);
        }
    }
}

impl StreamEncoder for Encoder {
    fn event(&mut self, event: ChatEvent, out: &mut Vec<u8>) {
        match event {
            ChatEvent::Start { .. } | ChatEvent::Signature(_) => {}
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => {
                if !text.is_empty() {
                    self.write(&Saying { text: Cow::Owned(text), ..Saying::default() }, out);
                }
            }
            ChatEvent::Reasoning(text) => {
                if !text.is_empty() {
                    self.write(&Saying { thinking: Cow::Owned(text), ..Saying::default() }, out);
                }
            }
            ChatEvent::ToolCall { index, id, name } => {
                self.calls.push(Call { index, id, name, arguments: String::new() });
            }
            ChatEvent::Arguments { index, json } => {
                if let Some(call) = self.calls.iter_mut().rfind(|call| call.index == index) {
                    call.arguments.push_str(&json);
                }
            }
            ChatEvent::Usage(spoken) => self.usage.add(spoken),
            ChatEvent::Finish(finish) => {
                self.finish = Some(finish);
                self.write_calls(out);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.write_calls(out);
        let ending = Some(Ending::new(self.finish.as_ref(), self.usage));
        self.write(&Saying { ending, ..Saying::default() }, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label() -> Label {
        Label { id: "x".repeat(26), model: "m".to_owned(), created: 0, include_usage: true }
    }

    fn lines(mut encoder: Encoder, events: Vec<ChatEvent>) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        for event in events {
            encoder.event(event, &mut out);
        }
        encoder.end(&mut out);
        let text = String::from_utf8(out).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_call_is_one_line_however_its_arguments_are_written() {
        let call = |index| ChatEvent::ToolCall { index, id: String::new(), name: "f".to_owned() };
        let more = |index, json: &str| ChatEvent::Arguments { index, json: json.to_owned() };
        let events = vec![
            call(0),
            call(1),
            more(0, "{\n  \"a\":"),
            more(1, "no object"),
            more(0, "\r\n 1}"),
            ChatEvent::Finish(Finish::ToolCalls),
        ];
        let lines = lines(Encoder::new(label()), events);
        assert_eq!(lines.len(), 3);
        let called = |line: &serde_json::Value| line["message"]["tool_calls"][0].clone();
        assert_eq!(called(&lines[0])["function"]["arguments"], serde_json::json!({"a": 1}));
        assert_eq!(called(&lines[0])["id"], format!("call_{}0", "x".repeat(26)));
        assert_eq!(called(&lines[1])["function"]["arguments"], serde_json::json!({"arguments": "no object"}));
        assert_eq!(lines[2]["done_reason"], "stop");
    }

    #[test]
    fn a_stream_of_generate_has_its_own_shape() {
        let usage = Spoken { completion_tokens: Some(2), ..Spoken::default() };
        let events = vec![
            ChatEvent::Reasoning("hm".to_owned()),
            ChatEvent::Text("a".to_owned()),
            ChatEvent::Finish(Finish::Length),
            ChatEvent::Usage(usage),
        ];
        let lines = lines(Encoder::generate(label()), events);
        let head = |more: serde_json::Value| {
            let mut line = serde_json::json!({"model": "m", "created_at": "1970-01-01T00:00:00Z"});
            line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            line
        };
        assert_eq!(lines[0], head(serde_json::json!({"response": "", "thinking": "hm", "done": false})));
        assert_eq!(lines[1], head(serde_json::json!({"response": "a", "done": false})));
        let last = serde_json::json!({
            "response": "", "done": true, "done_reason": "length", "total_duration": 0, "load_duration": 0,
            "prompt_eval_duration": 0, "eval_count": 2, "eval_duration": 0,
        });
        assert_eq!(lines[2], head(last));
    }
}
