//! One step: one call of a port, or one bounded wait.

use futures_util::future::join_all;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::canary::CanaryWatcher;
use super::failure::{FailureKind, StepFailure};
use super::flip::Flipper;
use super::gate::GateKeeper;
use super::handover::HandOver;
use super::hooks::Hooks;
use super::order::order;
use super::run::Run;
use super::scope::Scope;
use super::wait::{Waits, pause};
use crate::event::Fact;
use crate::model::{AppKey, CertificateChange, Generation, Hook, ReleaseNumber, StoredRelease, day};
use crate::plan::{Expect, FlipChange, Intent, Step};
use crate::ports::{Engine, Proxy};

/// Performs steps of one scope.
pub(super) struct Performer<'a, E, P: Proxy> {
    run: &'a Run<E, P>,
    lease: Option<&'a P::Lease>,
    scope: &'a Scope,
}

impl<'a, E: Engine, P: Proxy> Performer<'a, E, P> {
    pub(super) fn new(run: &'a Run<E, P>, lease: Option<&'a P::Lease>, scope: &'a Scope) -> Self {
        Self { run, lease, scope }
    }

    /// Performs one step. Calls are never dropped half-way, only waits and builds are: so what was done is known.
    pub(super) async fn perform(&self, step: &Step, cancel: &CancellationToken) -> Result<(), StepFailure> {
        let app = self.scope.app();
        let (engine, proxy, events) = (self.run.engine(), self.run.proxy(), self.run.events());
        let begun = Instant::now();
        match step {
            Step::CreateNetwork(network) => engine.create_network(network).await?,
            Step::CreateVolume(volume) => engine.create_volume(volume).await?,
            Step::ReserveRelease { app, release, version } => self.reserve(app, *release, version).await?,
            Step::StoreRelease { app, release } => self.store(app, release).await?,
            Step::ChangeCertificate(change) => self.change_certificate(change).await?,
            Step::OrderCertificate(certificate) => {
                let expires = order(engine, proxy, certificate, cancel).await?;
                events.emit(app, Fact::CertificateStored { host: certificate.host.clone(), expires });
            }
            Step::LookAgain { replicas } => {
                let gate = self.gate();
                let looks = replicas.iter().map(|look| gate.last_look(look, cancel));
                join_all(looks).await.into_iter().collect::<Result<(), _>>()?;
            }
            Step::BuildImage { tag, digest, build } => {
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(StepFailure::cancelled()),
                    built = engine.build_image(build, tag, digest, events.progress(app)) => built?,
                };
                events.emit(app, Fact::ImageBuilt { took: begun.elapsed(), reused: false });
            }
            Step::TagImage { image, tag, alias, .. } => {
                engine.tag_image(image, tag).await.map_err(StepFailure::of_tag)?;
                if !alias {
                    events.emit(app, Fact::ImageBuilt { took: begun.elapsed(), reused: true });
                }
            }
            Step::UntagImage { tag } => engine.untag_image(tag).await?,
            Step::CreateContainer(container) => engine.create_container(container).await?,
            Step::StartContainer { name } => {
                engine.start_container(name).await?;
                events.emit(app, Fact::ReplicaStarted { name: name.clone() });
            }
            Step::PostStart { name, hook } => self.hooks().post_start(name, hook, cancel).await?,
            Step::Backup { name, hook } => {
                let output = self.hooks().backup(name, hook, cancel).await?;
                events.emit(app, Fact::BackupFinished { name: name.clone(), output, took: begun.elapsed() });
            }
            Step::PreStop { name, hook } => self.pre_stop(name, hook, cancel).await?,
            Step::AwaitHealthy { name, gate } => {
                self.gate().await_healthy(name, gate, cancel).await?;
                let healthy = self.scope.count_healthy();
                events.emit(
                    app,
                    Fact::ReplicaHealthy {
                        name: name.clone(),
                        healthy,
                        wanted: self.scope.wanted(),
                        took: begun.elapsed(),
                    },
                );
            }
            Step::AwaitControl { name, timeout } => self.waits().await_control(name, *timeout, cancel).await?,
            Step::HandOver { name, to, timeout, lock_wait } => {
                HandOver::new(self.run, name, *to).within(*timeout, *lock_wait, cancel).await?;
            }
            Step::AwaitExit { name, timeout } => {
                self.waits().await_success(name, *timeout, cancel).await?;
                events.emit(app, Fact::ReleaseCommandFinished { took: begun.elapsed() });
            }
            Step::AwaitServices { services } => {
                let ready = self.scope.parts().await_ready(app, services);
                tokio::select! {
                    biased;
                    () = cancel.cancelled() => return Err(StepFailure::cancelled()),
                    ready = ready => ready?,
                }
            }
            Step::Flip { changes } => self.flip(changes).await?,
            Step::ConfirmRoute { app, record } => {
                self.flipper().confirm(app, record, cancel).await?;
                events.emit(Some(app), Fact::RouteConfirmed);
            }
            Step::AwaitDrained { app, peers, limits } => {
                let told =
                    |open| events.emit(Some(app), Fact::DrainProgressed { left: self.scope.draining(peers, open) });
                let (waited, cut) = self.waits().await_drained(peers, *limits, told, cancel).await?;
                self.scope.drained(waited, cut);
                events.emit(Some(app), Fact::Drained { waited, cut, took: begun.elapsed() });
            }
            Step::StopContainer { name, signal, grace, .. } => {
                let report = engine.stop_container(name, signal.as_deref(), *grace).await?;
                events.emit(
                    app,
                    Fact::ReplicaStopped {
                        name: name.clone(),
                        killed: report.killed,
                        cause: report.cause,
                        took: begun.elapsed(),
                    },
                );
            }
            Step::RemoveContainer { name } => engine.remove_container(name).await?,
            Step::ConfirmGone { app } => self.flipper().confirm_gone(app, cancel).await?,
            Step::ForgetReleases { app, releases } => proxy.forget_releases(app, releases).await?,
            Step::RemoveNetwork { name } => engine.remove_network(name).await?,
            Step::RemoveVolume { name } => engine.remove_volume(name).await?,
            Step::RemoveDangling => engine.remove_dangling().await?,
            Step::WatchCanary(watch) => CanaryWatcher::new(self.run, self.scope).watch(watch, cancel).await?,
            Step::Pause { duration } => pause(*duration, cancel).await?,
        }
        Ok(())
    }

    /// A number is used from here on, whatever becomes of the release.
    async fn reserve(&self, app: &AppKey, release: ReleaseNumber, version: &str) -> Result<(), StepFailure> {
        let mut details = self.run.operator().map(|by| by.details(Intent::Deploy.purpose())).unwrap_or_default();
        details.insert("version".to_owned(), version.into());
        Ok(self.run.proxy().record(app, release, "started", details).await?)
    }

    async fn store(&self, app: &AppKey, release: &StoredRelease) -> Result<(), StepFailure> {
        let mut release = release.clone();
        if let Some(operator) = self.run.operator() {
            release.owner.clone_from(&operator.owner);
            release.host.clone_from(&operator.host);
        }
        let document = serde_json::to_value(&release)
            .map_err(|error| StepFailure::failed(format!("a release cannot be written: {error}")))?;
        Ok(self.run.proxy().store_release(app, release.number, document).await?)
    }

    async fn change_certificate(&self, change: &CertificateChange) -> Result<(), StepFailure> {
        self.run.proxy().change_certificate(change).await?;
        if let Some(new) = &change.certificate {
            let stored = Fact::CertificateStored { host: change.host.clone(), expires: day(new.not_after) };
            self.run.events().emit(self.scope.app(), stored);
        }
        Ok(())
    }

    async fn pre_stop(&self, name: &str, hook: &Hook, cancel: &CancellationToken) -> Result<(), StepFailure> {
        match self.hooks().run(name, hook, cancel).await {
            Err(failure) if failure.kind == FailureKind::Cancelled => Err(failure),
            Err(failure) => {
                self.run.events().warn(self.scope.app(), format!("{}; its stop goes on", failure.message));
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    async fn flip(&self, changes: &[FlipChange]) -> Result<(), StepFailure> {
        let begun = Instant::now();
        let expected: Vec<Generation> = changes.iter().map(|change| expected(change, self.scope)).collect();
        let generation = self.flipper().flip(changes, &expected).await?;
        self.scope.flipped(generation);
        for change in changes {
            self.run.events().emit(Some(&change.app), Fact::Flipped { generation, took: begun.elapsed() });
        }
        Ok(())
    }

    fn flipper(&self) -> Flipper<'a, P> {
        Flipper::new(self.run.proxy(), self.lease)
    }

    fn hooks(&self) -> Hooks<'a, E> {
        Hooks::new(self.run.engine())
    }

    fn gate(&self) -> GateKeeper<'a, E, P> {
        GateKeeper::new(self.run.engine(), self.run.proxy())
    }

    fn waits(&self) -> Waits<'a, E, P> {
        Waits::new(self.run.engine(), self.run.proxy())
    }
}

fn expected(change: &FlipChange, scope: &Scope) -> Generation {
    match change.expect {
        Expect::Observed(generation) => generation,
        // A removed app has no generation; a record that this run has put there has the last flip's.
        Expect::OwnLast => scope.last_flip().unwrap_or_default(),
    }
}
