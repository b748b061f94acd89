//! How log lines reach standard error. Each is written at once, but for lines that say how a request ended: where they come one
//! upon the other they are written together, at most [`TOGETHER`] later and before any other line, so that their order stays.
//! A system call for each would be a good part of what they cost. A process that is killed loses at most what it had not
//! written by then; one that ends flushes.

use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

/// Lines of requests that come sooner than this after the last one wait for others; none waits longer.
const TOGETHER: Duration = Duration::from_millis(20);

/// Bytes that are written without waiting for more.
const MOST: usize = 32 << 10;

/// What says how requests ended.
const REQUESTS: &str = "nexus::api";

/// The lines of this process, once they are written.
static OF_PROCESS: OnceLock<Lines> = OnceLock::new();

/// Writes what still waits. To be called before the process ends.
pub fn flush() {
    if let Some(lines) = OF_PROCESS.get() {
        lines.page().flush();
    }
}

/// Where lines go. Cheap to clone.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    page: Mutex<Page>,
    /// Told when a line begins to wait.
    waits: Condvar,
}

struct Page {
    to: Box<dyn Write + Send>,
    waiting: Vec<u8>,
    /// When a line of a request was last written or began to wait.
    last: Option<Instant>,
    /// Whether a line may wait: nobody reads a terminal late.
    patient: bool,
}

impl Lines {
    /// Those of this process, to standard error.
    pub(super) fn of_process() -> Self {
        let fresh = || {
            let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
            let lines = Lines::new(Box::new(io::stderr()), !is_terminal);
            let writes = lines.clone();
            let thread = std::thread::Builder::new().name("log".to_owned());
            // Without it every line is written at once.
            if thread.spawn(move || writes.write_what_waits()).is_err() {
                lines.page().patient = false;
            }
            lines
        };
        OF_PROCESS.get_or_init(fresh).clone()
    }

    fn new(to: Box<dyn Write + Send>, patient: bool) -> Self {
        let page = Page { to, waiting: Vec::with_capacity(MOST), last: None, patient };
        Lines(Arc::new(Shared { page: Mutex::new(page), waits: Condvar::new() }))
    }

    fn page(&self) -> MutexGuard<'_, Page> {
        self.0.page.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_what_waits(&self) -> ! {
        loop {
            let page = self.0.waits.wait_while(self.page(), |page| page.waiting.is_empty());
            drop(page);
            // Nothing wakes it sooner: what is flushed meanwhile is not there any more.
            std::thread::park_timeout(TOGETHER);
            self.page().flush();
        }
    }
}

impl Page {
    /// A line of a request. Says whether it is the first that waits.
    fn of_request(&mut self, line: &[u8], now: Instant) -> bool {
        let is_soon = self.last.replace(now).is_some_and(|last| now.saturating_duration_since(last) < TOGETHER);
        if !self.patient || (!is_soon && self.waiting.is_empty()) {
            self.other(line);
            return false;
        }
        let is_first = self.waiting.is_empty();
        self.waiting.extend_from_slice(line);
        if self.waiting.len() >= MOST {
            self.flush();
            return false;
        }
        is_first
    }

    /// Any other line.
    fn other(&mut self, line: &[u8]) {
        self.flush();
        // Nobody could be told that nobody can be told.
        let _ = self.to.write_all(line);
    }

    fn flush(&mut self) {
        if !self.waiting.is_empty() {
            let _ = self.to.write_all(&self.waiting);
            self.waiting.clear();
        }
    }
}

/// Takes one line.
pub(super) struct Line<'a> {
    lines: &'a Lines,
    is_of_request: bool,
}

impl Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut page = self.lines.page();
        if !self.is_of_request {
            page.other(line);
        } else if page.of_request(line, Instant::now()) {
            drop(page);
            self.lines.0.waits.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { lines: self, is_of_request: false }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Line<'a> {
        Line { lines: self, is_of_request: about.target() == REQUESTS && *about.level() == Level::INFO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was written, one entry a call.
    #[derive(Clone, Default)]
    struct Calls(Arc<Mutex<Vec<String>>>);

    impl Calls {
        fn all(&self) -> Vec<String> {
            std::mem::take(&mut self.0.lock().expect("no panic"))
        }
    }

    impl Write for Calls {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").push(String::from_utf8(bytes.to_vec()).expect("text"));
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines(patient: bool) -> (Lines, Calls) {
        let calls = Calls::default();
        (Lines::new(Box::new(calls.clone()), patient), calls)
    }

    #[test]
    fn a_line_now_and_then_is_written_at_once() {
        let (lines, calls) = lines(true);
        let now = Instant::now();
        for nth in 0..3 {
            assert!(!lines.page().of_request(b"a\n", now + TOGETHER * nth));
            assert_eq!(calls.all(), ["a\n"]);
        }
    }

    #[test]
    fn many_are_written_together_and_before_any_other_line() {
        let (lines, calls) = lines(true);
        let now = Instant::now();
        let mut page = lines.page();
        let first: Vec<bool> = ["a\n", "b\n", "c\n"].iter().map(|line| page.of_request(line.as_bytes(), now)).collect();
        assert_eq!((first, calls.all()), (vec![false, true, false], vec!["a\n".to_owned()]));
        page.other(b"warning\n");
        assert_eq!(calls.all(), ["b\nc\n", "warning\n"]);
        page.flush();
        assert_eq!(calls.all(), [""; 0]);
        assert!(page.of_request(b"d\n", now));
        assert!(!page.of_request(b"e\n", now + 3 * TOGETHER), "none passes one that waits");
        page.flush();
        assert_eq!(calls.all(), ["d\ne\n"]);
    }

    #[test]
    fn what_waits_has_a_bound() {
        let (lines, calls) = lines(true);
        let now = Instant::now();
        let line = "x".repeat(MOST / 4);
        for _ in 0..9 {
            lines.page().of_request(line.as_bytes(), now);
        }
        let sizes: Vec<usize> = calls.all().iter().map(String::len).collect();
        assert_eq!(sizes, [MOST / 4, MOST, MOST]);
        assert!(lines.page().waiting.is_empty());
    }

    #[test]
    fn nobody_reads_a_terminal_late() {
        let (lines, calls) = lines(false);
        let now = Instant::now();
        lines.page().of_request(b"a\n", now);
        lines.page().of_request(b"b\n", now);
        assert_eq!(calls.all(), ["a\n", "b\n"]);
    }

    /// Warnings about a request, and what others say, do not wait.
    #[test]
    fn only_lines_that_say_how_a_request_ended_wait() {
        let (lines, calls) = lines(true);
        let subscriber = tracing_subscriber::fmt().with_writer(lines.clone()).finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "nexus::api", "one");
            tracing::info!(target: "nexus::api", "two");
            assert_eq!(calls.all().len(), 1);
            tracing::warn!(target: "nexus::api", "three");
            let all = calls.all();
            assert!(all.len() == 2 && all[0].contains("two") && all[1].contains("three"), "{all:?}");
            tracing::info!(target: "nexus::mesh", "four");
            assert_eq!(calls.all().len(), 1);
        });
    }
}
