//! `deploy`, and the older keys of a service that say the same: replicas, resources, how an app is rolled.

use super::collect;
use super::context::Context;
use super::error::Problem;
use super::node::{Entry, Span};
use super::refuse;
use super::scalar::{bytes, choice, nano_cpus, number};
use crate::model::{Order, ReplicaCount, Resources, RolloutPolicy};

const MOST_REPLICAS: u32 = ReplicaCount::MOST;

/// The engine starts no container with less.
const LEAST_MEMORY: i64 = 6 << 20;

#[derive(Debug, Default)]
pub(super) struct Deploy {
    pub replicas: Option<(u32, Span)>,
    pub resources: Resources,
    pub rollout: RolloutPolicy,
    /// The user has said which of old and new runs first.
    pub order_chosen: bool,
    /// Where `update_config` stands.
    pub update_config: Option<Span>,
}

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, deploy: &mut Deploy) {
    let Some(map) = cx.keep(collect::map(entry)) else { return };
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "replicas" => replicas(cx, field, deploy),
            // One host has no "one on each node"; all other modes belong to jobs.
            "mode" => {
                if cx.keep(choice("mode", &field.value, &[("replicated", true), ("global", false)])) == Some(false) {
                    let problem = Problem::at(field.value.span, "`mode: global` is not supported");
                    cx.refuse(problem.hint("remove it: there is one host, set `replicas`"));
                }
            }
            // In a swarm these label the service object, which does not exist here.
            "labels" => {
                let problem = Problem::at(field.key_span, "`deploy.labels` has no effect on a single host");
                cx.warn(problem.hint("use `labels` of the service for labels on its containers"));
            }
            "update_config" => {
                deploy.update_config = Some(field.key_span);
                update_config(cx, field, deploy);
            }
            "resources" => resources(cx, field, deploy),
            _ => unknown(cx, &refuse::DEPLOY, field),
        }
    }
}

fn unknown(cx: &mut Context<'_>, section: &refuse::Section, field: &Entry) {
    section.judge(cx, field);
}

/// `deploy.replicas` or `scale`; both may stand there if they agree.
pub(super) fn replicas(cx: &mut Context<'_>, field: &Entry, deploy: &mut Deploy) {
    let Some(count) = cx.keep(number(&field.key, &field.value, 0..=MOST_REPLICAS)) else { return };
    match deploy.replicas {
        Some((other, _)) if other != count => cx.refuse(disagree(field, "scale", "deploy.replicas")),
        _ => deploy.replicas = Some((count, field.key_span)),
    }
}

/// Compose has older and newer keys for one thing; which of two values was meant is not ours to guess.
fn disagree(field: &Entry, one: &str, other: &str) -> Problem {
    Problem::at(field.key_span, format!("`{one}` and `{other}` differ")).hint("keep one of them")
}

/// Zero in `parallelism` is all at once, as in the specification.
fn update_config(cx: &mut Context<'_>, entry: &Entry, deploy: &mut Deploy) {
    let Some(map) = cx.keep(collect::map(entry)) else { return };
    let rollout = &mut deploy.rollout;
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "order" => {
                let orders = [("start-first", Order::StartFirst), ("stop-first", Order::StopFirst)];
                // Also when it repeats the default: two writers of one volume are then a decision.
                deploy.order_chosen = true;
                cx.set(&mut rollout.order, choice("order", &field.value, &orders));
            }
            "parallelism" => {
                cx.set(&mut rollout.parallelism, number("parallelism", &field.value, 0..=MOST_REPLICAS));
            }
            "delay" => cx.set(&mut rollout.delay, field.duration()),
            "monitor" => cx.set(&mut rollout.monitor, field.duration()),
            // A paused or continued rollout would leave two versions behind; ours ends with one.
            "failure_action" => {
                let actions = [("rollback", true), ("pause", false), ("continue", false)];
                if cx.keep(choice("failure_action", &field.value, &actions)) == Some(false) {
                    let message =
                        format!("`failure_action: {}` is not supported", field.value.describe().trim_matches('`'));
                    let hint = "use `rollback`, the default: a failed rollout leaves the old version serving";
                    cx.refuse(Problem::at(field.value.span, message).hint(hint));
                }
            }
            "max_failure_ratio" => {
                if !matches!(field.text().as_deref(), Ok("0" | "0.0")) {
                    let problem = Problem::at(field.value.span, "`max_failure_ratio` above 0 is not supported");
                    cx.refuse(problem.hint("remove it: a rollout goes on only when all new replicas are healthy"));
                }
            }
            _ => unknown(cx, &refuse::UPDATE_CONFIG, field),
        }
    }
}

