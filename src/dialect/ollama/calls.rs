//! Which call a tool's message answers. Calls have no ids in older versions of Ollama, and results name the tool at
//! most.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::dialect::inspect::BadRequest;

/// The calls of a conversation so far.
#[derive(Default)]
pub(super) struct Calls {
    /// Their ids, in order.
    ids: Vec<String>,
    /// Where the call of an id stands.
    by_id: HashMap<String, usize>,
    /// Where the calls of a tool stand that may be open yet.
    by_name: HashMap<String, VecDeque<usize>>,
    answered: HashSet<usize>,
    /// No call before this one is open.
    first_open: usize,
    /// How many ids were made here.
    made: usize,
}

impl Calls {
    /// Notes a call and says what it is to be known by.
    pub(super) fn begin(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.make_id());
        let at = self.ids.len();
        self.ids.push(id.clone());
        self.by_id.insert(id.clone(), at);
        self.by_name.entry(name.to_owned()).or_default().push_back(at);
        id
    }

    /// The id of the call that a message answers which has this id, or names this tool, or neither.
    ///
    /// # Errors
    /// There is none. `path` is that of the message.
    pub(super) fn answer(&mut self, id: Option<&str>, name: Option<&str>, path: &str) -> Result<String, BadRequest> {
        let (found, field, problem) = match (id, name) {
            (Some(id), _) => (self.by_id.get(id).copied(), ".tool_call_id", "no call of this id came before"),
            (None, Some(name)) => (self.open_of(name), ".tool_name", "no call of this tool came before that is open"),
            (None, None) => (self.next_open(), "", "answers no call: put the message with `tool_calls` before it"),
        };
        let Some(at) = found else {
            return Err(BadRequest::Value { path: format!("{path}{field}"), problem: problem.to_owned() });
        };
        self.answered.insert(at);
        Ok(self.ids[at].clone())
    }

    fn make_id(&mut self) -> String {
        loop {
            let id = format!("call_{}", self.made);
            self.made += 1;
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    fn open_of(&mut self, name: &str) -> Option<usize> {
        let calls = self.by_name.get_mut(name)?;
        while let Some(at) = calls.pop_front() {
            if !self.answered.contains(&at) {
                return Some(at);
            }
        }
        None
    }

    fn next_open(&mut self) -> Option<usize> {
        while self.answered.contains(&self.first_open) {
            self.first_open += 1;
        }
        (self.first_open < self.ids.len()).then_some(self.first_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_find_their_calls_by_id_by_name_and_by_order() {
        let mut calls = Calls::default();
        assert_eq!(calls.begin(None, "f"), "call_0");
        assert_eq!(calls.begin(Some("x".to_owned()), "g"), "x");
        assert_eq!(calls.begin(Some("call_1".to_owned()), "f"), "call_1");
        assert_eq!(calls.begin(None, "f"), "call_2");
        assert_eq!(calls.answer(None, Some("f"), "").as_deref(), Ok("call_0"));
        assert_eq!(calls.answer(Some("call_1"), Some("f"), "").as_deref(), Ok("call_1"));
        assert_eq!(calls.answer(None, None, "").as_deref(), Ok("x"));
        assert_eq!(calls.answer(None, Some("f"), "").as_deref(), Ok("call_2"));
        assert!(calls.answer(None, None, "messages[3]").is_err());
        assert!(calls.answer(None, Some("f"), "messages[3]").is_err());
        assert!(calls.answer(Some("y"), None, "messages[3]").is_err());
    }
}
