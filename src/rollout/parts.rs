//! How far the parts of a run are, for those that wait for others: ready, or failed.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::{join_all, try_join_all};
use tokio::sync::watch;

use super::failure::{FailureKind, StepFailure};
use crate::model::{AppKey, AppName};
use crate::plan::{AppPlan, Plan};

/// What has become of one part: `Ok` when those who depend on it may go on.
type End = Result<(), FailureKind>;

/// One for each run of a plan. Every part comes to its end here, whatever happens to it.
#[derive(Debug, Default)]
pub(super) struct Parts {
    ends: BTreeMap<AppKey, watch::Sender<Option<End>>>,
}

impl Parts {
    pub(super) fn of(plan: &Plan) -> Arc<Self> {
        let ends = plan.apps.iter().map(|part| (part.app.clone(), watch::Sender::new(None)));
        Arc::new(Self { ends: ends.collect() })
    }

    /// Called when a part has flipped, or has all that others need of it; and when it never will.
    pub(super) fn end(&self, part: &AppPlan, result: &Result<(), StepFailure>) {
        let kind = |failure: &StepFailure| if moved(part, failure) { FailureKind::StateChanged } else { failure.kind };
        if let Some(end) = self.ends.get(&part.app) {
            end.send_replace(Some(result.as_ref().map_err(kind).copied()));
        }
    }

    /// Waits until all of `services` are ready, or one of them has failed.
    pub(super) async fn await_ready(
        &self,
        dependent: Option<&AppKey>,
        services: &[AppName],
    ) -> Result<(), StepFailure> {
        let Some(dependent) = dependent else { return Ok(()) };
        let ready = services.iter().map(|service| async move {
            let key = AppKey { project: dependent.project.clone(), app: service.clone() };
            match self.ended(&key).await {
                Ok(()) => Ok(()),
                Err(kind) => Err(because_of(service, &dependent.app, kind)),
            }
        });
        try_join_all(ready).await.map(|_| ())
    }

    /// Waits until all of `parts` are ready or have failed.
    pub(super) async fn all_ended(&self, parts: impl Iterator<Item = &AppKey>) {
        join_all(parts.map(|part| self.ended(part))).await;
    }

    async fn ended(&self, part: &AppKey) -> End {
        // What has no part in this run is as it was found when the plan was made.
        let Some(end) = self.ends.get(part) else { return Ok(()) };
        let mut end = end.subscribe();
        // The sender is here, so it cannot be gone.
        end.wait_for(Option::is_some).await.ok().and_then(|end| *end).unwrap_or(Ok(()))
    }
}

/// Whether planning the part again may help: its state has changed, or another run makes the same accessory.
pub(super) fn moved(part: &AppPlan, failure: &StepFailure) -> bool {
    failure.kind == FailureKind::StateChanged || failure.kind == FailureKind::NotOurs && part.implied
}

fn because_of(service: &AppName, dependent: &AppName, kind: FailureKind) -> StepFailure {
    match kind {
        FailureKind::Cancelled => StepFailure::cancelled(),
        // A plan that is made again is made again for both.
        FailureKind::StateChanged => StepFailure::new(
            FailureKind::StateChanged,
            format!("`{service}`, which `{dependent}` depends on, has moved"),
        ),
        FailureKind::Failed
        | FailureKind::Aborted
        | FailureKind::Locked
        | FailureKind::NotOurs
        | FailureKind::Unknown
        | FailureKind::Disconnected => {
            StepFailure::failed(format!("not resumed, because `{service}`, which `{dependent}` depends on, failed"))
        }
    }
}
