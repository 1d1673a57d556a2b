//! One app's plan: from its observed to its desired state.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use super::app_diff::AppDiff;
use super::ask::{DeployOptions, Intent};
use super::batches::{Batches, replace_in_batches, replace_stop_first, stop_first_warning};
use super::builder::RolloutBuilder;
use super::canary;
use super::desired::{DesiredApp, kept};
use super::images::release_tag;
use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::replicas::{effective_spec, new_replicas};
use super::stage::Planned;
use super::step::{Expect, Step};
use super::succession::take_over;
use crate::model::{AddressPool, ObservedState, Order, Project, Release};

/// Plans one app; takes the addresses of its new replicas out of the free ones.
pub(super) fn plan_app(
    project: &Project,
    goal: &DesiredApp<'_>,
    observed: &ObservedState,
    options: &DeployOptions,
    pool: AddressPool,
    taken: &mut BTreeSet<Ipv4Addr>,
    wait: Option<Planned>,
) -> Result<AppPlan, PlanRefused> {
    let app = goal.app.as_ref();
    let spec = effective_spec(project, app, pool);
    let count = goal.count;
    let again = options.force || options.intent == Intent::Restart;
    let situation = AppDiff::of(project, app, spec, observed, again, count.count, goal.pinned);
    let release = Release {
        number: situation.release,
        version: match goal.pinned {
            Some(stored) => stored.version.clone(),
            None => known_version(&situation, observed)
                .unwrap_or_else(|| format!("{}+{}", app.version, situation.release.0)),
        },
        image: release_tag(&situation.key, situation.release),
        identity: situation.identity.clone(),
    };
    let kept = u32::try_from(situation.keep.len()).unwrap_or(u32::MAX);
    let missing = count.count.saturating_sub(kept);
    let new = new_replicas(project, app, observed, &situation, &release, missing, pool, taken)?;
    let way = RolloutBuilder { project, goal, app, observed, situation: &situation, release: &release, new: &new };

    let record = way.record(way.kept_peers().chain(new.iter().map(|replica| replica.peer.clone())).collect());
    let reroute = situation.record.as_ref() != Some(&record);
    let verdict = match (situation.is_new, reroute) {
        (true, _) => Verdict::Deploy,
        (false, true) if situation.from.is_some_and(|from| from > release.number) => Verdict::Rollback,
        (false, true) => Verdict::Adjust,
        (false, false) => Verdict::UpToDate,
    };

    let awaited = match wait.as_ref().map(|planned| &planned.step) {
        Some(Step::AwaitServices { services }) => services.clone(),
        _ => Vec::new(),
    };
    // What stays as it is has nothing to wait for.
    let mut before = way.preparation(wait.filter(|_| reroute))?;
    let after;
    let (mut look, mut flip, mut hold) = (None, None, None);
    if reroute {
        let stop_first = app.rollout.order == Order::StopFirst && !new.is_empty() && !situation.outgoing.is_empty();
        hold = stop_first_warning(&way).filter(|_| stop_first);
        let canary = canary::wanted(&way, options)?;
        let batches = match &canary {
            Some(policy) => canary::raise_by_steps(&way, policy),
            None if stop_first => replace_stop_first(&way),
            None => replace_in_batches(&way),
        };
        hold = hold.or_else(|| canary::warning(&way).filter(|_| canary.is_some()));
        let Batches { stages, last, expect, outgoing_last, previous } = batches;
        if options.atomic && expect == Expect::OwnLast {
            let why = if stop_first { "`order: stop-first`" } else { "`parallelism`" };
            return Err(PlanRefused::NotAtomic { app: situation.key.clone(), why });
        }
        before.extend(stages);
        look = way.look_again(last);
        flip = Some(way.flip(expect, Some(record.clone()), previous, way.reason(options)));
        after = way.cleanup(&record, &outgoing_last);
    } else {
        after = way.cleanup(&record, &[]);
    }
    before.retain(|stage| !stage.is_empty());
    let plan = AppPlan {
        app: situation.key.clone(),
        implied: false,
        from: situation.from,
        release: release.clone(),
        replicas: count.count,
        replicas_from: count.source,
        verdict,
        warnings: goal.warnings.iter().cloned().chain(way.warnings(&awaited)).chain(hold).collect(),
        on_failure: app.rollout.failure_action,
        before,
        look,
        flip,
        after,
        prune: Vec::new(),
    };
    take_over(project, app, observed, plan)
}

/// What a release that exists already is called. Its version is told when it is made: a commit that changes nothing of the
/// app, or the same source without its history, makes another text and no other release.
fn known_version(situation: &AppDiff<'_>, observed: &ObservedState) -> Option<String> {
    if situation.is_new {
        return None;
    }
    let stored = kept(&situation.key, observed, situation.release).map(|stored| stored.version.clone());
    let record = situation.record.as_ref();
    let peers = || record?.peers.iter().find(|peer| peer.release == situation.release).map(|peer| peer.version.clone());
    let served = || record.filter(|record| record.release == situation.release).map(|record| record.version.clone());
    stored.or_else(peers).or_else(served)
}
