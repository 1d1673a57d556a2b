//! Takes apps, or a whole project, away: lease, observe, plan, execute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::executor::Executor;
use super::failure::{DeployError, FailureKind};
use super::history::{record_accessory_end, record_end};
use super::proxy::{ensure_proxy_running, proxy_state};
use super::result::AppResult;
use super::run::Run;
use super::scope::Scope;
use crate::event::{Fact, Outcome};
use crate::model::{AccessoryChange, AppKey, AppName, ContainerState, ObservedEngine, ObservedProxy, Project};
use crate::plan::{AppPlan, DownOptions, Removal, RemoveOptions, Stage, plan_down, plan_remove};
use crate::ports::{Engine, LeaseRequest, Operator, Proxy};

/// How often a plan is made again when another run flips in between, which a held lease does not let happen twice.
const ATTEMPTS: usize = 3;

/// What shall be gone.
#[derive(Debug, Clone, Copy)]
pub enum RemovalScope<'a> {
    Apps { names: &'a [AppName], options: RemoveOptions },
    Project { options: DownOptions },
}

/// What a removal is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct RemoveRequest<'a> {
    pub project: &'a Project,
    pub goal: RemovalScope<'a>,
    pub operator: &'a Operator,
    /// How long another holder of the lease is waited for.
    pub lock_wait: Duration,
}

impl RemoveRequest<'_> {
    fn plan(&self, engine: &ObservedEngine, proxy: &ObservedProxy) -> Result<Removal, DeployError> {
        Ok(match self.goal {
            RemovalScope::Apps { names, options } => plan_remove(self.project, names, engine, proxy, options),
            RemovalScope::Project { options } => plan_down(self.project, engine, proxy, options)?,
        })
    }

    fn lease(&self, removal: &Removal) -> LeaseRequest {
        let apps: BTreeSet<AppKey> = removal.apps.iter().map(|app| app.app.clone()).chain(self.named()).collect();
        self.operator.lease(apps.into_iter().collect(), self.purpose())
    }

    /// An accessory has no part of its own in a removal, and is held like an app.
    fn named(&self) -> impl Iterator<Item = AppKey> {
        let names = match self.goal {
            RemovalScope::Apps { names, .. } => names,
            RemovalScope::Project { .. } => &[],
        };
        names.iter().map(|name| self.project.key(name))
    }

    fn purpose(&self) -> &'static str {
        match self.goal {
            RemovalScope::Apps { .. } => "remove",
            RemovalScope::Project { .. } => "down",
        }
    }
}

/// How it ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Removed {
    pub apps: Vec<AppResult>,
    /// Of what comes after the apps; `None` when there was nothing, or when it was not reached.
    pub rest: Option<Outcome>,
}

impl Removed {
    /// Whether all that was asked for so far is gone.
    fn is_whole(&self) -> bool {
        let mut outcomes = self.apps.iter().map(|result| result.outcome).chain(self.rest);
        outcomes.all(|outcome| matches!(outcome, Outcome::Completed | Outcome::UpToDate))
    }
}

/// What there is, and what a removal would do about it. Nothing is touched.
///
/// # Errors
/// When the engine or the proxy cannot be asked, or the request is refused.
pub async fn look_at_removal<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &RemoveRequest<'_>,
) -> Result<(ObservedEngine, ObservedProxy, Removal), DeployError> {
    let engine = run.engine().observe(&request.project.proxy.name).await?;
    let proxy = match proxy_state(&request.project.proxy.name, &engine) {
        Some(ContainerState::Running | ContainerState::Restarting) => run.proxy().state().await?,
        _ => ObservedProxy::default(),
    };
    let removal = request.plan(&engine, &proxy)?;
    Ok((engine, proxy, removal))
}

/// Removes; each app ends with an outcome of its own.
///
/// # Errors
/// When nothing was done for any app: the reason is for all of them.
pub async fn remove<E: Engine, P: Proxy>(run: &Run<E, P>, request: &RemoveRequest<'_>) -> Result<Removed, DeployError> {
    run.stop().tell_during(run.events(), Box::pin(remove_all(run, request))).await
}

async fn remove_all<E: Engine, P: Proxy>(run: &Run<E, P>, request: &RemoveRequest<'_>) -> Result<Removed, DeployError> {
    let engine = run.engine().observe(&request.project.proxy.name).await?;
    let has_proxy = ensure_proxy_running(run, &request.project.proxy.name, &engine).await?;
    let (_, _, removal) = look_at_removal(run, request).await?;
    // Without a proxy nothing is routed and there is nobody to keep leases: labels alone say what goes.
    let wanted = request.lease(&removal);
    let lease = match has_proxy && !wanted.apps.is_empty() && !removal.is_empty() {
        true => Some(run.leases().acquire(&wanted, request.lock_wait).await?),
        false => None,
    };
    let (mut removed, proxy) = match &lease {
        Some(held) => run.leases().under(held, Box::pin(attempts(run, request, lease.as_ref()))).await,
        None => attempts(run, request, None).await,
    }?;
    // The proxy stops when the last answer is out, and a held lease is an open one.
    drop(lease);
    if !proxy.is_empty() && removed.is_whole() {
        let outcome = Executor::new(run, None, &Scope::shared()).after_flip(&proxy).await;
        removed.rest = removed.rest.max(Some(outcome));
    }
    Ok(removed)
}

