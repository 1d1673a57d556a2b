//! Plays a plan through on paper and names every law that it would break.
//!
//! The planner is made to keep the laws; this says so independently of how it does it.

use std::collections::BTreeSet;

use super::plan::{AppPlan, Plan};
use super::stage::Planned;
use super::step::{FlipChange, Step};
use crate::model::{AppKey, AppRecord, ObservedState, Order, Peer, Project, ReleaseNumber};

/// A law that a plan would break, with the step that does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub law: &'static str,
    pub step: String,
}

/// Every violation of the laws that a run of `plan` would be, step by step.
#[must_use]
pub fn check_laws(plan: &Plan, project: &Project, observed: &ObservedState) -> Vec<Violation> {
    plan.apps.iter().flat_map(|app| Simulation::of(app, project, observed).play(app)).collect()
}

/// One app's world as the plan changes it.
struct Simulation {
    app: AppKey,
    serving: Option<AppRecord>,
    /// Containers that the proxy, or a run before, has seen healthy.
    seen_healthy: BTreeSet<String>,
    /// Looked at once more since the last flip.
    looked_at: BTreeSet<String>,
    running: BTreeSet<String>,
    drained: BTreeSet<String>,
    /// Peers that were in a record and left it.
    flipped_out: BTreeSet<String>,
    start_first: bool,
    /// Releases that the proxy keeps; `None` when it keeps none at all.
    kept: Option<BTreeSet<ReleaseNumber>>,
    /// Hosts that have a certificate.
    certificates: BTreeSet<String>,
    broken: Vec<Violation>,
}

fn needs_certificate(record: &AppRecord, host: &str) -> bool {
    record.routes.iter().any(|route| route.tls.is_some() && route.host.as_deref() == Some(host))
}

impl Simulation {
    fn of(app: &AppPlan, project: &Project, observed: &ObservedState) -> Self {
        let serving = observed.proxy.apps.get(&app.app).and_then(|known| known.record.clone());
        let peers = serving.iter().flat_map(|record| &record.peers).map(|peer| peer.id.clone());
        let well = observed.engine.containers.iter().filter(|container| container.is_well());
        let busy = observed.proxy.in_flight.iter().filter(|(_, open)| !open.is_zero()).map(|(id, _)| id.clone());
        let start_first = project.apps.get(&app.app.app).is_none_or(|app| app.rollout.order == Order::StartFirst);
        Self {
            app: app.app.clone(),
            seen_healthy: peers.collect(),
            looked_at: BTreeSet::new(),
            running: well.map(|container| container.name.clone()).collect(),
            drained: BTreeSet::new(),
            flipped_out: busy.filter(|id| serving.as_ref().is_none_or(|record| !record.serves(id))).collect(),
            start_first,
            serving,
            kept: observed.proxy.keeps_releases().then(|| {
                let kept = observed.releases.get(&app.app);
                kept.into_iter().flatten().map(|stored| stored.number).collect()
            }),
            certificates: observed
                .proxy
                .certificates
                .values()
                .filter(|known| known.id.is_some())
                .map(|known| known.host.clone())
                .collect(),
            broken: Vec::new(),
        }
    }

    fn play(mut self, app: &AppPlan) -> Vec<Violation> {
        for planned in app.steps() {
            self.step(planned);
        }
        if app.flip.is_none()
            && app
                .before
                .iter()
                .flat_map(super::stage::Stage::steps)
                .any(|planned| matches!(planned.step, Step::Flip { .. }))
        {
            self.violation("a plan that flips has a last flip", &app.app);
        }
        if self.serving.as_ref().is_some_and(|record| record.canary.is_some()) {
            self.violation("a canary ends with its run", &app.app);
        }
        let served = self.serving.as_ref().map_or(0, |record| record.peers.len());
        if served != app.replicas as usize {
            self.violation("what serves at the end is what was asked for", &app.app);
        }
        self.broken
    }

