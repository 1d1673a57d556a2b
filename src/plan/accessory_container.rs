//! Which container stands for an accessory.

use crate::model::{AppName, ContainerState, ObservedContainer, ObservedState, Project, Role, Service, identity};

pub(super) fn is_of(container: &ObservedContainer, project: &Project, service: &AppName) -> bool {
    let labels = &container.labels;
    labels.role == Role::Accessory
        && labels.project.as_ref() == Some(&project.name)
        && labels.service.as_ref() == Some(service)
}

/// What its container bears as its identity when it is made as the compose file says.
pub(super) fn wanted_identity(service: &Service, observed: &ObservedState) -> String {
    let image = observed.images.get(&service.name).map_or("", |image| image.identity());
    identity(image, &service.container)
}

/// The container that stands for the accessory: after an interrupted replacement there may be two.
pub(super) fn standing<'a>(
    project: &Project,
    service: &Service,
    observed: &'a ObservedState,
) -> Option<&'a ObservedContainer> {
    let wanted = wanted_identity(service, observed);
    let own = observed.engine.containers.iter().filter(|container| is_of(container, project, &service.name));
    // One that docker compose made has the same data, and others on its network know it by the same name.
    let composed = observed.engine.composed.iter().filter(|one| one.is_of(&project.name, &service.name));
    own.chain(composed.map(|one| &one.container)).max_by_key(|container| {
        let runs = matches!(container.state, ContainerState::Running | ContainerState::Restarting);
        (runs, container.labels.identity == wanted, std::cmp::Reverse(&container.name))
    })
}
