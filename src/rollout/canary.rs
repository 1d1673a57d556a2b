//! The gate on the traffic: a canary is compared with what serves beside it, over the same time, until its step is over.

use std::time::Duration;

use futures_util::future::{pending, select_all};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::run::Run;
use super::scope::Scope;
use super::wait::{STATUS_INTERVAL, describe_exit, with_evidence};
use crate::event::{CanaryStanding, Fact};
use crate::model::{CanaryOrder, CanaryReport, Figures, OnSilence, Worse, compared, judge};
use crate::plan::CanaryWatch;
use crate::ports::{Engine, Proxy, ProxyError};

/// From one look to the next. The workers of the proxy put their counters together once a second.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// How often it is told how the canary stands.
const TELL_INTERVAL: Duration = Duration::from_secs(5);
/// How long the proxy may be silent: it restarts within it.
const PATIENCE: Duration = Duration::from_secs(20);

/// Watches the canary of one scope.
pub(super) struct CanaryWatcher<'a, E, P> {
    run: &'a Run<E, P>,
    scope: &'a Scope,
}

/// What both releases have done in the step so far.
struct Seen {
    stable: Figures,
    canary: Figures,
    worse: Option<Worse>,
}

impl<'a, E: Engine, P: Proxy> CanaryWatcher<'a, E, P> {
    pub(super) fn new(run: &'a Run<E, P>, scope: &'a Scope) -> Self {
        Self { run, scope }
    }

    /// Returns when the step is over, or when somebody has promoted the canary.
    pub(super) async fn watch(&self, watch: &CanaryWatch, cancel: &CancellationToken) -> Result<(), StepFailure> {
        if self.scope.is_promoted() {
            return Ok(());
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(StepFailure::cancelled()),
            failure = self.first_exit(watch) => Err(failure),
            verdict = self.compare(watch) => verdict,
        }
    }

    /// A replica that ends is no good, whatever its figures are.
    async fn first_exit(&self, watch: &CanaryWatch) -> StepFailure {
        let exits = watch.replicas.iter().map(|name| {
            Box::pin(async move {
                match self.run.engine().await_exit(name).await {
                    Ok(exit) => (name, exit),
                    // What the engine does not tell is seen by the requests.
                    Err(_) => pending().await,
                }
            })
        });
        let ((name, exit), ..) = select_all(exits).await;
        let message = format!("{} aborted at {}: {}", watch.canary, watch.weight, describe_exit(name, exit));
        with_evidence(self.run.engine(), StepFailure::new(FailureKind::Aborted, message), name, Vec::new()).await
    }

    async fn compare(&self, watch: &CanaryWatch) -> Result<(), StepFailure> {
        let begun = Instant::now();
        let before = self.report(watch).await?;
        let (mut told, mut is_holding) = (begun, false);
        loop {
            let report = self.report(watch).await?;
            let seen = see(watch, &before, &report);
            match report.order {
                Some((CanaryOrder::Promote, by)) => {
                    self.tell(watch, &seen, CanaryStanding::Promoted, &format!(", promoted by {by}"));
                    self.scope.promote();
                    return Ok(());
                }
                Some((CanaryOrder::Abort, by)) => {
                    return Err(self.aborted(watch, &seen, &format!("; aborted by {by}")));
                }
                None if seen.worse.is_some() => return Err(self.aborted(watch, &seen, "")),
                None => {}
            }
            let elapsed = begun.elapsed();
            let is_enough = seen.canary.requests >= watch.gate.min_requests;
            if elapsed >= watch.duration && is_enough {
                self.tell(watch, &seen, CanaryStanding::Passed, "");
                return Ok(());
            }
            if elapsed >= watch.gate.max_wait.max(watch.duration) && !is_holding {
                match watch.gate.on_silence {
                    OnSilence::Promote => {
                        self.tell(watch, &seen, CanaryStanding::Silent, "; too few to judge, it goes on");
                        return Ok(());
                    }
                    OnSilence::Abort => return Err(self.aborted(watch, &seen, "; too few to judge")),
                    OnSilence::Hold => {
                        let app = &watch.app.app;
                        let how =
                            format!("; too few to judge: `deploy-apps promote {app}` or `abort {app}` ends the wait");
                        self.tell(watch, &seen, CanaryStanding::Silent, &how);
                        is_holding = true;
                    }
                }
            }
            if told.elapsed() >= TELL_INTERVAL {
                self.tell(watch, &seen, CanaryStanding::Watched, "");
                told = Instant::now();
            }
            let left = watch.duration.saturating_sub(elapsed);
            sleep(if left.is_zero() { LOOK_INTERVAL } else { left.min(LOOK_INTERVAL) }).await;
        }
    }

    /// What the proxy has counted; it may restart meanwhile.
    async fn report(&self, watch: &CanaryWatch) -> Result<CanaryReport, StepFailure> {
        let since = Instant::now();
        loop {
            match self.run.proxy().canary(&watch.app, &[watch.stable, watch.canary]).await {
                Ok(report) => return Ok(report),
                Err(ProxyError::Unreachable { .. } | ProxyError::Malformed { .. }) if since.elapsed() < PATIENCE => {
                    sleep(STATUS_INTERVAL).await;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn aborted(&self, watch: &CanaryWatch, seen: &Seen, why: &str) -> StepFailure {
        self.tell(watch, seen, CanaryStanding::Aborted, why);
        let message = words(watch, seen, " aborted") + why;
        let app = &watch.app.app;
        StepFailure::new(FailureKind::Aborted, message).hint(format!(
            "{} serves as before; `deploy-apps {app} --no-canary` deploys without a canary",
            watch.stable
        ))
    }

    fn tell(&self, watch: &CanaryWatch, seen: &Seen, standing: CanaryStanding, why: &str) {
        let verb = if standing == CanaryStanding::Aborted { " aborted" } else { "" };
        let fact = Fact::CanaryCompared {
            release: watch.canary,
            stable: watch.stable,
            weight: watch.weight.fraction() * 100.0,
            standing,
            requests: seen.canary.requests,
            errors: seen.canary.errors,
            stable_requests: seen.stable.requests,
            stable_errors: seen.stable.errors,
            summary: words(watch, seen, verb) + why,
        };
        self.run.events().emit(Some(&watch.app), fact);
    }
}

fn see(watch: &CanaryWatch, before: &CanaryReport, now: &CanaryReport) -> Seen {
    let of = |release| {
        let then = before.releases.get(&release).cloned().unwrap_or_default();
        now.releases.get(&release).map(|counters| counters.since(&then)).unwrap_or_default()
    };
    let (stable, canary) = (of(watch.stable), of(watch.canary));
    let worse = judge(&watch.gate, &now.bounds, &stable, &canary);
    Seen { stable, canary, worse }
}

fn words(watch: &CanaryWatch, seen: &Seen, verb: &str) -> String {
    let (canary, stable) = ((watch.canary, &seen.canary), (watch.stable, &seen.stable));
    compared(canary, verb, watch.weight, stable, seen.worse.as_ref())
}
