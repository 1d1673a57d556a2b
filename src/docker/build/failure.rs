//! Explains a failed build: the step, its last lines, and whether the build's files are wrong.

use bollard::errors::Error;

use super::SILENCE_LIMIT;
use super::follow::BuildError;
use super::steps::Steps;
use crate::docker::errors;
use crate::ports::{EngineError, EngineErrorKind};

/// A failed build, and whether the other builder may succeed.
pub(super) struct Failure {
    pub(super) error: EngineError,
    pub(super) lacks_buildkit: bool,
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        Self { error, lacks_buildkit: false }
    }
}

impl Failure {
    /// Describes the error with the failed step and its last output.
    pub(super) fn new(tag: &str, error: BuildError, steps: Steps) -> Self {
        let doing = format!("build image `{tag}`");
        let text = match error {
            BuildError::Silent => return errors::timed_out(&doing, SILENCE_LIMIT).into(),
            BuildError::Engine(Error::DockerStreamError { error }) => error,
            BuildError::Engine(Error::DockerResponseServerError { message, .. }) => message,
            BuildError::Engine(other) => return errors::explain(&doing, &other).into(),
        };
        let lacks_buildkit = text.to_lowercase().contains("buildkit") && text.contains("not supported");
        let known = errors::from_text(&doing, None, &text);
        if known.kind == EngineErrorKind::DiskFull {
            return known.into();
        }
        let reason = reason(&text);
        let failed = steps.failed().filter(|(name, _)| !name.is_empty());
        let (kind, hint) = match &failed {
            // The disk was full inside the command; the engine only reports a failed command.
            Some((_, tail)) if tail.iter().any(|line| errors::is_disk_full(line)) => {
                (EngineErrorKind::DiskFull, Some(errors::FREE_DISK))
            }
            _ => judge(&text),
        };
        let at = failed.as_ref().map(|(name, _)| format!(" at `{name}`")).unwrap_or_default();
        let mut error = EngineError::new(kind, format!("build of image `{tag}` failed{at}: {reason}"));
        error.hint = hint.map(str::to_owned);
        match failed {
            Some((name, tail)) if !tail.is_empty() => {
                let lines = if tail.len() == 1 { "line".to_owned() } else { format!("{} lines", tail.len()) };
                error = error.detail(format!("last {lines} of `{name}`"), tail);
            }
            _ => {}
        }
        Failure { error, lacks_buildkit }
    }

    /// Adds why logins are missing if the base image was refused.
    pub(super) fn without_logins(mut self, troubles: &[EngineError]) -> Self {
        let registries = ["authoriz", "denied", "credentials", "authentication", "forbidden", "401", "403"];
        let is_refused = registries.iter().any(|word| self.error.message.to_lowercase().contains(word));
        if let Some(trouble) = troubles.first().filter(|_| is_refused) {
            self.error.message = format!("{}; {}", self.error.message, trouble.message);
            self.error.hint.clone_from(&trouble.hint);
        }
        self
    }
}

/// Distinguishes errors in the build's files from failures at run time, and adds a hint.
fn judge(text: &str) -> (EngineErrorKind, Option<&'static str>) {
    let lower = text.to_lowercase();
    let has = |needles: &[&str]| needles.iter().any(|needle| lower.contains(needle));
    if has(&["parse error", "unknown instruction", "no build stage", "file with no instructions", "cannot be empty"]) {
        (EngineErrorKind::BadBuild, Some("correct the Dockerfile at the line it names"))
    } else if has(&["target stage", "failed to reach build target"]) {
        (EngineErrorKind::BadBuild, Some("check `build.target` against the stages of the Dockerfile"))
    } else if has(&[
        "failed to compute cache key",
        "failed to calculate checksum",
        "copy failed",
        "file not found in build context",
    ]) {
        (EngineErrorKind::BadBuild, Some("is the file in the build context, and not in .dockerignore?"))
    } else if has(&[
        "failed to resolve source metadata",
        "pull access denied",
        "manifest unknown",
        "failed to resolve reference",
    ]) {
        (
            EngineErrorKind::BuildFailed,
            Some("its base image cannot be had: check its name and whether the engine reaches the registry"),
        )
    } else {
        (EngineErrorKind::BuildFailed, None)
    }
}

/// Removes parts that the message already contains: that it is a build, and the command.
fn reason(text: &str) -> String {
    let text = text.trim().trim_start_matches("failed to solve: ");
    let text = match text.split_once("did not complete successfully: ") {
        Some((_, code)) => code.replace("exit code: ", "exit code "),
        None => text.to_owned(),
    };
    match text.rsplit_once("returned a non-zero code: ") {
        Some((_, code)) => format!("exit code {code}"),
        None => text.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_builders_error_is_reduced_to_the_reason() {
        let buildkit = "failed to solve: process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3";
        assert_eq!(reason(buildkit), "exit code 3");
        assert_eq!(reason("The command '/bin/sh -c exit 3' returned a non-zero code: 3"), "exit code 3");
        assert_eq!(
            reason("dockerfile parse error on line 2: unknown instruction: RUNN"),
            "dockerfile parse error on line 2: unknown instruction: RUNN"
        );
    }

    #[test]
    fn errors_in_files_differ_from_failures_at_run_time() {
        let kind = |text: &str| judge(text).0;
        assert_eq!(kind("dockerfile parse error on line 2: unknown instruction: RUNN"), EngineErrorKind::BadBuild);
        assert_eq!(kind("failed to compute cache key: \"/nope\": not found"), EngineErrorKind::BadBuild);
        assert_eq!(kind("target stage \"dev\" could not be found"), EngineErrorKind::BadBuild);
        assert_eq!(
            kind("process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3"),
            EngineErrorKind::BuildFailed
        );
    }
}
