//! Undoes what a failed run has done, newest first.

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use super::failure::FailureKind;
use super::performer::Performer;
use super::run::Run;
use super::scope::Scope;
use crate::event::Fact;
use crate::model::{ContainerState, StepId};
use crate::plan::Step;
use crate::ports::{ContainerStatus, Engine, EngineErrorKind, Proxy};

/// How an undo ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Undone {
    /// As before. What could not be removed does not serve, and the next run removes it.
    AsBefore,
    /// The engine is no longer reachable. What serves is as it was; what was begun is left to the next run.
    Disconnected,
    /// What served before could not be brought back; going on would make it worse.
    Stuck,
}

/// Undoes what one scope has done.
pub(super) struct Undo<'a, E, P: Proxy> {
    run: &'a Run<E, P>,
    scope: &'a Scope,
    performer: Performer<'a, E, P>,
}

impl<'a, E: Engine, P: Proxy> Undo<'a, E, P> {
    pub(super) fn new(run: &'a Run<E, P>, lease: Option<&'a P::Lease>, scope: &'a Scope) -> Self {
        Self { run, scope, performer: Performer::new(run, lease, scope) }
    }

    /// All of it. Not stopped by the cancellation: that is what it carries out.
    pub(super) async fn all(&self) -> Undone {
        let done = self.scope.take_done();
        let undo = without_repeats(&done).flat_map(UndoStep::of).collect();
        self.steps(undo).await
    }

    /// What was begun since the last flip. What left with that flip is not started again: nothing routes to it.
    pub(super) async fn batch(&self) -> Undone {
        let done = self.scope.take_done();
        let batch = done.iter().take_while(|(_, step)| !matches!(step, Step::Flip { .. }));
        let undo =
            batch.filter(|(_, step)| !matches!(step, Step::StopContainer { .. })).flat_map(UndoStep::of).collect();
        self.steps(undo).await
    }

    async fn steps(&self, undo: Vec<UndoStep>) -> Undone {
        for group in groups(undo) {
            match group {
                Group::Serving(UndoStep { of: id, step }) => {
                    if let Err(failure) = self.performer.perform(&step, &CancellationToken::new()).await {
                        let fact = Fact::UndoFailed { id, step: step.to_string(), error: failure.message };
                        self.tell(fact);
                        return Undone::Stuck;
                    }
                    self.tell(Fact::Undone { id, step: step.to_string() });
                    self.run.after_step(&step);
                }
                Group::Clearing(lanes) => {
                    let cleared = join_all(lanes.into_iter().map(|lane| self.clear(lane))).await;
                    if cleared.contains(&Cleared::Disconnected) {
                        return Undone::Disconnected;
                    }
                    if self.scope.has_one_writer() && cleared.contains(&Cleared::MayRun) {
                        return Undone::Stuck;
                    }
                }
            }
        }
        Undone::AsBefore
    }

    /// Removes what does not serve; what resists is left and said.
    async fn clear(&self, lane: Vec<UndoStep>) -> Cleared {
        let mut cleared = Cleared::Stopped;
        for UndoStep { of: id, step } in lane {
            match self.performer.perform(&step, &CancellationToken::new()).await {
                Ok(()) => {
                    self.tell(Fact::Undone { id, step: step.to_string() });
                    self.run.after_step(&step);
                }
                Err(failure) => {
                    let fact = Fact::LeftBehind { id: Some(id), what: step.to_string(), error: failure.message };
                    self.tell(fact);
                    if failure.kind == FailureKind::Disconnected && self.is_disconnected(&step).await {
                        return Cleared::Disconnected;
                    }
                    if self.may_run(&step).await {
                        cleared = Cleared::MayRun;
                    }
                }
            }
        }
        cleared
    }

    fn tell(&self, fact: Fact) {
        self.run.events().emit(self.scope.app(), fact);
    }

    /// Whether the engine is still away: a connection that broke under one call may be back for the next.
    async fn is_disconnected(&self, failed: &Step) -> bool {
        let answer = self.run.engine().container_status(failed.subject().unwrap_or_default()).await;
        answer.is_err_and(|error| error.kind == EngineErrorKind::Unreachable)
    }

    /// Whether what a failed step should have stopped may still run.
    async fn may_run(&self, failed: &Step) -> bool {
        let Step::StopContainer { name, .. } = failed else { return false };
        let status = self.run.engine().container_status(name).await;
        !matches!(status, Ok(None | Some(ContainerStatus { state: ContainerState::Exited { .. }, .. })))
    }
}

/// All but the flips that would bring back what a later one brings back already, as those of a canary's weights do.
fn without_repeats(done: &[(StepId, Step)]) -> impl Iterator<Item = &(StepId, Step)> {
    let brings_back = |step: &Step| -> Vec<_> {
        step.changes().iter().map(|change| (change.app.clone(), change.before.clone())).collect()
    };
    let mut last = Vec::new();
    done.iter().filter(move |(_, step)| {
        if step.changes().is_empty() {
            return true;
        }
        let before = brings_back(step);
        let repeats = before == last;
        last = before;
        !repeats
    })
}

/// What came of a lane that clears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cleared {
    /// Nothing of it runs any more.
    Stopped,
    MayRun,
    /// The engine is gone, and with it the rest of the lane.
    Disconnected,
}

/// A step that undoes one of the plan.
struct UndoStep {
    of: StepId,
    step: Box<Step>,
}

impl UndoStep {
    /// All that undo this one, in the order of running.
    fn of((id, done): &(StepId, Step)) -> impl Iterator<Item = Self> + use<> {
        let of = *id;
        done.undo().into_iter().map(move |step| Self { of, step: Box::new(step) })
    }
}

/// Undo steps that go together.
enum Group {
    /// Decides about what serves: alone, in order, and the end of it all when it fails.
    Serving(UndoStep),
    /// Stops and removes, one lane per container or tag: several hung replicas cost one grace period, not one each.
    Clearing(Vec<Vec<UndoStep>>),
}

fn groups(undo: Vec<UndoStep>) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for step in undo {
        let Some(subject) = clears(&step.step).map(str::to_owned) else {
            groups.push(Group::Serving(step));
            continue;
        };
        // An image goes after every container made from it, so it begins a group of its own.
        let joins = match groups.last() {
            Some(Group::Clearing(lanes)) => {
                lanes.iter().flatten().all(|other| is_untag(&other.step) == is_untag(&step.step))
            }
            _ => false,
        };
        if !joins {
            groups.push(Group::Clearing(Vec::new()));
        }
        if let Some(Group::Clearing(lanes)) = groups.last_mut() {
            let lane = lanes
                .iter_mut()
                .find(|lane| lane.first().and_then(|first| clears(&first.step)) == Some(subject.as_str()));
            match lane {
                Some(lane) => lane.push(step),
                None => lanes.push(vec![step]),
            }
        }
    }
    groups
}

fn is_untag(step: &Step) -> bool {
    matches!(step, Step::UntagImage { .. })
}

/// The container or tag that a clearing step is about.
fn clears(step: &Step) -> Option<&str> {
    match step {
        Step::StopContainer { name, .. } | Step::RemoveContainer { name } | Step::UntagImage { tag: name } => {
            Some(name)
        }
        // What is kept of a release that serves nowhere does no harm.
        Step::ForgetReleases { app, .. } => Some(app.app.as_str()),
        _ => None,
    }
}
