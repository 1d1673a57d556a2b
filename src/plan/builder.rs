//! What the parts of an app's plan are made from: its records, flips, drains, stops and the clean-up after the last flip.

use std::collections::BTreeSet;

use super::app_diff::AppDiff;
use super::ask::DeployOptions;
use super::desired::{DesiredApp, kept};
use super::drift::release_reason;
use super::hooks::{pre_stop, run_once};
use super::mounted::digests;
use super::refusal::PlanRefused;
use super::replicas::{NewReplica, gate, pre_start_of, release_command};
use super::stage::{Planned, Stage};
use super::step::{Expect, FlipChange, Limits, Look, Step};
use crate::model::{
    App, AppName, AppRecord, InFlight, ObservedContainer, ObservedState, Order, Peer, Project, Release, Role,
    StoredPolicy, StoredRelease,
};

/// What every part of an app's plan looks at.
pub(super) struct RolloutBuilder<'a> {
    pub project: &'a Project,
    pub goal: &'a DesiredApp<'a>,
    pub app: &'a App,
    pub observed: &'a ObservedState,
    pub situation: &'a AppDiff<'a>,
    pub release: &'a Release,
    pub new: &'a [NewReplica],
}

impl RolloutBuilder<'_> {
    pub(super) fn kept_peers(&self) -> impl Iterator<Item = Peer> {
        self.peers_of(self.situation.keep.iter().map(|container| container.name.as_str()))
    }

    /// The peers of the present record with these names, in the record's order.
    pub(super) fn peers_of<'b>(&self, names: impl Iterator<Item = &'b str>) -> impl Iterator<Item = Peer> {
        let names: BTreeSet<&str> = names.collect();
        let peers = self.situation.record.iter().flat_map(|record| &record.peers);
        peers.filter(|peer| names.contains(peer.id.as_str())).cloned().collect::<Vec<_>>().into_iter()
    }

    /// The record of the wanted release with these peers.
    pub(super) fn record(&self, peers: Vec<Peer>) -> AppRecord {
        let present = self.situation.record.as_ref();
        AppRecord {
            routes: self.app.routes.clone(),
            settings: self.app.settings.known_to(&self.observed.proxy.features),
            scale: self.goal.scale,
            maintenance: present.and_then(|record| record.maintenance.clone()),
            pause: present.and_then(|record| record.pause.clone()),
            peers,
            ..AppRecord::new(self.situation.key.clone(), self.release.number, self.release.version.clone())
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits::from(&self.app.drain)
    }

    pub(super) fn flip(
        &self,
        expect: Expect,
        record: Option<AppRecord>,
        before: Option<AppRecord>,
        because: String,
    ) -> Planned {
        let change = FlipChange { app: self.situation.key.clone(), expect, record, before, limits: self.limits() };
        Planned::new(Step::Flip { changes: vec![change] }, because)
    }

    /// Image, reservation and release command in one lane; beside it, leftovers that nobody uses go.
    ///
    /// Leftovers that write go before anything of the new release runs: a release command that is still at work,
    /// and everything of an app that has one writer.
    /// What it depends on is waited for when the image is there, and before anything of it runs.
    pub(super) fn preparation(&self, wait: Option<Planned>) -> Result<Vec<Stage>, PlanRefused> {
        let idle = self.situation.leftovers.iter().filter(|container| self.goes_early(container));
        let (writers, others): (Vec<_>, Vec<_>) = idle.partition(|container| self.writes(container));
        let writers: Vec<Vec<Planned>> = writers.into_iter().map(|container| self.leftover(container)).collect();
        let mut lanes: Vec<Vec<Planned>> = others.into_iter().map(|container| self.leftover(container)).collect();
        let image = match self.new.is_empty() {
            true => Vec::new(),
            false => self.goal.image_steps(&self.situation.key, self.observed, &self.release.image)?,
        };
        // An image that is found here may be pruned by the time it is tagged. Then the plan is made again, and no number
        // is spent. A build, which takes long and may fail for good, is an attempt with a number of its own.
        let is_build = |planned: &Planned| matches!(planned.step, Step::BuildImage { .. });
        let (builds, mut main): (Vec<_>, Vec<_>) = image.into_iter().partition(is_build);
        if self.situation.is_new {
            let step = Step::ReserveRelease {
                app: self.situation.key.clone(),
                release: self.release.number,
                version: self.release.version.clone(),
            };
            main.push(Planned::new(step, "a number is never used twice, even if this run fails"));
        }
        main.extend(builds);
        main.extend(self.store());
        // With stop-first the volume has one writer, so the command waits until the old replicas are stopped.
        let stops_first = self.app.rollout.order == Order::StopFirst && !self.situation.outgoing.is_empty();
        let mut once = if stops_first { Vec::new() } else { self.once_per_release() };
        if wait.is_none() {
            main.append(&mut once);
        }
        lanes.insert(0, main);
        let wait = Stage::line(wait.into_iter().collect());
        Ok(vec![Stage::beside(writers), Stage::beside(lanes), wait, Stage::line(once)])
    }

    /// Before anything of it gets traffic. Also a release from before releases were kept is made up for, and one that serves
    /// with other settings now is stored again with these.
    fn store(&self) -> Option<Planned> {
        let (key, settings) = (&self.situation.key, &self.app.settings);
        if self.goal.pinned.is_some() || !self.observed.proxy.keeps_releases() {
            return None;
        }
        let (stored, because) = match kept(key, self.observed, self.release.number) {
            Some(kept) if kept.settings.as_ref().is_none_or(|had| had == settings) => return None,
            Some(kept) => (
                StoredRelease { settings: Some(settings.clone()), ..kept.clone() },
                "a rollback brings its settings back",
            ),
            None => (self.stored_release(), "a rollback and a change of scale need it"),
        };
        let step = Step::StoreRelease { app: key.clone(), release: Box::new(stored) };
        Some(Planned::new(step, because))
    }

    fn stored_release(&self) -> StoredRelease {
        let (app, release) = (self.app, self.release);
        let image = self.observed.images.get(&self.situation.key.app).map(|image| image.identity().to_owned());
        StoredRelease {
            number: release.number,
            version: release.version.clone(),
            identity: release.identity.clone(),
            image: image.unwrap_or_default(),
            port: app.port,
            health: app.health.clone(),
            container: app.service.container.clone(),
            release: app.release.clone(),
            mounted: digests(&app.service.container, self.observed),
            policy: Some(StoredPolicy {
                replicas: app.file_replicas(),
                drain: app.drain.clone(),
                rollout: app.rollout.clone(),
                rollback: app.rollback.clone(),
            }),
            settings: Some(app.settings.clone()),
            at: 0,
            owner: String::new(),
            host: String::new(),
        }
    }

    /// One look at all of these replicas, a single one too: with its last answer on its way a process may be at its end,
    /// and the engine takes a tenth of a second to notice. Whoever asks it again meets nobody at once.
    pub(super) fn look_again(&self, replicas: &[NewReplica]) -> Option<Planned> {
        if replicas.is_empty() {
            return None;
        }
        let look = |replica: &NewReplica| Look {
            name: replica.container.name.clone(),
            gate: gate(self.app, &replica.peer).recheck(),
        };
        let step = Step::LookAgain { replicas: replicas.iter().map(look).collect() };
        Some(Planned::new(step, "one may have died since it was seen healthy"))
    }

    fn writes(&self, container: &ObservedContainer) -> bool {
        self.app.rollout.order == Order::StopFirst || container.labels.role == Role::ReleaseCommand
    }

    /// What has open requests may finish them after the flip, unless a writer has to make room.
    fn goes_early(&self, container: &ObservedContainer) -> bool {
        self.writes(container) || !self.is_busy(container)
    }

    /// What runs once per release, never for a change of scale, and not for an app that is put to rest:
    /// the release command, then each `pre_start` in its order. A rollback runs it again only when that is asked for.
    pub(super) fn once_per_release(&self) -> Vec<Planned> {
        let due = if self.goal.pinned.is_some() { self.goal.recheck } else { self.situation.is_new };
        if !due || self.new.is_empty() {
            return Vec::new();
        }
        let release = self.app.release.iter().flat_map(|command| {
            let container = release_command(self.project, self.app, self.situation, self.release, &command.command);
            run_once(container, command.timeout, "`release` runs in the new image before traffic reaches it")
        });
        let hooks = self.situation.spec.hooks.pre_start.iter().enumerate().flat_map(|(index, hook)| {
            let container = pre_start_of(self.project, self.app, self.situation, self.release, index + 1, hook);
            run_once(container, hook.timeout, "`pre_start` runs before the first replica starts")
        });
        release.chain(hooks).collect()
    }

    /// After the last flip: confirm, then each outgoing replica drains, stops and goes on its own.
    pub(super) fn cleanup(&self, record: &AppRecord, outgoing_last: &[String]) -> Vec<Stage> {
        let confirm = Step::ConfirmRoute { app: self.situation.key.clone(), record: Box::new(record.clone()) };
        let confirm = Planned::new(confirm, "the proxy, not the engine, decides what serves");
        let mut lanes = Vec::new();
        for outgoing in &self.situation.outgoing {
            let mut lane = Vec::new();
            if outgoing_last.contains(&outgoing.id) {
                lane.extend(self.drain(&outgoing.id, self.limits()));
                lane.extend(outgoing.container.into_iter().flat_map(|container| self.stop(container, None)));
            }
            lane.extend(outgoing.container.map(remove));
            lanes.push(lane);
        }
        let monitor = self.app.rollout.monitor;
        if !monitor.is_zero() && !self.new.is_empty() {
            let because = "`monitor`: what ends again and again under traffic is told";
            lanes.push(vec![Planned::new(Step::Pause { duration: monitor }, because)]);
        }
        let late = self.situation.leftovers.iter().filter(|container| !self.goes_early(container));
        lanes.extend(late.map(|container| self.leftover(container)));
        vec![Stage::line(vec![confirm]), Stage::beside(lanes)].into_iter().filter(|stage| !stage.is_empty()).collect()
    }

    /// A peer without a container has nothing that could be open.
    pub(super) fn drain(&self, id: &str, limits: Limits) -> Option<Planned> {
        let exists = self.situation.outgoing.iter().any(|outgoing| outgoing.id == id && outgoing.container.is_some());
        exists.then(|| self.drain_step(id, limits, "its open requests finish first"))
    }

    fn drain_step(&self, id: &str, limits: Limits, because: &str) -> Planned {
        let app = self.situation.key.clone();
        Planned::new(Step::AwaitDrained { app, peers: vec![id.to_owned()], limits }, because)
    }

    pub(super) fn stop(
        &self,
        container: &ObservedContainer,
        restart: Option<super::step::RestartSpec>,
    ) -> impl Iterator<Item = Planned> {
        let step = Step::StopContainer { name: container.name.clone(), signal: None, grace: None, restart };
        pre_stop(container).chain([Planned::new(step, "it no longer serves")])
    }

    /// A container that an interrupted run has left and that the proxy does not route to.
    fn leftover(&self, container: &ObservedContainer) -> Vec<Planned> {
        let because = "an interrupted run left it, and the proxy does not route to it";
        let busy = self.is_busy(container);
        // A killed stop-first run may have left the requests waiting at the proxy for its end.
        let limits = if self.situation.held { Limits::of_stop_first(&self.app.drain) } else { self.limits() };
        let open = "an interrupted run left it with open requests";
        let drain = busy.then(|| self.drain_step(&container.name, limits, open));
        let stop = Step::StopContainer { name: container.name.clone(), signal: None, grace: None, restart: None };
        let remove = Step::RemoveContainer { name: container.name.clone() };
        let end = [Planned::new(stop, because), Planned::new(remove, because)];
        drain.into_iter().chain(pre_stop(container)).chain(end).collect()
    }

    fn is_busy(&self, container: &ObservedContainer) -> bool {
        self.observed.proxy.in_flight.get(&container.name).is_some_and(|open: &InFlight| !open.is_zero())
    }

    pub(super) fn reason(&self, options: &DeployOptions) -> String {
        if let Some(because) = &self.goal.because {
            return because.clone();
        }
        match (&self.situation.record, self.situation.is_new) {
            (Some(_), _) if self.situation.is_ahead => "the proxy's state is older than what runs".to_owned(),
            (None, _) => "nothing serves yet".to_owned(),
            (Some(_), true) if options.force => "a redeploy was asked for".to_owned(),
            (Some(_), true) if self.situation.changed_file.is_some() => {
                format!("`{}` has changed", self.situation.changed_file.as_deref().unwrap_or_default())
            }
            (Some(record), true) => {
                match release_reason(self.project, self.app, &self.situation.spec, record, self.observed) {
                    unknown if unknown.is_empty() => "the image or the configuration has changed".to_owned(),
                    reason => reason,
                }
            }
            (Some(record), false) => match (self.new.len(), self.situation.outgoing.len()) {
                (0, 0) => self.changed_settings(record),
                (new, 0) => format!("{new} more of the same release, {} so far", record.peers.len()),
                (0, old) => format!("{old} fewer of the same release"),
                (new, old) if record.peers.iter().any(|peer| peer.release != self.release.number) => {
                    format!("{old} of another release serve since an interrupted run, {new} replace them")
                }
                (new, old) => format!("{old} missing or unhealthy, {new} of the same release instead"),
            },
        }
    }

    fn changed_settings(&self, record: &AppRecord) -> String {
        let settings = self.app.settings.known_to(&self.observed.proxy.features);
        let names: Vec<String> =
            settings.changed(&record.settings).map(|name| format!("`x-deploy-apps.{name}`")).collect();
        if names.is_empty() {
            "routes or settings have changed".to_owned()
        } else {
            format!("changed: {}", names.join(", "))
        }
    }

    /// `awaited`: has a part of its own in this run.
    pub(super) fn warnings(&self, awaited: &[AppName]) -> Vec<String> {
        let is_served = |name| {
            let known = self.observed.proxy.apps.get(&self.project.key(name));
            known.and_then(|known| known.record.as_ref()).is_some_and(|record| !record.peers.is_empty())
        };
        let apps = self.app.service.depends_on.iter().map(|dependency| &dependency.service);
        apps.filter(|name| self.project.apps.contains_key(*name) && !is_served(name) && !awaited.contains(*name))
            .map(|name| format!("app `{name}`, which `{}` depends on, is not deployed yet", self.app.service.name))
            .collect()
    }
}

pub(super) fn remove(container: &ObservedContainer) -> Planned {
    Planned::new(Step::RemoveContainer { name: container.name.clone() }, "its image stays for a rollback")
}
