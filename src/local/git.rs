//! Reads git metadata of a folder without running commands that its `.git/config` names.
//!
//! A monitor (`core.fsmonitor`), hooks and filters (`filter.*.clean`) are commands that git runs even for `git status`.
//! They are disabled for these calls, and objects are never fetched.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Larger than any answer that is used; the rest is cut off.
const MOST_BYTES: u64 = 256 << 10;

/// `v1.2-3-gabc123`, or the commit if there is no tag; with `-dirty` if a tracked file has changed.
///
/// `None` without git, outside of a repository, or after `limit`.
#[must_use]
pub fn described(folder: &Path, limit: Duration) -> Option<String> {
    let (text, changed) = std::thread::scope(|scope| {
        let describe = scope.spawn(|| ask(folder, &[], &["describe", "--tags", "--always"], limit));
        let changed = changed(folder, limit);
        (describe.join().ok().flatten(), changed)
    });
    let dirty = if changed? { "-dirty" } else { "" };
    Some(format!("{}{dirty}", text?.trim()))
}

/// The commit, and the branch or `HEAD`.
#[must_use]
pub fn head(folder: &Path, limit: Duration) -> Option<(String, String)> {
    let text = ask(folder, &[], &["rev-parse", "HEAD", "--abbrev-ref", "HEAD"], limit)?;
    let (commit, branch) = text.trim().split_once('\n')?;
    Some((commit.to_owned(), branch.trim().to_owned()))
}

/// Whether a tracked file has changed. Submodules have their own configuration and are not checked.
#[must_use]
pub fn changed(folder: &Path, limit: Duration) -> Option<bool> {
    let filters = filters(folder, limit)?;
    let args = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all", "--no-renames"];
    Some(!ask(folder, &filters, &args, limit)?.trim().is_empty())
}

/// Options that disable every filter. Git then compares files by their raw content.
fn filters(folder: &Path, limit: Duration) -> Option<Vec<String>> {
    let args = ["config", "--null", "--name-only", "--get-regexp", r"^filter\."];
    let listed = ask_for(folder, &[], &args, limit, |code| matches!(code, Some(0 | 1)))?;
    let drivers: BTreeSet<&str> =
        listed.split('\0').filter_map(|key| Some(key.strip_prefix("filter.")?.rsplit_once('.')?.0)).collect();
    // Such a driver cannot be named in an option, so its filter cannot be disabled.
    if drivers.iter().any(|driver| driver.contains(['=', '\n'])) {
        return None;
    }
    let off = |driver: &&str| {
        ["clean=", "smudge=", "process=", "required=false"].map(|setting| format!("filter.{driver}.{setting}"))
    };
    Some(drivers.iter().flat_map(off).collect())
}

fn ask(folder: &Path, settings: &[String], args: &[&str], limit: Duration) -> Option<String> {
    ask_for(folder, settings, args, limit, |code| code == Some(0))
}

fn ask_for(
    folder: &Path,
    settings: &[String],
    args: &[&str],
    limit: Duration,
    good: impl Fn(Option<i32>) -> bool,
) -> Option<String> {
    const OFF: [&str; 5] = [
        "core.fsmonitor=false",
        "core.hooksPath=/dev/null",
        "core.untrackedCache=false",
        "safe.bareRepository=explicit",
        "submodule.recurse=false",
    ];
    let mut git = Command::new("git");
    git.args(["--no-optional-locks", "--no-pager", "-C"]).arg(folder);
    for setting in OFF.into_iter().chain(settings.iter().map(String::as_str)) {
        git.args(["-c", setting]);
    }
    git.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    // Write nothing, prompt for nothing, and fetch no objects that a partial clone lacks (git would run `ssh` for it).
    git.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_TERMINAL_PROMPT", "0");
    git.env("GIT_NO_LAZY_FETCH", "1").env("GIT_ALLOW_PROTOCOL", "none").env("GIT_TRACE2", "0");
    let child = git.spawn().ok()?;
    answer(child, limit).filter(|(code, _)| good(*code)).map(|(_, text)| text)
}