    fn step(&mut self, planned: &Planned) {
        match &planned.step {
            Step::StartContainer { name } => {
                self.running.insert(name.clone());
            }
            Step::AwaitHealthy { name, .. } => {
                if !self.running.contains(name) {
                    self.violation("only a started container is waited for", planned);
                }
                self.seen_healthy.insert(name.clone());
            }
            Step::StoreRelease { release, .. } => {
                if let Some(kept) = &mut self.kept {
                    kept.insert(release.number);
                }
            }
            Step::LookAgain { replicas } => {
                if replicas.iter().any(|look| !self.seen_healthy.contains(&look.name)) {
                    self.violation("only what has passed its gate is looked at again", planned);
                }
                self.looked_at.extend(replicas.iter().map(|look| look.name.clone()));
            }
            Step::Flip { changes } => {
                for change in changes {
                    if change.app == self.app {
                        self.flip(change.record.as_ref(), planned);
                    } else {
                        self.replaced(change);
                    }
                }
            }
            Step::AwaitDrained { peers, .. } => {
                if peers.iter().any(|peer| self.serves(peer)) {
                    self.violation("what still gets requests cannot be drained", planned);
                }
                self.drained.extend(peers.iter().cloned());
            }
            Step::StopContainer { name, .. } => {
                if self.serves(name) {
                    self.violation("what the proxy says is serving is never stopped", planned);
                }
                if self.flipped_out.contains(name) && !self.drained.contains(name) {
                    self.violation("a replica drains before it stops", planned);
                }
                self.running.remove(name);
            }
            Step::RemoveContainer { name } => {
                if self.serves(name) {
                    self.violation("what the proxy says is serving is never removed", planned);
                }
                self.running.remove(name);
            }
            Step::ChangeCertificate(change) => {
                if change.certificate.is_some() {
                    self.certificates.insert(change.host.clone());
                } else {
                    let needed = self.serving.as_ref().is_some_and(|record| needs_certificate(record, &change.host));
                    if needed {
                        self.violation("a certificate that is needed stays", planned);
                    }
                    self.certificates.remove(&change.host);
                }
            }
            Step::OrderCertificate(order) => {
                self.certificates.insert(order.host.clone());
            }
            Step::CreateNetwork(_)
            | Step::CreateVolume(_)
            | Step::PostStart { .. }
            | Step::PreStop { .. }
            | Step::Backup { .. }
            | Step::ReserveRelease { .. }
            | Step::BuildImage { .. }
            | Step::TagImage { .. }
            | Step::UntagImage { .. }
            | Step::CreateContainer(_)
            | Step::AwaitExit { .. }
            | Step::AwaitServices { .. }
            | Step::AwaitControl { .. }
            | Step::HandOver { .. }
            | Step::ConfirmRoute { .. }
            | Step::ConfirmGone { .. }
            | Step::ForgetReleases { .. }
            | Step::RemoveNetwork { .. }
            | Step::RemoveVolume { .. }
            | Step::RemoveDangling
            | Step::WatchCanary(_)
            | Step::Pause { .. } => {}
        }
    }

    fn flip(&mut self, record: Option<&AppRecord>, planned: &Planned) {
        let new: Vec<&str> = record.iter().flat_map(|record| &record.peers).map(|peer| peer.id.as_str()).collect();
        if new.iter().any(|peer| !self.seen_healthy.contains(*peer)) {
            self.violation("a replica gets traffic only after it was seen healthy", planned);
        }
        let all = record.iter().flat_map(|record| &record.peers);
        let entering: Vec<&Peer> = all.filter(|peer| !self.serves(&peer.id)).collect();
        if entering.iter().any(|peer| !self.looked_at.contains(&peer.id)) {
            self.violation("what gets traffic is looked at right before", planned);
        }
        if self.kept.as_ref().is_some_and(|kept| entering.iter().any(|peer| !kept.contains(&peer.release))) {
            self.violation("what gets traffic can be rolled back to", planned);
        }
        let secure = record.iter().flat_map(|record| &record.routes).filter(|route| route.tls.is_some());
        if secure.filter_map(|route| route.host.as_ref()).any(|host| !self.certificates.contains(host)) {
            self.violation("a route for HTTPS has its certificate", planned);
        }
        let had_backends =
            self.serving.iter().flat_map(|record| &record.peers).any(|peer| self.running.contains(&peer.id));
        let has_backends = new.iter().any(|peer| self.running.contains(*peer));
        if self.start_first && had_backends && !has_backends && !new.is_empty() {
            self.violation("an app that has a healthy backend never has none", planned);
        }
        let gone = self.serving.iter().flat_map(|record| &record.peers).map(|peer| peer.id.clone());
        self.flipped_out.extend(gone.filter(|peer| !new.contains(&peer.as_str()) && self.running.contains(peer)));
        self.serving = record.cloned();
        self.looked_at.clear();
    }

    /// Another app that leaves in the same flip: what ran of it drains before it stops.
    fn replaced(&mut self, change: &FlipChange) {
        let gone = change.before.iter().flat_map(|record| &record.peers).map(|peer| peer.id.clone());
        self.flipped_out.extend(gone.filter(|peer| self.running.contains(peer)));
    }

    fn serves(&self, name: &str) -> bool {
        self.serving.as_ref().is_some_and(|record| record.serves(name))
    }

    fn violation(&mut self, law: &'static str, step: &impl std::fmt::Display) {
        self.broken.push(Violation { law, step: step.to_string() });
    }
}
