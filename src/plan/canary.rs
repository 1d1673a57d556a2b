//! A canary: the new release gets a rising share of the requests, and is watched at each of its weights, before the flip.

use super::ask::{DeployOptions, Intent};
use super::batches::{Batches, start_stage};
use super::builder::RolloutBuilder;
use super::refusal::PlanRefused;
use super::stage::{Planned, Stage};
use super::step::{CanaryWatch, Expect, Step};
use crate::model::{AppRecord, Canary, CanaryPolicy, CanaryStep, Features, Order};

/// The canary that this deploy makes. None where nothing of another release serves that it could be compared with.
pub(super) fn wanted(way: &RolloutBuilder<'_>, options: &DeployOptions) -> Result<Option<CanaryPolicy>, PlanRefused> {
    if options.intent != Intent::Deploy || !way.situation.is_new || way.new.is_empty() {
        return Ok(None);
    }
    let serves = |record: &AppRecord| record.peers.iter().any(|peer| peer.port.is_some());
    let compares = !way.situation.held && !way.situation.is_ahead && way.situation.record.as_ref().is_some_and(serves);
    let Some(policy) = options.canary.of(way.app.canary.as_ref()).filter(|_| compares) else { return Ok(None) };
    let app = way.situation.key.clone();
    let why = match () {
        () if way.app.port.is_none() => "it has no `port`, so it gets no requests",
        () if way.app.rollout.order == Order::StopFirst => "with `order: stop-first` two releases never run at once",
        () if options.atomic => "with `--atomic` all apps flip in one call",
        () if !way.observed.proxy.features.knows(Features::CANARY) => {
            return Err(PlanRefused::ProxyWithoutSetting { app, setting: "canary" });
        }
        () => return Ok(Some(policy)),
    };
    Err(PlanRefused::NoCanary { app, why })
}

/// All new replicas start at once. Each step is a flip of its weight and a watch; an undo of any of them gives everything back to
/// what served.
pub(super) fn raise_by_steps<'a>(way: &RolloutBuilder<'a>, policy: &CanaryPolicy) -> Batches<'a> {
    let stable = way.situation.record.clone();
    let mut stages = vec![start_stage(way, way.new)];
    let mut expect = Expect::Observed(way.situation.generation);
    let mut look = way.look_again(way.new);
    for (index, step) in policy.steps.iter().enumerate() {
        let place = format!("canary step {} of {}", index + 1, policy.steps.len());
        let record = stable.as_ref().map(|stable| weighted(way, stable, policy, step));
        let flip = way.flip(expect, record, stable.clone(), place);
        let watch = Planned::new(watch(way, stable.as_ref(), policy, step), "a bad release is seen by few");
        stages.push(Stage::line(look.take().into_iter().chain([flip, watch]).collect()));
        expect = Expect::OwnLast;
    }
    let outgoing_last = way.situation.outgoing.iter().map(|outgoing| outgoing.id.clone()).collect();
    Batches { stages, last: way.new, expect, previous: stable, outgoing_last }
}

/// What serves, with the new replicas beside it. Routes and settings stay those of what serves.
fn weighted(way: &RolloutBuilder<'_>, stable: &AppRecord, policy: &CanaryPolicy, step: &CanaryStep) -> AppRecord {
    let new = way.new.iter().map(|replica| replica.peer.clone());
    AppRecord {
        canary: Some(Canary {
            release: way.release.number,
            weight: step.weight,
            sticky: policy.sticky,
            testers: policy.testers.clone(),
        }),
        peers: stable.peers.iter().cloned().chain(new).collect(),
        ..stable.clone()
    }
}

fn watch(way: &RolloutBuilder<'_>, stable: Option<&AppRecord>, policy: &CanaryPolicy, step: &CanaryStep) -> Step {
    Step::WatchCanary(Box::new(CanaryWatch {
        app: way.situation.key.clone(),
        canary: way.release.number,
        stable: stable.map(|record| record.release).unwrap_or_default(),
        weight: step.weight,
        duration: step.duration,
        gate: policy.gate,
        replicas: way.new.iter().map(|replica| replica.container.name.clone()).collect(),
    }))
}

/// What else the compose file says of the way, and has no say in a canary.
pub(super) fn warning(way: &RolloutBuilder<'_>) -> Option<String> {
    let size = usize::try_from(way.app.rollout.parallelism).unwrap_or(usize::MAX);
    let has_batches = (1..way.new.len()).contains(&size);
    has_batches.then(|| "`parallelism` has no say in a canary: its replicas start at once".to_owned())
}
