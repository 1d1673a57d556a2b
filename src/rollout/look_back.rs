//! The last look at what a run has brought in: healthy replicas may end again and again once they have traffic.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout};

use super::run::Run;
use crate::event::Fact;
use crate::model::{ContainerState, Role};
use crate::plan::{AppPlan, Step};
use crate::ports::{ContainerStatus, Engine, Proxy};

/// What does not answer is not told of: the run has done its work.
const PATIENCE: Duration = Duration::from_secs(5);
const LOG_LINES: usize = 10;

/// Says which new replicas have ended since `begun`, and whether there is one. Changes nothing.
pub(super) async fn look_back<E: Engine, P: Proxy>(run: &Run<E, P>, plan: &AppPlan, begun: Instant) -> bool {
    let names = plan.steps().filter_map(|planned| match &planned.step {
        Step::CreateContainer(container) if container.labels.role == Role::Replica => Some(container.name.as_str()),
        _ => None,
    });
    let looks = join_all(names.map(|name| look_back_at(run, plan, name, begun))).await;
    looks.contains(&true)
}

async fn look_back_at<E: Engine, P: Proxy>(run: &Run<E, P>, plan: &AppPlan, name: &str, begun: Instant) -> bool {
    let status = timeout(PATIENCE, run.engine().container_status(name)).await;
    let Ok(Ok(Some(ContainerStatus { state, restarts, .. }))) = status else { return false };
    let is_up = matches!(state, ContainerState::Running | ContainerState::Paused);
    if restarts == 0 && is_up {
        return false;
    }
    let log = timeout(PATIENCE, run.engine().log_tail(name, LOG_LINES)).await;
    let log = log.ok().and_then(Result::ok).unwrap_or_default();
    let app = &plan.app.app;
    let hint = match plan.from.filter(|from| *from != plan.release.number) {
        Some(from) => format!("`deploy-apps rollback {app}` brings {from} back; `deploy-apps logs {app}` has more"),
        None => format!("`deploy-apps logs {app}` has more; deploy it again when it is fixed"),
    };
    let fact = Fact::ReplicaUnstable { name: name.to_owned(), restarts, within: begun.elapsed(), log, hint };
    run.events().emit(Some(&plan.app), fact);
    true
}
