//! The laws, judged at the moment of each call by what is true then.

use std::collections::BTreeMap;
use std::time::Duration;

use deploy_apps::model::{AppKey, AppRecord, Condition, ContainerState, Dependency, Hook, Peer, Role};
use deploy_apps::plan::FlipChange;
use tokio::time::Instant;

use super::{Container, State};

impl State {
    pub fn breach(&mut self, law: &str, what: &str) {
        self.breaches.push(format!("{law}: {what}"));
    }

    /// How many healthy replicas of each app the proxy routes to.
    pub fn backends(&self) -> BTreeMap<AppKey, usize> {
        let now = Instant::now();
        // Of a worker nobody can ask more than that it runs.
        let well = |peer: &Peer, container: &Container| match peer.port {
            Some(_) => container.healthy(now),
            None => container.runs(now),
        };
        let healthy = |peer: &&Peer| self.containers.get(&peer.id).is_some_and(|container| well(peer, container));
        let records = self.apps.iter().filter_map(|(key, app)| Some((key, app.record.as_ref()?)));
        records.map(|(key, record)| (key.clone(), record.peers.iter().filter(healthy).count())).collect()
    }

    /// Called after a change with what was true before it, so that an app that dies by itself blames nobody.
    pub fn judge_backends(&mut self, before: &BTreeMap<AppKey, usize>, what: &str) {
        let after = self.backends();
        for (key, _) in
            before.iter().filter(|(key, count)| **count > 0 && after.get(*key).is_none_or(|left| *left == 0))
        {
            let Some(desired) = self.wants.get(key).filter(|_| !self.going.contains(key)) else { continue };
            let to_zero = desired.replicas == 0 && self.record(key).is_some_and(|record| record.peers.is_empty());
            let taken_back = desired.first && self.record(key).is_none_or(|record| record.peers.is_empty());
            if desired.start_first && !to_zero && !taken_back {
                self.breach("an app that has a healthy backend never has none", &format!("`{key}` after {what}"));
            }
        }
    }

    /// Before a container is created.
    pub fn judge_name(&mut self, name: &str) {
        let open = self.in_flight(&[name.to_owned()]);
        if !open.is_zero() {
            self.breach("a name is not used again while it counts", &format!("create `{name}` with {open:?}"));
        }
    }

    /// Before a container is stopped or removed.
    pub fn judge_end(&mut self, name: &str, what: &str) {
        let now = Instant::now();
        if let Some(key) = self.server_of(name).cloned() {
            self.breach("what the proxy routes to is never stopped or removed", &format!("{what}, a peer of `{key}`"));
        }
        let Some(container) = self.containers.get(name).filter(|container| container.runs(now)) else { return };
        let (role, key) = (container.new.labels.role, container.key());
        if role == Role::Proxy && !self.leases.is_empty() {
            self.breach("the proxy is not stopped under a lease that it keeps open", what);
        }
        let Some(key) = key else { return };
        let Some(desired) = self.wants.get(&key) else { return };
        // All new requests wait for its end.
        let is_held = self.record(&key).is_some_and(|record| record.hold_ms > 0);
        let most = if is_held { desired.drain.stop_first_timeout } else { Duration::MAX };
        let open = self.in_flight(&[name.to_owned()]);
        let since = self.left.get(name).map(|left| now - *left);
        let requests_cut = open.requests > 0 && since.is_none_or(|since| since < most.min(desired.drain.timeout));
        let websockets_cut =
            open.websockets > 0 && since.is_none_or(|since| since < most.min(desired.drain.websocket_timeout));
        if requests_cut || websockets_cut {
            self.breach("a replica drains before it stops", &format!("{what} with {open:?}, out since {since:?}"));
        }
    }

    /// Before a command runs in a container: `post_start` before the first probe, `pre_stop` after the last request.
    pub fn judge_hook(&mut self, name: &str, command: &str) {
        let Some(container) = self.containers.get(name) else { return };
        let hooks = &container.new.spec.hooks;
        let is_in = |list: &[Hook], command: &str| list.iter().any(|hook| hook.shown() == command);
        let (first, last) = (is_in(&hooks.post_start, command), is_in(&hooks.pre_stop, command));
        let (probed, is_accessory) = (container.probed, container.new.labels.role == Role::Accessory);
        let what = format!("`{command}` in `{name}`");
        // An undo takes back the leave that a `pre_stop` has taken, also where the stop behind it had no effect.
        let back = self.hooked.iter().any(|(other, command)| other == name && is_in(&hooks.pre_stop, command));
        if first && !back && (probed > 0 || self.server_of(name).is_some()) {
            self.breach("post_start runs before the first probe", &what);
        }
        if last {
            self.judge_end(name, &what);
        }
        // Besides its hooks there is the backup of an accessory, which is no part of its container.
        if !first && !last && !is_accessory {
            self.breach("only hooks of the service run in its containers", &what);
        }
    }

    /// Before a flip takes effect.
    pub fn judge_flip(&mut self, change: &FlipChange) {
        let known = self.record(&change.app).cloned();
        let entering = change.record.iter().flat_map(|record| &record.peers);
        let entering: Vec<Peer> =
            entering.filter(|peer| known.as_ref().is_none_or(|known| !known.serves(&peer.id))).cloned().collect();
        for peer in entering {
            let what = format!("`{}` into `{}`", peer.id, change.app);
            match self.fit(&peer, change) {
                Ok(()) => {}
                Err(why) => {
                    self.breach("a replica gets traffic only after it was seen healthy", &format!("{what}, {why}"))
                }
            }
        }
    }

