//! Takes apps away: out of the proxy first, then drained, stopped and removed. A project goes down the same way, and
//! its accessories, networks and, where asked for, volumes after it.

use std::collections::{BTreeMap, BTreeSet};

use super::app_diff::belongs;
use super::certificates::removed_with;
use super::certificates_container::ending as certificates_ending;
use super::ends::stop_and_remove;
use super::handover::ending;
use super::images::{release_of_tag, release_tag};
use super::orphans::{deployed_apps, tags_of_project};
use super::plan::{AppPlan, Verdict};
use super::refusal::PlanRefused;
use super::removal::{DownOptions, Removal, RemoveOptions};
use super::stage::{Planned, Stage};
use super::step::{Expect, FlipChange, Limits, Step};
use crate::model::{
    App, AppKey, AppName, ContainerSpec, DrainPolicy, FailureAction, ImageSource, MountSource, ObservedContainer,
    ObservedEngine, ObservedProxy, ObservedState, Project, ProjectName, Release, ReleaseNumber, ReplicaSource, Role,
    Service, familiar_reference,
};

/// Plans the removal of these apps, in the compose file or not. What is not deployed has no part in it.
#[must_use]
pub fn plan_remove(
    project: &Project,
    apps: &[AppName],
    engine: &ObservedEngine,
    proxy: &ObservedProxy,
    options: RemoveOptions,
) -> Removal {
    let names: BTreeSet<&AppName> = apps.iter().collect();
    let host = Host { project, engine, proxy };
    let plans = names.iter().filter_map(|name| host.app(&project.key(name), options)).collect();
    let is_named = |container: &ObservedContainer| {
        let service = container.labels.service.as_ref();
        service.is_some_and(|service| names.contains(service) && host.may_go(service))
    };
    let mut rest = host.accessories(is_named, "its removal was asked for");
    let volumes = if options.volumes { host.volumes_of_apps(&names) } else { BTreeSet::new() };
    let mut data: Vec<Vec<Planned>> = volumes.into_iter().map(|name| vec![remove_volume(name)]).collect();
    if options.images {
        let tags = names.iter().filter(|name| host.may_go(name)).map(|name| accessory_tag(&project.name, name));
        let present = tags.filter(|tag| engine.images.iter().any(|image| image.tags.contains(tag)));
        data.extend(present.map(|tag| vec![untag(tag)]));
    }
    rest.push(Stage::beside(data));
    let keys = names.iter().map(|name| project.key(name)).collect();
    rest.push(removed_with(&project.name, &keys, proxy));
    Removal { apps: plans, rest: without_empty(rest), proxy: Vec::new() }.numbered()
}

/// Plans the removal of everything of the project.
///
/// # Errors
/// When the proxy shall go and others use it.
pub fn plan_down(
    project: &Project,
    engine: &ObservedEngine,
    proxy: &ObservedProxy,
    options: DownOptions,
) -> Result<Removal, PlanRefused> {
    let host = Host { project, engine, proxy };
    if options.proxy {
        host.check_others()?;
    }
    let mut names = deployed_apps(&project.name, engine, proxy);
    if options.remove.images {
        // Also those of which only images are left, and the proxy's memory.
        let remembered = proxy.apps.keys().filter(|key| key.project == project.name).map(|key| &key.app);
        names.extend(project.apps.keys().chain(remembered).cloned());
    }
    let apps: Vec<AppPlan> = names.iter().filter_map(|name| host.app(&project.key(name), options.remove)).collect();
    let mut rest = host.accessories(|_| true, "the project is removed");
    rest.push(host.networks());
    let mut data = Vec::new();
    if options.remove.volumes {
        data.extend(host.volumes_of_project().into_iter().map(|name| vec![remove_volume(name)]));
    }
    if options.remove.images {
        let gone: BTreeSet<&String> = apps.iter().flat_map(AppPlan::steps).filter_map(untagged).collect();
        let tags = host.other_tags().into_iter().filter(|tag| !gone.contains(tag));
        data.extend(tags.map(|tag| vec![untag(tag)]));
    }
    rest.push(Stage::beside(data));
    rest.push(removed_with(&project.name, &names.iter().map(|name| project.key(name)).collect(), proxy));
    if options.remove.images && engine.images.iter().any(|image| image.source.is_some()) {
        let unused = Planned::new(Step::RemoveDangling, "`--images` was asked for");
        rest.push(Stage::line(vec![unused]));
    }
    let proxy = if options.proxy { host.proxy(options.remove.volumes) } else { Vec::new() };
    Ok(Removal { apps, rest: without_empty(rest), proxy: without_empty(proxy) }.numbered())
}

