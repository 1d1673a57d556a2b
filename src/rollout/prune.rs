//! Prunes apps: a lease for each, one look, and then what the plan says.

use std::time::Duration;

use super::cleanup::cleanup;
use super::failure::DeployError;
use super::one_off::remove_left_one_offs;
use super::run::Run;
use crate::model::{AppKey, AppName, Project, ReleaseNumber};
use crate::plan::{Stage, Step, idle_one_offs, plan_dangling, plan_prune};
use crate::ports::{Engine, LeaseRequest, Operator, Proxy, ProxyError};

/// What is to be pruned.
#[derive(Debug, Clone, Copy)]
pub struct PruneRequest<'a> {
    pub project: &'a Project,
    pub apps: &'a [AppName],
    /// How many releases besides the serving ones stay for a rollback.
    pub keep: u32,
    /// Only says what would go.
    pub dry_run: bool,
    pub operator: &'a Operator,
    /// How long another holder of a lease is waited for; then its app is left out.
    pub lock_wait: Duration,
}

/// What went.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pruned {
    pub apps: Vec<PrunedApp>,
    /// Untagged images of ours went too.
    pub dangling: bool,
    /// Containers of one-off commands that dead runs have left.
    pub one_offs: Vec<String>,
    /// Bytes that the engine's images take less than before, what they share counted once. `None` when nothing was done.
    pub freed: Option<u64>,
}

/// What went of one app.
#[derive(Debug, Clone, PartialEq)]
pub struct PrunedApp {
    pub app: AppKey,
    pub serving: Vec<ReleaseNumber>,
    /// For a rollback, the latest first.
    pub kept: Vec<ReleaseNumber>,
    pub images: Vec<String>,
    pub containers: Vec<String>,
    /// What did not go, and why.
    pub left: Vec<String>,
}

/// Prunes, app by app. What a deploy works on is left out.
///
/// # Errors
/// When the engine or the proxy cannot be asked.
pub async fn prune<E: Engine, P: Proxy>(run: &Run<E, P>, request: &PruneRequest<'_>) -> Result<Pruned, DeployError> {
    let mut leases = Vec::new();
    let mut held = Vec::new();
    for name in request.apps.iter().filter(|_| !request.dry_run) {
        match run.leases().acquire(&lease_request(request, name), request.lock_wait).await {
            Ok(lease) => leases.push(lease),
            Err(error @ ProxyError::LeaseHeld { .. }) => held.push((name.clone(), error.to_string())),
            Err(error) => return Err(error.into()),
        }
    }
    // With the leases held, nothing of what is seen now changes under our hands.
    let (engine, proxy) = tokio::join!(run.engine().observe(&request.project.proxy.name), run.proxy().state());
    let (engine, proxy) = (engine?, proxy?);
    let before = if request.dry_run { None } else { Some(run.engine().image_bytes().await?) };
    let mut pruned = Pruned::default();
    for name in request.apps {
        let key = request.project.key(name);
        let pruning = plan_prune(&key, &engine, &proxy, request.keep);
        let mut app = PrunedApp {
            app: key.clone(),
            serving: pruning.serving.iter().rev().copied().collect(),
            kept: pruning.kept.clone(),
            images: Vec::new(),
            containers: Vec::new(),
            left: pruning.warning.clone().into_iter().collect(),
        };
        if let Some((_, reason)) = held.iter().find(|(other, _)| other == name) {
            app.left.push(reason.clone());
        } else if request.dry_run {
            app.absorb(pruning.stages.iter().flat_map(Stage::steps).map(|planned| &planned.step));
        } else {
            let cleaned = cleanup(run, Some(&key), &pruning.stages).await;
            app.absorb(cleaned.done.iter());
            app.left.extend(cleaned.failed);
        }
        for reason in &app.left {
            run.events().warn(Some(&key), format!("not all is pruned: {reason}"));
        }
        pruned.apps.push(app);
    }
    let of = Some(&request.project.name);
    pruned.one_offs = match request.dry_run {
        true => removed(idle_one_offs(of, &engine).iter().map(|(_, planned)| &planned.step)),
        false => {
            let cleaned = remove_left_one_offs(run, of, &engine, request.operator).await?;
            for reason in &cleaned.failed {
                run.events().warn(None, format!("not all is pruned: {reason}"));
            }
            removed(cleaned.done.iter())
        }
    };
    if let Some(planned) = plan_dangling(&engine) {
        pruned.dangling = request.dry_run || cleanup(run, None, &[Stage::line(vec![planned])]).await.failed.is_empty();
    }
    if let Some(before) = before {
        pruned.freed = Some(before.saturating_sub(run.engine().image_bytes().await?));
    }
    drop(leases);
    Ok(pruned)
}

impl PrunedApp {
    fn absorb<'a>(&mut self, steps: impl Iterator<Item = &'a Step>) {
        for step in steps {
            match step {
                Step::RemoveContainer { name } => self.containers.push(name.clone()),
                Step::UntagImage { tag } => self.images.push(tag.clone()),
                _ => {}
            }
        }
    }
}

fn removed<'a>(steps: impl Iterator<Item = &'a Step>) -> Vec<String> {
    let name = |step: &Step| match step {
        Step::RemoveContainer { name } => Some(name.clone()),
        _ => None,
    };
    steps.filter_map(name).collect()
}

fn lease_request(request: &PruneRequest<'_>, app: &AppName) -> LeaseRequest {
    request.operator.lease(vec![request.project.key(app)], "prune")
}