/// The child's output and exit code. The child is killed when it exceeds the size or time limit.
fn answer(mut child: Child, limit: Duration) -> Option<(Option<i32>, String)> {
    let stdout = child.stdout.take()?;
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = stdout.take(MOST_BYTES).read_to_end(&mut bytes);
        drop(send.send(read.map(|_| bytes)));
    });
    let read = receive.recv_timeout(limit).ok().and_then(Result::ok);
    let Some(bytes) = read else {
        drop(child.kill());
        drop(child.wait());
        return None;
    };
    if bytes.len() as u64 == MOST_BYTES {
        drop(child.kill());
        drop(child.wait());
        return Some((Some(0), String::from_utf8_lossy(&bytes).into_owned()));
    }
    let code = child.wait().ok()?.code();
    Some((code, String::from_utf8_lossy(&bytes).into_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn git(folder: &Path, args: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let done = Command::new("git").arg("-C").arg(folder).args(identity).args(args).output().expect("git");
        assert!(done.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        git(folder.path(), &["init", "--quiet"]);
        fs::write(folder.path().join("file"), "one\n").expect("a file");
        git(folder.path(), &["add", "."]);
        git(folder.path(), &["commit", "--quiet", "-m", "first"]);
        git(folder.path(), &["tag", "v1.0"]);
        folder
    }

    #[test]
    fn a_changed_file_makes_the_version_dirty() {
        let folder = repository();
        assert_eq!(described(folder.path(), LIMIT).as_deref(), Some("v1.0"));
        fs::write(folder.path().join("new"), "untracked").expect("a file");
        assert_eq!(described(folder.path(), LIMIT).as_deref(), Some("v1.0"));
        fs::write(folder.path().join("file"), "two\n").expect("a file");
        assert_eq!(described(folder.path(), LIMIT).as_deref(), Some("v1.0-dirty"));
        let (commit, branch) = head(folder.path(), LIMIT).expect("a commit");
        assert!(commit.len() >= 40 && !branch.is_empty());
        let outside = tempfile::tempdir().expect("a folder");
        assert_eq!(described(outside.path(), LIMIT), None);
    }

    #[test]
    fn git_config_commands_are_not_run() {
        let folder = repository();
        let at = |name: &str| folder.path().join(name);
        let trap = |name: &str| {
            let script = at(&format!(".git/{name}.sh"));
            let text = format!("#!/bin/sh\ntouch {}\ncat\n", at(&format!(".git/ran-{name}")).display());
            fs::write(&script, text).expect("a script");
            fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("executable");
            script.display().to_string()
        };
        let hooks = at(".git/own-hooks");
        fs::create_dir(&hooks).expect("a folder");
        for hook in ["post-index-change", "fsmonitor-watchman", "reference-transaction"] {
            fs::rename(trap(hook), hooks.join(hook)).expect("a hook");
        }
        // Names that an attacker could choose: with dots, spaces and quotes.
        for (index, driver) in ["a", "b.c", "d e\"f"].into_iter().enumerate() {
            let script = trap(&format!("clean{index}"));
            git(folder.path(), &["config", &format!("filter.{driver}.clean"), &script]);
            git(folder.path(), &["config", &format!("filter.{driver}.process"), &trap(&format!("process{index}"))]);
            git(folder.path(), &["config", &format!("filter.{driver}.required"), "true"]);
        }
        git(folder.path(), &["config", "core.fsmonitor", &trap("fsmonitor")]);
        git(folder.path(), &["config", "core.hooksPath", &hooks.display().to_string()]);
        for (key, name) in [("diff.external", "diff"), ("core.pager", "pager"), ("core.sshCommand", "ssh")] {
            git(folder.path(), &["config", key, &trap(name)]);
        }
        fs::write(at(".gitattributes"), "file filter=a\n* filter=b.c\n").expect("attributes");
        // Same size, other mtime: git has to compare the content.
        fs::write(at("file"), "two\n").expect("a file");
        assert_eq!(described(folder.path(), LIMIT).as_deref(), Some("v1.0-dirty"));
        let ran: Vec<_> = fs::read_dir(at(".git"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with("ran-"))
            .collect();
        assert_eq!(ran, Vec::<String>::new());
    }

    #[test]
    fn a_filter_that_cannot_be_disabled_means_no_answer() {
        let folder = repository();
        git(folder.path(), &["config", "filter.a=b.clean", "false"]);
        assert_eq!(described(folder.path(), LIMIT), None);
    }

    #[test]
    fn a_hung_git_is_stopped_at_the_limit() {
        let folder = repository();
        let config = folder.path().join(".git/config");
        fs::remove_file(&config).expect("removed");
        assert!(Command::new("mkfifo").arg(&config).status().expect("mkfifo").success());
        assert_eq!(described(folder.path(), Duration::from_millis(200)), None);
    }
}
