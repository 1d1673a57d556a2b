//! Repairs what can be repaired without a decision.

use super::cleanup::{CleanedUp, cleanup};
use super::failure::DeployError;
use super::one_off::remove_left_one_offs;
use super::proxy::ensure_proxy_running;
use super::run::Run;
use crate::model::{Project, ProxyName};
use crate::plan::{Stage, lost_networks, plan_dangling, plan_lost_network, plan_repair};
use crate::ports::{Engine, Operator, Proxy, ProxyError};

/// What a repair did, and what it could not do, as sentences.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repaired {
    pub done: Vec<String>,
    pub failed: Vec<String>,
}

/// Makes networks again that were removed while all was stopped, starts the proxy if it is stopped and replicas that are dead,
/// and removes leftovers. An app that somebody works on is left to them.
///
/// # Errors
/// When the engine or the proxy cannot be asked.
pub async fn repair<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    proxy: &ProxyName,
    project: Option<&Project>,
    operator: &Operator,
) -> Result<Repaired, DeployError> {
    let mut repaired = Repaired::default();
    let before = run.engine().observe(proxy).await?;
    let lost = plan_lost_network(proxy, &before);
    let lost: Vec<String> = lost.iter().map(|planned| planned.step.to_string()).collect();
    let stopped = before.container(&proxy.container()).is_some_and(|container| !container.is_well());
    if !ensure_proxy_running(run, proxy, &before).await? {
        return Ok(repaired);
    }
    repaired.done.extend(lost);
    let networks = project.map(|project| lost_networks(project, &before)).unwrap_or_default();
    if !networks.is_empty() {
        repaired.absorb(cleanup(run, None, &[Stage::line(networks)]).await);
    }
    if stopped {
        repaired.done.push(format!("start `{}`", proxy.container()));
    }
    let (engine, state) = tokio::join!(run.engine().observe(proxy), run.proxy().state());
    let wanted = plan_repair(&engine?, &state?);
    for app in wanted.keys() {
        let request = operator.lease(vec![app.clone()], "doctor");
        let lease = match run.proxy().acquire(&request).await {
            Ok(lease) => lease,
            Err(error @ ProxyError::LeaseHeld { .. }) => {
                repaired.failed.push(error.to_string());
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        // What was seen before the lease was held may have been a deploy's work.
        let (engine, state) = tokio::join!(run.engine().observe(proxy), run.proxy().state());
        let stages = plan_repair(&engine?, &state?).remove(app).unwrap_or_default();
        repaired.absorb(cleanup(run, Some(app), &stages).await);
        drop(lease);
    }
    let engine = run.engine().observe(proxy).await?;
    repaired.absorb(remove_left_one_offs(run, None, &engine, operator).await?);
    if let Some(planned) = plan_dangling(&engine) {
        repaired.absorb(cleanup(run, None, &[Stage::line(vec![planned])]).await);
    }
    Ok(repaired)
}

impl Repaired {
    fn absorb(&mut self, cleaned: CleanedUp) {
        let done = cleaned.done.iter().filter(|step| !step.only_looks());
        self.done.extend(done.map(ToString::to_string));
        self.failed.extend(cleaned.failed);
    }
}
