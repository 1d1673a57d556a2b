//! What the engine's calls do to the containers and images of the world.

use std::collections::BTreeSet;
use std::time::Duration;

use deploy_apps::model::{
    ComposeContainer, ContainerState, DEFAULT_STOP_GRACE, NewContainer, ObservedContainer, ObservedEngine,
    ObservedImage, ObservedNetwork, Role,
};
use deploy_apps::ports::{EngineError, EngineErrorKind};
use tokio::time::Instant;

use super::behaviour::STOP_TAKES;
use super::engine::{Answer, no_container};
use super::state::{Container, State};

impl State {
    pub(super) fn observe(&self) -> ObservedEngine {
        let now = Instant::now();
        let networks = self.networks.iter().map(|(name, subnets)| ObservedNetwork {
            id: format!("id of {name}"),
            name: name.clone(),
            subnets: subnets.clone(),
            project: self.owners.get(name).cloned(),
        });
        let containers = self.containers.values().map(|container| ObservedContainer {
            id: format!("id of {}", container.new.name),
            name: container.new.name.clone(),
            image_id: container.image_id.clone(),
            labels: container.new.labels.clone(),
            state: container.state(now),
            health: container.health(now),
            address: container.address(),
            hooks: container.new.spec.hooks.clone(),
            volumes: container.volumes().map(str::to_owned).collect(),
            published: container.new.spec.ports.iter().find_map(|port| port.host_port),
        });
        // What bears no identity was made by docker compose.
        let (composed, containers): (Vec<_>, Vec<_>) = containers
            .partition(|container| container.labels.role == Role::Accessory && container.labels.identity.is_empty());
        let ports = |name: &str| {
            let ports = self.containers.get(name).map(|container| &container.new.spec.ports);
            ports.into_iter().flatten().filter_map(|port| port.host_port).collect()
        };
        let composed: Vec<ComposeContainer> = composed
            .into_iter()
            .map(|container| ComposeContainer {
                ports: if container.state == ContainerState::Running { ports(&container.name) } else { Vec::new() },
                container,
            })
            .collect();
        // With our label, or with a tag of ours.
        let tagged = self.tags.iter().filter(|(tag, _)| tag.starts_with("deploy-apps/")).map(|(_, id)| id);
        let ids: BTreeSet<&String> = self.built.keys().chain(tagged).collect();
        let images = ids.into_iter().map(|id| ObservedImage {
            id: id.clone(),
            tags: self.tags.iter().filter(|(_, other)| *other == id).map(|(tag, _)| tag.clone()).collect(),
            source: self.built.get(id).cloned(),
        });
        ObservedEngine {
            networks: networks.collect(),
            volumes: self.volumes.clone(),
            project_volumes: self.owners.clone().into_iter().filter(|(name, _)| self.volumes.contains(name)).collect(),
            containers,
            images: images.collect(),
            host_routes: Vec::new(),
            composed,
        }
    }

    /// The id behind a tag or an id.
    pub(super) fn image(&self, reference: &str) -> Option<String> {
        let known = self.tags.values().any(|id| id == reference) || self.built.contains_key(reference);
        self.tags.get(reference).cloned().or_else(|| known.then(|| reference.to_owned()))
    }

    /// The last tag of an image that a container is made from stays, as a real engine has it.
    pub(super) fn untag(&mut self, tag: &str) -> Answer<()> {
        let Some(id) = self.tags.get(tag).cloned() else { return Ok(()) };
        let last = self.tags.values().filter(|other| **other == id).count() == 1;
        if last && self.containers.values().any(|container| container.image_id == id) {
            return Err(EngineError::new(EngineErrorKind::Conflict, format!("a container is made from `{tag}`")));
        }
        self.tags.remove(tag);
        if last {
            self.built.remove(&id);
        }
        Ok(())
    }

    pub(super) fn create(&mut self, new: &NewContainer) -> Answer<()> {
        if self.containers.contains_key(&new.name) {
            return Err(EngineError::new(EngineErrorKind::Conflict, format!("`{}` exists", new.name)));
        }
        let Some(image_id) = self.image(&new.image) else {
            return Err(EngineError::new(EngineErrorKind::ImageNotFound, format!("no image `{}`", new.image)));
        };
        for network in &new.spec.networks {
            if !self.networks.contains_key(&network.network) {
                return Err(EngineError::new(EngineErrorKind::NotFound, format!("no network `{}`", network.network)));
            }
        }
        self.judge_name(&new.name);
        let container = Container {
            new: new.clone(),
            image_id,
            behaviour: self.behaviour(&new.name),
            started: None,
            ends: None,
            probed: 0,
            asked: false,
        };
        self.containers.insert(new.name.clone(), container);
        Ok(())
    }

    pub(super) fn start(&mut self, name: &str) -> Answer<()> {
        let now = Instant::now();
        let Some(container) = self.containers.get(name) else { return no_container(name) };
        if container.runs(now) {
            return Ok(());
        }
        let address = container.address();
        let rival = |other: &&Container| other.runs(now) && other.address().is_some() && other.address() == address;
        if let Some(other) = self.containers.values().find(rival) {
            let message = format!("the address of `{name}` is taken by `{}`", other.new.name);
            return Err(EngineError::new(EngineErrorKind::AddressTaken, message));
        }
        self.judge_order(name);
        self.starts.push(name.to_owned());
        let behaviour = self.behaviour(name);
        let Some(container) = self.containers.get_mut(name) else { return no_container(name) };
        container.behaviour = behaviour;
        container.begin(now);
        self.judge_writers(name);
        Ok(())
    }

    /// When it ends, and whether it had to be killed. The end comes even if the caller is gone by then.
    pub(super) fn stop(&mut self, name: &str, grace: Option<Duration>) -> (Instant, bool) {
        let now = Instant::now();
        self.judge_end(name, &format!("stop `{name}`"));
        let backends = self.backends();
        let Some(container) = self.containers.get_mut(name).filter(|container| container.runs(now)) else {
            return (now, false);
        };
        let grace = grace.or(container.new.spec.stop_grace).unwrap_or(DEFAULT_STOP_GRACE);
        let (takes, killed, code) =
            if container.behaviour.ignores_stop { (grace, true, 137) } else { (STOP_TAKES.min(grace), false, 0) };
        let end = container.ends.map_or(now + takes, |(end, _)| end.min(now + takes));
        container.ends = Some((end, code));
        // Its port closes with the signal, not with the exit.
        container.behaviour.ill_after = container.started.map(|started| now - started);
        self.open.retain(|open| open.peer != name);
        self.judge_backends(&backends, &format!("stop `{name}`"));
        (end, killed)
    }
}
