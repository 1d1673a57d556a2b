//! What can be repaired without a decision: dead replicas start, leftovers that nobody uses go.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::app_diff::is_ahead;
use super::hooks::pre_stop;
use super::stage::{Planned, Stage};
use super::step::{Gate, Step};
use crate::model::{AppKey, Condition, ContainerState, ObservedEngine, ObservedProxy, Role};

/// A replica that is up again stays up this long before it counts as repaired.
const SETTLE: Duration = Duration::from_secs(1);
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Per app, what a repair does for it. Its lease must be held: what a deploy works on looks the same.
#[must_use]
pub fn plan_repair(engine: &ObservedEngine, proxy: &ObservedProxy) -> BTreeMap<AppKey, Vec<Stage>> {
    let mut lanes: BTreeMap<AppKey, Vec<Vec<Planned>>> = BTreeMap::new();
    let records = proxy.apps.iter().filter_map(|(key, known)| Some((key, known.record.as_ref()?)));
    let mut named: BTreeSet<&str> = BTreeSet::new();
    // A stop-first deploy was killed while requests were held: only the next deploy knows what is to serve.
    let mut held: BTreeSet<&AppKey> = BTreeSet::new();
    for (key, record) in records {
        if record.peers.is_empty() && record.hold_ms > 0 {
            held.insert(key);
        }
        for peer in &record.peers {
            named.insert(&peer.id);
            let Some(container) = engine.container(&peer.id) else { continue };
            if matches!(container.state, ContainerState::Created | ContainerState::Exited { .. }) {
                let name = container.name.clone();
                let because = "the proxy routes to it and it is not running";
                let gate = Gate::Engine { condition: Condition::Started, timeout: START_TIMEOUT, monitor: SETTLE };
                lanes.entry(key.clone()).or_default().push(vec![
                    Planned::new(Step::StartContainer { name: name.clone() }, because),
                    Planned::new(Step::AwaitHealthy { name, gate }, because),
                ]);
            }
        }
    }
    for container in &engine.containers {
        let labels = &container.labels;
        let (Some(project), Some(app)) = (&labels.project, &labels.service) else { continue };
        let key = AppKey { project: project.clone(), app: app.clone() };
        let busy = proxy.in_flight.get(&container.name).is_some_and(|open| !open.is_zero());
        let is_left = matches!(labels.role, Role::Replica | Role::ReleaseCommand)
            && !named.contains(container.name.as_str())
            && !held.contains(&key)
            // Older than what runs, the proxy's state does not say what is left over: the next deploy replaces it.
            && !is_ahead(container, proxy.apps.get(&key))
            && !busy;
        if !is_left {
            continue;
        }
        let name = container.name.clone();
        let because = "an interrupted run left it, and the proxy does not route to it";
        let stop = Step::StopContainer { name: name.clone(), signal: None, grace: None, restart: None };
        let end = [Planned::new(stop, because), Planned::new(Step::RemoveContainer { name }, because)];
        lanes.entry(key).or_default().push(pre_stop(container).chain(end).collect());
    }
    lanes.into_iter().map(|(key, lanes)| (key, vec![Stage::beside(lanes)])).collect()
}
