//! A whole deploy against the world, with or without faults, and what became of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deploy_apps::event::{Event, Fact, Outcome};
use deploy_apps::model::{AppName, ObservedState, Project, ReleaseNumber};
use deploy_apps::plan::{DeployOptions, Intent, NoTarget, Plan, PlanRefused, check_laws, plan_deploy};
use deploy_apps::rollout::{AppResult, DeployError, DeployRequest, Run, deploy, observe_for};

use crate::fixture::{name, operator, proxy_image};
use crate::step_ids::assert_paired;
use crate::world::{Call, Client, Fault, Faults, World};

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Desired {
    pub project: Project,
    pub apps: Vec<AppName>,
    pub options: DeployOptions,
    pub lock_wait: Duration,
}

impl Desired {
    /// All apps of the project.
    pub fn of(project: Project) -> Self {
        let apps = project.apps.keys().cloned().collect();
        Self { project, apps, options: DeployOptions::default(), lock_wait: Duration::ZERO }
    }

    /// The serving release of all apps, with these numbers of replicas.
    pub fn scale(project: Project, counts: &[(&str, u32)]) -> Self {
        let counts = counts.iter().map(|(app, count)| (name(app), *count)).collect();
        Self::of(project).intending(Intent::Scale(counts))
    }

    /// The release before the serving one of all apps, or for some of them this one.
    pub fn rollback(project: Project, to: &[(&str, u32)]) -> Self {
        let to = to.iter().map(|(app, release)| (name(app), ReleaseNumber(*release))).collect();
        Self::of(project).intending(Intent::Rollback { to, release_command: false })
    }

    pub fn intending(mut self, intent: Intent) -> Self {
        self.options.intent = intent;
        self
    }

    pub fn is_rollback(&self) -> bool {
        matches!(self.options.intent, Intent::Rollback { .. })
    }

    /// What the world judges by: the desired state, with the numbers that were asked for by hand.
    fn expect(&self, world: &World) {
        world.expect(&self.project);
        // An atomic run flips all in one call, and a kept release runs with what is there.
        let judged = self.options.intent == Intent::Deploy && !self.options.atomic;
        world.state().named = judged.then(|| self.apps.iter().cloned().collect());
        let asked = |app: &AppName| match &self.options.intent {
            Intent::Scale(counts) => counts.get(app).copied(),
            Intent::Stop => Some(0),
            _ => self.options.replicas,
        };
        for app in &self.apps {
            let mut state = world.state();
            if let (Some(count), Some(desired)) = (asked(app), state.wants.get_mut(&self.project.key(app))) {
                desired.replicas = count;
            }
        }
    }

    pub fn forced(mut self) -> Self {
        self.options.force = true;
        self
    }

    pub fn atomic(mut self) -> Self {
        self.options.atomic = true;
        self
    }
}

/// What became of a run.
pub struct Report {
    /// `None`: it was killed.
    pub result: Option<Result<Vec<AppResult>, DeployError>>,
    pub events: Vec<Event>,
    pub calls: Vec<Call>,
}

impl Report {
    pub fn outcomes(&self) -> Vec<Outcome> {
        match &self.result {
            Some(Ok(results)) => results.iter().map(|result| result.outcome).collect(),
            _ => Vec::new(),
        }
    }

    /// The outcome of a run for one app.
    #[track_caller]
    pub fn outcome(&self) -> Outcome {
        match self.outcomes()[..] {
            [outcome] => outcome,
            _ => panic!("not one outcome: {:?}\n{}", self.result, self.story()),
        }
    }

    pub fn facts(&self) -> impl Iterator<Item = &Fact> {
        self.events.iter().map(|event| &event.fact)
    }

    /// Everything that was said to be left, or to have resisted an undo.
    pub fn left_behind(&self) -> Vec<&str> {
        self.facts()
            .filter_map(|fact| match fact {
                Fact::LeftBehind { what, .. } | Fact::UndoFailed { step: what, .. } => Some(what.as_str()),
                _ => None,
            })
            .collect()
    }

    /// For the message of a test that fails.
    pub fn story(&self) -> String {
        let calls = self.calls.iter().map(|call| format!("  {call}\n"));
        let facts = self.events.iter().map(|event| format!("  {:?} {:?}\n", event.elapsed, event.fact));
        format!("calls:\n{}events:\n{}result: {:?}", calls.collect::<String>(), facts.collect::<String>(), self.result)
    }
}

