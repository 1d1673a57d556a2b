//! Which part of a run waits for which: what a service depends on is ready before its containers start and before it
//! flips, whoever was named. What does not depend on each other runs beside each other.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::AppPlan;
use super::refusal::PlanRefused;
use super::stage::Planned;
use super::step::Step;
use crate::model::{AppName, Condition, Dependency, Project};

/// A service that has a part in the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub name: AppName,
    /// It was asked for itself; else it is an accessory that comes because others depend on it.
    pub named: bool,
    /// The strictest one that others of the run ask of it; `None`: nobody depends on it.
    pub condition: Option<Condition>,
    /// The parts that it waits for, also those behind an app that has no part.
    pub after: Vec<AppName>,
}

/// The parts of a run of `names`, each after those that it depends on; else in the order of the names, accessories
/// first.
///
/// # Errors
/// When a service depends on itself, or on the end of one that is kept running.
pub(super) fn parts(project: &Project, names: &[AppName]) -> Result<Vec<Part>, PlanRefused> {
    let taking = taking_part(project, names);
    let mut walk = Walk { project, taking: &taking, path: Vec::new(), before: BTreeMap::new(), order: Vec::new() };
    let (accessories, apps): (Vec<_>, Vec<_>) = names.iter().partition(|name| project.accessories.contains_key(*name));
    for name in accessories.into_iter().chain(apps) {
        walk.visit(name)?;
    }
    let Walk { order, before, .. } = walk;
    let conditions = conditions(project, &taking)?;
    let part = |name: AppName| Part {
        named: names.contains(&name),
        condition: conditions.get(&name).copied(),
        after: before.get(&name).into_iter().flatten().cloned().collect(),
        name,
    };
    Ok(order.into_iter().map(part).collect())
}

fn dependencies<'a>(project: &'a Project, name: &AppName) -> &'a [Dependency] {
    project.service(name).map_or(&[], |service| &service.depends_on)
}

/// Those that were named, and the accessories behind them. An app that another app depends on is deployed by its own
/// name, never as a side effect, and neither is what only that one needs.
fn taking_part(project: &Project, names: &[AppName]) -> BTreeSet<AppName> {
    let mut taking: BTreeSet<AppName> = BTreeSet::new();
    let mut open: Vec<&AppName> = names.iter().filter(|name| project.service(name).is_some()).collect();
    while let Some(name) = open.pop() {
        if taking.insert(name.clone()) {
            let next = dependencies(project, name).iter().map(|dependency| &dependency.service);
            open.extend(next.filter(|name| project.accessories.contains_key(*name)));
        }
    }
    taking
}

/// What is asked of each part by those who depend on it.
fn conditions(project: &Project, taking: &BTreeSet<AppName>) -> Result<BTreeMap<AppName, Condition>, PlanRefused> {
    let mut conditions = BTreeMap::new();
    for service in taking {
        for Dependency { service: other, condition } in dependencies(project, service) {
            if *condition == Condition::CompletedSuccessfully && project.apps.contains_key(other) {
                return Err(PlanRefused::NeverCompletes { service: service.clone(), app: other.clone() });
            }
            if taking.contains(other) {
                let strictest = conditions.entry(other.clone()).or_insert(*condition);
                *strictest = (*strictest).max(*condition);
            }
        }
    }
    Ok(conditions)
}

/// Depth first, so that each comes after what it depends on.
struct Walk<'a> {
    project: &'a Project,
    taking: &'a BTreeSet<AppName>,
    path: Vec<AppName>,
    /// Of each service that was walked through: the nearest parts before it.
    before: BTreeMap<AppName, BTreeSet<AppName>>,
    order: Vec<AppName>,
}

impl Walk<'_> {
    fn visit(&mut self, name: &AppName) -> Result<(), PlanRefused> {
        if self.before.contains_key(name) {
            return Ok(());
        }
        if let Some(begin) = self.path.iter().position(|other| other == name) {
            let circle = self.path[begin + 1..].iter().chain([name]);
            let through: Vec<String> = circle.map(|name| format!("`{name}`")).collect();
            return Err(PlanRefused::DependencyCycle { service: name.clone(), through: through.join(", ") });
        }
        self.path.push(name.clone());
        let mut before = BTreeSet::new();
        for Dependency { service: next, .. } in dependencies(self.project, name) {
            self.visit(next)?;
            if self.taking.contains(next) {
                before.insert(next.clone());
            } else {
                before.extend(self.before.get(next).into_iter().flatten().cloned());
            }
        }
        self.path.pop();
        self.before.insert(name.clone(), before);
        if self.taking.contains(name) {
            self.order.push(name.clone());
        }
        Ok(())
    }
}

/// The step that waits for those of `after` that have something to do first. `plans` are those of earlier parts.
pub(super) fn wait_for(part: &Part, plans: &[AppPlan]) -> Option<Planned> {
    let has_work = |name: &&AppName| plans.iter().any(|plan| plan.app.app == **name && plan.has_work_before_ready());
    let services: Vec<AppName> = part.after.iter().filter(has_work).cloned().collect();
    let because = format!("`{}` depends on {}", part.name, if services.len() == 1 { "it" } else { "them" });
    (!services.is_empty()).then(|| Planned::new(Step::AwaitServices { services }, because))
}
