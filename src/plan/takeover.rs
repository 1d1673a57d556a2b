//! What docker compose runs of a project, and how a first deploy takes it over.
//!
//! Databases and other accessories stay as they are: they are known by compose's labels. Of an app, the container of compose
//! goes when the new version serves. Where that container holds the port that the proxy is to have, the proxy begins without
//! it: the new version is seen healthy and flipped in beside the old one, and the port changes hands at the very end.

use super::accessories::CONDITION_TIMEOUT;
use super::plan::{AppPlan, Verdict};
use super::proxy::{interim_spec, is_interim, proxy_swap};
use super::proxy_image::ProxyImage;
use super::refusal::PlanRefused;
use super::stage::{Planned, Stage, numbered};
use super::step::{Gate, RestartSpec, Step};
use crate::model::{
    App, AppName, ComposeContainer, Condition, ContainerState, ObservedContainer, ObservedEngine, ObservedState, Order,
    Project, ProxySpec, Role,
};
use std::time::Duration;

const BECAUSE: &str = "docker compose made it, and the new version is in its place";

/// Containers of compose that stand for apps of the project and hold the port that its proxy is to have.
#[must_use]
pub fn port_holders<'a>(project: &Project, engine: &'a ObservedEngine) -> Vec<&'a ComposeContainer> {
    let is_apps = |one: &&ComposeContainer| project.apps.keys().any(|app| one.is_of(&project.name, app));
    let holds = |one: &&ComposeContainer| one.ports.contains(&project.proxy.http_port);
    engine.composed.iter().filter(is_apps).filter(holds).collect()
}

/// The proxy as it begins while compose still holds its port: reachable from nowhere but the engine's own host, at a port
/// that the engine chooses. `None` when the port is not held so, or the proxy has it.
#[must_use]
pub fn interim(project: &Project, image: &ProxyImage, engine: &ObservedEngine) -> Option<ProxySpec> {
    let proxy = engine.container(&project.proxy.name.container());
    // One with the port that does not run was made for the hand-over by a run that was killed then.
    let waits =
        |proxy: &ObservedContainer| !matches!(proxy.state, ContainerState::Running | ContainerState::Restarting);
    let begins = proxy.is_none_or(|proxy| waits(proxy) || is_interim(proxy, &project.proxy, image, engine));
    (begins && !port_holders(project, engine).is_empty()).then(|| interim_spec(&project.proxy))
}

/// Whether the proxy runs without its port, as a takeover began it.
#[must_use]
pub fn is_begun(project: &Project, image: &ProxyImage, engine: &ObservedEngine) -> bool {
    let proxy = engine.container(&project.proxy.name.container());
    proxy.is_some_and(|proxy| is_interim(proxy, &project.proxy, image, engine))
}

/// The port's way from compose's containers to the proxy. What takes time is done before the old container stops, and it
/// comes back when the proxy cannot have the port.
///
/// # Errors
/// When the proxy's network is not one of ours.
pub fn plan_hand_over(
    project: &Project,
    image: &ProxyImage,
    engine: &ObservedEngine,
) -> Result<Vec<Stage>, PlanRefused> {
    let (made, started) = proxy_swap(&project.proxy, image, engine)?;
    let holders = port_holders(project, engine);
    let stops = holders.iter().map(|holder| stop(holder, true, "the proxy takes over its port")).collect();
    let removals = holders.iter().map(|holder| remove(holder)).collect();
    let stages = [made, stops, started, removals].map(Stage::line);
    Ok(numbered(stages.into_iter().filter(|stage| !stage.is_empty()).collect()))
}

/// What docker compose runs of the project, and what becomes of it.
#[must_use]
pub fn compose_lines(project: &Project, engine: &ObservedEngine) -> Vec<String> {
    let line = |one: &ComposeContainer| {
        let service: &AppName = one.container.labels.service.as_ref()?;
        if !one.is_of(&project.name, service) {
            return None;
        }
        let name = &one.container.name;
        if project.apps.contains_key(service) {
            return Some(format!("`{name}` was made by docker compose; a deploy of `{service}` takes over from it"));
        }
        let known = project.accessories.contains_key(service);
        known.then(|| format!("`{name}` was made by docker compose; it stays as accessory `{service}`"))
    };
    engine.composed.iter().filter_map(line).collect()
}

fn stop(composed: &ComposeContainer, comes_back: bool, because: &str) -> Planned {
    let gate = Gate::Engine { condition: Condition::Started, timeout: CONDITION_TIMEOUT, monitor: Duration::ZERO };
    let step = Step::StopContainer {
        name: composed.container.name.clone(),
        signal: None,
        grace: None,
        restart: comes_back.then(|| RestartSpec { gate, post_start: Vec::new() }),
    };
    Planned::new(step, because)
}

fn remove(composed: &ComposeContainer) -> Planned {
    Planned::new(Step::RemoveContainer { name: composed.container.name.clone() }, BECAUSE)
}

fn runs(composed: &ComposeContainer) -> bool {
    matches!(composed.container.state, ContainerState::Running | ContainerState::Restarting | ContainerState::Paused)
}

/// Adds to an app's plan what becomes of the containers that compose runs of it.
pub(super) fn take_over(plan: &mut AppPlan, project: &Project, app: &App, observed: &ObservedState) {
    let of_app: Vec<&ComposeContainer> =
        observed.engine.composed.iter().filter(|one| one.is_of(&project.name, &app.service.name)).collect();
    if of_app.is_empty() || plan.replicas == 0 {
        return;
    }
    let port = project.proxy.http_port;
    let first = plan.before.iter().position(makes_replica);
    let one_writer = app.rollout.order == Order::StopFirst && plan.verdict == Verdict::Deploy;
    let mut after = Vec::new();
    for composed in of_app {
        let name = &composed.container.name;
        let elsewhere = composed.ports.iter().find(|held| **held != port);
        match (first, runs(composed)) {
            (Some(at), true) if one_writer => {
                let step = stop(composed, true, "two of it must not write at once");
                plan.before.insert(at, Stage::line(vec![step]));
                after.push(remove(composed));
            }
            // The very end of the run is its turn: see `plan_hand_over`.
            (_, true) if app.port.is_some() && composed.ports.contains(&port) => {
                plan.warnings.push(format!(
                    "`{name}`, which docker compose made, serves port {port} until the new version is flipped in; then the proxy takes the port over"
                ));
            }
            (_, true) if app.port.is_some() => {
                let where_from = match elsewhere {
                    Some(held) => format!("serves port {held}"),
                    None => "serves other services".to_owned(),
                };
                plan.warnings.push(format!(
                    "`{name}`, which docker compose made, still {where_from} and is left; `docker rm -f {name}` ends it when nobody uses it any more"
                ));
            }
            (_, true) => after.extend([stop(composed, false, BECAUSE), remove(composed)]),
            (_, false) => after.push(remove(composed)),
        }
    }
    if !after.is_empty() {
        plan.after.push(Stage::line(after));
    }
}

/// Whether it makes a container of the new release.
fn makes_replica(stage: &Stage) -> bool {
    stage.steps().any(|planned| matches!(&planned.step, Step::CreateContainer(new) if new.labels.role == Role::Replica))
}
