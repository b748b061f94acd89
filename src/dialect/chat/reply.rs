//! What a model answers, as it is made and as a whole. A whole answer is a fold of events.

use std::time::Duration;

use crate::dialect::observe::Usage;

/// What happens in an answer. Pieces of text may be cut anywhere between two characters.
#[derive(Clone, Debug, PartialEq)]
pub enum ChatEvent {
    /// It begins. What its backend calls it and the model, where it does.
    Start {
        /// The backend's id of the answer.
        id: Option<String>,
        /// The model, as the backend calls it.
        model: Option<String>,
    },
    /// More text.
    Text(String),
    /// More of what the model thinks.
    Reasoning(String),
    /// By which its vendor knows the reasoning so far again.
    Signature(String),
    /// More of why it will not.
    Refusal(String),
    /// The model wants a tool to be called; its arguments follow.
    ToolCall {
        /// 0 for the first call of the answer; calls may be made side by side.
        index: usize,
        /// What the result is to be matched by; empty where the backend has none.
        id: String,
        /// Of the tool.
        name: String,
    },
    /// More of the text of the arguments of a call that has begun.
    Arguments {
        /// Of the call.
        index: usize,
        /// A piece of JSON, cut anywhere.
        json: String,
    },
    /// What was used so far. Later ones add to what earlier ones said.
    Usage(Spoken),
    /// Why it ends. Usage may still come.
    Finish(Finish),
}

/// What was used, as far as one event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spoken {
    /// Tokens of the whole prompt, those that came out of a cache included.
    pub prompt_tokens: Option<u64>,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: Option<u64>,
    /// Those of the prompt that came out of a cache.
    pub cached_tokens: Option<u64>,
    /// Those of the prompt that were written into a cache.
    pub cache_write_tokens: Option<u64>,
    /// Those of the answer that were thought.
    pub reasoning_tokens: Option<u64>,
    /// How long it took, where somebody has measured that.
    pub took: Option<Took>,
}

/// How long an answer took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Took {
    /// To its first piece.
    pub first: Duration,
    /// To its end.
    pub total: Duration,
}

/// Why an answer ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The model has said all.
    Stop,
    /// A text of [`super::ChatRequest::stop`] came: which, where the backend says.
    StopSequence(String),
    /// There was no more room.
    Length,
    /// It waits for the results of its calls.
    ToolCalls,
    /// Somebody did not want it said.
    ContentFilter,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChatReply {
    /// The backend's id of the answer.
    pub id: Option<String>,
    /// The model, as the backend calls it.
    pub model: Option<String>,
    /// What was said, in order.
    pub parts: Vec<ReplyPart>,
    /// Why it ended.
    pub finish: Option<Finish>,
    /// What was used.
    pub usage: Spoken,
}

/// A piece of a whole answer.
#[derive(Clone, Debug, PartialEq)]
pub enum ReplyPart {
    /// Text.
    Text(String),
    /// What the model thought.
    Reasoning {
        /// In words.
        text: String,
        /// By which its vendor knows it again.
        signature: Option<String>,
    },
    /// Why it will not.
    Refusal(String),
    /// The model wants a tool to be called.
    ToolCall {
        /// What the result is to be matched by; empty where the backend has none.
        id: String,
        /// Of the tool.
        name: String,
        /// The text of the arguments, which should be an object of JSON; models do not always keep to that.
        arguments: String,
    },
}

impl Spoken {
    /// Takes in what a later event says.
    pub fn add(&mut self, later: Spoken) {
        let newer = |old: &mut Option<u64>, new: Option<u64>| *old = new.or(*old);
        newer(&mut self.prompt_tokens, later.prompt_tokens);
        newer(&mut self.completion_tokens, later.completion_tokens);
        newer(&mut self.cached_tokens, later.cached_tokens);
        newer(&mut self.cache_write_tokens, later.cache_write_tokens);
        newer(&mut self.reasoning_tokens, later.reasoning_tokens);
        self.took = later.took.or(self.took);
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Spoken { took: self.took, ..Spoken::default() }
    }

    /// Of prompt and answer together.
    pub fn total_tokens(&self) -> u64 {
        self.prompt_tokens.unwrap_or(0).saturating_add(self.completion_tokens.unwrap_or(0))
    }
}

impl From<Spoken> for Usage {
    fn from(spoken: Spoken) -> Self {
        Usage {
            prompt_tokens: spoken.prompt_tokens.unwrap_or(0),
            completion_tokens: spoken.completion_tokens.unwrap_or(0),
            total_tokens: spoken.total_tokens(),
            cached_tokens: spoken.cached_tokens,
            cache_write_tokens: spoken.cache_write_tokens,
        }
    }
}

