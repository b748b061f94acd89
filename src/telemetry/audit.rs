//! The audit: one line in the log for each change that a manager makes, whoever that is and wherever it came in. What is
//! changed is known where it is changed; keys and content never stand here.

use tracing::info;

/// Who changes something.
#[derive(Clone, Debug)]
pub struct By {
    /// Where the call came from: an address, another peer, a signal, the file itself.
    pub source: String,
    /// By what right.
    pub right: String,
}

impl By {
    /// From somewhere, by some right.
    pub fn new(source: impl Into<String>, right: impl Into<String>) -> Self {
        By { source: source.into(), right: right.into() }
    }
}

/// What was changed.
#[derive(Clone, Debug)]
pub struct Deed {
    /// What was done: `backend_added`, `alias_set`.
    pub action: &'static str,
    /// To what.
    pub subject: String,
}

/// Names are cut to this many characters.
const LONGEST: usize = 256;

/// Writes down that `by` did `deed` to the peer called `peer`.
pub fn note(deed: &Deed, peer: &str, by: &By) {
    let cut = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(LONGEST).collect::<String>();
    let (action, subject) = (deed.action, cut(&deed.subject));
    let (source, by) = (cut(&by.source), cut(&by.right));
    info!(target: "nexus::audit", action, subject, peer, source, by, "{action}: {subject}");
}
