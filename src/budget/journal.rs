//! The file under a ledger: lines go to its end in the order in which things happened, many at once where many happen at
//! once. It knows no ledger; what the lines mean is for whoever writes them.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::env::{Append, Disk, Env};

/// The most that is written at once, in bytes.
const MOST_AT_ONCE: usize = 1 << 20;

/// How long a line that nobody waits for may stay in memory.
const LINGER: Duration = Duration::from_secs(1);

/// The end of a ledger's file.
pub(crate) struct Journal {
    entries: mpsc::UnboundedSender<Entry>,
    failure: Arc<OnceLock<String>>,
}

enum Entry {
    /// Lines for the end of the file, and whoever waits until they are on disk.
    Lines(Vec<u8>, Option<oneshot::Sender<()>>),
    /// The whole file anew.
    Whole(Vec<u8>),
    /// Whoever waits until all that went before is on disk.
    Flush(oneshot::Sender<()>),
}

/// Why what happened is not on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotWritten(pub(crate) String);

impl Journal {
    /// Opens the file for more lines, in the background of `env`.
    pub(crate) fn open(path: &Path, env: &Env) -> io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let failure = Arc::new(OnceLock::new());
        let end = env.disk.append(path)?;
        let writer =
            Writer { end, path: path.to_owned(), disk: env.disk.clone(), failure: failure.clone(), due: Vec::new() };
        env.tasks.spawn("ledger", writer.run(receiver));
        Ok(Journal { entries: sender, failure })
    }

    /// Appends lines that nobody waits for: they are on disk within a second, and before anything that is waited for later.
    pub(crate) fn append(&self, lines: Vec<u8>) {
        let _ = self.entries.send(Entry::Lines(lines, None));
    }

    /// Appends lines now, and resolves when they are on disk.
    pub(crate) fn commit(&self, lines: Vec<u8>) -> impl Future<Output = Result<(), NotWritten>> + Send + use<> {
        let (done, written) = oneshot::channel();
        let sent = self.entries.send(Entry::Lines(lines, Some(done)));
        let failure = self.failure.clone();
        async move {
            match (sent.is_ok(), written.await) {
                (true, Ok(())) => Ok(()),
                _ => Err(NotWritten(failure.get().cloned().unwrap_or_else(|| "the node is stopping".to_owned()))),
            }
        }
    }

    /// Writes the file anew, with this content.
    pub(crate) fn rewrite(&self, content: Vec<u8>) {
        let _ = self.entries.send(Entry::Whole(content));
    }

    /// Resolves when all that went before is on disk, or cannot be.
    pub(crate) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.entries.send(Entry::Flush(done)).is_ok() {
            let _ = written.await;
        }
    }

    /// Why nothing is written any more.
    pub(crate) fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }
}

struct Writer {
    end: Box<dyn Append>,
    path: PathBuf,
    disk: Arc<dyn Disk>,
    failure: Arc<OnceLock<String>>,
    /// Lines that nobody waits for.
    due: Vec<u8>,
}

impl Writer {
    async fn run(mut self, mut entries: mpsc::UnboundedReceiver<Entry>) {
        // When the oldest line that nobody waits for must be on disk.
        let mut until = Instant::now();
        loop {
            if !self.due.is_empty() && (self.due.len() >= MOST_AT_ONCE || Instant::now() >= until) {
                if self.write(true).await.is_err() {
                    return;
                }
                continue;
            }
            let entry = match self.due.is_empty() {
                true => {
                    let entry = entries.recv().await;
                    until = Instant::now() + LINGER;
                    entry
                }
                false => match timeout_at(until, entries.recv()).await {
                    Ok(entry) => entry,
                    Err(_) => continue,
                },
            };
            let Some(entry) = entry else { return };
            let mut waiting = Vec::new();
            let mut next = Some(entry);
            while let Some(entry) = next {
                match entry {
                    Entry::Lines(lines, done) => {
                        self.due.extend(lines);
                        waiting.extend(done);
                    }
                    Entry::Flush(done) => waiting.push(done),
                    Entry::Whole(content) => {
                        // What is due is part of the whole already.
                        self.due.clear();
                        if self.replace(&content).is_err() {
                            return;
                        }
                    }
                }
                next = (self.due.len() < MOST_AT_ONCE).then(|| entries.try_recv().ok()).flatten();
            }
            if !waiting.is_empty() {
                // Whoever waits learns from the end of this task that there was a failure.
                if self.write(true).await.is_err() {
                    return;
                }
                for done in waiting {
                    let _ = done.send(());
                }
            }
        }
    }

