//! Which call of a stream a delta belongs to. Servers differ in how they say it: by an index, by an id, by a name, or not
//! at all.

use super::said::{Call as Delta, Function, garbled};
use crate::dialect::chat::{ChatEvent, Garbled, Json};

/// The calls of a stream, in the order in which they began.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    /// The server's index, where it has one.
    index: Option<u64>,
    /// Empty until it is told.
    id: String,
    /// Empty until it is told; then the call has begun.
    name: String,
    /// All arguments came with the name.
    is_whole: bool,
}

/// What a delta says about the call it belongs to.
struct Hints<'a> {
    index: Option<u64>,
    id: &'a str,
    name: &'a str,
    has_arguments: bool,
}

impl Calls {
    /// Whether any call has begun.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(|call| !call.name.is_empty())
    }

    /// Takes a delta.
    ///
    /// # Errors
    /// It has arguments for a call that has no name.
    pub(super) fn take(&mut self, delta: Delta<'_>, each: &mut dyn FnMut(ChatEvent)) -> Result<(), Garbled> {
        let name = delta.function.as_ref().and_then(|function| function.name.as_text()).unwrap_or_default();
        let id = delta.id.as_text().unwrap_or_default();
        let arguments = delta.function.as_ref().map_or(Ok(String::new()), Function::arguments)?;
        let hints = Hints { index: delta.index.count(), id, name, has_arguments: !arguments.is_empty() };
        if hints.index.is_none() && id.is_empty() && name.is_empty() && arguments.is_empty() {
            return Ok(());
        }
        let at = self.find(&hints).unwrap_or_else(|| {
            self.0.push(Call { index: hints.index, id: String::new(), name: String::new(), is_whole: false });
            self.0.len() - 1
        });
        let call = &mut self.0[at];
        if call.id.is_empty() {
            id.clone_into(&mut call.id);
        }
        if call.name.is_empty() && !name.is_empty() {
            name.clone_into(&mut call.name);
            call.is_whole = !arguments.is_empty() && Json::object(&arguments).is_some();
            each(ChatEvent::ToolCall { index: at, id: call.id.clone(), name: call.name.clone() });
        }
        if arguments.is_empty() {
            return Ok(());
        }
        if call.name.is_empty() {
            return Err(garbled("a call has arguments, but no name"));
        }
        each(ChatEvent::Arguments { index: at, json: arguments });
        Ok(())
    }

    /// The call that a delta goes on with; `None` where it begins one.
    fn find(&self, hints: &Hints<'_>) -> Option<usize> {
        let at = match (hints.index, hints.id) {
            (Some(index), _) => self.0.iter().rposition(|call| call.index == Some(index)),
            (None, "") => self.0.len().checked_sub(1),
            (None, id) => self.0.iter().rposition(|call| call.id == id),
        };
        at.filter(|at| !self.0[*at].is_over_by(hints))
    }
}

impl Call {
    /// Whether a delta that seems to go on with this call begins another one: some servers give every call the same index,
    /// others give none, and both name each call.
    fn is_over_by(&self, hints: &Hints<'_>) -> bool {
        if self.name.is_empty() || hints.name.is_empty() {
            return false;
        }
        match (hints.id, self.id.as_str()) {
            ("", _) => hints.name != self.name || (self.is_whole && hints.has_arguments),
            (_, "") => false,
            (id, own) => id != own,
        }
    }
}