/// Limits bind on a single host as they do in a swarm; of the reservations only memory means something to one engine.
fn resources(cx: &mut Context<'_>, entry: &Entry, deploy: &mut Deploy) {
    let Some(map) = cx.keep(collect::map(entry)) else { return };
    for part in map.entries.iter().filter(|part| !part.value.is_null()) {
        let limits = match part.key.as_str() {
            "limits" => true,
            "reservations" => false,
            _ => {
                unknown(cx, &refuse::RESOURCES, part);
                continue;
            }
        };
        let Some(fields) = cx.keep(collect::map(part)) else { continue };
        for field in fields.entries.iter().filter(|field| !field.value.is_null()) {
            match (field.key.as_str(), limits) {
                ("cpus", true) => cpus(cx, field, &mut deploy.resources),
                ("memory", true) => {
                    memory(cx, field, &mut deploy.resources.memory_bytes, "mem_limit", "deploy.resources.limits.memory")
                }
                ("pids", true) => pids(cx, field, &mut deploy.resources),
                ("memory", false) => reservation(cx, field, &mut deploy.resources),
                ("cpus", false) => {
                    let problem = Problem::at(field.key_span, "`reservations.cpus` has no effect on a single host");
                    cx.warn(problem.hint("use `limits.cpus`"));
                }
                ("pids", false) => {
                    cx.refuse(
                        Problem::at(field.key_span, "`reservations.pids` is not supported").hint("use `limits.pids`"),
                    );
                }
                _ => unknown(cx, &refuse::LIMITS, field),
            }
        }
    }
}

pub(super) fn cpus(cx: &mut Context<'_>, field: &Entry, resources: &mut Resources) {
    let Some(value) = cx.keep(nano_cpus(&field.key, &field.value)) else { return };
    if resources.nano_cpus.is_some_and(|other| other != value) {
        cx.refuse(disagree(field, "cpus", "deploy.resources.limits.cpus"));
    }
    resources.nano_cpus = Some(value);
}

pub(super) fn mem_limit(cx: &mut Context<'_>, field: &Entry, resources: &mut Resources) {
    memory(cx, field, &mut resources.memory_bytes, "mem_limit", "deploy.resources.limits.memory");
}

pub(super) fn reservation(cx: &mut Context<'_>, field: &Entry, resources: &mut Resources) {
    let slot = &mut resources.memory_reservation_bytes;
    memory(cx, field, slot, "mem_reservation", "deploy.resources.reservations.memory");
}

fn memory(cx: &mut Context<'_>, field: &Entry, slot: &mut Option<i64>, one: &str, other: &str) {
    let Some(value) = cx.keep(bytes(&field.key, &field.value)) else { return };
    // The likeliest cause is a forgotten unit: `64` is 64 bytes.
    if value < LEAST_MEMORY {
        let message = format!("`{}` must be at least `6m`, not {}", field.key, field.value.describe());
        cx.refuse(Problem::at(field.value.span, message).hint("add the unit, such as `64m`"));
    }
    if slot.is_some_and(|present| present != value) {
        cx.refuse(disagree(field, one, other));
    }
    *slot = Some(value);
}

pub(super) fn pids(cx: &mut Context<'_>, field: &Entry, resources: &mut Resources) {
    // -1 is unlimited in compose; the model says so by leaving it out.
    let value = cx.keep(number(&field.key, &field.value, -1..=4_194_304)).filter(|value| *value > 0);
    if let (Some(one), Some(other)) = (value, resources.pids)
        && one != other
    {
        cx.refuse(disagree(field, "pids_limit", "deploy.resources.limits.pids"));
    }
    resources.pids = value.or(resources.pids);
}
