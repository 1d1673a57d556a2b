//! The ways from outgoing to new replicas, up to the last flip: all at once, in batches, or stop-first.

use std::time::Duration;

use super::builder::RolloutBuilder;
use super::desired::kept;
use super::hooks::{limits as total, post_start};
use super::replicas::{NewReplica, gate};
use super::stage::{Planned, Stage};
use super::step::{Expect, Gate, Limits, RestartSpec, Step};
use super::succession::takes_over;
use crate::model::{AppRecord, DEFAULT_STOP_GRACE, ObservedContainer};

/// The stages before the last flip, and what that flip replaces.
pub(super) struct Batches<'a> {
    pub stages: Vec<Stage>,
    /// The replicas that only the last flip brings in.
    pub last: &'a [NewReplica],
    pub expect: Expect,
    /// What an undo of the last flip would put back.
    pub previous: Option<AppRecord>,
    /// The peers that the last flip takes out; those of earlier ones are drained and stopped already.
    pub outgoing_last: Vec<String>,
}

/// Start-first, `parallelism` at a time. A batch that fails brings back what earlier batches have stopped; for that
/// the stopped containers stay until the last flip.
pub(super) fn replace_in_batches<'a>(way: &RolloutBuilder<'a>) -> Batches<'a> {
    let size = match way.app.rollout.parallelism {
        0 => way.new.len().max(1),
        // Held requests wait for the whole of it; there is nothing to keep up meanwhile.
        _ if way.situation.held => way.new.len().max(1),
        // What it replaces leaves in one flip, so all of it comes in by that one.
        _ if takes_over(way.app, way.observed) => way.new.len().max(1),
        parallelism => parallelism as usize,
    };
    let count = way.new.len().div_ceil(size).max(1);
    let outgoing: Vec<String> = way.situation.outgoing.iter().map(|outgoing| outgoing.id.clone()).collect();
    // Fewer old than new, or more: each batch takes its share, and the last one what is left.
    let share = outgoing.len().div_ceil(count).max(1);

    let mut stages = Vec::new();
    let mut serving = way.situation.record.clone();
    let mut expect = Expect::Observed(way.situation.generation);
    for batch in 0..count.saturating_sub(1) {
        let done = &way.new[..(batch + 1) * size];
        let gone = &outgoing[..outgoing.len().min((batch + 1) * share)];
        let leaving = &outgoing[outgoing.len().min(batch * share)..gone.len()];
        stages.push(start_stage(way, &way.new[batch * size..(batch + 1) * size]));
        let staying = outgoing[gone.len()..].iter().map(String::as_str);
        let mut peers: Vec<_> = way.peers_of(staying).chain(way.kept_peers()).collect();
        peers.extend(done.iter().map(|replica| replica.peer.clone()));
        let record = way.record(peers);
        let because = format!("batch {} of {count}", batch + 1);
        let look = way.look_again(&way.new[batch * size..(batch + 1) * size]);
        let flip = way.flip(expect, Some(record.clone()), serving.clone(), because);
        stages.push(Stage::line(look.into_iter().chain([flip]).collect()));
        stages.push(stop_stage(way, leaving, way.limits()));
        if !way.app.rollout.delay.is_zero() {
            let pause = Step::Pause { duration: way.app.rollout.delay };
            stages.push(Stage::line(vec![Planned::new(pause, "`delay` between two batches")]));
        }
        serving = Some(record);
        expect = Expect::OwnLast;
    }
    let last = &way.new[(count - 1) * size.min(way.new.len())..];
    stages.push(start_stage(way, last));
    let outgoing_last = outgoing[outgoing.len().min((count - 1) * share)..].to_vec();
    Batches { stages, last, expect, previous: serving, outgoing_last }
}

