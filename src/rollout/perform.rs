//! One step: one call of a port, or one bounded wait.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::run::{Run, Scope};
use crate::event::{Event, Fact};
use crate::model::{AppKey, AppRecord, Generation, day};
use crate::plan::{Expect, FlipChange, Intent, Step};
use crate::ports::{Engine, Progress, Proxy, ProxyError};

/// How long it may take to learn whether a flip whose answer was lost took effect: a proxy restarts within it.
const FLIP_PATIENCE: Duration = Duration::from_secs(20);
/// How long the proxy may be silent when it is asked what it routes: it restarts within it.
const CONFIRM_PATIENCE: Duration = Duration::from_secs(20);
/// From one attempt to flip to the next.
const FLIP_INTERVAL: Duration = Duration::from_millis(100);

impl<E: Engine, P: Proxy> Run<E, P> {
    /// Performs one step. Calls are never dropped half-way, only waits and builds are: so what was done is known.
    pub(super) async fn perform(
        &self,
        lease: Option<&P::Lease>,
        scope: &Scope,
        step: &Step,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        let app = scope.app.as_ref();
        let begun = Instant::now();
        match step {
            Step::CreateNetwork(network) => self.engine.create_network(network).await?,
            Step::CreateVolume(volume) => self.engine.create_volume(volume).await?,
            Step::ReserveRelease { app, release, version } => {
                let mut details =
                    self.operator.as_ref().map(|by| by.details(Intent::Deploy.purpose())).unwrap_or_default();
                details.insert("version".to_owned(), version.as_str().into());
                self.proxy.record(app, *release, "started", details).await?;
            }
            Step::StoreRelease { app, release } => {
                let mut release = release.clone();
                if let Some(operator) = &self.operator {
                    release.owner.clone_from(&operator.owner);
                    release.host.clone_from(&operator.host);
                }
                let document = serde_json::to_value(&release)
                    .map_err(|error| StepFailure::failed(format!("a release cannot be written: {error}")))?;
                self.proxy.store_release(app, release.number, document).await?;
            }
            Step::ChangeCertificate(change) => {
                self.proxy.change_certificate(change).await?;
                if let Some(new) = &change.certificate {
                    let expires = day(new.not_after);
                    self.emit(app, Fact::CertificateStored { host: change.host.clone(), expires });
                }
            }
            Step::LookAgain { replicas } => {
                let looks = replicas.iter().map(|look| self.last_look(look, cancel));
                join_all(looks).await.into_iter().collect::<Result<(), _>>()?;
            }
            Step::BuildImage { tag, digest, build } => {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(StepFailure::cancelled()),
                    built = self.engine.build_image(build, tag, digest, self.progress(app)) => built?,
                };
                self.emit(app, Fact::ImageBuilt { took: begun.elapsed(), reused: false });
            }
            Step::TagImage { image, tag, alias, .. } => {
                self.engine.tag_image(image, tag).await.map_err(StepFailure::of_tag)?;
                if !alias {
                    self.emit(app, Fact::ImageBuilt { took: begun.elapsed(), reused: true });
                }
            }
            Step::UntagImage { tag } => self.engine.untag_image(tag).await?,
            Step::CreateContainer(container) => self.engine.create_container(container).await?,
            Step::StartContainer { name } => {
                self.engine.start_container(name).await?;
                self.emit(app, Fact::ReplicaStarted { name: name.clone() });
            }
            Step::PostStart { name, hook } => self.post_start(name, hook, cancel).await?,
            Step::Backup { name, hook } => {
                let output = self.backup(name, hook, cancel).await?;
                self.emit(app, Fact::BackupFinished { name: name.clone(), output, took: begun.elapsed() });
            }
            Step::PreStop { name, hook } => {
                if let Err(failure) = self.run_hook(name, hook, cancel).await {
                    if failure.kind == FailureKind::Cancelled {
                        return Err(failure);
                    }
                    let message = format!("{}; its stop goes on", failure.message);
                    self.emit(app, Fact::Warned { message });
                }
            }
            Step::AwaitHealthy { name, gate } => {
                self.await_healthy(name, gate, cancel).await?;
                let healthy = scope.count_healthy();
                self.emit(
                    app,
                    Fact::ReplicaHealthy { name: name.clone(), healthy, wanted: scope.wanted, took: begun.elapsed() },
                );
            }
            Step::AwaitControl { name, timeout } => self.await_control(name, *timeout, cancel).await?,
            Step::AwaitExit { name, timeout } => {
                self.await_success(name, *timeout, cancel).await?;
                self.emit(app, Fact::ReleaseCommandFinished { took: begun.elapsed() });
            }
            Step::AwaitServices { services } => {
                let ready = scope.parts.await_ready(app, services);
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(StepFailure::cancelled()),
                    ready = ready => ready?,
                }
            }
            Step::Flip { changes } => {
                let expected: Vec<Generation> = changes.iter().map(|change| expected(change, scope)).collect();
                let generation = self.flip(lease, changes, &expected).await?;
                scope.flipped(generation);
                for change in changes {
                    self.emit(Some(&change.app), Fact::Flipped { generation, took: begun.elapsed() });
                }
            }
            Step::ConfirmRoute { app, record } => {
                self.confirm(app, record, cancel).await?;
                self.emit(Some(app), Fact::RouteConfirmed);
            }
            Step::AwaitDrained { app, peers, limits } => {
                let told = |open| self.emit(Some(app), Fact::DrainProgressed { left: scope.draining(peers, open) });
                let (waited, cut) = self.await_drained(peers, *limits, told, cancel).await?;
                scope.drained(waited, cut);
                self.emit(Some(app), Fact::Drained { waited, cut, took: begun.elapsed() });
            }
            Step::StopContainer { name, signal, grace, .. } => {
                let report = self.engine.stop_container(name, signal.as_deref(), *grace).await?;
                self.emit(
                    app,
                    Fact::ReplicaStopped {
                        name: name.clone(),
                        killed: report.killed,
                        cause: report.cause,
                        took: begun.elapsed(),
                    },
                );
            }
            Step::RemoveContainer { name } => self.engine.remove_container(name).await?,
            Step::ConfirmGone { app } => self.confirm_gone(app, cancel).await?,
            Step::ForgetReleases { app, releases } => self.proxy.forget_releases(app, releases).await?,
            Step::RemoveNetwork { name } => self.engine.remove_network(name).await?,
            Step::RemoveVolume { name } => self.engine.remove_volume(name).await?,
            Step::RemoveDangling => self.engine.remove_dangling().await?,
            Step::Pause { duration } => self.pause(*duration, cancel).await?,
        }
        Ok(())
    }

    /// Flips, and finds out what happened when the answer is lost.
    async fn flip(
        &self,
        lease: Option<&P::Lease>,
        changes: &[FlipChange],
        expected: &[Generation],
    ) -> Result<Generation, StepFailure> {
        let Some(lease) = lease else {
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
                    match self.look_again(changes, expected).await? {
                        Seen::TookEffect(generation) => return Ok(generation),
                        Seen::NoEffect if Instant::now() < deadline => {}
                        Seen::NoEffect => return Err(error.into()),
                    }
                }
                error => return Err(error.into()),
            }
        }
    }

    /// Reads the proxy's state, and compares.
    async fn look_again(&self, changes: &[FlipChange], expected: &[Generation]) -> Result<Seen, StepFailure> {
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

    async fn confirm(&self, app: &AppKey, record: &AppRecord, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let state = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            state = self.await_state(CONFIRM_PATIENCE) => state?,
        };
        let found = state.apps.get(app).and_then(|known| known.record.as_ref());
        if found == Some(record) {
            return Ok(());
        }
        Err(StepFailure::new(FailureKind::StateChanged, format!("the proxy does not route `{app}` to this release")))
    }

    /// The same for an app that was taken out.
    async fn confirm_gone(&self, app: &AppKey, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let state = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            state = self.await_state(CONFIRM_PATIENCE) => state?,
        };
        match state.apps.get(app).and_then(|known| known.record.as_ref()) {
            None => Ok(()),
            Some(_) => Err(StepFailure::new(FailureKind::StateChanged, format!("the proxy routes `{app}` again"))),
        }
    }

    fn progress(&self, app: Option<&AppKey>) -> Progress {
        let (sink, app, started) = (Arc::clone(&self.sink), app.cloned(), self.started);
        Arc::new(move |line| {
            sink(Event { app: app.clone(), elapsed: started.elapsed(), fact: Fact::BuildProgressed { line } });
        })
    }
}

/// What a look at the proxy's state says of a flip whose answer was lost.
enum Seen {
    TookEffect(Generation),
    NoEffect,
}

fn expected(change: &FlipChange, scope: &Scope) -> Generation {
    match change.expect {
        Expect::Observed(generation) => generation,
        // A removed app has no generation; a record that this run has put there has the last flip's.
        Expect::OwnLast => scope.last_flip().unwrap_or_default(),
    }
}
