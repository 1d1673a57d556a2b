//! The container of a one-off command: made here, run by whoever has its streams, removed here.
//!
//! The lease is on the container alone: nothing that serves changes, and a console that is open for an hour must not hold
//! up a deploy. It says that somebody will remove the container; where nobody has it, whoever comes by does.

use std::collections::BTreeSet;

use super::cleanup::{CleanedUp, cleanup};
use super::executor::Executor;
use super::failure::{DeployError, FailureKind};
use super::observe::observe_for;
use super::run::Run;
use super::scope::Scope;
use super::undo::Undo;
use crate::model::{AppKey, ObservedEngine, Project, ProjectName};
use crate::plan::{DeployOptions, Intent, OneOff, Stage, idle_one_offs, one_off_key, plan_one_off};
use crate::ports::{Engine, EngineError, LeaseRequest, Operator, Proxy, ProxyError};

/// How often another name is tried when another run takes the one that was free.
const ATTEMPTS: usize = 6;

/// Makes the container and returns its name, with the lease to hold until it is removed. On failure nothing is left of it.
/// Before that it removes what dead runs have left.
///
/// # Errors
/// When it cannot be planned or made.
pub async fn make_one_off<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: &Project,
    desired: &OneOff<'_>,
    operator: &Operator,
) -> Result<(String, P::Lease), DeployError> {
    let options = DeployOptions { intent: Intent::Restart, ..DeployOptions::default() };
    let (mut attempt, mut taken) = (1, BTreeSet::new());
    loop {
        let observed = observe_for(run, project, std::slice::from_ref(desired.app), &options).await?;
        if attempt == 1 {
            attempt += 1;
            let removed = remove_left_one_offs(run, Some(&project.name), &observed.engine, operator).await?;
            if !removed.done.is_empty() {
                continue;
            }
        }
        let (stages, name) = plan_one_off(project, desired, &observed, &taken)?;
        let key = one_off_key(&project.name, desired.app, &name);
        let lease = match run.proxy().acquire(&lease_request(key, operator)).await {
            // Another run is about to make it, or to remove it.
            Err(ProxyError::LeaseHeld { .. }) if attempt < ATTEMPTS => {
                taken.insert(name);
                attempt += 1;
                continue;
            }
            lease => lease?,
        };
        let scope = Scope::shared_by(&stages);
        match Executor::new(run, None, &scope).stages(&stages, run.stop().by_user()).await {
            Ok(()) => return Ok((name, lease)),
            Err(failure) => {
                // A name that is taken is another run's container.
                if failure.kind != FailureKind::NotOurs {
                    Undo::new(run, None, &scope).all().await;
                }
                let again = matches!(failure.kind, FailureKind::NotOurs | FailureKind::StateChanged);
                if !again || attempt == ATTEMPTS {
                    return Err(DeployError::Setup(failure));
                }
            }
        }
        attempt += 1;
    }
}

/// Removes the containers of one-off commands that do not run and that no living run holds.
pub(super) async fn remove_left_one_offs<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: Option<&ProjectName>,
    engine: &ObservedEngine,
    operator: &Operator,
) -> Result<CleanedUp, ProxyError> {
    let mut cleaned = CleanedUp::default();
    for (key, planned) in idle_one_offs(project, engine) {
        let lease = match run.proxy().acquire(&lease_request(key, operator)).await {
            Err(ProxyError::LeaseHeld { .. }) => continue,
            lease => lease?,
        };
        let CleanedUp { done, failed } = cleanup(run, None, &[Stage::line(vec![planned])]).await;
        cleaned.done.extend(done);
        cleaned.failed.extend(failed);
        drop(lease);
    }
    Ok(cleaned)
}

fn lease_request(key: AppKey, operator: &Operator) -> LeaseRequest {
    operator.lease(vec![key], "run")
}

/// Ends it, if it runs, and removes it.
///
/// # Errors
/// When the engine cannot do so; the next `run`, `remove` or `down` removes it then.
pub async fn remove_one_off<E: Engine, P: Proxy>(run: &Run<E, P>, name: &str) -> Result<(), EngineError> {
    run.engine().remove_container(name).await
}
