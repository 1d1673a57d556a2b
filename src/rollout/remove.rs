//! Takes apps, or a whole project, away: lease, observe, plan, execute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::Instant;

use super::brief::brief;
use super::execute::AppResult;
use super::failure::{DeployError, FailureKind};
use super::run::{Run, Scope};
use crate::event::{Fact, Outcome};
use crate::model::{AppKey, AppName, ContainerState, ObservedEngine, ObservedProxy, Project, ProxyName};
use crate::plan::{
    AppPlan, DownOptions, Planned, Removal, RemoveOptions, Stage, Step, plan_down, plan_lost_network, plan_remove,
};
use crate::ports::{Engine, LeaseRequest, Operator, Proxy};

/// How often a plan is made anew when another run flips in between, which a held lease does not let happen twice.
const ATTEMPTS: usize = 3;
/// A stopped proxy is up within a second; a slow disk and a large history take the rest.
const PROXY_START_TIMEOUT: Duration = Duration::from_secs(60);

/// What shall be gone.
#[derive(Debug, Clone, Copy)]
pub enum Goal<'a> {
    Apps { names: &'a [AppName], options: RemoveOptions },
    Project { options: DownOptions },
}

/// What a removal is asked to do.
#[derive(Debug, Clone, Copy)]
pub struct RemoveRequest<'a> {
    pub project: &'a Project,
    pub goal: Goal<'a>,
    pub operator: &'a Operator,
    /// How long another holder of the lease is waited for.
    pub lock_wait: Duration,
}

impl RemoveRequest<'_> {
    fn plan(&self, engine: &ObservedEngine, proxy: &ObservedProxy) -> Result<Removal, DeployError> {
        Ok(match self.goal {
            Goal::Apps { names, options } => plan_remove(self.project, names, engine, proxy, options),
            Goal::Project { options } => plan_down(self.project, engine, proxy, options)?,
        })
    }

    fn lease(&self, removal: &Removal) -> LeaseRequest {
        let apps: BTreeSet<AppKey> = removal.apps.iter().map(|app| app.app.clone()).chain(self.named()).collect();
        LeaseRequest {
            apps: apps.into_iter().collect(),
            owner: self.operator.owner.clone(),
            host: self.operator.host.clone(),
            purpose: self.purpose().to_owned(),
        }
    }

    /// An accessory has no part of its own in a removal, and is held like an app.
    fn named(&self) -> impl Iterator<Item = AppKey> {
        let names = match self.goal {
            Goal::Apps { names, .. } => names,
            Goal::Project { .. } => &[],
        };
        names.iter().map(|name| self.project.key(name))
    }

    fn purpose(&self) -> &'static str {
        match self.goal {
            Goal::Apps { .. } => "remove",
            Goal::Project { .. } => "down",
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
/// When the engine or the proxy cannot be asked, or the wish is refused.
pub async fn look_at_removal<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &RemoveRequest<'_>,
) -> Result<(ObservedEngine, ObservedProxy, Removal), DeployError> {
    let engine = run.engine.observe(&request.project.proxy.name).await?;
    let proxy = match proxy_state(&request.project.proxy.name, &engine) {
        Some(ContainerState::Running | ContainerState::Restarting) => run.proxy.state().await?,
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
    tokio::select! {
        biased;
        never = run.say_when_cancelled() => match never {},
        removed = remove_all(run, request) => removed,
    }
}

async fn remove_all<E: Engine, P: Proxy>(run: &Run<E, P>, request: &RemoveRequest<'_>) -> Result<Removed, DeployError> {
    let engine = run.engine.observe(&request.project.proxy.name).await?;
    let has_proxy = wake_proxy(run, &request.project.proxy.name, &engine).await?;
    let (_, _, removal) = look_at_removal(run, request).await?;
    // Without a proxy nothing is routed and there is nobody to keep leases: labels alone say what goes.
    let wanted = request.lease(&removal);
    let lease = match has_proxy && !wanted.apps.is_empty() && !removal.is_empty() {
        true => Some(run.acquire(&wanted, request.lock_wait).await?),
        false => None,
    };
    let (mut removed, proxy) = match &lease {
        Some(held) => run.under(held, attempts(run, request, lease.as_ref())).await,
        None => attempts(run, request, None).await,
    }?;
    // The proxy stops when the last answer is out, and a held lease is an open one.
    drop(lease);
    if !proxy.is_empty() && removed.is_whole() {
        let outcome = run.after_flip(None, &proxy, &Scope::shared()).await;
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
        let (_, _, removal) = look_at_removal(run, request).await?;
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
            removed.rest = Some(run.after_flip(lease, &removal.rest, &Scope::shared()).await);
        }
        return Ok((removed, removal.proxy));
    }
    Ok((Removed { apps: ended.into_values().collect(), rest: None }, Vec::new()))
}

