//! Which result belongs to which call. Google's models seldom give calls an id, so that a result is told by the name of
//! the function, in order.

use std::collections::{HashMap, VecDeque};

/// The calls of a conversation so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// Whether each has its result.
    answered: Vec<bool>,
    by_id: HashMap<String, usize>,
    by_name: HashMap<String, VecDeque<usize>>,
    /// The ids of all of them, in order.
    ids: Vec<String>,
    /// The next id to be made.
    next: usize,
}

impl Calls {
    /// Notes a call, and tells its id: the one it has, or one that is made.
    pub(super) fn made(&mut self, id: Option<String>, name: &str) -> String {
        let id = id.filter(|id| !id.is_empty()).unwrap_or_else(|| self.new_id());
        let at = self.ids.len();
        self.by_id.insert(id.clone(), at);
        self.by_name.entry(name.to_owned()).or_default().push_back(at);
        self.ids.push(id.clone());
        self.answered.push(false);
        id
    }

    /// Notes a result, and tells the id of its call; `None` where there was no such call.
    pub(super) fn answered(&mut self, id: Option<String>, name: &str) -> Option<String> {
        let at = match id.filter(|id| !id.is_empty()) {
            Some(id) => *self.by_id.get(&id)?,
            None => self.oldest_open(name)?,
        };
        self.answered[at] = true;
        Some(self.ids[at].clone())
    }

    fn oldest_open(&mut self, name: &str) -> Option<usize> {
        let open = self.by_name.get_mut(name)?;
        loop {
            let at = open.pop_front()?;
            if !self.answered[at] {
                return Some(at);
            }
        }
    }

    fn new_id(&mut self) -> String {
        loop {
            let id = format!("call_{}", self.next);
            self.next += 1;
            if !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_without_ids_are_matched_by_name_in_order() {
        let mut calls = Calls::default();
        let id = |text: &str| Some(text.to_owned());
        assert_eq!(calls.made(None, "f"), "call_0");
        assert_eq!(calls.made(None, "g"), "call_1");
        assert_eq!(calls.made(None, "f"), "call_2");
        assert_eq!(calls.made(id("mine"), "f"), "mine");
        assert_eq!(calls.answered(None, "g"), id("call_1"));
        assert_eq!(calls.answered(id("call_0"), "f"), id("call_0"));
        assert_eq!(calls.answered(None, "f"), id("call_2"));
        assert_eq!(calls.answered(None, "f"), id("mine"));
        assert_eq!(calls.answered(None, "f"), None);
        assert_eq!(calls.answered(id("other"), "f"), None);
    }

    #[test]
    fn an_id_that_a_client_gave_is_not_made_again() {
        let mut calls = Calls::default();
        calls.made(Some("call_0".to_owned()), "f");
        assert_eq!(calls.made(None, "f"), "call_1");
    }
}