/// How an app that another one replaces leaves. `None` when nothing of it is there.
pub(super) fn plan_ending(project: &Project, app: &AppKey, observed: &ObservedState) -> Option<AppPlan> {
    Host { project, engine: &observed.engine, proxy: &observed.proxy }.app(app, RemoveOptions::default())
}

fn without_empty(mut stages: Vec<Stage>) -> Vec<Stage> {
    stages.retain(|stage| !stage.is_empty());
    stages
}

/// What a removal looks at.
struct Host<'a> {
    project: &'a Project,
    engine: &'a ObservedEngine,
    proxy: &'a ObservedProxy,
}

impl Host<'_> {
    /// `None` when nothing of it is there.
    fn app(&self, key: &AppKey, options: RemoveOptions) -> Option<AppPlan> {
        let known = self.proxy.apps.get(key);
        let record = known.and_then(|known| known.record.as_ref());
        let is_own = |container: &&ObservedContainer| belongs(container, key) || is_one_off(container, key);
        let own: Vec<_> = self.engine.containers.iter().filter(is_own).collect();
        let tags = if options.images { self.tags(key) } else { BTreeMap::new() };
        if record.is_none() && own.is_empty() && tags.is_empty() {
            return None;
        }
        // Without the compose file's word the defaults count, which are patient.
        let drain = self.policies(key).map_or_else(DrainPolicy::default, |app| app.drain.clone());
        let limits = Limits::from(&drain);
        let flip = record.zip(known).map(|(record, known)| {
            let expect = Expect::Observed(known.generation);
            let change = FlipChange { app: key.clone(), expect, record: None, before: Some(record.clone()), limits };
            Planned::new(Step::Flip { changes: vec![change] }, "its removal was asked for")
        });
        let mut after = Vec::new();
        if flip.is_some() {
            let confirm = Step::ConfirmGone { app: key.clone() };
            after.push(Stage::line(vec![Planned::new(confirm, "nothing stops while the proxy may still route to it")]));
        }
        let serves = |container: &ObservedContainer| record.is_some_and(|record| record.serves(&container.name));
        let lanes = own.iter().map(|container| self.ending(key, container, serves(container), limits));
        after.push(Stage::beside(lanes.collect()));
        if !tags.is_empty() && self.proxy.keeps_releases() {
            let step = Step::ForgetReleases { app: key.clone(), releases: tags.keys().copied().collect() };
            after.push(Stage::line(vec![Planned::new(step, "a rollback needs their images")]));
        }
        after.push(Stage::beside(tags.into_values().map(|tag| vec![untag(tag)]).collect()));
        after.retain(|stage| !stage.is_empty());

        let newest = own.iter().filter_map(|container| container.labels.release).max();
        let number = record.map(|record| record.release).or(newest).or(known.map(|known| known.last_release));
        let number = number.unwrap_or_default();
        let labelled = own.iter().find(|container| container.labels.release == Some(number));
        let version = record.map(|record| record.version.clone());
        let version = version.or_else(|| labelled.and_then(|container| container.labels.version.clone()));
        let release = Release {
            number,
            version: version.unwrap_or_else(|| "not running".to_owned()),
            image: release_tag(key, number),
            identity: labelled.map(|container| container.labels.identity.clone()).unwrap_or_default(),
        };
        Some(AppPlan {
            implied: false,
            from: record.map(|record| record.release),
            app: key.clone(),
            release,
            replicas: 0,
            replicas_from: ReplicaSource::Default,
            verdict: Verdict::Remove,
            warnings: Vec::new(),
            on_failure: FailureAction::default(),
            before: Vec::new(),
            look: None,
            flip,
            after,
            prune: Vec::new(),
        })
    }

    /// What the compose file says of it, if it does.
    fn policies(&self, key: &AppKey) -> Option<&App> {
        self.project.apps.get(&key.app).filter(|_| key.project == self.project.name)
    }

    /// Drains what has served, or is busy since an interrupted run; then it stops and goes.
    fn ending(&self, key: &AppKey, container: &ObservedContainer, served: bool, limits: Limits) -> Vec<Planned> {
        let name = &container.name;
        let busy = self.proxy.in_flight.get(name).is_some_and(|open| !open.is_zero());
        let mut steps = Vec::new();
        if served || busy {
            let step = Step::AwaitDrained { app: key.clone(), peers: vec![name.clone()], limits };
            steps.push(Planned::new(step, "its open requests finish first"));
        }
        let because = if served { "it no longer serves" } else { "an interrupted run left it" };
        steps.extend(stop_and_remove(container, None, because));
        steps
    }

    fn tags(&self, key: &AppKey) -> BTreeMap<ReleaseNumber, String> {
        let tags = self.engine.images.iter().flat_map(|image| &image.tags);
        tags.filter_map(|tag| Some((release_of_tag(key, tag)?, tag.clone()))).collect()
    }

    /// Volumes that only these apps use. One that is not marked as the project's, or that is external, is never named.
    fn volumes_of_apps(&self, names: &BTreeSet<&AppName>) -> BTreeSet<String> {
        let goes = |container: &&ObservedContainer| {
            let labels = &container.labels;
            labels.project.as_ref() == Some(&self.project.name)
                && labels.service.as_ref().is_some_and(|service| names.contains(service))
        };
        let (going, staying): (Vec<_>, Vec<_>) = self.engine.containers.iter().partition(goes);
        let wanted = |keep: bool| {
            let apps = self.project.apps.iter().map(|(name, app)| (name, &app.service));
            let others = self.project.accessories.iter().map(|(name, accessory)| (name, &accessory.service));
            let services = apps.chain(others).filter(move |(name, _)| names.contains(name) != keep);
            services.flat_map(|(_, service)| mounted(&service.container))
        };
        let kept: BTreeSet<&str> =
            staying.iter().flat_map(|container| &container.volumes).map(String::as_str).chain(wanted(true)).collect();
        let used = going.iter().flat_map(|container| &container.volumes).map(String::as_str).chain(wanted(false));
        let project_owns = self.volumes_of_project();
        used.filter(|name| !kept.contains(name)).map(str::to_owned).filter(|name| project_owns.contains(name)).collect()
    }

    fn volumes_of_project(&self) -> BTreeSet<String> {
        let marked = self.engine.project_volumes.iter().filter(|(_, project)| **project == self.project.name);
        let named = self.project.volumes.iter().map(|volume| &volume.name);
        let named = named.filter(|name| self.engine.volumes.contains(*name));
        let all = marked.map(|(name, _)| name).chain(named);
        all.filter(|name| !self.project.external_volumes.contains(name)).cloned().collect()
    }

    /// Whether an accessory may be removed by its name: one of the file would be made again by the next deploy.
    fn may_go(&self, service: &AppName) -> bool {
        self.project.remembered
            || !(self.project.accessories.contains_key(service) || self.project.dormant.contains(service))
    }

    /// Those that nothing depends on go first; those that the compose file no longer names, before all others.
    fn accessories(&self, goes: impl Fn(&ObservedContainer) -> bool, because: &str) -> Vec<Stage> {
        let own = |container: &&ObservedContainer| {
            container.labels.role == Role::Accessory
                && container.labels.project.as_ref() == Some(&self.project.name)
                && goes(container)
        };
        let mut left: Vec<&ObservedContainer> = self.engine.containers.iter().filter(own).collect();
        let mut stages = Vec::new();
        while !left.is_empty() {
            let needed: BTreeSet<&AppName> = left.iter().flat_map(|container| self.dependencies(container)).collect();
            let is_needed = |container: &&ObservedContainer| {
                container.labels.service.as_ref().is_some_and(|service| needed.contains(service))
            };
            let (mut later, mut now): (Vec<_>, Vec<_>) = left.into_iter().partition(is_needed);
            if now.is_empty() {
                // They depend on each other; a deploy refuses that, so the file has changed since.
                now = std::mem::take(&mut later);
            }
            let lanes = now.into_iter().map(|container| stop_and_remove(container, None, because));
            stages.push(Stage::beside(lanes.collect()));
            left = later;
        }
        stages
    }

    fn dependencies<'b>(&'b self, container: &ObservedContainer) -> impl Iterator<Item = &'b AppName> + use<'b> {
        let accessory = container.labels.service.as_ref().and_then(|service| self.project.accessories.get(service));
        let depends_on = accessory.into_iter().flat_map(|accessory| &accessory.service.depends_on);
        depends_on.map(|dependency| &dependency.service)
    }

    fn networks(&self) -> Stage {
        let own = self.engine.networks.iter().filter(|network| network.project.as_ref() == Some(&self.project.name));
        let remove = |name: &String| {
            vec![Planned::new(Step::RemoveNetwork { name: name.clone() }, "it was made for this project")]
        };
        Stage::beside(own.map(|network| remove(&network.name)).collect())
    }

    /// Tags of the project besides those of its apps' releases: of accessories, in the file or not, of apps that nothing
    /// else remembers, and the names that the file gives to what it builds.
    fn other_tags(&self) -> BTreeSet<String> {
        let own = tags_of_project(&self.project.name, self.engine, self.proxy).into_iter();
        let is_release = |version: &str| version.strip_prefix('r').is_some_and(|number| number.parse::<u64>().is_ok());
        let is_ours = |version: &str| version == "accessory" || is_release(version);
        let own = own.filter(|(_, version)| is_ours(version)).map(|(tag, _)| tag.to_owned());
        let apps = self.project.apps.values().map(|app| &app.service);
        let services = apps.chain(self.project.accessories.values().map(|accessory| &accessory.service));
        let named: BTreeSet<String> = services.flat_map(names_of_build).map(|name| familiar_reference(name)).collect();
        let built = self.engine.images.iter().filter(|image| image.source.is_some()).flat_map(|image| &image.tags);
        own.chain(built.filter(|tag| named.contains(&familiar_reference(tag))).cloned()).collect()
    }

    fn check_others(&self) -> Result<(), PlanRefused> {
        let routed = self.proxy.apps.iter().filter(|(_, known)| known.record.is_some()).map(|(key, _)| key.clone());
        let labels = self.engine.containers.iter().map(|container| &container.labels);
        let present =
            labels.filter_map(|labels| Some(AppKey { project: labels.project.clone()?, app: labels.service.clone()? }));
        let others: BTreeSet<AppKey> = routed.chain(present).filter(|key| key.project != self.project.name).collect();
        if others.is_empty() {
            return Ok(());
        }
        let apps = others.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        Err(PlanRefused::ProxyServesOthers { proxy: self.project.proxy.name.to_string(), apps })
    }

    /// The container, then its network and, with `state`, its routes and history for good.
    fn proxy(&self, state: bool) -> Vec<Stage> {
        let name = &self.project.proxy.name;
        let because = "`--proxy` was asked for";
        let ending = ending(&self.project.proxy, self.engine, because);
        let mut lanes = Vec::new();
        if self.engine.network(&name.network()).is_some() {
            lanes.push(vec![Planned::new(Step::RemoveNetwork { name: name.network() }, because)]);
        }
        if state && self.engine.volumes.contains(&name.volume()) {
            lanes.push(vec![remove_volume(name.volume())]);
        }
        let certificates = certificates_ending(name, self.engine, because);
        vec![Stage::line(certificates), Stage::line(ending), Stage::beside(lanes)]
    }
}

