//! Switches maintenance and pauses of apps on and off: one flip of their records under a lease, in which peers, routes and settings
//! stay as they are. What is in flight finishes.

use std::time::Duration;

use super::failure::DeployError;
use super::flip::Flipper;
use super::run::Run;
use crate::model::{AppKey, AppName, Interrupted, Interruption, ObservedProxy, Project};
use crate::plan::{Expect, FlipChange, Limits, PlanRefused};
use crate::ports::{Engine, Operator, Proxy, ProxyError};

/// For which apps, and who asks.
#[derive(Debug, Clone, Copy)]
pub struct InterruptRequest<'a> {
    pub project: &'a Project,
    pub apps: &'a [AppName],
    pub what: &'a Interruption,
    pub operator: &'a Operator,
    /// How long another holder of the lease is waited for.
    pub lock_wait: Duration,
}

/// Switches all of the apps, or none.
///
/// # Errors
/// When one of them is not deployed, another run holds its lease, or the proxy cannot do it.
pub async fn interrupt<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    request: &InterruptRequest<'_>,
) -> Result<Vec<Interrupted>, DeployError> {
    let keys: Vec<AppKey> = request.apps.iter().map(|name| request.project.key(name)).collect();
    let wanted = request.operator.lease(keys.clone(), request.what.purpose());
    let lease = run.leases().acquire(&wanted, request.lock_wait).await?;
    let (state, now_ms) = (run.proxy().state().await?, now(run).await?);
    check(request, &state)?;
    let by = format!("{} on {}", request.operator.owner, request.operator.host);
    let (mut changes, mut expected, mut found) = (Vec::new(), Vec::new(), Vec::new());
    for app in keys {
        let known = state.apps.get(&app);
        let Some((known, before)) = known.and_then(|known| Some((known, known.record.clone()?))) else {
            return Err(PlanRefused::NotDeployed { app }.into());
        };
        let record = request.what.applied(&before, now_ms, &by);
        found.push(Interrupted {
            app: app.clone(),
            changed: record.is_some(),
            maintenance: record.as_ref().unwrap_or(&before).maintenance.clone(),
            pause: record.as_ref().unwrap_or(&before).pause.clone().filter(|pause| pause.lasts_at(now_ms)),
            in_flight: before.peers.iter().filter_map(|peer| state.in_flight.get(&peer.id)).copied().sum(),
        });
        if let Some(record) = record {
            let (expect, limits) = (Expect::Observed(known.generation), Limits::from(&Default::default()));
            changes.push(FlipChange { app, expect, record: Some(record), before: Some(before), limits });
            expected.push(known.generation);
        }
    }
    if !changes.is_empty() {
        let flipper = Flipper::new(run.proxy(), Some(&lease));
        flipper.flip(&changes, &expected).await.map_err(DeployError::Setup)?;
    }
    Ok(found)
}

/// Its own clock decides when a pause is over, so that of this machine does not matter.
async fn now<E: Engine, P: Proxy>(run: &Run<E, P>) -> Result<u64, ProxyError> {
    Ok(run.proxy().version().await?.now_ms)
}

/// A proxy of an older build has nothing that could be switched.
fn check(request: &InterruptRequest<'_>, state: &ObservedProxy) -> Result<(), ProxyError> {
    if state.features.knows(request.what.feature()) {
        return Ok(());
    }
    let (proxy, call) = (request.project.proxy.name.to_string(), request.what.purpose().to_owned());
    Err(ProxyError::TooOld { proxy, call })
}
