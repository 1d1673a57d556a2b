//! Records the deploys and the proxy's counters under load, for the report.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::event::{Event, Fact};
use crate::model::{
    AppKey, InFlight, Look, ObservedProxy, ProjectName, ReleaseNumber, StepId, StepKind, TimedDeploy, TimedStep,
};
use crate::ports::{InspectProxy, Proxy};
use crate::proxy::ControlClient;

/// Short enough to show requests of a fraction of a second moving to the new release.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The proxy's workers publish their counters once a second.
const COUNT_INTERVAL: Duration = Duration::from_secs(1);
/// On a host with many apps an observation takes longer. The pause is at least this many times its duration.
const SHARE: u32 = 3;

type ByRelease = BTreeMap<ReleaseNumber, u64>;

/// Records all apps on one clock.
#[derive(Debug, Default)]
pub struct Recorder {
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    deploys: Vec<Deploy>,
    open: Vec<(Instant, BTreeMap<AppKey, ByRelease>)>,
    counted: Vec<(Instant, BTreeMap<AppKey, ByRelease>)>,
    /// App and release of replicas that are no longer routed.
    replicas: HashMap<String, (AppKey, ReleaseNumber)>,
}

#[derive(Debug)]
struct Deploy {
    from: Instant,
    to: Option<Instant>,
    releases: BTreeMap<AppKey, ReleaseNumber>,
    steps: Vec<Step>,
}

#[derive(Debug)]
struct Step {
    app: AppKey,
    id: StepId,
    kind: StepKind,
    subject: Option<String>,
    from: Instant,
    to: Option<Instant>,
}

/// The recording of one app, in milliseconds since its load started.
#[derive(Debug)]
pub struct Record {
    pub deploys: Vec<TimedDeploy>,
    pub open: Vec<Look>,
    pub counted: Vec<Look>,
}

impl Recorder {
    pub fn deploy_begins(&self) {
        let deploy = Deploy { from: Instant::now(), to: None, releases: BTreeMap::new(), steps: Vec::new() };
        self.book().deploys.push(deploy);
    }

    pub fn deploy_ended(&self) {
        if let Some(deploy) = self.book().deploys.last_mut() {
            deploy.to = Some(Instant::now());
        }
    }

    /// Steps of the host, such as those of the proxy, belong to no app and are ignored.
    pub fn event(&self, event: &Event) {
        let now = Instant::now();
        let (Some(app), mut book) = (&event.app, self.book()) else { return };
        let Some(deploy) = book.deploys.last_mut() else { return };
        match &event.fact {
            Fact::AppPlanned { to, .. } => drop(deploy.releases.insert(app.clone(), *to)),
            Fact::StepStarted { id, kind, subject, .. } => {
                let (app, subject) = (app.clone(), subject.clone());
                deploy.steps.push(Step { app, id: *id, kind: *kind, subject, from: now, to: None });
            }
            Fact::StepFinished { id, .. } | Fact::StepFailed { id, .. } => {
                let mut open = deploy.steps.iter_mut().filter(|known| known.to.is_none());
                if let Some(known) = open.find(|known| known.app == *app && known.id == *id) {
                    known.to = Some(now);
                }
            }
            _ => {}
        }
    }

    /// Observes the proxy for as long as it is polled. A failed observation leaves a gap in the plot.
    pub async fn watch(&self, proxy: &ControlClient, project: &ProjectName) -> Infallible {
        let mut counted: Option<Instant> = None;
        loop {
            let began = Instant::now();
            if let Ok(state) = proxy.state().await {
                self.book().look(began, &state);
            }
            if counted.is_none_or(|last| last.elapsed() >= COUNT_INTERVAL) {
                counted = Some(began);
                if let Ok(totals) = proxy.totals(project).await {
                    let requests = totals.into_iter().map(|(app, releases)| {
                        let releases = releases.into_iter().map(|(release, counts)| (release, counts.requests));
                        (AppKey { project: project.clone(), app }, releases.collect())
                    });
                    self.book().counted.push((Instant::now(), requests.collect()));
                }
            }
            sleep(LOOK_INTERVAL.max(began.elapsed() * SHARE)).await;
        }
    }

    /// The recording of one app; a deploy that is still running ends now.
    pub fn record(&self, app: &AppKey, began: Instant) -> Record {
        let book = self.book();
        let now = Instant::now();
        let ms = |at: Instant| u64::try_from(at.saturating_duration_since(began).as_millis()).unwrap_or(u64::MAX);
        let looks = |looks: &[(Instant, BTreeMap<AppKey, ByRelease>)]| -> Vec<Look> {
            let later = looks.iter().filter(|(at, _)| *at >= began);
            later
                .map(|(at, apps)| Look { at_ms: ms(*at), releases: apps.get(app).cloned().unwrap_or_default() })
                .collect()
        };
        let deploys = book.deploys.iter().zip(1..).map(|(deploy, number)| {
            let end = deploy.to.unwrap_or(now);
            let steps = deploy.steps.iter().filter(|step| step.app == *app).map(|step| TimedStep {
                kind: step.kind,
                subject: step.subject.clone(),
                from_ms: ms(step.from),
                to_ms: ms(step.to.unwrap_or(end)),
            });
            let release = deploy.releases.get(app).copied();
            TimedDeploy { number, release, from_ms: ms(deploy.from), to_ms: ms(end), steps: steps.collect() }
        });
        Record { deploys: deploys.collect(), open: looks(&book.open), counted: looks(&book.counted) }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn look(&mut self, at: Instant, state: &ObservedProxy) {
        for (app, known) in &state.apps {
            for peer in known.record.iter().flat_map(|record| &record.peers) {
                if !self.replicas.contains_key(&peer.id) {
                    self.replicas.insert(peer.id.clone(), (app.clone(), peer.release));
                }
            }
        }
        let mut open: BTreeMap<AppKey, ByRelease> = BTreeMap::new();
        for (replica, InFlight { requests, websockets }) in &state.in_flight {
            if let Some((app, release)) = self.replicas.get(replica) {
                *open.entry(app.clone()).or_default().entry(*release).or_default() += requests + websockets;
            }
        }
        self.open.push((at, open));
    }
}
