//! Names join with `-`: two services of different projects may come to one name on the engine.

use std::collections::BTreeSet;

use super::refusal::PlanRefused;
use crate::model::{AppKey, AppName, ObservedState, Project};

/// What the names of a service's containers and images begin with. Names of images have no capitals.
fn joined(key: &AppKey) -> String {
    format!("{}-{}", key.project, key.app).to_lowercase()
}

/// Refuses a service whose containers and images would have the names of another one's: `shop`/`web-api` and
/// `shop-web`/`api`. One of them would run, tag or prune what is the other's.
pub(super) fn check_names(project: &Project, names: &[AppName], observed: &ObservedState) -> Result<(), PlanRefused> {
    let labels = observed.engine.containers.iter().map(|container| &container.labels);
    let on_engine = labels.filter_map(|labels| Some((labels.project.clone()?, labels.service.clone()?)));
    let on_engine = on_engine.map(|(project, app)| AppKey { project, app });
    let recorded = observed.proxy.apps.iter().filter(|(_, known)| known.record.is_some()).map(|(key, _)| key.clone());
    let in_file = project.apps.keys().chain(project.accessories.keys()).map(|name| project.key(name));
    let others: BTreeSet<AppKey> = on_engine.chain(recorded).chain(in_file).collect();
    for name in names {
        let app = project.key(name);
        let same = joined(&app);
        if let Some(other) = others.iter().find(|other| **other != app && joined(other) == same) {
            return Err(PlanRefused::NameClash { other: other.clone(), app, name: same });
        }
    }
    Ok(())
}
