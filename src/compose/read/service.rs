//! Reads one service: first its keys, then checks of their combinations.

use std::collections::BTreeMap;

use super::app_block::{self, AppBlock};
use super::backup;
use super::cgroup_limits;
use super::container;
use super::depends;
use super::deploy::{self, Deploy};
use super::hooks;
use super::host_access;
use super::image;
use super::mounts::{self, Mounts};
use super::networks;
use super::ports;
use super::references::{self, Other, Others};
use super::resources::Resources;
use super::secrets::{self, Declared};
use super::variables;
use crate::compose::context::Context;
use crate::compose::error::{Problem, Read};
use crate::compose::text::accessories::is_of_accessory;
use crate::compose::text::node::{Entry, Map, Span, Value, clip};
use crate::model::{ContainerFile, ContainerSpec, Dependency, Hook, ImageSource, Order, Restart};

/// The content of a service.
#[derive(Debug)]
pub(super) struct Draft {
    pub image: ImageSource,
    pub container: ContainerSpec,
    /// `None` if not set: the default depends on the services that need it.
    pub restart: Option<Restart>,
    pub depends_on: Vec<(Dependency, Span)>,
    pub deploy: Deploy,
    /// Set for accessories only.
    pub container_name: Option<String>,
    /// `None` for an accessory.
    pub app: Option<AppBlock>,
    /// Set for accessories only.
    pub backup: Option<Hook>,
}

/// The parts of the file that a service refers to.
pub(super) struct Surroundings<'a> {
    pub services: &'a [&'a str],
    pub networks: &'a mut Resources,
    pub volumes: &'a mut Resources,
    pub files: &'a Declared,
    pub others: &'a BTreeMap<String, Other>,
}

/// Reads a service. Problems are recorded in `cx`; `None` if it is not a map.
pub(super) fn read(cx: &mut Context<'_>, entry: &Entry, around: &mut Surroundings<'_>) -> Option<Draft> {
    let name = entry.key.as_str();
    let map = match &entry.value.value {
        Value::Map(map) => map,
        _ => {
            cx.refuse(
                Problem::at(
                    entry.key_span,
                    format!("service `{}` must be a map, not {}", clip(name), entry.value.describe()),
                )
                .hint("give it `image` or `build`"),
            );
            return None;
        }
    };
    // An empty block makes a worker, so only the existence of the key counts.
    let (of_accessory, block) = match map.get("x-deploy-apps") {
        Some(block) if is_of_accessory(&block.value) => (Some(block), None),
        block => (None, block),
    };
    let is_app = block.is_some();
    let mut spec = ContainerSpec::default();
    let (mut deploy, mut mounts) = (Deploy::default(), Mounts::default());
    let (mut restart, mut depends_on, mut container_name) = (None, Vec::new(), None);
    let mut others = Others { known: around.others, needed: Vec::new() };
    let mut files: Vec<ContainerFile> = Vec::new();
    let before = cx.count();

    // A key without a value is ignored, like in compose.
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "restart" => restart = cx.keep(crate::compose::read::service::restart(field)),
            "depends_on" => depends_on = depends::read(cx, field, around.services),
            "deploy" => deploy::read(cx, field, &mut deploy),
            "scale" => deploy::replicas(cx, field, &mut deploy),
            "cpus" => deploy::cpus(cx, field, &mut deploy.resources),
            "mem_limit" => deploy::mem_limit(cx, field, &mut deploy.resources),
            "mem_reservation" => deploy::reservation(cx, field, &mut deploy.resources),
            "pids_limit" => deploy::pids(cx, field, &mut deploy.resources),
            "volumes" => mounts::read(cx, field, around.volumes, &mut mounts),
            "tmpfs" => mounts::tmpfs(cx, field, &mut mounts),
            // Two replicas cannot bind the same port, and every deploy would run old and new replicas at once.
            "ports" if is_app => cx.refuse(
                Problem::at(
                    field.key_span,
                    format!("app `{name}` has host `ports`, for which its replicas would compete"),
                )
                .hint("remove them; the proxy publishes the app: set `x-deploy-apps.port`")
                .unsupported(),
            ),
            "ports" => spec.ports = ports::read(cx, field),
            // Read together below.
            "build" | "image" | "pull_policy" | "environment" | "env_file" | "networks" | "x-deploy-apps" => {}
            "labels" | "label_file" | "mac_address" => {}
            // Resolved before the service is read.
            "extends" | "profiles" => {}
            "container_name" if !is_app => cx.set_some(&mut container_name, references::container_name(field)),
            "expose" => references::expose(cx, field),
            "secrets" | "configs" => secrets::of_service(cx, field, around.files, &mut files),
            "pre_start" | "post_start" | "pre_stop" => hooks::read(cx, field, &mut spec.hooks),
            "network_mode" => spec.host.network = references::network_mode(cx, field, map, is_app, &mut others),
            "links" => references::links(cx, field, &mut spec, &mut others),
            "external_links" => references::external_links(cx, field, &mut spec),
            "volumes_from" => {
                let writes = references::volumes_from(cx, field, &mut spec, &mut others);
                mounts.shared_writable = mounts.shared_writable.or(writes);
            }
            _ if host_access::read(cx, field, &mut spec.host, &mut others) => {}
            _ if cgroup_limits::read(cx, field, &mut spec.shares) => {}
            _ => container::read(cx, field, is_app, &mut spec),
        }
    }
    for (dependency, span) in others.needed {
        if !depends_on.iter().any(|(known, _): &(Dependency, Span)| known.service == dependency.service) {
            depends_on.push((dependency, span));
        }
    }
    spec.environment = variables::read(cx, map.get("env_file"), map.get("environment"));
    let role = networks::Role { service: name, is_app, has_accessories: cx.whole.has_accessories };
    if spec.host.network.is_none() {
        spec.networks = networks::read(cx, map.get("networks"), role, around.networks);
    }
    networks::mac_address(cx, map.get("mac_address"), role, &mut spec);
    spec.labels = container::all_labels(cx, map.get("label_file"), map.get("labels"));
    spec.files = files;
    spec.resources = deploy.resources.clone();
    spec.host.device_requests.append(&mut deploy.devices);
    restart = deploy.restart.or(restart);
    check_together(cx, name, is_app, &deploy, &mounts);
    check_processors(cx, map, &spec);
    spec.mounts = mounts.mounts;
    spec.tmpfs = mounts.tmpfs;

    if let Ok(service) = name.parse() {
        cx.values_are_of(before, &service);
    }
    let image = image::read(cx, entry, map);
    let app = match block {
        // An invalid block must not make the app an accessory.
        Some(block) => Some(app_block::read(cx, name, block, around.files)?),
        None => None,
    };
    if let (Some((_, span)), Order::StopFirst) =
        (app.as_ref().and_then(|app| app.canary.as_ref()), deploy.rollout.order)
    {
        let message =
            format!("app `{name}` has a `canary` and `order: stop-first`, with which two releases never run at once");
        cx.refuse(Problem::at(*span, message).hint("remove one of the two"));
    }
    let backup = of_accessory.and_then(|block| backup::read(cx, block));
    Some(Draft { image: image?, container: spec, restart, depends_on, deploy, container_name, app, backup })
}