impl ChatReply {
    /// The answer that `events` make.
    pub fn fold(events: impl IntoIterator<Item = ChatEvent>) -> Self {
        let mut reply = ChatReply::default();
        let mut calls: Vec<(usize, usize)> = Vec::new();
        for event in events {
            reply.take(event, &mut calls);
        }
        reply
    }

    /// `calls` holds where each call of the stream stands among the parts.
    fn take(&mut self, event: ChatEvent, calls: &mut Vec<(usize, usize)>) {
        match event {
            ChatEvent::Start { id, model } => {
                self.id = id.or(self.id.take());
                self.model = model.or(self.model.take());
            }
            ChatEvent::Text(more) => match self.parts.last_mut() {
                Some(ReplyPart::Text(text)) => text.push_str(&more),
                _ => self.parts.push(ReplyPart::Text(more)),
            },
            ChatEvent::Reasoning(more) => match self.parts.last_mut() {
                Some(ReplyPart::Reasoning { text, signature: None }) => text.push_str(&more),
                _ => self.parts.push(ReplyPart::Reasoning { text: more, signature: None }),
            },
            ChatEvent::Signature(more) => match self.parts.last_mut() {
                Some(ReplyPart::Reasoning { signature, .. }) => {
                    signature.get_or_insert_default().push_str(&more);
                }
                _ => self.parts.push(ReplyPart::Reasoning { text: String::new(), signature: Some(more) }),
            },
            ChatEvent::Refusal(more) => match self.parts.last_mut() {
                Some(ReplyPart::Refusal(text)) => text.push_str(&more),
                _ => self.parts.push(ReplyPart::Refusal(more)),
            },
            ChatEvent::ToolCall { index, id, name } => {
                calls.push((index, self.parts.len()));
                self.parts.push(ReplyPart::ToolCall { id, name, arguments: String::new() });
            }
            ChatEvent::Arguments { index, json } => {
                let at = calls.iter().rfind(|(call, _)| *call == index).map(|(_, at)| *at);
                if let Some(ReplyPart::ToolCall { arguments, .. }) = at.and_then(|at| self.parts.get_mut(at)) {
                    arguments.push_str(&json);
                }
            }
            ChatEvent::Usage(spoken) => self.usage.add(spoken),
            ChatEvent::Finish(finish) => self.finish = Some(finish),
        }
    }

    /// The same answer as events, each part in one piece.
    pub fn events(self) -> Vec<ChatEvent> {
        let mut events = vec![ChatEvent::Start { id: self.id, model: self.model }];
        let mut calls = 0;
        for part in self.parts {
            match part {
                ReplyPart::Text(text) => events.push(ChatEvent::Text(text)),
                ReplyPart::Refusal(text) => events.push(ChatEvent::Refusal(text)),
                ReplyPart::Reasoning { text, signature } => {
                    events.push(ChatEvent::Reasoning(text));
                    events.extend(signature.map(ChatEvent::Signature));
                }
                ReplyPart::ToolCall { id, name, arguments } => {
                    events.push(ChatEvent::ToolCall { index: calls, id, name });
                    events.push(ChatEvent::Arguments { index: calls, json: arguments });
                    calls += 1;
                }
            }
        }
        events.extend(self.finish.map(ChatEvent::Finish));
        if !self.usage.is_empty() {
            events.push(ChatEvent::Usage(self.usage));
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_a_fold_of_its_events() {
        let reply = ChatReply {
            id: Some("c1".to_owned()),
            model: Some("m".to_owned()),
            parts: vec![
                ReplyPart::Reasoning { text: "hm".to_owned(), signature: Some("s".to_owned()) },
                ReplyPart::Text("hello".to_owned()),
                ReplyPart::ToolCall { id: "a".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() },
                ReplyPart::ToolCall { id: "b".to_owned(), name: "g".to_owned(), arguments: "{\"x\":1}".to_owned() },
            ],
            finish: Some(Finish::ToolCalls),
            usage: Spoken { prompt_tokens: Some(3), completion_tokens: Some(4), ..Spoken::default() },
        };
        assert_eq!(ChatReply::fold(reply.clone().events()), reply);
    }

    #[test]
    fn calls_made_side_by_side_are_told_apart() {
        let call = |index, id: &str| ChatEvent::ToolCall { index, id: id.to_owned(), name: "f".to_owned() };
        let more = |index, json: &str| ChatEvent::Arguments { index, json: json.to_owned() };
        let reply = ChatReply::fold([call(0, "a"), call(1, "b"), more(0, "{\"x\""), more(1, "{}"), more(0, ":1}")]);
        let arguments = |part: &ReplyPart| match part {
            ReplyPart::ToolCall { arguments, .. } => arguments.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(reply.parts.iter().map(arguments).collect::<Vec<_>>(), ["{\"x\":1}", "{}"]);
    }
}
