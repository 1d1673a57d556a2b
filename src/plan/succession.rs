//! `replaces`: an app takes over from another one, which leaves the proxy in the same flip.

use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::remove::plan_ending;
use super::stage::Planned;
use super::step::{FlipChange, Step};
use crate::model::{App, AppKey, ObservedState, Order, Project};

/// The change that takes the replaced app out of the proxy goes into the successor's flip. What drains, stops and removes
/// it comes after. After a crash only the latter is left to do.
pub(super) fn take_over(
    project: &Project,
    app: &App,
    observed: &ObservedState,
    mut plan: AppPlan,
) -> Result<AppPlan, PlanRefused> {
    let Some(replaced) = &app.replaces else { return Ok(plan) };
    let Some(ending) = plan_ending(project, replaced, observed) else { return Ok(plan) };
    if let Some(leave) = ending.flip {
        if app.rollout.order == Order::StopFirst {
            return Err(PlanRefused::ReplacesStopFirst { app: plan.app, replaced: replaced.clone() });
        }
        let because = format!("`replaces`: {replaced} leaves in the same call");
        let changes = changes_of(plan.flip.as_ref()).chain(changes_of(Some(&leave))).cloned().collect();
        plan.flip = Some(Planned::new(Step::Flip { changes }, because));
        if plan.verdict == Verdict::UpToDate {
            plan.verdict = Verdict::Adjust;
        }
    }
    plan.after.extend(ending.after);
    Ok(plan)
}

/// Whether the app has to come in by a single flip, because another one leaves in it.
pub(super) fn takes_over(app: &App, observed: &ObservedState) -> bool {
    let serves = |key: &AppKey| observed.proxy.apps.get(key).is_some_and(|known| known.record.is_some());
    app.replaces.as_ref().is_some_and(serves)
}

fn changes_of(flip: Option<&Planned>) -> impl Iterator<Item = &FlipChange> {
    let changes = flip.and_then(|planned| match &planned.step {
        Step::Flip { changes } => Some(changes),
        _ => None,
    });
    changes.into_iter().flatten()
}