    async fn write(&mut self, sync: bool) -> Result<(), ()> {
        let lines = std::mem::take(&mut self.due);
        self.end.write(lines, sync).await.map_err(|error| self.fails(&error))
    }

    fn replace(&mut self, content: &[u8]) -> Result<(), ()> {
        let opened = self.disk.replace(&self.path, content).and_then(|()| self.disk.append(&self.path));
        self.end = opened.map_err(|error| self.fails(&error))?;
        Ok(())
    }

    fn fails(&self, error: &io::Error) {
        let reason = format!("{} cannot be written: {error}", self.path.display());
        tracing::error!(target: "nexus::budget", event = "ledger_failed", %reason, "the ledger cannot be written: nothing more is spent");
        let _ = self.failure.set(reason);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, PoisonError};

    use futures_util::future::BoxFuture;
    use tokio::time::{advance, sleep};

    use super::*;

    /// A disk that notes what it has, by when.
    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<Vec<Write>>>);

    /// When, and what.
    type Write = (Instant, Vec<u8>);

    impl Noted {
        fn all(&self) -> Vec<Write> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        }

        fn note(&self, content: Vec<u8>) -> io::Result<()> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), content));
            Ok(())
        }
    }

    impl Disk for Noted {
        fn prepare(&self, _: &Path) -> io::Result<()> {
            Ok(())
        }

        fn read(&self, _: &Path) -> io::Result<Option<Vec<u8>>> {
            Ok(None)
        }

        fn replace(&self, _: &Path, content: &[u8]) -> io::Result<()> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.note(content.to_vec())
        }

        fn append(&self, _: &Path) -> io::Result<Box<dyn Append>> {
            Ok(Box::new(self.clone()))
        }

        fn claim(&self, _: &Path) -> io::Result<Option<Box<dyn Send + Sync>>> {
            Ok(None)
        }
    }

    impl Append for Noted {
        fn write(&mut self, content: Vec<u8>, _: bool) -> BoxFuture<'_, io::Result<()>> {
            Box::pin(std::future::ready(self.note(content)))
        }
    }

    fn journal() -> (Noted, Journal) {
        let disk = Noted::default();
        let env = Env { disk: Arc::new(disk.clone()), ..Env::real() };
        (disk, Journal::open(Path::new("/ledger"), &env).expect("it opens"))
    }

    #[tokio::test(start_paused = true)]
    async fn lines_that_nobody_waits_for_are_on_disk_within_a_second_though_more_come_all_the_time() {
        let (disk, journal) = journal();
        let begun = Instant::now();
        for _ in 0..15 {
            journal.append(b"line\n".to_vec());
            sleep(Duration::from_millis(100)).await;
        }
        let first = disk.all().first().map(|(at, _)| *at - begun);
        assert!(first.is_some_and(|at| at <= LINGER + Duration::from_millis(1)), "{first:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_waited_for_takes_all_that_went_before_with_it_and_in_its_order() {
        let (disk, journal) = journal();
        journal.append(b"one\n".to_vec());
        journal.commit(b"two\n".to_vec()).await.expect("it is written");
        journal.rewrite(b"whole\n".to_vec());
        journal.append(b"three\n".to_vec());
        journal.flush().await;
        advance(LINGER).await;
        let lines: Vec<u8> = disk.all().into_iter().flat_map(|(_, content)| content).collect();
        assert_eq!(lines, b"whole\nthree\n");
    }
}