/// Everything but the proxy, whose stages come back.
async fn attempts<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &RemoveRequest<'_>,
    lease: Option<&P::Lease>,
) -> Result<(Removed, Vec<Stage>), DeployError> {
    let mut ended: BTreeMap<AppKey, AppResult> = BTreeMap::new();
    for attempt in 1..=ATTEMPTS {
        // Whoever held the lease before may have changed everything, so what counts is what is there now.
        let (engine, _, removal) = look_at_removal(run, request).await?;
        let removals = removal.apps.iter().map(|app| remove_app(run, lease, app));
        let results = join_all(removals).await;
        let again = attempt < ATTEMPTS && results.iter().any(AppResult::plan_again);
        for result in results {
            if !(again && result.plan_again()) {
                report(run, request, &result).await;
            }
            ended.insert(result.app.clone(), result);
        }
        if again {
            continue;
        }
        let mut removed = Removed { apps: ended.into_values().collect(), rest: None };
        if !removal.rest.is_empty() && removed.is_whole() {
            let begun = Instant::now();
            let outcome = Executor::new(run, lease, &Scope::shared()).after_flip(&removal.rest).await;
            removed.rest = Some(outcome);
            // Without a proxy there is no history.
            if lease.is_some() {
                let gone = removal.accessories(&engine.containers);
                join_all(gone.into_iter().map(|name| record(run, request, name, outcome, begun.elapsed()))).await;
            }
        }
        return Ok((removed, removal.proxy));
    }
    Ok((Removed { apps: ended.into_values().collect(), rest: None }, Vec::new()))
}

/// Flips the app out; from there the only way is forward.
async fn remove_app<E: Engine, P: Proxy>(run: &Run<E, P>, lease: Option<&P::Lease>, plan: &AppPlan) -> AppResult {
    let begun = Instant::now();
    let scope = Scope::of(plan, &Arc::default());
    let executor = Executor::new(run, lease, &scope);
    let AppPlan { app, release, .. } = plan;
    let (number, version) = (release.number, release.version.clone());
    run.events().emit(Some(app), Fact::RemovalPlanned { release: number, version, containers: plan.removes() });
    let flipped = match &plan.flip {
        Some(flip) => executor.step(flip, run.stop().any()).await,
        None => Ok(()),
    };
    let mut world_moved = false;
    let reason = flipped.as_ref().err().map(ToString::to_string);
    let outcome = match flipped {
        Ok(()) => executor.after_flip(&plan.after).await,
        Err(failure) => {
            world_moved = failure.kind == FailureKind::StateChanged;
            match failure.kind {
                FailureKind::Cancelled => Outcome::Cancelled,
                FailureKind::Unknown => Outcome::Stuck,
                FailureKind::Disconnected => Outcome::Disconnected,
                FailureKind::Failed
                | FailureKind::Aborted
                | FailureKind::Locked
                | FailureKind::StateChanged
                | FailureKind::NotOurs => Outcome::RolledBack,
            }
        }
    };
    AppResult {
        app: app.clone(),
        from: plan.from,
        release: release.clone(),
        replicas: 0,
        outcome,
        reason,
        accessory: None,
        world_moved,
        tally: scope.tally(),
        took: begun.elapsed(),
    }
}

/// The end of an accessory's removal, which was one of several things: into the history on the host.
async fn record<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &RemoveRequest<'_>,
    name: &AppName,
    outcome: Outcome,
    took: Duration,
) {
    let details = request.operator.details(request.purpose());
    record_accessory_end(run, &request.project.key(name), AccessoryChange::Remove, outcome, took, details).await;
}

/// The end of one app's removal: to the reporters, and into the history on the host.
async fn report<E: Engine, P: Proxy>(run: &Run<E, P>, request: &RemoveRequest<'_>, result: &AppResult) {
    let fact = Fact::AppFinished { outcome: result.outcome, urls: Vec::new(), took: result.took };
    run.events().emit(Some(&result.app), fact);
    // What never had a release has no history either.
    if result.from.is_none() {
        return;
    }
    let mut details = request.operator.details(request.purpose());
    details.insert("version".to_owned(), result.release.version.clone().into());
    record_end(run, result, "removed", details).await;
}
