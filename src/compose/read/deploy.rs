//! `deploy`, and the older equivalent keys of a service: replicas, resources and rollout.

use super::host_access;
use super::update;
use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Span};
use crate::compose::text::scalar::{bytes, choice, nano_cpus, number};
use crate::model::{DeviceRequest, ReplicaCount, Resources, Restart, RolloutPolicy};

const MOST_REPLICAS: u32 = ReplicaCount::MOST;

/// The minimum memory limit of the engine.
const LEAST_MEMORY: i64 = 6 << 20;

#[derive(Debug, Default)]
pub(super) struct Deploy {
    pub replicas: Option<(u32, Span)>,
    pub resources: Resources,
    pub devices: Vec<DeviceRequest>,
    pub restart: Option<Restart>,
    pub rollout: RolloutPolicy,
    pub rollback: Option<RolloutPolicy>,
    /// The position of a `mode` whose containers exit by themselves.
    pub job: Option<Span>,
    /// Whether the user has set `order`.
    pub order_chosen: bool,
    /// The position of `update_config`.
    pub update_config: Option<Span>,
}

pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, deploy: &mut Deploy) {
    let Some(map) = cx.keep(collections::map(entry)) else { return };
    let (mut mode, mut rollback_config) = (None, None);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "replicas" => replicas(cx, field, deploy),
            "mode" => mode = cx.keep(crate::compose::read::deploy::mode(field)).map(|mode| (mode, field.value.span)),
            "restart_policy" => deploy.restart = update::restart_policy(cx, field),
            "rollback_config" => rollback_config = Some(field),
            // Labels of a swarm service object, which does not exist here.
            "labels" => {
                let problem = Problem::at(field.key_span, "`deploy.labels` has no effect on a single host");
                cx.warn(problem.hint("use `labels` of the service for labels on its containers"));
            }
            "update_config" => {
                deploy.update_config = Some(field.key_span);
                deploy.order_chosen = update::policy(cx, field, &mut deploy.rollout);
            }
            "resources" => resources(cx, field, deploy),
            _ => unknown(cx, &refuse::DEPLOY, field),
        }
    }
    if let Some(field) = rollback_config {
        // Unset fields are taken from `update_config`, so that a single writer remains one in a rollback.
        let mut rollback = deploy.rollout.clone();
        update::policy(cx, field, &mut rollback);
        deploy.rollback = Some(rollback);
    }
    match mode {
        Some((Mode::Job, span)) => deploy.job = Some(span),
        // One per host, and there is one host.
        Some((Mode::Global, span)) => match deploy.replicas {
            Some((count, _)) if count != 1 => {
                let problem = Problem::at(span, format!("`mode: global` and {count} replicas exclude each other"));
                cx.refuse(problem.hint("remove `mode`: there is one host, `replicas` says how many run on it"));
            }
            _ => deploy.replicas = Some((1, span)),
        },
        Some((Mode::Replicated, _)) | None => {}
    }
}

#[derive(Debug, Clone, Copy)]
enum Mode {
    Replicated,
    Global,
    Job,
}

fn mode(field: &Entry) -> crate::compose::error::Read<Mode> {
    let modes = [
        ("replicated", Mode::Replicated),
        ("global", Mode::Global),
        ("replicated-job", Mode::Job),
        ("global-job", Mode::Job),
    ];
    choice("mode", &field.value, &modes)
}

fn unknown(cx: &mut Context<'_>, section: &refuse::Section, field: &Entry) {
    section.judge(cx, field);
}

/// `deploy.replicas` or `scale`; if both are set, they must be equal.
pub(super) fn replicas(cx: &mut Context<'_>, field: &Entry, deploy: &mut Deploy) {
    let Some(count) = cx.keep(number(&field.key, &field.value, 0..=MOST_REPLICAS)) else { return };
    match deploy.replicas {
        Some((other, _)) if other != count => cx.refuse(disagree(field, "scale", "deploy.replicas")),
        _ => deploy.replicas = Some((count, field.key_span)),
    }
}

/// The error for older and newer keys with different values.
fn disagree(field: &Entry, one: &str, other: &str) -> Problem {
    Problem::at(field.key_span, format!("`{one}` and `{other}` differ")).hint("keep one of them")
}

/// Limits apply as in a swarm; of the reservations only memory is meaningful for a single engine.
fn resources(cx: &mut Context<'_>, entry: &Entry, deploy: &mut Deploy) {
    let Some(map) = cx.keep(collections::map(entry)) else { return };
    for part in map.entries.iter().filter(|part| !part.value.is_null()) {
        let limits = match part.key.as_str() {
            "limits" => true,
            "reservations" => false,
            _ => {
                unknown(cx, &refuse::RESOURCES, part);
                continue;
            }
        };
        let Some(fields) = cx.keep(collections::map(part)) else { continue };
        for field in fields.entries.iter().filter(|field| !field.value.is_null()) {
            match (field.key.as_str(), limits) {
                ("cpus", true) => cpus(cx, field, &mut deploy.resources),
                ("memory", true) => {
                    memory(cx, field, &mut deploy.resources.memory_bytes, "mem_limit", "deploy.resources.limits.memory")
                }
                ("pids", true) => pids(cx, field, &mut deploy.resources),
                ("memory", false) => reservation(cx, field, &mut deploy.resources),
                ("devices", false) => deploy.devices = host_access::requests(cx, field),
                ("cpus", false) => {
                    let problem = Problem::at(field.key_span, "`reservations.cpus` has no effect on a single host");
                    cx.warn(problem.hint("use `limits.cpus`"));
                }
                (_, true) => unknown(cx, &refuse::LIMITS, field),
                (_, false) => unknown(cx, &refuse::RESERVATIONS, field),
            }
        }
    }
}

fn is_zero(field: &Entry) -> bool {
    field.value.as_text().and_then(|text| text.parse::<f64>().ok()) == Some(0.0)
}

pub(super) fn cpus(cx: &mut Context<'_>, field: &Entry, resources: &mut Resources) {
    // Zero means no limit, like in compose and the engine.
    if is_zero(field) {
        return;
    }
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
    if is_zero(field) {
        return;
    }
    let Some(value) = cx.keep(bytes(&field.key, &field.value)) else { return };
    // Probably a missing unit: `64` means 64 bytes.
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
    // -1 means unlimited in compose, which is `None` in the model.
    let value = cx.keep(number(&field.key, &field.value, -1..=4_194_304)).filter(|value| *value > 0);
    if let (Some(one), Some(other)) = (value, resources.pids)
        && one != other
    {
        cx.refuse(disagree(field, "pids_limit", "deploy.resources.limits.pids"));
    }
    resources.pids = value.or(resources.pids);
}
