//! Commands in containers that run: hooks and backups.

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::failure::{FailureKind, StepFailure};
use super::wait::with_evidence;
use crate::model::Hook;
use crate::ports::{Engine, HookReport};

/// Runs commands in containers.
pub(super) struct Hooks<'a, E> {
    engine: &'a E,
}

impl<'a, E: Engine> Hooks<'a, E> {
    pub(super) fn new(engine: &'a E) -> Self {
        Self { engine }
    }

    /// Runs a hook of a container that has just been started.
    pub(super) async fn post_start(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<(), StepFailure> {
        match self.run(name, hook, cancel).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => {
                let failure = StepFailure::failed(format!("`{name}` ended before its post_start command"));
                Err(with_evidence(self.engine, failure, name, Vec::new()).await)
            }
            Err(failure) => Err(failure),
        }
    }

    /// Saves an accessory's data. Returns the last lines of what it printed.
    pub(super) async fn backup(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<Vec<String>, StepFailure> {
        let hint = "nothing of it was changed; correct the `backup` command, or replace it without one: `--no-backup`";
        match self.run(name, hook, cancel).await {
            Ok(Some(output)) => Ok(output),
            Ok(None) => {
                let failure = StepFailure::failed(format!("`{name}` ended before its backup"));
                Err(with_evidence(self.engine, failure, name, Vec::new()).await.hint(hint))
            }
            Err(failure) if failure.kind == FailureKind::Failed => Err(failure.hint(hint)),
            Err(failure) => Err(failure),
        }
    }

    /// Runs a command in a container to its end, or to its limit. Returns its last lines; `None`: the container did not run.
    pub(super) async fn run(
        &self,
        name: &str,
        hook: &Hook,
        cancel: &CancellationToken,
    ) -> Result<Option<Vec<String>>, StepFailure> {
        let command = hook.shown();
        let report = tokio::select! {
            biased;
            () = cancel.cancelled() => return Err(StepFailure::cancelled()),
            report = self.engine.run_hook(name, hook) => report?,
            () = sleep(hook.timeout) => {
                let message = format!("`{command}` in `{name}` did not finish within {:?}", hook.timeout);
                return Err(StepFailure::failed(message));
            }
        };
        match report {
            None => Ok(None),
            Some(HookReport { code: 0, output }) => Ok(Some(output)),
            Some(HookReport { code, output }) => {
                let failure = StepFailure::failed(format!("`{command}` in `{name}` exited with code {code}"));
                Err(failure.detail(format!("last output of `{command}`"), output))
            }
        }
    }
}
