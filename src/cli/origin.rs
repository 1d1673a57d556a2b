//! The origin of a run for the history: the commit of the compose file's folder, and the pipeline's URL.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::local;
use crate::ports::Origin;

/// Shorter than any deploy, so git never delays one. On a slow disk the history has no commit.
const GIT_LIMIT: Duration = Duration::from_millis(200);
/// Longer than any pipeline's URL.
const LONGEST: usize = 512;

/// Starts the lookup and returns immediately; `found` is set when it is done.
pub fn find_out(folder: &Path, found: &Arc<OnceLock<Origin>>) {
    let (folder, found) = (folder.to_owned(), Arc::clone(found));
    tokio::spawn(async move {
        let env = |name: &str| std::env::var(name).ok();
        let mut origin = of_pipeline(&env);
        let asked = tokio::task::spawn_blocking(move || of_git(&folder));
        if let Ok(Some((commit, branch))) = asked.await {
            origin.commit = Some(commit);
            // A pipeline checks out a detached commit and provides the branch in a variable.
            origin.branch = origin.branch.or(branch);
        }
        // Already set if another call was faster.
        let _ = found.set(origin);
    });
}

/// The commit, with `+dirty` if a tracked file has changed, and the branch.
fn of_git(folder: &Path) -> Option<(String, Option<String>)> {
    let (head, changed) = std::thread::scope(|scope| {
        let head = scope.spawn(|| local::head(folder, GIT_LIMIT));
        let changed = local::changed(folder, GIT_LIMIT);
        (head.join().ok().flatten(), changed)
    });
    let (commit, branch) = head?;
    let dirty = if changed == Some(true) { "+dirty" } else { "" };
    Some((format!("{commit}{dirty}"), Some(branch).filter(|branch| branch != "HEAD")))
}

/// The variables of known CI systems. Nothing else of the environment is recorded.
fn of_pipeline(env: &impl Fn(&str) -> Option<String>) -> Origin {
    let set = |name: &str| env(name).filter(|value| !value.is_empty() && value.len() <= LONGEST);
    let first = |names: &[&str]| names.iter().find_map(|name| set(name));
    let github = || {
        let (server, repository) = (set("GITHUB_SERVER_URL")?, set("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", set("GITHUB_RUN_ID")?))
    };
    let url = github().or_else(|| {
        first(&[
            "CI_JOB_URL",
            "BUILD_URL",
            "BUILDKITE_BUILD_URL",
            "CIRCLE_BUILD_URL",
            "DRONE_BUILD_LINK",
            "CI_PIPELINE_URL",
        ])
    });
    Origin {
        commit: first(&["GITHUB_SHA", "CI_COMMIT_SHA", "GIT_COMMIT", "BUILDKITE_COMMIT", "CIRCLE_SHA1"]),
        branch: first(&["GITHUB_HEAD_REF", "GITHUB_REF_NAME", "CI_COMMIT_REF_NAME", "BRANCH_NAME", "CIRCLE_BRANCH"]),
        url: url.as_deref().and_then(without_login),
    }
}

/// Removes a login before the `@`, which must not be stored in the history.
fn without_login(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    if !matches!(scheme, "http" | "https") {
        return None;
    }
    let host_end = rest.find('/').unwrap_or(rest.len());
    let host_start = rest[..host_end].rfind('@').map_or(0, |at| at + 1);
    Some(format!("{scheme}://{}", &rest[host_start..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(variables: &[(&str, &str)]) -> Origin {
        of_pipeline(&|name: &str| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn pipelines_say_where_they_run() {
        let github = of(&[
            ("GITHUB_SERVER_URL", "https://git.example"),
            ("GITHUB_REPOSITORY", "shop/api"),
            ("GITHUB_RUN_ID", "42"),
            ("GITHUB_SHA", "c0ffee"),
            ("GITHUB_REF_NAME", "main"),
        ]);
        assert_eq!(github.url.as_deref(), Some("https://git.example/shop/api/actions/runs/42"));
        assert_eq!((github.commit.as_deref(), github.branch.as_deref()), (Some("c0ffee"), Some("main")));
        let gitlab = of(&[("CI_JOB_URL", "https://git.example/-/jobs/7"), ("CI_COMMIT_REF_NAME", "fix")]);
        assert_eq!(gitlab.url.as_deref(), Some("https://git.example/-/jobs/7"));
        assert_eq!(of(&[("PATH", "/bin"), ("DB_PASSWORD", "hunter2")]), Origin::default());
    }

    #[test]
    fn a_login_in_an_address_is_not_recorded() {
        let url = |text: &str| of(&[("BUILD_URL", text)]).url;
        assert_eq!(url("https://bot:secret@ci.example/job/1?a=b@c").as_deref(), Some("https://ci.example/job/1?a=b@c"));
        assert_eq!(url("javascript:alert(1)"), None);
    }

    #[test]
    fn a_folder_outside_of_any_repository_has_no_commit() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of_git(folder.path()), None);
    }
}
