//! SIGINT and SIGTERM: the first one makes the run undo its work, the second one exits immediately. SIGHUP (the
//! terminal was closed) only counts as a first one, as both the shell and the kernel send it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use crate::event::{Event, Fact};

/// State shared between the signal handlers and the run.
#[derive(Clone, Default)]
pub struct Signals {
    pub cancel: CancellationToken,
    code: Arc<AtomicU8>,
    /// Containers that this run has started and not undone.
    started: Arc<Mutex<BTreeSet<String>>>,
}

impl Signals {
    /// Installs the signal handlers.
    ///
    /// # Errors
    /// When the process may not install signal handlers.
    pub fn listen() -> std::io::Result<Self> {
        let signals = Self::default();
        for (kind, exit) in [(SignalKind::interrupt(), Exit::Interrupted), (SignalKind::terminate(), Exit::Terminated)]
        {
            let mut stream = signal(kind)?;
            let heard = signals.clone();
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    heard.receive(exit);
                }
            });
        }
        if hangup_ends() {
            let mut stream = signal(SignalKind::hangup())?;
            let heard = signals.clone();
            tokio::spawn(async move {
                if stream.recv().await.is_some() && !heard.cancel.is_cancelled() {
                    heard.receive(Exit::Terminated);
                }
                // Keep the handler, so that a second SIGHUP is ignored.
                while stream.recv().await.is_some() {}
            });
        }
        Ok(signals)
    }

    /// The exit code for the received signal, or for the timeout.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self.code.load(Ordering::Relaxed) {
            code if code == Exit::Terminated as u8 => Exit::Terminated,
            code if code == Exit::TimedOut as u8 => Exit::TimedOut,
            _ => Exit::Interrupted,
        }
    }

    /// Cancels the run after `limit`, as a signal would.
    pub fn cancel_after(&self, limit: Duration) {
        let signals = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(limit).await;
            // A signal that came before the timeout determines the exit code.
            if !signals.cancel.is_cancelled() {
                signals.code.store(Exit::TimedOut as u8, Ordering::Relaxed);
                signals.cancel.cancel();
            }
        });
    }

    /// Records which containers would be left behind if the process exited now.
    pub fn follow(&self, event: &Event) {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        match &event.fact {
            Fact::ReplicaStarted { name } => {
                started.insert(name.clone());
            }
            Fact::ReplicaStopped { name, .. } => {
                started.remove(name);
            }
            // Serving containers are not leftovers.
            Fact::Flipped { .. } => started.clear(),
            _ => {}
        }
    }

    fn receive(&self, exit: Exit) {
        if !self.cancel.is_cancelled() {
            self.code.store(exit as u8, Ordering::Relaxed);
            self.cancel.cancel();
            return;
        }
        let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        let left = started.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let left = if left.is_empty() { "nothing that runs".to_owned() } else { left };
        errln!(
            "\nstopped at once; left behind: {left}\nhint: run the same command again, it removes what does not serve"
        );
        std::process::exit(i32::from(exit as u8));
    }
}

/// Whether SIGHUP would end the process. `nohup` ignores it, and it must stay ignored; if unknown, it is not handled.
fn hangup_ends() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigIgn:")?.trim(), 16).ok());
    // SIGHUP is signal 1, the lowest bit.
    ignored.is_some_and(|ignored| ignored & 1 == 0)
}
