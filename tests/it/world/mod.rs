//! A container host in memory: an engine and a proxy that remember, and that judge what is done to them.

mod behaviour;
mod client;
mod containers;
mod engine;
mod fault;
mod laws;
mod proxy;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deploy_apps::model::{AppKey, AppRecord, ContainerState, Order, Project, ReplicaCount};
use tokio::sync::Notify;

pub use behaviour::{Behaviour, HookEnd};
pub use client::Client;
pub use fault::{Call, Error, Fault, Faults, Port};
pub use proxy::NOW_MS;
pub use state::{Container, Desired, Open, State};

/// Shared by all clients; what one does, the others see.
pub struct World {
    state: Mutex<State>,
    /// Wakes whoever waits for a change.
    changed: Notify,
}

impl World {
    pub fn new() -> Arc<Self> {
        Self::of(State::default())
    }

    fn of(state: State) -> Arc<Self> {
        Arc::new(Self { state: Mutex::new(state), changed: Notify::new() })
    }

    /// A world of its own that begins as this one is now. Nobody holds a lease in it.
    pub fn fork(&self) -> Arc<Self> {
        let mut state = self.state().clone();
        state.leases.clear();
        Self::of(state)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes whoever waits.
    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_waiters();
        result
    }

    /// Containers whose name contains `part` behave like this from their next start on. The latest word counts.
    pub fn script(&self, part: &str, behaviour: Behaviour) {
        self.state().scripts.push((part.to_owned(), behaviour));
    }

    /// A new version of an app's source.
    pub fn edit(&self, app: &str) {
        *self.state().sources.entry(app.to_owned()).or_default() += 1;
    }

    /// Whenever a peer of any app leaves its record, these are open on it.
    pub fn load(&self, requests: &[Duration], websockets: &[Duration]) {
        let mut state = self.state();
        state.load_requests = requests.to_vec();
        state.load_websockets = websockets.to_vec();
    }

    /// Somebody else deploys an app.
    pub fn hold(&self, app: &str) {
        self.state().leases.insert(app.parse().expect("an app's key"), 0);
    }

    /// Ends a container from within.
    pub fn kill(&self, container: &str) {
        let now = tokio::time::Instant::now();
        self.change(|state| state.containers.get_mut(container).expect("a container to kill").ends = Some((now, 137)));
    }

    /// A registry gives another image for `reference` from now on.
    pub fn publish(&self, reference: &str) {
        let mut state = self.state();
        let count = state.published.entry(reference.to_owned()).or_default();
        *count += 1;
        let id = engine::image_id(&format!("{reference}@{count}"));
        state.registry.insert(reference.to_owned(), id);
    }

    /// Opens a request on a container right now.
    pub fn open(&self, container: &str, websocket: bool, lasts: Duration) {
        let ends = tokio::time::Instant::now() + lasts;
        self.state().open.push(Open { peer: container.to_owned(), websocket, ends });
    }

    /// What the laws are judged by: the desired state, and whether an app is deployed for the first time.
    pub fn expect(&self, project: &Project) {
        let mut state = self.state();
        state.going.clear();
        state.named = None;
        let apps = project.apps.iter().map(|(name, app)| (name, &app.service));
        let services = apps.chain(project.accessories.iter().map(|(name, accessory)| (name, &accessory.service)));
        state.depends = services.map(|(name, service)| (name.clone(), service.depends_on.clone())).collect();
        for (name, app) in &project.apps {
            let key = project.key(name);
            let memory = state.record(&key).and_then(|record| record.scale);
            let desired = Desired {
                start_first: app.rollout.order == Order::StartFirst,
                replicas: ReplicaCount::wanted(app.file_replicas(), memory).count,
                drain: app.drain.clone(),
                successes: app.health.successes,
                first: state.record(&key).is_none_or(|record| record.peers.is_empty()),
                dead: state.dead_peers(&key),
                together: state.living_peers(&key),
            };
            state.wants.insert(key, desired);
        }
    }

    /// These apps shall be taken away; everything else is to be kept as `expect` has it.
    pub fn expect_gone(&self, apps: BTreeSet<AppKey>) {
        self.state().going = apps;
    }

    /// Fails the test when a law was broken.
    #[track_caller]
    pub fn assert_lawful(&self, context: &dyn std::fmt::Display) {
        let breaches = std::mem::take(&mut self.state().breaches);
        assert!(breaches.is_empty(), "{context}\nbroken laws:\n  {}", breaches.join("\n  "));
    }

    /// Everything that counts when two worlds are compared.
    pub fn picture(&self) -> Picture {
        let state = self.state();
        let now = tokio::time::Instant::now();
        Picture {
            records: state.apps.iter().filter_map(|(key, app)| Some((key.clone(), app.record.clone()?))).collect(),
            containers: state
                .containers
                .values()
                .map(|container| (container.new.name.clone(), matches!(container.state(now), ContainerState::Running)))
                .collect(),
            tags: state.tags.clone(),
        }
    }
}

/// What a run may change: what is routed where, which containers there are and whether they run, and the images.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    pub records: BTreeMap<AppKey, AppRecord>,
    pub containers: BTreeMap<String, bool>,
    pub tags: BTreeMap<String, String>,
}
