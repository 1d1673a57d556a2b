//! One nginx hands over to the next.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::run::Run;
use super::wait::{STATUS_INTERVAL, describe_exit, with_evidence};
use crate::event::Fact;
use crate::ports::{Engine, Proxy, ProxyError};

/// A new nginx is asked again whether it is ready.
const READY_INTERVAL: Duration = Duration::from_millis(20);
/// How long it may be unknown who serves when the answer to a hand-over was lost.
const SERVING_PATIENCE: Duration = Duration::from_secs(30);

/// The step in which the nginx that serves hands over.
pub(super) struct HandOver<'a, E, P> {
    run: &'a Run<E, P>,
    /// The new nginx.
    name: &'a str,
    to: u32,
}

impl<'a, E: Engine, P: Proxy> HandOver<'a, E, P> {
    pub(super) fn new(run: &'a Run<E, P>, name: &'a str, to: u32) -> Self {
        Self { run, name, to }
    }

    /// Hands over as soon as the new nginx is ready, and finds out what happened when the answer is lost.
    pub(super) async fn within(
        &self,
        timeout: Duration,
        lock_wait: Duration,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        let Self { run, name, to } = self;
        let (engine, proxy) = (run.engine(), run.proxy());
        let ready = async {
            let (deadline, locked_until) = (Instant::now() + timeout, Instant::now() + lock_wait);
            let mut told = false;
            loop {
                match proxy.hand_over(*to).await {
                    Err(ProxyError::Refused { code, message }) if code == "standby_absent" => {
                        if Instant::now() >= deadline {
                            return Err(StepFailure::failed(message));
                        }
                        sleep(READY_INTERVAL).await;
                    }
                    Err(ProxyError::LeaseHeld { app, owner, host, age, .. }) if Instant::now() < locked_until => {
                        if !told {
                            run.events().emit(Some(&app), Fact::LeaseAwaited { owner, host, age });
                            told = true;
                        }
                        sleep(STATUS_INTERVAL).await;
                    }
                    Err(ProxyError::Unreachable { .. } | ProxyError::Malformed { .. }) => {
                        return self.learn_who_serves().await;
                    }
                    answer => return Ok(answer?),
                }
            }
        };
        let failure = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            ready = ready => match ready {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
            exit = engine.await_exit(name) => match exit {
                Ok(exit) => StepFailure::failed(describe_exit(name, exit)),
                Err(error) => error.into(),
            },
        };
        if failure.kind != FailureKind::Failed {
            return Err(failure);
        }
        Err(with_evidence(engine, failure, name, Vec::new()).await)
    }

    async fn learn_who_serves(&self) -> Result<(), StepFailure> {
        let deadline = Instant::now() + SERVING_PATIENCE;
        while Instant::now() < deadline {
            match self.run.proxy().version().await {
                Ok(version) if version.serving.instance == Some(self.to) => return Ok(()),
                Ok(_) => {
                    return Err(StepFailure::failed("the proxy of before serves on: the hand-over was interrupted"));
                }
                Err(_) => sleep(STATUS_INTERVAL).await,
            }
        }
        Err(StepFailure::new(FailureKind::Unknown, "it is not known which proxy serves: none of them answers")
            .hint("run the same command again: it asks who serves, and goes on from there"))
    }
}