/// One writer at a time: hold new requests, let the open ones finish, stop, start. Nothing is refused meanwhile.
pub(super) fn replace_stop_first<'a>(way: &RolloutBuilder<'a>) -> Batches<'a> {
    let outgoing: Vec<String> = way.situation.outgoing.iter().map(|outgoing| outgoing.id.clone()).collect();
    let serving = way.situation.record.clone();
    let hold = longest_hold(way);
    let mut holding = serving.clone().unwrap_or_else(|| way.record(Vec::new()));
    holding.peers.clear();
    holding.hold_ms = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);

    let limits = Limits::of_stop_first(&way.app.drain);
    let creates = way.new.iter().map(|replica| vec![create(replica)]).collect();
    let flip = way.flip(
        Expect::Observed(way.situation.generation),
        Some(holding.clone()),
        serving,
        "new requests wait at the proxy while no replica runs".to_owned(),
    );
    let mut stages = vec![Stage::beside(creates), Stage::line(vec![flip]), stop_stage(way, &outgoing, limits)];
    stages.push(Stage::line(way.once_per_release()));
    stages.push(Stage::beside(way.new.iter().map(|replica| start(way, replica)).collect()));
    Batches { stages, last: way.new, expect: Expect::OwnLast, previous: Some(holding), outgoing_last: Vec::new() }
}

/// As long as everything up to the next flip may take, so that a held request ends with an answer.
fn longest_hold(way: &RolloutBuilder<'_>) -> Duration {
    let container = &way.app.service.container;
    let once = container.hooks.pre_start.iter().map(|hook| hook.timeout);
    let release = way.app.release.iter().map(|release| release.timeout).chain(once).sum::<Duration>();
    let outgoing = way.situation.outgoing.iter().filter_map(|outgoing| outgoing.container);
    let hooks = outgoing.map(|container| total(&container.hooks.pre_stop)).max().unwrap_or_default()
        + total(&container.hooks.post_start);
    let grace = container.stop_grace.unwrap_or(DEFAULT_STOP_GRACE);
    Limits::of_stop_first(&way.app.drain).longest() + grace + release + hooks + way.app.health.timeout
}

/// What clients may feel of it, for whoever reads the plan before it runs.
pub(super) fn stop_first_warning(way: &RolloutBuilder<'_>) -> Option<String> {
    way.app.port?;
    let drain = Limits::of_stop_first(&way.app.drain).longest();
    Some(format!(
        "`order: stop-first`: nobody is served for up to {:?}, while new requests wait at the proxy; {drain:?} of that are for \
         requests and streams that are open then (`drain: {{ stop_first_timeout }}`)",
        longest_hold(way)
    ))
}

pub(super) fn start_stage(way: &RolloutBuilder<'_>, replicas: &[NewReplica]) -> Stage {
    let lanes = replicas.iter().map(|replica| [vec![create(replica)], start(way, replica)].concat());
    Stage::beside(lanes.collect())
}

fn create(replica: &NewReplica) -> Planned {
    let because = format!("replica {} of {}", replica.peer.replica, replica.peer.release);
    Planned::new(Step::CreateContainer(Box::new(replica.container.clone())), because)
}

fn start(way: &RolloutBuilder<'_>, replica: &NewReplica) -> Vec<Planned> {
    let name = replica.container.name.clone();
    let gate = gate(way.app, &replica.peer);
    let because = "no traffic before it is seen healthy";
    let mut steps = vec![Planned::new(Step::StartContainer { name: name.clone() }, because)];
    steps.extend(post_start(&name, &replica.container.spec.hooks));
    steps.push(Planned::new(Step::AwaitHealthy { name, gate }, because));
    steps
}

/// Drains and stops, and leaves the containers for an undo.
fn stop_stage(way: &RolloutBuilder<'_>, leaving: &[String], limits: Limits) -> Stage {
    let lanes =
        way.situation.outgoing.iter().filter(|outgoing| leaving.contains(&outgoing.id)).filter_map(|outgoing| {
            let container = outgoing.container?;
            let restart = restart_spec(way, container);
            Some(way.drain(&outgoing.id, limits).into_iter().chain(way.stop(container, restart)).collect())
        });
    Stage::beside(lanes.collect())
}

/// How an undo knows that a stopped replica serves again. One that was unhealthy already is not waited for.
fn restart_spec(way: &RolloutBuilder<'_>, container: &ObservedContainer) -> Option<RestartSpec> {
    let peer = way.situation.record.as_ref()?.peers.iter().find(|peer| peer.id == container.name)?;
    // Of another release it is known how that one told its health, if it is kept.
    let policy = kept(&way.situation.key, way.observed, peer.release).map(|stored| &stored.health);
    let mut gate = gate(way.app, peer);
    if let (Gate::Probe { policy: health, .. }, Some(policy)) = (&mut gate, policy) {
        health.clone_from(policy);
    }
    let post_start = container.hooks.post_start.clone();
    container.is_well().then_some(RestartSpec { gate, post_start })
}
