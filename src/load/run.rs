//! A run of load, from its start to its report.

use std::sync::Arc;
use std::time::Instant;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::clients;
use super::config::{LoadConfig, LoadRefused};
use super::lane::Lane;
use super::ledger::{Ledger, Phase, Progress};
use super::report::Report;

/// A running load. Dropping it ends it immediately and aborts requests in flight.
#[derive(Debug)]
pub struct Load {
    ledger: Arc<Ledger>,
    ended: CancellationToken,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts all clients on the current runtime.
    ///
    /// # Errors
    /// When the configuration cannot be sent or has no limits. A target that does not answer is not an error here: its
    /// requests are counted as failed.
    pub async fn start(config: LoadConfig) -> Result<Self, LoadRefused> {
        config.check()?;
        let config = Arc::new(config);
        let kinds = config.groups.iter().map(|group| group.traffic.kind());
        let ledger = Arc::new(Ledger::new(kinds, config.requests, config.release_header.to_ascii_lowercase()));
        let ended = CancellationToken::new();
        let mut clients = JoinSet::new();
        let members = config.groups.iter().flat_map(|group| (0..group.clients).map(move |member| (group, member)));
        for (client, (group, member)) in members.enumerate() {
            let lane = Lane {
                config: Arc::clone(&config),
                ledger: Arc::clone(&ledger),
                ended: ended.clone(),
                kind: group.traffic.kind(),
                client,
                gap: group.gap,
                first_after: group.first_after(member),
            };
            clients.spawn(clients::run(lane, group.traffic.clone()));
        }
        clients.spawn(end_after(config.duration, Arc::clone(&ledger), ended.clone()));
        Ok(Self { ledger, ended, clients })
    }

    /// Sets the phase for requests from now on.
    pub fn set_phase(&self, phase: Phase) {
        self.ledger.set_phase(phase);
    }

    /// Start of the run; all times in the report are relative to it.
    #[must_use]
    pub fn began(&self) -> Instant {
        self.ledger.began()
    }

    #[must_use]
    pub fn progress(&self) -> Progress {
        self.ledger.progress()
    }

    /// Waits until the time or request limit is reached.
    pub async fn bound_reached(&self) {
        self.ended.cancelled().await;
    }

    /// Starts no further request, waits for those in flight (each within its own timeout), and returns the report.
    ///
    /// # Panics
    /// When a client panicked: without one client the result proves nothing.
    pub async fn stop(mut self) -> Report {
        self.ledger.end();
        self.ended.cancel();
        while let Some(client) = self.clients.join_next().await {
            if let Err(error) = client {
                std::panic::resume_unwind(error.into_panic());
            }
        }
        Report::of(&self.ledger.book())
    }
}

async fn end_after(duration: std::time::Duration, ledger: Arc<Ledger>, ended: CancellationToken) {
    tokio::select! {
        () = tokio::time::sleep(duration) => {
            ledger.end();
            ended.cancel();
        }
        () = ended.cancelled() => {}
    }
}
