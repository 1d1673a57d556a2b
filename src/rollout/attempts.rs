//! A deploy plans again for those apps under which the state changed: how often it has, for which apps, and what came of it.

use serde_json::Value;

use super::failure::{DeployError, FailureKind};
use super::history::{milliseconds, record_end};
use super::request::DeployRequest;
use super::result::AppResult;
use super::run::Run;
use crate::event::{Fact, Outcome};
use crate::model::{AccessoryChange, AppKey, AppName, Orphan};
use crate::plan::{AppPlan, Plan};
use crate::ports::{Engine, Proxy};

/// How often a plan is made again when the state changes under it. Each time somebody else got something done, so a few
/// times are enough; more would hide a bug.
const ATTEMPTS: usize = 4;

/// The attempts of one deploy.
pub(super) struct Attempts<'a, E, P> {
    run: &'a Run<E, P>,
    request: &'a DeployRequest<'a>,
    /// Of the one that goes on, from 1.
    number: usize,
    /// The apps that are not at their end.
    open: Vec<AppName>,
    /// How the last attempt ended for these.
    again: Vec<AppResult>,
    results: Vec<AppResult>,
}

impl<'a, E: Engine, P: Proxy> Attempts<'a, E, P> {
    pub(super) fn new(run: &'a Run<E, P>, request: &'a DeployRequest<'a>) -> Self {
        Self { run, request, number: 0, open: request.apps.to_vec(), again: Vec::new(), results: Vec::new() }
    }

    /// Begins the next attempt, and returns the apps that it is for. `None` at the end.
    pub(super) fn next(&mut self) -> Option<Vec<AppName>> {
        if self.number == ATTEMPTS || self.number > 0 && self.open.is_empty() {
            return None;
        }
        self.number += 1;
        Some(self.open.clone())
    }

    pub(super) fn into_results(self) -> Vec<AppResult> {
        self.results
    }

    /// The attempt could not be planned.
    ///
    /// # Errors
    /// When that is the end of all of them.
    pub(super) async fn not_planned(&mut self, error: DeployError) -> Result<(), DeployError> {
        match error {
            // Another run makes the same network right now: check again.
            DeployError::Setup(failure)
                if matches!(failure.kind, FailureKind::NotOurs | FailureKind::StateChanged) && !self.is_last() =>
            {
                Ok(())
            }
            error if self.results.is_empty() && self.again.is_empty() => Err(error),
            // Some apps may have come to their end already, so this is the end of the open ones alone.
            error => {
                self.run.events().warn(None, format!("not tried again: {error}"));
                for result in std::mem::take(&mut self.again) {
                    self.report(&result).await;
                    self.results.push(result);
                }
                self.open.clear();
                Ok(())
            }
        }
    }

    /// Names what the compose file does not have any more, once.
    pub(super) fn tell_orphans(&self, orphans: &[Orphan]) {
        for orphan in orphans.iter().filter(|_| self.number == 1) {
            self.run.events().warn(None, format!("{orphan}; {}", orphan.remedy()));
        }
    }

    /// Called as soon as an app has come to the end of the attempt.
    pub(super) async fn ended(&self, plan: &Plan, result: AppResult) -> AppResult {
        if part_of(plan, &result.app).is_some_and(AppPlan::is_only_looked_at) {
            if !is_bad(&result) {
                return result;
            }
            let fact = Fact::AccessoryPlanned { change: AccessoryChange::Leave };
            self.run.events().emit(Some(&result.app), fact);
        }
        // An attempt that will be made again has not ended for anyone who looks on.
        if self.is_last() || !result.plan_again() {
            self.report(&result).await;
        }
        result
    }

    /// Takes in how the attempt ended for all apps.
    pub(super) async fn absorb(&mut self, plan: &Plan, done: Vec<AppResult>) {
        let (moved, ended) = apart(plan, done, self.is_last());
        for result in ended {
            // Those that nothing would help have been told as they ended.
            if result.plan_again() && !self.is_last() {
                self.report(&result).await;
            }
            // Of an accessory that nobody asked for only a failure is a result.
            if part_of(plan, &result.app).is_none_or(|part| !part.implied) || is_bad(&result) {
                self.results.push(result);
            }
        }
        self.open = moved.iter().map(|result| result.app.app.clone()).collect();
        self.again = moved;
    }

    fn is_last(&self) -> bool {
        self.number == ATTEMPTS
    }

    /// The end of one app's run: to the reporters, and into the history on the host.
    async fn report(&self, result: &AppResult) {
        let Self { run, request, .. } = self;
        // What is reached as `localhost` here is reached by the host's name from elsewhere; without an answer as ever.
        let far = run.engine().info().await.ok().filter(|info| !info.local).and_then(|info| info.host);
        let urls = request.project.urls(&result.app.app, far.as_deref().unwrap_or("localhost"));
        let fact = Fact::AppFinished { outcome: result.outcome, urls, took: result.took };
        run.events().emit(Some(&result.app), fact);
        if result.outcome == Outcome::UpToDate {
            return;
        }
        let mut details = request.operator.details(request.options.intent.purpose());
        // An accessory has no releases; its records have the number 0.
        if let Some(change) = result.accessory {
            details.insert("accessory".to_owned(), serde_json::to_value(change).unwrap_or(Value::Null));
        } else {
            details.insert("version".to_owned(), result.release.version.clone().into());
            details.insert("replicas".to_owned(), result.replicas.into());
            details.insert("from".to_owned(), result.from.map(|release| release.0).into());
            details.insert("identity".to_owned(), result.release.identity.clone().into());
        }
        details.insert("flipped_after_ms".to_owned(), result.tally.flipped_after.map(milliseconds).into());
        record_end(run, result, "finished", details).await;
    }
}

fn part_of<'p>(plan: &'p Plan, app: &AppKey) -> Option<&'p AppPlan> {
    plan.apps.iter().find(|part| part.app == *app)
}

/// The results of parts that are planned again, and those that stand. An accessory that was not asked for is planned
/// again with those who depend on it; and whoever depends on one that has failed for good has failed too.
fn apart(plan: &Plan, done: Vec<AppResult>, last: bool) -> (Vec<AppResult>, Vec<AppResult>) {
    let mut moved: Vec<AppResult> = Vec::new();
    let mut ended: Vec<AppResult> = Vec::new();
    // In the plan's order, each after those it depends on.
    for result in done {
        let part = part_of(plan, &result.app);
        let for_good = |name: &AppName| ended.iter().any(|other| other.app.app == *name && is_bad(other));
        let is_lost = part.is_some_and(|part| part.awaited().any(for_good));
        if last || !result.plan_again() || is_lost { ended.push(result) } else { moved.push(result) }
    }
    let implied = |result: &AppResult| plan.apps.iter().any(|part| part.implied && part.app == result.app);
    if moved.iter().all(implied) {
        ended.append(&mut moved);
    }
    moved.retain(|result| !implied(result));
    (moved, ended)
}

/// What is told also of an accessory that nobody asked for.
fn is_bad(result: &AppResult) -> bool {
    !matches!(result.outcome, Outcome::UpToDate | Outcome::Completed | Outcome::Cancelled)
}
