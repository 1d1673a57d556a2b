//! The container of a one-off command: made here, run by whoever has its streams, removed here.
//!
//! No lease is taken: nothing that serves changes, and a console that is open for an hour must not hold up a deploy.

use super::failure::{DeployError, FailureKind};
use super::observe::observe_for;
use super::run::{Run, Scope};
use crate::model::Project;
use crate::plan::{DeployOptions, Intent, OneOff, plan_one_off};
use crate::ports::{Engine, EngineError, Proxy};

/// How often another name is tried when another run takes the one that was free.
const ATTEMPTS: usize = 5;

/// Makes the container and returns its name. On failure nothing is left of it.
///
/// # Errors
/// When it cannot be planned or made.
pub async fn make_one_off<E: Engine, P: Proxy>(
    run: &Run<E, P>,
    project: &Project,
    wish: &OneOff<'_>,
) -> Result<String, DeployError> {
    let options = DeployOptions { intent: Intent::Restart, ..DeployOptions::default() };
    let mut attempt = 1;
    loop {
        let observed = observe_for(run, project, std::slice::from_ref(wish.app), &options).await?;
        let (stages, name) = plan_one_off(project, wish, &observed)?;
        let scope = Scope::shared_by(&stages);
        match run.stages(None, &scope, &stages, &run.cancel).await {
            Ok(()) => return Ok(name),
            Err(failure) => {
                // A name that is taken is another run's container.
                if failure.kind != FailureKind::NotOurs {
                    run.unwind(None, &scope).await;
                }
                let again = matches!(failure.kind, FailureKind::NotOurs | FailureKind::WorldMoved);
                if !again || attempt == ATTEMPTS {
                    return Err(DeployError::Setup(failure));
                }
            }
        }
        attempt += 1;
    }
}

/// Ends it, if it runs, and removes it.
///
/// # Errors
/// When the engine cannot do so; the next `run`, `remove` or `down` removes it then.
pub async fn remove_one_off<E: Engine, P: Proxy>(run: &Run<E, P>, name: &str) -> Result<(), EngineError> {
    run.engine.remove_container(name).await
}
