//! What a node writes, line by line. Only what runs on this test's own thread is seen: tests that use it run on one.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::EnvFilter;

/// The log of this thread, while it lives.
pub(crate) struct Log {
    page: Page,
    _guard: DefaultGuard,
}

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Everything the node says, at every level.
    pub(crate) fn capture() -> Self {
        let page = Page::default();
        let to = page.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::new("warn,nexus=trace"))
            .json()
            .flatten_event(true)
            .with_writer(move || to.clone())
            .finish();
        Log { page, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.page.0.lock().expect("no panic").clone()).expect("text")
    }

    /// Each line.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
    }

    /// The lines that say how a request ended.
    pub(crate) fn completed(&self) -> Vec<Value> {
        self.lines().into_iter().filter(|line| line["message"] == "Request completed").collect()
    }
}
