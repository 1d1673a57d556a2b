//! The planner: whatever is found and desired, its plan keeps the laws, or it says why there is none.

use std::collections::BTreeSet;

use deploy_apps::model::{AppName, ObservedState, Project, ReleaseNumber, Role};
use deploy_apps::plan::{
    AppPlan, DeployOptions, DownOptions, Intent, Plan, RemoveOptions, Stage, Step, check_laws, plan_deploy, plan_down,
    plan_prune, plan_remove, plan_repair,
};

use super::choices::Choices;
use super::world::{observed, project};

pub fn plan(data: &[u8]) {
    let choices = &mut Choices::new(data);
    let desired = choices.byte();
    let project = project(choices);
    let observed = observed(choices, &project);
    match desired % 6 {
        0..=2 => deploys(choices, &project, &observed, desired % 3),
        3 => removes(choices, &project, &observed),
        4 => prunes(choices, &project, &observed),
        _ => repairs(&observed),
    }
}

fn deploys(choices: &mut Choices<'_>, project: &Project, observed: &ObservedState, intent: u8) {
    let mut names: Vec<AppName> = project.apps.keys().cloned().collect();
    names.truncate(1 + choices.below(2) as usize);
    let intent = match intent {
        0 => Intent::Deploy,
        1 => Intent::Scale(names.iter().map(|name| (name.clone(), choices.below(5))).collect()),
        _ => {
            let to = names
                .iter()
                .filter_map(|name| Some((name.clone(), choices.maybe(|choices| ReleaseNumber(choices.below(6)))?)));
            Intent::Rollback { to: to.collect(), release_command: false }
        }
    };
    let options = DeployOptions {
        force: choices.seldom(),
        atomic: choices.seldom(),
        keep: choices.maybe(|choices| choices.below(4)),
        intent,
        ..DeployOptions::default()
    };
    let plan = plan_deploy(project, &names, observed, &options);
    assert_eq!(plan, plan_deploy(project, &names, observed, &options), "the same world is planned for in two ways");
    let plan = match plan {
        Ok(plan) => plan,
        Err(refused) => {
            // What a file asks for can always be had here; what was kept, or all in one call, perhaps not.
            assert!(options.atomic || options.intent != Intent::Deploy, "refused: {refused}");
            return;
        }
    };
    keeps_the_laws(&plan, project, observed);
    for app in &plan.apps {
        takes_what_is_free(app, observed, &plan);
        leaves_what_serves_and_nothing_else(app, observed, &plan);
    }
}

fn keeps_the_laws(plan: &Plan, project: &Project, observed: &ObservedState) {
    assert_eq!(check_laws(plan, project, observed), Vec::new(), "{plan}{observed:#?}");
}

/// Names and addresses of new containers are nobody else's. The name of one that never served is free when it has gone.
fn takes_what_is_free(app: &AppPlan, observed: &ObservedState, plan: &Plan) {
    let mut names: BTreeSet<&str> = observed.engine.containers.iter().map(|found| found.name.as_str()).collect();
    let mut addresses: BTreeSet<_> = observed.engine.containers.iter().filter_map(|found| found.address).collect();
    for planned in app.steps() {
        match &planned.step {
            Step::RemoveContainer { name } => drop(names.remove(name.as_str())),
            Step::CreateContainer(new) => {
                assert!(names.insert(&new.name), "`{}` is taken\n{plan}", new.name);
                let open = observed.proxy.in_flight.get(&new.name);
                assert!(open.is_none_or(|open| open.is_zero()), "`{}` still counts requests\n{plan}", new.name);
                for address in new.spec.networks.iter().filter_map(|network| network.address) {
                    assert!(addresses.insert(address), "{address} is given twice\n{plan}");
                }
            }
            _ => {}
        }
    }
}

