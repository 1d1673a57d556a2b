//! What the plans of all accessories have in common.

use super::order::Part;
use super::plan::{AppPlan, Verdict};
use crate::model::{AccessoryChange, FailureAction, ObservedState, Project, Release, ReplicaSource, Service};

pub(super) fn empty(project: &Project, service: &Service, part: &Part) -> AppPlan {
    AppPlan {
        app: project.key(&service.name),
        implied: !part.named,
        from: None,
        release: Release::default(),
        // The proxy serves none of it.
        replicas: 0,
        replicas_from: ReplicaSource::Default,
        verdict: Verdict::Accessory(AccessoryChange::Leave),
        warnings: Vec::new(),
        on_failure: FailureAction::default(),
        before: Vec::new(),
        look: None,
        flip: None,
        after: Vec::new(),
        prune: Vec::new(),
    }
}

pub(super) fn without_empty(mut plan: AppPlan) -> AppPlan {
    plan.before.retain(|stage| !stage.is_empty());
    plan.after.retain(|stage| !stage.is_empty());
    plan
}

/// Compose's own numbering goes on where the first number is taken.
pub(super) fn free_name(project: &Project, service: &Service, observed: &ObservedState) -> String {
    let names = (1..).map(|number: u32| format!("{}-{}-{number}", project.name, service.name));
    let mut free = names.filter(|name| observed.engine.container(name).is_none());
    // The iterator has no end, and the engine has finitely many containers.
    free.next().unwrap_or_default()
}

/// Why a part is in the plan.
pub(super) fn reason(part: &Part) -> &'static str {
    if part.named { "it was asked for" } else { "a service depends on it" }
}
