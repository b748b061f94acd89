//! What a client of this API may expect of the order of events, as a machine that refuses every other order, and that
//! adds up the pieces to compare them with what is told at the end of each.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// Where an item is.
#[derive(Debug, Default)]
struct Open {
    id: String,
    kind: String,
    /// The piece that is open, as its index and its text so far.
    piece: Option<(u64, String)>,
    /// The text of the piece was told as a whole.
    is_told: bool,
    pieces: u64,
    arguments: String,
}

#[derive(Debug, Default)]
struct Machine {
    open: BTreeMap<u64, Open>,
    done: BTreeMap<u64, Value>,
    begun: u64,
    is_over: bool,
}

/// Refuses a stream whose events stand in an order that the API does not have.
pub(super) fn check(stream: &str) {
    let mut machine = Machine::default();
    let blocks = stream.strip_suffix("\n\n").expect("a whole last event").split("\n\n");
    for (number, block) in blocks.enumerate() {
        let (kind, data) = block.split_once('\n').expect("two lines");
        let event: Value = serde_json::from_str(data.strip_prefix("data: ").expect("data")).unwrap();
        assert_eq!(Some(kind), event["type"].as_str().map(|kind| format!("event: {kind}")).as_deref());
        assert_eq!(event["sequence_number"], number as u64);
        assert!(!machine.is_over, "{kind} after the end");
        machine.take(number, &event);
    }
    assert!(machine.is_over, "there is an end");
}

impl Machine {
    fn take(&mut self, number: usize, event: &Value) {
        let kind = event["type"].as_str().expect("a type");
        match (number, kind) {
            (0, "response.created") | (1, "response.in_progress") => {
                assert_eq!(event["response"]["status"], "in_progress");
            }
            (0 | 1, other) => panic!("{other} comes too early"),
            (_, "response.completed" | "response.incomplete") => self.end(kind, &event["response"]),
            (_, "response.output_item.added") => self.add(event),
            _ => self.inside(kind, event),
        }
    }

    fn add(&mut self, event: &Value) {
        assert_eq!(event["output_index"], self.begun);
        let kind = event["item"]["type"].as_str().expect("a type").to_owned();
        let only_calls = self.open.values().all(|open| open.kind == "function_call");
        assert!(only_calls, "only calls stay open beside another item");
        let id = event["item"]["id"].as_str().expect("an id").to_owned();
        self.open.insert(self.begun, Open { id, kind, ..Open::default() });
        self.begun += 1;
    }

    fn inside(&mut self, kind: &str, event: &Value) {
        let at = event["output_index"].as_u64().expect("a place");
        let open = self.open.get_mut(&at).expect("an open item");
        if kind == "response.output_item.done" {
            assert!(open.piece.is_none(), "a piece is left open");
            assert_eq!(event["item"]["id"], open.id);
            assert_eq!(event["item"]["arguments"].as_str().unwrap_or_default(), open.arguments);
            self.open.remove(&at);
            self.done.insert(at, event["item"].clone());
            return;
        }
        assert_eq!(event["item_id"], open.id);
        open.take(kind, event);
    }

    fn end(&mut self, kind: &str, answer: &Value) {
        assert!(self.open.is_empty(), "an item is left open");
        assert_eq!(kind.strip_prefix("response."), answer["status"].as_str());
        let done: Vec<Value> = self.done.values().cloned().collect();
        assert_eq!(answer["output"], Value::Array(done));
        self.is_over = true;
    }
}

impl Open {
    fn take(&mut self, kind: &str, event: &Value) {
        let wanted = match kind {
            "response.function_call_arguments.delta" | "response.function_call_arguments.done" => "function_call",
            reasoning if reasoning.starts_with("response.reasoning_summary") => "reasoning",
            _ => "message",
        };
        assert_eq!(self.kind, wanted, "{kind}");
        let index = event["content_index"].as_u64().or(event["summary_index"].as_u64());
        match kind {
            "response.content_part.added" | "response.reasoning_summary_part.added" => {
                assert!(self.piece.is_none(), "a piece is left open");
                assert_eq!(index, Some(self.pieces));
                self.piece = Some((self.pieces, String::new()));
                (self.pieces, self.is_told) = (self.pieces + 1, false);
            }
            "response.output_text.delta" | "response.refusal.delta" | "response.reasoning_summary_text.delta" => {
                let (at, text) = self.piece.as_mut().expect("an open piece");
                assert_eq!((index, self.is_told), (Some(*at), false));
                text.push_str(event["delta"].as_str().expect("text"));
            }
            "response.output_text.done" | "response.refusal.done" | "response.reasoning_summary_text.done" => {
                let text = event["text"].as_str().or(event["refusal"].as_str());
                let (at, said) = self.piece.as_ref().expect("an open piece");
                assert_eq!((index, text, self.is_told), (Some(*at), Some(said.as_str()), false));
                self.is_told = true;
            }
            "response.content_part.done" | "response.reasoning_summary_part.done" => {
                let text = event["part"]["text"].as_str().or(event["part"]["refusal"].as_str());
                let (at, said) = self.piece.take().expect("an open piece");
                assert_eq!((index, text, self.is_told), (Some(at), Some(said.as_str()), true));
            }
            "response.function_call_arguments.delta" => {
                self.arguments.push_str(event["delta"].as_str().expect("text"));
            }
            "response.function_call_arguments.done" => assert_eq!(event["arguments"], self.arguments),
            other => panic!("{other} is no event that is known"),
        }
    }
}

fn event() -> impl Strategy<Value = ChatEvent> {
    let words = || prop::sample::select(vec!["", "a", "ë🙂", "\"\n"]).prop_map(str::to_owned);
    prop_oneof![
        4 => words().prop_map(ChatEvent::Text),
        2 => words().prop_map(ChatEvent::Reasoning),
        1 => words().prop_map(ChatEvent::Signature),
        1 => words().prop_map(ChatEvent::Refusal),
        2 => (0_usize..4, words()).prop_map(|(index, id)| ChatEvent::ToolCall { index, id, name: "f".to_owned() }),
        4 => (0_usize..4, prop::sample::select(vec!["{", "}", "\"n\":", "1"]))
            .prop_map(|(index, json)| ChatEvent::Arguments { index, json: json.to_owned() }),
        1 => Just(ChatEvent::Usage(Spoken { prompt_tokens: Some(1), ..Spoken::default() })),
        1 => prop_oneof![Just(Finish::Stop), Just(Finish::Length)].prop_map(ChatEvent::Finish),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_the_order_is_kept(events in prop::collection::vec(event(), 0..24)) {
        check(&streamed(events));
    }
}