/// A command that somebody runs beside the app ends with it.
fn is_one_off(container: &ObservedContainer, key: &AppKey) -> bool {
    let labels = &container.labels;
    labels.role == Role::OneOff
        && labels.project.as_ref() == Some(&key.project)
        && labels.service.as_ref() == Some(&key.app)
}

fn mounted(spec: &ContainerSpec) -> impl Iterator<Item = &str> {
    spec.mounts.iter().filter_map(|mount| match &mount.source {
        MountSource::Volume(name) => Some(name.as_str()),
        MountSource::Bind(_) | MountSource::Image(_) | MountSource::Anonymous => None,
    })
}

fn remove_volume(name: String) -> Planned {
    Planned::new(Step::RemoveVolume { name }, "`--volumes` was asked for")
}

fn accessory_tag(project: &ProjectName, service: &AppName) -> String {
    format!("deploy-apps/{project}-{}:accessory", service.as_str().to_lowercase())
}

fn names_of_build(service: &Service) -> &[String] {
    match &service.image {
        ImageSource::Build(build) => &build.tags,
        ImageSource::Pull { .. } => &[],
    }
}

fn untagged(planned: &Planned) -> Option<&String> {
    match &planned.step {
        Step::UntagImage { tag } => Some(tag),
        _ => None,
    }
}

fn untag(tag: String) -> Planned {
    Planned::new(Step::UntagImage { tag }, "`--images` was asked for")
}
