//! Where tests read what was logged.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// What was written. Its clones share it.
#[derive(Clone, Default)]
pub(super) struct Page(Arc<Mutex<Vec<u8>>>);

impl Page {
    /// All of it so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Page {
    type Writer = Page;

    fn make_writer(&self) -> Page {
        self.clone()
    }
}

/// Logs fields of every kind, and what is awkward to write.
pub(super) fn speak() {
    let error = io::Error::other("lost \"it\"");
    tracing::info!(model = "qwen3:8b", none = None::<&str>, some = Some("x"), stream = true, took = 12_u64, "done");
    tracing::warn!(small = 3_u8, minus = -4, much = u64::MAX, zero = 0_u32, wide = u128::MAX);
    tracing::warn!(part = 0.5, nan = f64::NAN, shown = %"a\tb", seen = ?"a b");
    tracing::info!(error = &error as &(dyn std::error::Error + 'static), empty = "", "{}", "said");
    tracing::info!("only words, \u{1b}[31mred </script>\u{2028}");
    tracing::info!("");
}