/// Flips the app out; from there the only way is forward.
async fn remove_app<E: Engine, P: Proxy>(run: &Run<E, P>, lease: Option<&P::Lease>, plan: &AppPlan) -> AppResult {
    let begun = Instant::now();
    let scope = Scope::of(plan, &Arc::default());
    let AppPlan { app, release, .. } = plan;
    let (number, version) = (release.number, release.version.clone());
    run.emit(Some(app), Fact::RemovalPlanned { release: number, version, containers: plan.removes() });
    let flipped = match &plan.flip {
        Some(flip) => run.step(lease, &scope, flip, &run.stop).await,
        None => Ok(()),
    };
    let mut world_moved = false;
    let reason = flipped.as_ref().err().map(ToString::to_string);
    let outcome = match flipped {
        Ok(()) => run.after_flip(lease, &plan.after, &scope).await,
        Err(failure) => {
            world_moved = failure.kind == FailureKind::WorldMoved;
            match failure.kind {
                FailureKind::Cancelled => Outcome::Cancelled,
                FailureKind::Unknown => Outcome::Stuck,
                FailureKind::Disconnected => Outcome::Disconnected,
                FailureKind::Failed | FailureKind::WorldMoved | FailureKind::NotOurs => Outcome::RolledBack,
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

fn proxy_state(proxy: &ProxyName, engine: &ObservedEngine) -> Option<ContainerState> {
    engine.container(&proxy.container()).map(|container| container.state)
}

/// Routes can be taken out of a running proxy only, and a stopped one would bring them back with its next start.
/// Returns whether there is a proxy.
pub(super) async fn wake_proxy<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    proxy: &ProxyName,
    engine: &ObservedEngine,
) -> Result<bool, DeployError> {
    let name = proxy.container();
    match proxy_state(proxy, engine) {
        None | Some(ContainerState::Dead) => Ok(false),
        Some(ContainerState::Running | ContainerState::Restarting) => Ok(true),
        Some(ContainerState::Created | ContainerState::Paused | ContainerState::Exited { .. }) => {
            let because = "the proxy is not running, and only it can forget routes";
            let steps = vec![
                Planned::new(Step::StartContainer { name: name.clone() }, because),
                Planned::new(Step::AwaitControl { name, timeout: PROXY_START_TIMEOUT }, because),
            ];
            // Whoever starts it would wait for a network that was removed while all was stopped.
            let network = plan_lost_network(proxy, engine).map(|planned| Stage::line(vec![planned]));
            let stages: Vec<Stage> = network.into_iter().chain([Stage::line(steps)]).collect();
            run.stages(None, &Scope::shared(), &stages, &run.cancel).await.map_err(DeployError::Setup)?;
            Ok(true)
        }
    }
}

/// The end of one app's removal: to the reporters, and into the history on the host.
async fn report<E: Engine, P: Proxy>(run: &Run<E, P>, request: &RemoveRequest<'_>, result: &AppResult) {
    let fact = Fact::AppFinished { outcome: result.outcome, urls: Vec::new(), took: result.took };
    run.emit(Some(&result.app), fact);
    // What never had a release has no history either.
    if result.from.is_none() {
        return;
    }
    let took = u64::try_from(result.took.as_millis()).unwrap_or(u64::MAX);
    let mut details = request.operator.details(request.purpose());
    details.insert("outcome".to_owned(), serde_json::to_value(result.outcome).unwrap_or_default());
    details.insert("version".to_owned(), result.release.version.clone().into());
    details.insert("took_ms".to_owned(), took.into());
    if let Some(reason) = &result.reason {
        details.insert("reason".to_owned(), brief(reason).into());
    }
    for (name, count) in [("drained", result.tally.drained), ("cut", result.tally.cut)] {
        details.insert(name.to_owned(), serde_json::to_value(count).unwrap_or_default());
    }
    if let Err(error) = run.proxy.record(&result.app, result.release.number, "removed", details).await {
        run.emit(Some(&result.app), Fact::Warned { message: format!("the history was not written: {error}") });
    }
}
