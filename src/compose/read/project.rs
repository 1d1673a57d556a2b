//! Reads the whole file: from the tree to the `Project`.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use super::depends;
use super::hooks::{self, HookLimits};
use super::hosts_tls;
use super::proxy_block;
use super::references;
use super::resources::Resources;
use super::routes;
use super::secrets::Declared;
use super::service::{self, Draft, Surroundings};
use super::version;
use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::refuse;
use crate::compose::text::node::{Map, Value, clip};
use crate::compose::text::root::NEEDS_SERVICES;
use crate::model::{
    Accessory, App, AppName, Condition, DEFAULT_STOP_GRACE, HealthPolicy, ImageSource, InvalidName, Project,
    PullPolicy, Restart, Service, familiar_reference,
};

/// A Linux bridge has 1,024 ports, one for each container.
const MOST_SERVICES: usize = 1000;

/// Reads the project. Problems are recorded in `cx`; the project is complete only if there are none.
pub(in crate::compose) fn read(cx: &mut Context<'_>, root: &Map) -> Project {
    for entry in &root.entries {
        if entry.key == "version" {
            let problem = Problem::at(entry.key_span, "`version` is obsolete and has no effect");
            cx.warn(problem.hint("remove it"));
        } else if !refuse::TOP.known.contains(&entry.key.as_str()) {
            refuse::TOP.judge(cx, entry);
        }
    }
    // Services refer to these sections, so they are read first.
    let files = Declared::read(cx, root);
    let (proxy, notify) = proxy_block::read(cx, root.get("x-deploy-apps"), &files);
    let mut networks = Resources::networks(cx, root);
    let mut volumes = Resources::volumes(cx, root);
    let mut drafts = services(cx, root, &mut networks, &mut volumes, &files);
    share_built_images(&mut drafts);

    // Checks that involve several services.
    let edges = drafts.iter().map(|(name, draft)| (name.clone(), draft.depends_on.clone())).collect();
    depends::check_circles(cx, &edges);
    let apps = drafts.iter().filter_map(|(name, draft)| Some((name, draft.app.as_ref()?)));
    routes::check_distinct(cx, apps.clone().flat_map(|(name, app)| app.routes.iter().map(move |route| (name, route))));
    let (certificates, automatic) = hosts_tls::certificates(cx, &proxy, apps.flat_map(|(_, app)| &app.routes));

    check_replaced(cx, &drafts);

    let (apps, accessories) = finish(cx, drafts);
    let takes_part = |name: &AppName| apps.contains_key(name) || accessories.contains_key(name);
    let dormant = std::mem::take(&mut cx.whole.services).into_iter().filter(|name| !takes_part(name)).collect();
    Project {
        name: cx.project.clone(),
        folder: cx.folder.to_owned(),
        remembered: false,
        proxy,
        notify,
        apps,
        accessories,
        hosts: std::mem::take(&mut cx.whole.hosts),
        dormant,
        networks: networks.own_networks().collect(),
        volumes: volumes.own_volumes().collect(),
        external_networks: networks.external().collect(),
        external_volumes: volumes.external().collect(),
        certificates,
        automatic,
    }
}

fn services(
    cx: &mut Context<'_>,
    root: &Map,
    networks: &mut Resources,
    volumes: &mut Resources,
    files: &Declared,
) -> IndexMap<AppName, Draft> {
    let mut drafts = IndexMap::new();
    let map = match root.get("services").map(|entry| (entry, &entry.value.value)) {
        Some((_, Value::Map(map))) => map,
        Some((entry, Value::Null)) => {
            cx.refuse(Problem::at(entry.key_span, "`services` is empty").hint(NEEDS_SERVICES));
            return drafts;
        }
        Some((entry, _)) => {
            cx.refuse(entry.expected("a map of services").hint(NEEDS_SERVICES));
            return drafts;
        }
        None => {
            let span = root.entries.first().map(|entry| entry.key_span).unwrap_or_default();
            cx.refuse(Problem::at(span, "the file has no `services`").hint(NEEDS_SERVICES));
            return drafts;
        }
    };
    if let Some(extra) = map.entries.get(MOST_SERVICES) {
        let problem = Problem::at(extra.key_span, format!("more than {MOST_SERVICES} services"));
        cx.refuse(problem.hint("split them over several compose files"));
        return drafts;
    }
    let names: Vec<&str> = map.entries.iter().map(|entry| entry.key.as_str()).collect();
    let others = references::of(map, cx.project);
    for entry in &map.entries {
        let name = entry.key.parse().map_err(|error: InvalidName| {
            let message = format!("`{}` is not a service name", clip(&entry.key));
            Problem::at(entry.key_span, message).hint(format!("use {}", error.rule))
        });
        let mut around =
            Surroundings { services: &names, networks: &mut *networks, volumes: &mut *volumes, files, others: &others };
        let draft = service::read(cx, entry, &mut around);
        if let (Some(name), Some(draft)) = (cx.keep(name), draft) {
            drafts.insert(name, draft);
        }
    }
    drafts
}

