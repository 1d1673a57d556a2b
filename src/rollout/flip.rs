//! The flip: the one call that moves traffic, what came of it when its answer is lost, and what the proxy routes after it.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::wait::STATUS_INTERVAL;
use crate::model::{AppKey, AppRecord, Generation, ObservedProxy};
use crate::plan::FlipChange;
use crate::ports::{Proxy, ProxyError};

/// How long it may take to learn whether a flip whose answer was lost took effect: a proxy restarts within it.
const FLIP_PATIENCE: Duration = Duration::from_secs(20);
/// How long the proxy may be silent when it is asked what it routes: it restarts within it.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(20);
/// From one attempt to flip to the next.
const FLIP_INTERVAL: Duration = Duration::from_millis(100);

/// Changes what the proxy routes, and asks for it.
pub(super) struct Flipper<'a, P: Proxy> {
    proxy: &'a P,
    lease: Option<&'a P::Lease>,
}

impl<'a, P: Proxy> Flipper<'a, P> {
    pub(super) fn new(proxy: &'a P, lease: Option<&'a P::Lease>) -> Self {
        Self { proxy, lease }
    }

    /// Flips, and finds out what happened when the answer is lost.
    pub(super) async fn flip(
        &self,
        changes: &[FlipChange],
        expected: &[Generation],
    ) -> Result<Generation, StepFailure> {
        let Some(lease) = self.lease else {
            return Err(StepFailure::failed("internal: a flip without a lease"));
        };
        let deadline = Instant::now() + FLIP_PATIENCE;
        loop {
            let error = match self.proxy.flip(lease, changes, expected).await {
                Ok(generation) => return Ok(generation),
                Err(error) => error,
            };
            match error {
                // The lease is a connection; after a restart of the proxy it is taken up again under the same token.
                ProxyError::LeaseLost { .. } | ProxyError::Unreachable { .. } | ProxyError::Malformed { .. } => {
                    sleep(FLIP_INTERVAL).await;
                    // Also when it is too late for another try: an undo of what did take effect would stop what serves.
                    match self.find_out(changes, expected).await? {
                        Seen::TookEffect(generation) => return Ok(generation),
                        Seen::NoEffect if Instant::now() < deadline => {}
                        Seen::NoEffect => return Err(error.into()),
                    }
                }
                // The proxy itself gives everything back to what served when a canary's lease is lost.
                ProxyError::GenerationMoved { .. } => {
                    return self.already(changes).await.ok_or_else(|| error.into());
                }
                error => return Err(error.into()),
            }
        }
    }

    /// The generation at which the proxy routes what the flip would make of it, if it does.
    async fn already(&self, changes: &[FlipChange]) -> Option<Generation> {
        let state = self.proxy.state().await.ok()?;
        let known = |change: &FlipChange| state.apps.get(&change.app).filter(|app| app.record == change.record);
        let generations: Option<Vec<Generation>> =
            changes.iter().map(|change| known(change).map(|app| app.generation)).collect();
        generations?.into_iter().max()
    }

    /// Reads the proxy's state, and compares.
    async fn find_out(&self, changes: &[FlipChange], expected: &[Generation]) -> Result<Seen, StepFailure> {
        let state = self.await_state(FLIP_PATIENCE).await.map_err(|error| {
            StepFailure::new(FailureKind::Unknown, format!("it is not known whether the flip took effect: {error}"))
                .hint("run the same command again: it asks the proxy what serves, and resumes from there")
        })?;
        let current = |change: &FlipChange| state.apps.get(&change.app).cloned().unwrap_or_default();
        if changes.iter().all(|change| current(change).record == change.record) {
            let newest = changes.iter().map(|change| current(change).generation).max();
            return Ok(Seen::TookEffect(newest.unwrap_or(state.generation)));
        }
        let unmoved = |(change, expected): (&FlipChange, &Generation)| {
            let current = current(change);
            current.record.is_none() && *expected == Generation(0) || current.generation == *expected
        };
        if changes.iter().zip(expected).all(unmoved) {
            return Ok(Seen::NoEffect);
        }
        Err(StepFailure::new(FailureKind::StateChanged, "another deploy has flipped in the meantime"))
    }

    /// Whether the proxy routes the app as this record says.
    pub(super) async fn confirm(
        &self,
        app: &AppKey,
        record: &AppRecord,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        if self.routed(app, cancel).await?.as_ref() == Some(record) {
            return Ok(());
        }
        Err(StepFailure::new(FailureKind::StateChanged, format!("the proxy does not route `{app}` to this release")))
    }

    /// The same for an app that was taken out.
    pub(super) async fn confirm_gone(&self, app: &AppKey, cancel: &CancellationToken) -> Result<(), StepFailure> {
        match self.routed(app, cancel).await? {
            None => Ok(()),
            Some(_) => Err(StepFailure::new(FailureKind::StateChanged, format!("the proxy routes `{app}` again"))),
        }
    }

    async fn routed(&self, app: &AppKey, cancel: &CancellationToken) -> Result<Option<AppRecord>, StepFailure> {
        let mut state = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            state = self.await_state(CONFIRM_PATIENCE) => state?,
        };
        Ok(state.apps.remove(app).and_then(|known| known.record))
    }

    /// Reads the proxy's state, waiting at most `patience` for a proxy that does not answer.
    async fn await_state(&self, patience: Duration) -> Result<ObservedProxy, ProxyError> {
        let deadline = Instant::now() + patience;
        loop {
            match self.proxy.state().await {
                Err(_) if Instant::now() < deadline => sleep(STATUS_INTERVAL).await,
                answer => return answer,
            }
        }
    }
}

/// What the proxy's state says of a flip whose answer was lost.
enum Seen {
    TookEffect(Generation),
    NoEffect,
}