/// Everything of the app that shall not serve goes, and nothing that shall.
fn leaves_what_serves_and_nothing_else(app: &AppPlan, observed: &ObservedState, plan: &Plan) {
    let flipped = app.flip.as_ref().and_then(|flip| match &flip.step {
        Step::Flip { changes } => changes.iter().find(|change| change.app == app.app)?.record.clone(),
        _ => None,
    });
    let serving = flipped.or_else(|| observed.proxy.apps.get(&app.app)?.record.clone());
    let gone = removed(app.steps().map(|planned| &planned.step));
    for container in &observed.engine.containers {
        let labels = &container.labels;
        let own = labels.service.as_ref() == Some(&app.app.app) && labels.role != Role::Accessory;
        // What is left of an interrupted run may lend its name to its successor.
        let again = || {
            app.steps().any(|planned| matches!(&planned.step, Step::CreateContainer(new) if new.name == container.name))
        };
        if own && !again() {
            let serves = serving.as_ref().is_some_and(|record| record.serves(&container.name));
            let goes = gone.contains(container.name.as_str());
            assert!(goes != serves, "`{}` goes: {goes}, serves: {serves}\n{plan}", container.name);
        }
    }
}

fn removed<'a>(steps: impl Iterator<Item = &'a Step>) -> BTreeSet<&'a str> {
    let names = steps.filter_map(|step| match step {
        Step::RemoveContainer { name } => Some(name.as_str()),
        _ => None,
    });
    names.collect()
}

fn removes(choices: &mut Choices<'_>, project: &Project, observed: &ObservedState) {
    let options = RemoveOptions { volumes: choices.seldom(), images: choices.seldom() };
    let names: Vec<AppName> = project.apps.keys().cloned().collect();
    let (engine, proxy) = (&observed.engine, &observed.proxy);
    let removal = if choices.below(2) == 0 {
        plan_remove(project, &names, engine, proxy, options)
    } else {
        let options = DownOptions { remove: options, proxy: choices.seldom() };
        match plan_down(project, engine, proxy, options) {
            Ok(removal) => removal,
            Err(refused) => return assert!(!refused.to_string().is_empty()),
        }
    };
    let plan = Plan { atomic: false, shared: Vec::new(), apps: removal.apps.clone() };
    keeps_the_laws(&plan, project, observed);
    let gone = removed(removal.apps.iter().flat_map(AppPlan::steps).map(|planned| &planned.step));
    for container in &engine.containers {
        let labels = &container.labels;
        let named = labels.service.as_ref().is_some_and(|service| names.contains(service));
        if named && labels.role != Role::Accessory {
            assert!(gone.contains(container.name.as_str()), "`{}` stays\n{removal}", container.name);
        }
    }
}

fn prunes(choices: &mut Choices<'_>, project: &Project, observed: &ObservedState) {
    let keep = choices.below(5);
    for name in project.apps.keys() {
        let app = project.key(name);
        let pruning = plan_prune(&app, &observed.engine, &observed.proxy, keep);
        let record = observed.proxy.apps.get(&app).and_then(|known| known.record.as_ref());
        for container in removed(steps(&pruning.stages)) {
            assert!(!record.is_some_and(|record| record.serves(container)), "`{container}` serves\n{pruning:#?}");
            let state = observed.engine.container(container).map(|container| container.state);
            assert!(
                !state.is_some_and(|state| state == deploy_apps::model::ContainerState::Running),
                "`{container}` runs"
            );
        }
        let peers = record.iter().flat_map(|record| &record.peers).map(|peer| peer.release);
        for release in peers.chain(record.map(|record| record.release)) {
            let tag = deploy_apps::plan::release_tag(&app, release);
            let goes =
                steps(&pruning.stages).any(|step| matches!(step, Step::UntagImage { tag: going } if *going == tag));
            assert!(!goes, "the image of {release} goes while it serves\n{pruning:#?}");
        }
        assert!(pruning.kept.len() <= keep as usize, "{} are kept\n{pruning:#?}", pruning.kept.len());
    }
}

/// A repair needs no decision, so it neither stops nor removes what serves.
fn repairs(observed: &ObservedState) {
    let repair = plan_repair(&observed.engine, &observed.proxy);
    let records: Vec<_> = observed.proxy.apps.values().filter_map(|known| known.record.as_ref()).collect();
    for step in repair.values().flat_map(|stages| steps(stages)) {
        if let Step::StopContainer { name, .. } | Step::RemoveContainer { name } = step {
            assert!(!records.iter().any(|record| record.serves(name)), "`{name}` serves\n{repair:#?}");
            let busy = observed.proxy.in_flight.get(name).is_some_and(|open| !open.is_zero());
            assert!(!busy, "`{name}` has open requests\n{repair:#?}");
        }
    }
}

fn steps(stages: &[Stage]) -> impl Iterator<Item = &Step> {
    stages.iter().flat_map(Stage::steps).map(|planned| &planned.step)
}
