//! Whether the routes that a run asks for are free once it has ended.

use std::collections::BTreeMap;

use super::refusal::PlanRefused;
use crate::model::{AppKey, AppName, ObservedState, Project, Route};

/// The routes as they are after the run.
pub(super) struct RoutesAfter<'a> {
    project: &'a Project,
    observed: &'a ObservedState,
    /// Apps whose records change in the same flip as everything else of the run, with their new routes.
    together: BTreeMap<AppKey, Vec<Route>>,
    /// Apps that leave the proxy in the flip of their successor, and that successor.
    replaced: BTreeMap<AppKey, AppKey>,
}

impl<'a> RoutesAfter<'a> {
    pub(super) fn new(project: &'a Project, observed: &'a ObservedState, names: &[AppName]) -> Self {
        let apps = names.iter().filter_map(|name| project.apps.get(name));
        let replaced = apps.filter_map(|app| Some((app.replaces.clone()?, project.key(&app.service.name)))).collect();
        Self { project, observed, together: BTreeMap::new(), replaced }
    }

    /// All of these apps flip in one call.
    pub(super) fn flip_together<'g>(&mut self, apps: impl Iterator<Item = (&'g AppName, &'g [Route])>) {
        self.together = apps.map(|(name, routes)| (self.project.key(name), routes.to_vec())).collect();
    }

    /// The proxy refuses a route that another app has, and a new one within that of another project; so does the plan,
    /// before anything is built.
    pub(super) fn check(&self, name: &AppName, routes: &[Route]) -> Result<(), PlanRefused> {
        let key = self.project.key(name);
        let own = self.observed.proxy.apps.get(&key).and_then(|known| known.record.as_ref());
        let is_new = |wanted: &&Route| !own.iter().flat_map(|own| &own.routes).any(|had| same(had, wanted));
        for (other, known) in self.observed.proxy.apps.iter().filter(|(other, _)| **other != key) {
            let Some(record) = &known.record else { continue };
            if self.replaced.get(other) == Some(&key) {
                continue;
            }
            let after = self.together.get(other).unwrap_or(&record.routes);
            if let Some(route) = after.iter().find(|route| routes.iter().any(|wanted| same(wanted, route))) {
                return Err(self.taken(key, other, route));
            }
            for route in after.iter().filter(|_| other.project != key.project) {
                if let Some(wanted) = routes.iter().filter(is_new).find(|wanted| wanted.takes_from(route)) {
                    let (wanted, route) = (wanted.to_string(), route.to_string());
                    return Err(PlanRefused::RouteOfOthers { app: key, other: other.clone(), wanted, route });
                }
            }
        }
        Ok(())
    }

    /// Who has it may be about to give it up: then both can flip in one call, or one can replace the other.
    fn taken(&self, app: AppKey, other: &AppKey, route: &Route) -> PlanRefused {
        let (other, route) = (other.clone(), route.to_string());
        if other.project != self.project.name {
            return PlanRefused::RouteTaken { app, other, route };
        }
        match self.project.apps.get(&other.app) {
            None => PlanRefused::RouteOfRemovedApp { app, other, route },
            Some(there) if !there.routes.iter().any(|still| still.to_string() == route) => {
                PlanRefused::RouteChangesHands { app, other, route }
            }
            Some(_) => PlanRefused::RouteTaken { app, other, route },
        }
    }
}

fn same(one: &Route, other: &Route) -> bool {
    one.host == other.host && one.path == other.path
}