/// A replaced app must not be in the file, and has a single successor.
fn check_replaced(cx: &mut Context<'_>, drafts: &IndexMap<AppName, Draft>) {
    let replaced: Vec<_> = drafts.values().filter_map(|draft| draft.app.as_ref()?.replaces.clone()).collect();
    for (index, (key, span)) in replaced.iter().enumerate() {
        if key.project == *cx.project && drafts.contains_key(&key.app) {
            let problem = Problem::at(*span, format!("`replaces: {}` names a service of this file", key.app));
            cx.refuse(problem.hint(format!("remove the service `{}`, or `replaces`", key.app)));
        } else if replaced[..index].iter().any(|(other, _)| other == key) {
            let problem = Problem::at(*span, format!("app `{key}` is replaced by two services"));
            cx.refuse(problem.hint("an app has one successor: remove one `replaces`"));
        }
    }
}

/// A service whose `image` is built by another service runs the new build, not an older image with that name. A service
/// that always pulls still pulls, like in compose.
fn share_built_images(drafts: &mut IndexMap<AppName, Draft>) {
    let mut built: BTreeMap<String, ImageSource> = BTreeMap::new();
    for draft in drafts.values() {
        if let ImageSource::Build(build) = &draft.image {
            for tag in &build.tags {
                built.entry(familiar_reference(tag)).or_insert_with(|| draft.image.clone());
            }
        }
    }
    for draft in drafts.values_mut() {
        if let ImageSource::Pull { reference, policy: PullPolicy::Missing | PullPolicy::Never } = &draft.image
            && let Some(image) = built.get(&familiar_reference(reference))
        {
            draft.image = image.clone();
        }
    }
}

type Finished = (IndexMap<AppName, App>, IndexMap<AppName, Accessory>);

fn finish(cx: &mut Context<'_>, drafts: IndexMap<AppName, Draft>) -> Finished {
    let jobs: BTreeSet<AppName> = drafts
        .values()
        .flat_map(|draft| &draft.depends_on)
        .filter(|(dependency, _)| dependency.condition == Condition::CompletedSuccessfully)
        .map(|(dependency, _)| dependency.service.clone())
        .collect();
    let (mut apps, mut accessories) = (IndexMap::new(), IndexMap::new());
    for (name, draft) in drafts {
        let mut container = draft.container;
        // Long-running services must restart after a reboot; jobs must not restart.
        let is_job = jobs.contains(&name) || draft.deploy.job.is_some();
        let fallback = if is_job { Restart::No } else { Restart::UnlessStopped };
        container.restart = draft.restart.unwrap_or(fallback);
        let patience = draft.app.as_ref().map_or_else(|| HealthPolicy::default().timeout, |app| app.health.timeout);
        let pre_stop = container.stop_grace.unwrap_or(DEFAULT_STOP_GRACE);
        hooks::limit(&mut container.hooks, HookLimits { post_start: patience, pre_stop });
        let depends_on = draft.depends_on.into_iter().map(|(dependency, _)| dependency).collect();
        let service = Service { name: name.clone(), image: draft.image, container, depends_on };
        let Some(block) = draft.app else {
            accessories.insert(name, Accessory { service, container_name: draft.container_name, backup: draft.backup });
            continue;
        };
        let version = block.version.unwrap_or_else(|| version::found(cx, &service.image));
        let app = App {
            service,
            version,
            port: block.port,
            routes: block.routes.into_iter().map(|(route, ..)| route).collect(),
            replicas: draft.deploy.replicas.map_or(1, |(count, _)| count),
            replicas_stated: draft.deploy.replicas.is_some(),
            health: block.health,
            drain: block.drain,
            rollback: draft.deploy.rollback.unwrap_or_else(|| draft.deploy.rollout.clone()),
            rollout: draft.deploy.rollout,
            settings: block.settings,
            release: block.release,
            canary: block.canary.map(|(policy, _)| policy),
            replaces: block.replaces.map(|(key, _)| key),
        };
        apps.insert(name, app);
    }
    (apps, accessories)
}