/// The engine has two settings for CPU limits and accepts only one of them.
fn check_processors(cx: &mut Context<'_>, map: &Map, spec: &ContainerSpec) {
    let older = ["cpu_quota", "cpu_period"].into_iter().find_map(|key| map.get(key));
    let set = spec.shares.cpu_quota.is_some() || spec.shares.cpu_period.is_some();
    if let (Some(field), true, true) = (older, set, spec.resources.nano_cpus.is_some()) {
        let problem = Problem::at(field.key_span, format!("`{}` and `cpus` exclude each other", field.key));
        cx.refuse(problem.hint("keep `cpus`").unsupported());
    }
}

/// Checks of several keys together.
fn check_together(cx: &mut Context<'_>, name: &str, is_app: bool, deploy: &Deploy, mounts: &Mounts) {
    if let (true, Some(span), false) = (is_app, mounts.shared_writable, deploy.order_chosen) {
        let message = format!("app `{name}` writes to a volume that its old and new version would share");
        let hint = "set `deploy.update_config.order: stop-first` for a single writer, \
                    or `start-first` if both may write at once, or mount it read-only";
        cx.refuse(Problem::at(span, message).hint(hint).unsupported());
    }
    if let (true, Some(span)) = (is_app, deploy.job) {
        let message = format!("app `{name}` is a job, which ends; an app serves");
        let hint = "remove `mode`; for what runs once per release use `x-deploy-apps.release` or `pre_start`";
        cx.refuse(Problem::at(span, message).hint(hint).unsupported());
    }
    if is_app {
        return;
    }
    if let Some((count, span)) = deploy.replicas.filter(|(count, _)| *count != 1) {
        let message = format!("`{name}` has {count} replicas, but a service without an `x-deploy-apps` block has one");
        cx.refuse(Problem::at(span, message).hint("add the block to roll it, or remove the number").unsupported());
    }
    if let Some(span) = deploy.update_config {
        let message = format!("`update_config` has no effect on `{name}`, which is not rolled");
        cx.warn(Problem::at(span, message).hint("add an `x-deploy-apps` block to roll it"));
    }
}

/// With or without quotes: values are not typed before their key is known, so `no` is a text here.
fn restart(field: &Entry) -> Read<Restart> {
    let text = field.text()?;
    match text.split_once(':').map_or((text.as_str(), None), |(word, count)| (word, Some(count))) {
        ("no" | "false", None) => Ok(Restart::No),
        ("always", None) => Ok(Restart::Always),
        ("unless-stopped", None) => Ok(Restart::UnlessStopped),
        ("on-failure", None) => Ok(Restart::OnFailure(None)),
        ("on-failure", Some(count)) if count.parse::<u32>().is_ok() => Ok(Restart::OnFailure(count.parse().ok())),
        _ => Err(field.expected("`no`, `always`, `unless-stopped`, `on-failure` or `on-failure:3`")),
    }
}