pub fn no_faults() -> Faults {
    Arc::new(|_| None)
}

/// One fault, at the call with this index.
pub fn at(index: usize, fault: Fault) -> Faults {
    Arc::new(move |call| (call.index == index).then_some(fault))
}

/// One fault, at the first call of this method.
pub fn at_first(what: &'static str, fault: Fault) -> Faults {
    let done = AtomicBool::new(false);
    Arc::new(move |call| (call.what == what && !done.swap(true, Ordering::Relaxed)).then_some(fault))
}

pub type Events = Arc<Mutex<Vec<Event>>>;

pub fn run_of(client: &Arc<Client>) -> (Run<Client, Client>, Events) {
    let events = Events::default();
    let sink = Arc::clone(&events);
    let sink = Arc::new(move |event| sink.lock().unwrap_or_else(PoisonError::into_inner).push(event));
    (Run::new(Arc::clone(client), Arc::clone(client), sink, client.cancel.clone()), events)
}

/// Deploys, and lets the world judge.
pub async fn run(world: &Arc<World>, desired: &Desired, faults: Faults) -> Report {
    let client = Client::new(world, faults);
    desired.expect(world);
    let (run, events) = run_of(&client);
    let result = tokio::select! {
        biased;
        () = client.crashed() => None,
        result = deploy_with(&run, desired) => Some(result),
    };
    let events = std::mem::take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
    assert_paired(&events);
    Report { result, events, calls: client.calls() }
}

/// Deploys in a run that the caller has set up.
pub async fn deploy_with(run: &Run<Client, Client>, desired: &Desired) -> Result<Vec<AppResult>, DeployError> {
    with_request(desired, async |request| deploy(run, &request).await).await
}

/// Does `work` with the desired as a command asks for it.
pub async fn with_request<T>(desired: &Desired, work: impl AsyncFnOnce(DeployRequest<'_>) -> T) -> T {
    let (image, operator) = (proxy_image(), operator(&desired.project));
    work(DeployRequest {
        project: &desired.project,
        apps: &desired.apps,
        options: desired.options.clone(),
        proxy_image: &image,
        operator: &operator,
        lock_wait: desired.lock_wait,
    })
    .await
}

/// Deploys without a fault and expects that every app is served as desired at the end.
pub async fn succeed(world: &Arc<World>, desired: &Desired) -> Report {
    let report = run(world, desired, no_faults()).await;
    world.assert_lawful(&report.story());
    let good = |outcome: &Outcome| matches!(outcome, Outcome::Completed | Outcome::UpToDate);
    assert!(!report.outcomes().is_empty() && report.outcomes().iter().all(good), "{}", report.story());
    report
}

/// The next run after one that was cut off. A rollback that had come to its end already is refused then, and that is all.
pub async fn finish(world: &Arc<World>, desired: &Desired) -> Report {
    let report = run(world, desired, no_faults()).await;
    world.assert_lawful(&report.story());
    if let Some(Err(DeployError::Refused(PlanRefused::NoTarget { why, .. }))) = &report.result {
        assert!(matches!(why, NoTarget::Serves(_) | NoTarget::NothingBefore(_)), "{}", report.story());
        return report;
    }
    let good = |outcome: &Outcome| matches!(outcome, Outcome::Completed | Outcome::UpToDate);
    assert!(!report.outcomes().is_empty() && report.outcomes().iter().all(good), "{}", report.story());
    report
}

/// What there is and what would be done about it.
pub async fn look(world: &Arc<World>, desired: &Desired) -> (ObservedState, Result<Plan, PlanRefused>) {
    let client = Client::new(world, no_faults());
    desired.expect(world);
    let (run, _) = run_of(&client);
    let observed =
        observe_for(&run, &desired.project, &desired.apps, &desired.options).await.expect("a world that answers");
    let plan = plan_deploy(&desired.project, &desired.apps, &observed, &desired.options);
    if let Ok(plan) = &plan {
        let broken = check_laws(plan, &desired.project, &observed);
        assert!(broken.is_empty(), "{plan}\n{broken:?}");
    }
    (observed, plan)
}
