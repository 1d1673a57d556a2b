//! Orphans: what a project has on the host and its compose file does not have any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    AppName, ObservedContainer, ObservedEngine, ObservedProxy, Orphan, OrphanKind, Project, ProjectName, Role,
};

/// The apps of a project that are routed or have containers, whatever its compose file says.
#[must_use]
pub fn deployed_apps(project: &ProjectName, engine: &ObservedEngine, proxy: &ObservedProxy) -> BTreeSet<AppName> {
    let routed = proxy.apps.iter().filter(|(key, known)| key.project == *project && known.record.is_some());
    let routed = routed.map(|(key, _)| key.app.clone());
    let labels = engine.containers.iter().map(|container| &container.labels);
    let own = labels.filter(|labels| {
        matches!(labels.role, Role::Replica | Role::ReleaseCommand | Role::OneOff)
            && labels.project.as_ref() == Some(project)
    });
    routed.chain(own.filter_map(|labels| labels.service.clone())).collect()
}

/// Every orphan of the project, apps first. Without a compose file there are none: nobody says what should be there.
#[must_use]
pub fn orphans(project: &Project, engine: &ObservedEngine, proxy: &ObservedProxy) -> Vec<Orphan> {
    if project.remembered {
        return Vec::new();
    }
    let is_in_file = |name: &AppName| project.service(name).is_some() || project.dormant.contains(name);
    let own = engine.containers.iter().filter(|container| container.labels.project.as_ref() == Some(&project.name));
    let own: Vec<&ObservedContainer> = own.collect();
    let orphan = |kind: OrphanKind, service: AppName| {
        let is_of = |container: &&&ObservedContainer| {
            let is_accessory = container.labels.role == Role::Accessory;
            container.labels.service.as_ref() == Some(&service) && is_accessory == (kind == OrphanKind::Accessory)
        };
        let mut containers: Vec<String> = own.iter().filter(is_of).map(|container| container.name.clone()).collect();
        containers.sort();
        Orphan { service, kind, containers }
    };
    let apps = deployed_apps(&project.name, engine, proxy).into_iter().map(|name| (OrphanKind::App, name));
    let accessories = accessories_on_host(&project.name, engine).into_iter();
    let all = apps.chain(accessories.map(|name| (OrphanKind::Accessory, name.clone())));
    all.filter(|(_, name)| !is_in_file(name)).map(|(kind, name)| orphan(kind, name)).collect()
}

/// The same for a run that is about everything in the file; one that names its apps is not about the others.
#[must_use]
pub fn orphans_of_run(
    project: &Project,
    named: &[AppName],
    engine: &ObservedEngine,
    proxy: &ObservedProxy,
) -> Vec<Orphan> {
    let mut services = project.apps.keys().chain(project.accessories.keys());
    if services.all(|name| named.contains(name)) { orphans(project, engine, proxy) } else { Vec::new() }
}

/// The accessories of a project that have containers.
#[must_use]
pub fn accessories_on_host<'a>(project: &ProjectName, engine: &'a ObservedEngine) -> BTreeSet<&'a AppName> {
    let labels = engine.containers.iter().map(|container| &container.labels);
    let own = labels.filter(|labels| labels.role == Role::Accessory && labels.project.as_ref() == Some(project));
    own.filter_map(|labels| labels.service.as_ref()).collect()
}

/// The tags of a project's images, by what stands behind the colon. Where the name of another project that is known here
/// begins with this one's, the longer name is the owner.
pub(super) fn tags_of_project<'a>(
    project: &ProjectName,
    engine: &'a ObservedEngine,
    proxy: &ObservedProxy,
) -> BTreeMap<&'a str, &'a str> {
    let labelled = engine.containers.iter().filter_map(|container| container.labels.project.as_ref());
    let projects = proxy.apps.keys().map(|key| &key.project).chain(labelled);
    let longer =
        |other: &&ProjectName| other.as_str().strip_prefix(project.as_str()).is_some_and(|rest| rest.starts_with('-'));
    let others: BTreeSet<String> = projects.filter(longer).map(|other| format!("deploy-apps/{other}-")).collect();
    let own = format!("deploy-apps/{project}-");
    let tags = engine.images.iter().flat_map(|image| &image.tags);
    let is_own = |tag: &&String| tag.starts_with(&own) && !others.iter().any(|other| tag.starts_with(other));
    tags.filter(is_own).filter_map(|tag| Some((tag.as_str(), tag.rsplit_once(':')?.1))).collect()
}
