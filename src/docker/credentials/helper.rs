//! Credential helpers: programs such as `docker-credential-pass` that store logins for the docker CLI.

use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Enough for a keychain or a cloud service. A helper that waits for user input fails.
pub(super) const LIMIT: Duration = Duration::from_secs(30);
/// Cloud tokens have a few kilobytes.
const MOST_BYTES: u64 = 256 * 1024;
/// Maximum length of a helper's error message in ours.
const MOST_WORDS: usize = 300;
/// The protocol's message for a registry without a login.
const NOT_FOUND: &str = "credentials not found in native keychain";

/// A helper's answer.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Answer {
    #[serde(rename = "Username", default)]
    pub username: String,
    #[serde(rename = "Secret", default)]
    pub secret: String,
}

/// Why a helper gave no login. The text completes "credential helper `x` …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Trouble {
    #[error("has no valid name")]
    BadName,
    #[error("is not installed: there is no such program in PATH")]
    Missing,
    #[error("could not be run: {0}")]
    NotRun(String),
    #[error("gave no answer within {0:?}")]
    Late(Duration),
    #[error("failed with {code}{said}")]
    Failed { code: String, said: String },
    #[error("gave an answer of more than {MOST_BYTES} bytes")]
    TooLong,
    #[error("gave an answer that is not `{{\"Username\":…,\"Secret\":…}}`")]
    Malformed,
}

/// The name of a helper's program.
pub(super) fn program(name: &str) -> String {
    format!("docker-credential-{name}")
}

/// Asks the helper `name` for the login of `server`; `None` when it has none. `path` is the search path for programs.
pub(super) async fn get(
    name: &str,
    server: &str,
    path: Option<&str>,
    limit: Duration,
) -> Result<Option<Answer>, Trouble> {
    // A name with a slash would be a path to any program.
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Trouble::BadName);
    }
    let mut command = Command::new(program(name));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let mut group = Group(command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Trouble::Missing,
        _ => Trouble::NotRun(error.to_string()),
    })?);
    let (status, output, complaint) = timeout(limit, converse(&mut group.0, server))
        .await
        .map_err(|_| Trouble::Late(limit))?
        .map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => Trouble::TooLong,
            _ => Trouble::NotRun(error.to_string()),
        })?;
    if status.success() {
        return serde_json::from_slice(&output).map(Some).map_err(|_| Trouble::Malformed);
    }
    let (output, complaint) = (String::from_utf8_lossy(&output), String::from_utf8_lossy(&complaint));
    if output.contains(NOT_FOUND) || complaint.contains(NOT_FOUND) {
        return Ok(None);
    }
    // The protocol sends the error message to stdout, but many helpers use stderr.
    let said = [&complaint, &output].into_iter().find(|text| !text.trim().is_empty()).map(|text| words(text));
    let code = status.code().map_or_else(|| status.to_string(), |code| format!("exit code {code}"));
    Err(Trouble::Failed { code, said: said.map(|said| format!(": {said}")).unwrap_or_default() })
}

/// Kills the helper's process group when dropped.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        let pid = self.0.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have exited already.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

async fn converse(child: &mut Child, server: &str) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (input, output, complaint) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let tell = async {
        if let Some(mut input) = input {
            // A helper that does not read its stdin may still answer.
            let _ = input.write_all(server.as_bytes()).await;
        }
        Ok(())
    };
    let ((), output, complaint) = tokio::try_join!(tell, all_of(output), all_of(complaint))?;
    Ok((child.wait().await?, output, complaint))
}

async fn all_of(stream: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        stream.take(MOST_BYTES + 1).read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > MOST_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Joins the text to one line without control characters.
fn words(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(MOST_WORDS).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A folder with `script` as the helper `docker-credential-NAME`, as a value for PATH.
    pub(in super::super) fn helper(name: &str, script: &str) -> (tempfile::TempDir, String) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(program(name));
        // Written by another process: a fork of another test could keep our file handle open for writing.
        let write = std::process::Command::new("sh")
            .args(["-c", "printf '%s\\n' \"$2\" >\"$1\" && chmod 755 \"$1\"", "sh"])
            .arg(&file)
            .arg(format!("#!/bin/sh\n{script}"))
            .status();
        assert!(write.unwrap().success());
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap_or_default());
        (folder, path)
    }

    async fn ask(script: &str) -> Result<Option<Answer>, Trouble> {
        let (_folder, path) = helper("test", script);
        get("test", "registry.example", Some(&path), LIMIT).await
    }

    #[tokio::test]
    async fn answers_with_the_login_of_the_server_on_its_input() {
        let script = r#"[ "$1" = get ] && read -r server; printf '{"ServerURL":"%s","Username":"ann","Secret":"at %s"}' "$server" "$server""#;
        let answer = ask(script).await.unwrap().unwrap();
        assert_eq!(answer, Answer { username: "ann".to_owned(), secret: "at registry.example".to_owned() });
    }

    #[tokio::test]
    async fn an_unknown_server_is_not_an_error() {
        assert_eq!(ask("echo credentials not found in native keychain; exit 1").await, Ok(None));
    }

    #[tokio::test]
    async fn a_failure_is_reported_on_one_line() {
        let failed = ask("printf 'the \\033[31mkeychain\\nis locked' >&2; exit 3").await.unwrap_err();
        assert_eq!(failed.to_string(), "failed with exit code 3: the [31mkeychain is locked");
        // The output of a successful helper may be a secret.
        let malformed = ask("echo s3cret").await.unwrap_err();
        assert!(!malformed.to_string().contains("s3cret") && malformed == Trouble::Malformed);
    }

    #[tokio::test]
    async fn a_missing_or_misnamed_helper_is_reported() {
        assert_eq!(get("test", "x", Some("/nowhere"), LIMIT).await, Err(Trouble::Missing));
        for name in ["", "../x", "a b", "/bin/sh"] {
            assert_eq!(get(name, "x", None, LIMIT).await, Err(Trouble::BadName));
        }
    }

    #[tokio::test]
    async fn endless_output_is_bounded() {
        assert_eq!(ask("exec yes").await, Err(Trouble::TooLong));
    }

    #[tokio::test]
    async fn a_hung_helper_is_killed_with_its_children() {
        let mark = tempfile::tempdir().unwrap();
        let file = mark.path().join("pid");
        let (_folder, path) = helper("test", &format!("sleep 1000 & echo $! >{}; wait", file.display()));
        let late = get("test", "x", Some(&path), Duration::from_secs(2)).await;
        assert_eq!(late, Err(Trouble::Late(Duration::from_secs(2))));
        let pid = std::fs::read_to_string(&file).unwrap().trim().to_owned();
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        // A zombie that has not been reaped yet counts as exited.
        while state().is_some_and(|stat| !stat.contains(") Z ")) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
