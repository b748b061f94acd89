//! What a node writes, line by line. Every node of this binary writes to one log, which gives each thread its own page:
//! a test runs on one thread, and so does all that it starts. (A log set for one thread only would miss what another
//! thread came upon first: `tracing` remembers for the whole process whom an event interests.)

use std::cell::RefCell;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, Once};

use serde_json::Value;
use tracing_subscriber::EnvFilter;

/// The log of this thread, while it lives.
pub(crate) struct Log(Page);

#[derive(Clone, Default)]
struct Page(Arc<Mutex<Vec<u8>>>);

thread_local! {
    static OPEN: RefCell<Option<Page>> = const { RefCell::new(None) };
}

/// Writes to the page of this thread, if one is open.
struct Pen;

impl Write for Pen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        OPEN.with_borrow(|page| {
            if let Some(Page(text)) = page {
                text.lock().expect("no panic").extend_from_slice(bytes);
            }
        });
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Before the first node starts.
    pub(super) fn prepare() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let filter = EnvFilter::new("warn,nexus=trace");
            let log = tracing_subscriber::fmt().with_env_filter(filter).json().flatten_event(true).with_writer(|| Pen);
            tracing::subscriber::set_global_default(log.finish()).expect("no other log");
        });
    }

    /// Everything that nodes on this thread say from now on, at every level.
    pub(crate) fn capture() -> Self {
        let page = Page::default();
        OPEN.set(Some(page.clone()));
        Log(page)
    }

    /// All of it.
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.0.lock().expect("no panic").clone()).expect("text")
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

impl Drop for Log {
    fn drop(&mut self) {
        OPEN.set(None);
    }
}
