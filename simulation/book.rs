//! What the backends did, by request: who began, who spoke, how it ended. The claims are checked against it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::backend::Character;
use crate::trace;

/// One request as one backend saw it.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The id under which every peer knows it.
    pub(crate) request: String,
    /// The model that was named to the backend.
    pub(crate) model: String,
    /// The backend.
    pub(crate) backend: String,
    /// The peer that owns it.
    pub(crate) owner: usize,
    /// Whether the backend is of the zone `open`.
    pub(crate) open: bool,
    /// When it arrived.
    pub(crate) begun: Duration,
    /// What there was to read.
    pub(crate) prompt: Prompt,
    /// When it ended.
    pub(crate) over: Option<Duration>,
    /// How it ended; `None`: not yet.
    pub(crate) ended: Option<Ending>,
}

/// What there was to read of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Prompt {
    /// Tokens of it.
    pub(crate) tokens: u64,
    /// Those at its beginning that the backend held already.
    pub(crate) held: u64,
}

/// How a backend's work on a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// All of the answer was sent.
    Whole,
    /// The backend broke it off, or answered with an error.
    Broken,
    /// Whoever asked went away.
    Left,
}

/// What all backends of a run have done.
#[derive(Clone, Default)]
pub(crate) struct Book(Arc<Mutex<Vec<Served>>>);

impl Book {
    /// A backend begins to work on a request.
    pub(crate) fn begin(&self, request: &str, model: &str, backend: &Character) -> Act {
        trace::event(format_args!("{} begins {request}", backend.name));
        let mut served = self.lock();
        served.push(Served {
            request: request.to_owned(),
            model: model.to_owned(),
            backend: backend.name.clone(),
            owner: backend.owner,
            open: backend.open,
            begun: trace::now(),
            prompt: Prompt::default(),
            over: None,
            ended: None,
        });
        Act { book: self.clone(), at: served.len() - 1, ending: Ending::Left }
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Served> {
        self.lock().clone()
    }

    /// Requests that backends work on now, by backend.
    pub(crate) fn busy(&self) -> BTreeMap<String, usize> {
        let mut busy = BTreeMap::new();
        for served in self.lock().iter().filter(|served| served.ended.is_none()) {
            *busy.entry(served.backend.clone()).or_default() += 1;
        }
        busy
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Served>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A backend's work on one request. Dropped before it was told its end, whoever asked has left.
pub(crate) struct Act {
    book: Book,
    at: usize,
    ending: Ending,
}

impl Act {
    /// What there was to read.
    pub(crate) fn read(&mut self, prompt: Prompt) {
        self.book.lock()[self.at].prompt = prompt;
    }

    /// How this will have ended.
    pub(crate) fn end(&mut self, ending: Ending) {
        self.ending = ending;
    }
}

impl Drop for Act {
    fn drop(&mut self) {
        let mut book = self.book.lock();
        let served = &mut book[self.at];
        (served.ended, served.over) = (Some(self.ending), Some(trace::now()));
        trace::event(format_args!("{} ends {} {:?}", served.backend, served.request, self.ending));
    }
}
