//! Removes what is old. Never part of an outcome: what fails is said and left for the next time.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::performer::Performer;
use super::result::AppResult;
use super::run::Run;
use super::scope::Scope;
use crate::event::{Fact, Outcome};
use crate::model::AppKey;
use crate::plan::{AppPlan, Stage, Step};
use crate::ports::{Engine, Proxy};

/// What went, and what did not.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct CleanedUp {
    pub done: Vec<Step>,
    /// As sentences.
    pub failed: Vec<String>,
}

/// After a deploy whose outcome is told already.
pub(super) async fn prune_after<E: Engine, P: Proxy>(run: &Run<E, P>, plan: &AppPlan, result: &AppResult) {
    if result.outcome != Outcome::Completed || plan.prune.is_empty() {
        return;
    }
    let app = Some(&plan.app);
    let CleanedUp { done, failed } = cleanup(run, app, &plan.prune).await;
    for message in failed {
        run.events().warn(app, format!("an old release is left: {message}"));
    }
    let count =
        |wanted: fn(&Step) -> bool| done.iter().filter(|step| wanted(step)).count().try_into().unwrap_or(u32::MAX);
    let images = count(|step| matches!(step, Step::UntagImage { .. }));
    let containers = count(|step| matches!(step, Step::RemoveContainer { .. }));
    if images + containers > 0 {
        run.events().emit(app, Fact::Pruned { images, containers });
    }
}

/// Stages one after the other; a stage that fails ends the run of them.
pub(super) async fn cleanup<E: Engine, P: Proxy>(run: &Run<E, P>, app: Option<&AppKey>, stages: &[Stage]) -> CleanedUp {
    let scope = Scope::about(app);
    let performer = &Performer::new(run, None, &scope);
    let mut cleaned = CleanedUp::default();
    for stage in stages {
        if run.stop().by_user().is_cancelled() || !cleaned.failed.is_empty() {
            break;
        }
        let lanes = stage.lanes.iter().map(|lane| async move {
            let mut done = Vec::new();
            for planned in lane {
                match performer.perform(&planned.step, &CancellationToken::new()).await {
                    Ok(()) => {
                        run.after_step(&planned.step);
                        done.push(planned.step.clone());
                    }
                    Err(failure) => return (done, Some(failure.message)),
                }
            }
            (done, None)
        });
        for (done, failed) in join_all(lanes).await {
            cleaned.done.extend(done);
            cleaned.failed.extend(failed);
        }
    }
    cleaned
}
