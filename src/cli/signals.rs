//! Being asked to end: Ctrl-C, or a service manager's SIGTERM; and to read the configuration again: SIGHUP.

use std::io;

/// Listens from the moment it is made, so that no signal is lost.
pub(super) struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Stop { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    /// Ready at the next request to end.
    pub(super) async fn asked(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Stop {})
    }

    /// Ready at the next request to end.
    pub(super) async fn asked(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Listens for being asked to read the configuration again.
pub(super) struct Again {
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Again {
    pub(super) fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Again { hangup: signal(SignalKind::hangup())? })
    }

    /// Ready at the next request to read it again.
    pub(super) async fn asked(&mut self) {
        if self.hangup.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
impl Again {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Again {})
    }

    /// Never: no such signal is known here.
    pub(super) async fn asked(&mut self) {
        std::future::pending::<()>().await;
    }
}