    fn fit(&self, peer: &Peer, change: &FlipChange) -> Result<(), String> {
        if self.wants.get(&change.app).is_some_and(|desired| desired.dead.contains(&peer.id)) {
            return Ok(());
        }
        let Some(container) = self.containers.get(&peer.id) else { return Err("which does not exist".to_owned()) };
        if container.address() != Some(peer.address) {
            return Err(format!("at {}, but it has {:?}", peer.address, container.address()));
        }
        let wanted = self.wants.get(&change.app).map_or(1, |desired| desired.successes);
        match peer.port {
            Some(_) if container.probed >= wanted => Ok(()),
            Some(_) => Err(format!("after {} good probes", container.probed)),
            None if container.asked && container.settled(Instant::now()) => Ok(()),
            None => Err("which was not asked for or had no time to settle".to_owned()),
        }
    }

    /// Before a container starts for the first time: what its service depends on is there, and is what the run was asked
    /// for. An app that was not asked for is none of the run's matter.
    pub fn judge_order(&mut self, name: &str) {
        let Some(container) = self.containers.get(name).filter(|container| container.started.is_none()) else { return };
        let (Some(named), Some(service)) = (&self.named, &container.new.labels.service) else { return };
        let dependencies = self.depends.get(service).cloned().unwrap_or_default();
        let project = container.new.labels.project.clone();
        let early = dependencies.iter().find(|Dependency { service: other, condition }| {
            let key = project.clone().map(|project| AppKey { project, app: other.clone() });
            let of = |role| {
                let own = self.containers.values().filter(move |container| container.new.labels.role == role);
                own.filter(|container| container.new.labels.service.as_ref() == Some(other))
            };
            let now = Instant::now();
            let is_newest = |container: &Container| {
                let edits = self.sources.get(other.as_str()).copied().unwrap_or_default();
                self.built.get(&container.image_id).is_none_or(|source| *source == format!("{other}@{edits}"))
            };
            if self.wants.keys().any(|desired| Some(desired) == key.as_ref()) {
                let record = key.as_ref().and_then(|key| self.record(key));
                let serves = |container: &Container| {
                    record.is_some_and(|record| record.serves(&container.new.name)) && is_newest(container)
                };
                return named.contains(other) && !of(Role::Replica).any(serves);
            }
            let mut accessories = of(Role::Accessory);
            !accessories.any(|container| match condition {
                Condition::Started => container.started.is_some(),
                Condition::Healthy => container.healthy(now),
                Condition::CompletedSuccessfully => {
                    let end = container.state(now);
                    matches!(end, ContainerState::Exited { code: 0, .. }) && is_newest(container)
                }
            })
        });
        if let Some(Dependency { service: other, condition }) = early {
            let what = format!("`{name}` starts and `{other}` is not {condition:?}");
            self.breach("what a service depends on is ready before it starts", &what);
        }
    }

    /// After a container has started: a stop-first app or an accessory has one writer, and a release command never
    /// runs twice.
    pub fn judge_writers(&mut self, name: &str) {
        let now = Instant::now();
        let Some(container) = self.containers.get(name) else { return };
        let labels = &container.new.labels;
        let (Some(project), Some(app)) = (labels.project.clone(), labels.service.clone()) else { return };
        let key = AppKey { project, app };
        let desired = self.wants.get(&key);
        let start_first = desired.is_none_or(|desired| desired.start_first);
        let were_together = |other: &str| {
            desired.is_some_and(|desired| [name, other].iter().all(|peer| desired.together.contains(*peer)))
        };
        let (release, role) = (container.new.labels.release, container.new.labels.role);
        let rivals = self.containers.values().filter(|other| other.new.name != name && other.runs(now));
        let rivals = rivals.filter(|other| {
            let labels = &other.new.labels;
            labels.project.as_ref() == Some(&key.project) && labels.service.as_ref() == Some(&key.app)
        });
        let rival = |other: &&Container| {
            let labels = &other.new.labels;
            let alone = [Role::ReleaseCommand, Role::Accessory];
            (role == labels.role && alone.contains(&role))
                || (!start_first
                    && (labels.release != release || labels.role != role)
                    && !were_together(&other.new.name))
        };
        let rivals: Vec<String> = rivals.filter(rival).map(|other| other.new.name.clone()).collect();
        if !rivals.is_empty() {
            self.breach("one writer at a time", &format!("`{name}` starts while {} runs", rivals.join(" ")));
        }
    }

    /// Requests that began just before a peer left.
    pub fn leave(&mut self, before: Option<&AppRecord>, after: Option<&AppRecord>) {
        let now = Instant::now();
        let gone = before.iter().flat_map(|record| &record.peers);
        for peer in gone.filter(|peer| after.is_none_or(|after| !after.serves(&peer.id))) {
            self.left.insert(peer.id.clone(), now);
            let running = self.containers.get(&peer.id).is_some_and(|container| container.runs(now));
            if peer.port.is_none() || !running {
                continue;
            }
            for (websocket, lasts) in self
                .load_requests
                .iter()
                .map(|d| (false, *d))
                .chain(self.load_websockets.iter().map(|d| (true, *d)))
                .collect::<Vec<_>>()
            {
                self.open.push(super::Open { peer: peer.id.clone(), websocket, ends: now + lasts });
            }
        }
        for peer in after.iter().flat_map(|record| &record.peers) {
            self.left.remove(&peer.id);
        }
    }
}
