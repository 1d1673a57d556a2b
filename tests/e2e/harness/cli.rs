//! Runs the binary, to its end or in the background.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::net::{Shutdown, SocketAddrUnix, getpeername, shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far above any run of these tests. A hung run fails with its output so far.
const LIMIT: Duration = Duration::from_secs(900);

/// Variables that would change a run, including those of the pipeline that runs these tests.
const BEHIND_THE_BACK: [&str; 13] = [
    "COMPOSE_FILE",
    "COMPOSE_PROJECT_NAME",
    "DEPLOY_APPS_CRASH_AFTER",
    "VERSION",
    "CI",
    "GITHUB_ACTIONS",
    "GITHUB_OUTPUT",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_WORKSPACE",
    "GITLAB_CI",
    "NO_COLOR",
    "CLICOLOR_FORCE",
    "TERM",
];

/// The binary under test.
pub fn binary() -> PathBuf {
    std::env::var_os("DEPLOY_APPS_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_deploy-apps").into()).into()
}

/// A command that has not been started.
pub struct Cli {
    command: Command,
}

impl Cli {
    pub(super) fn new(folder: PathBuf, args: &[&str]) -> Self {
        let mut command = Command::new(binary());
        command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        for name in BEHIND_THE_BACK {
            command.env_remove(name);
        }
        // Telemetry would leave the machine, and a port variable would override the one in the folder's `.env`.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("OTEL_") || text.ends_with("_PORT") {
                command.env_remove(&name);
            }
        }
        command.kill_on_drop(true);
        Self { command }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Sets the working directory, such as a folder without a compose file.
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn envs(mut self, variables: &[(String, String)]) -> Self {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    /// Ignores SIGHUP, as under `nohup`.
    pub fn ignoring_hangups(self) -> Self {
        let mut shell = Command::new("sh");
        let inner = self.command.as_std();
        shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { command: self.surrounds(shell) }
    }

    /// Sets folder and variables of this command on `starter`.
    pub(super) fn surrounds(&self, mut starter: Command) -> Command {
        let inner = self.command.as_std();
        starter.current_dir(inner.get_current_dir().expect("a host's folder"));
        for (name, value) in inner.get_envs() {
            match value {
                Some(value) => starter.env(name, value),
                None => starter.env_remove(name),
            };
        }
        starter
    }

    /// Program and arguments, quoted for a shell.
    pub(super) fn line(&self) -> String {
        let inner = self.command.as_std();
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        let words: Vec<String> = std::iter::once(inner.get_program()).chain(inner.get_args()).map(quoted).collect();
        words.join(" ")
    }

    /// Runs the command to its end.
    #[must_use = "its exit code says whether it did anything"]
    pub async fn run(self) -> Output {
        self.spawn().finish().await
    }

    pub fn spawn(mut self) -> Running {
        let mut child = self.command.spawn().expect("the binary starts; `cargo build` makes it");
        let stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut stderr = child.stderr.take().expect("piped");
        let stderr = tokio::spawn(async move {
            let mut text = String::new();
            stderr.read_to_string(&mut text).await.map(|_| text).unwrap_or_default()
        });
        Running { child, stdout, stderr, seen: String::new() }
    }
}

/// A running command. Dropping it kills it.
pub struct Running {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    stderr: JoinHandle<String>,
    seen: String,
}

impl Running {
    /// Waits for the next event of this name; needs `--format json`.
    pub async fn event(&mut self, name: &str) -> Value {
        self.event_where(name, |_| true).await
    }

    /// Waits for the next event of this name that satisfies `is_meant`.
    pub async fn event_where(&mut self, name: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let event = self.event_or_end(name, is_meant).await;
        event.unwrap_or_else(|| panic!("the run ended without the event `{name}`\n{}", self.seen))
    }

    /// Like [`Running::event_where`], but `None` if the run ends first.
    pub async fn event_or_end(&mut self, name: &str, is_meant: impl Fn(&Value) -> bool) -> Option<Value> {
        let wanted = async {
            while let Some(line) = self.stdout.next_line().await.expect("text") {
                self.seen.push_str(&line);
                self.seen.push('\n');
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["event"] == name && is_meant(&event) {
                    return Some(event);
                }
            }
            None
        };
        match timeout(LIMIT, wanted).await {
            Ok(event) => event,
            Err(_) => panic!("no event `{name}` within {LIMIT:?}\n{}", self.seen),
        }
    }

    /// Waits for the next line on stdout.
    pub async fn line(&mut self) -> String {
        let line = timeout(LIMIT, self.stdout.next_line()).await.expect("a line within the limit");
        let line = line.expect("text").expect("a line before the end");
        self.seen.push_str(&line);
        self.seen.push('\n');
        line
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a signal to our own child");
    }

    /// Closes each of its connections to a proxy's control socket and returns their number. Requires root.
    pub fn cut_control(&self) -> usize {
        let process = pidfd_open(self.pid(), PidfdFlags::empty()).expect("our own child");
        let opened = fs::read_dir(format!("/proc/{}/fd", self.pid().as_raw_nonzero())).into_iter().flatten().flatten();
        let numbers = opened.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
        let cut = |number| {
            // Connections that it has closed meanwhile are skipped.
            let socket = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?;
            let peer = SocketAddrUnix::try_from(getpeername(&socket).ok()??).ok()?;
            peer.path_bytes()?
                .starts_with(b"/var/lib/deploy-apps/run/")
                .then(|| shutdown(&socket, Shutdown::Both).ok())?
        };
        numbers.filter_map(cut).count()
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        id.expect("a process that runs")
    }

    /// Reads the remaining output and waits for the exit.
    pub async fn finish(mut self) -> Output {
        let ending = async {
            while let Some(line) = self.stdout.next_line().await.expect("text") {
                self.seen.push_str(&line);
                self.seen.push('\n');
            }
            self.child.wait().await.expect("its end")
        };
        let Ok(status) = timeout(LIMIT, ending).await else {
            panic!("the run did not end within {LIMIT:?}\n{}", self.seen);
        };
        Output { code: status.code(), stdout: self.seen, stderr: self.stderr.await.unwrap_or_default() }
    }
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Output {
    /// `None` if it was killed by a signal.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    #[track_caller]
    pub fn succeeded(self) -> Self {
        self.exited(0)
    }

    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "the exit code\n{self}");
        self
    }

    /// Asserts that stdout or stderr contains this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "it does not say `{text}`\n{self}");
        self
    }

    /// The JSON document on stdout, validated against `docs/schema/<command>.json`; needs `--format json`.
    #[track_caller]
    pub fn document(&self, command: &str) -> Value {
        let document = serde_json::from_str(&self.stdout);
        let document = document.unwrap_or_else(|error| panic!("not one JSON document: {error}\n{self}"));
        crate::schema::validates(command, &document);
        document
    }

    /// Asserts that every line on stdout is a valid event of `docs/schema/events.json`.
    #[track_caller]
    pub fn streamed(self) -> Self {
        assert!(!self.stdout.is_empty(), "no event at all\n{self}");
        for line in self.stdout.lines() {
            let event = serde_json::from_str(line);
            crate::schema::validates("events", &event.unwrap_or_else(|error| panic!("{error}: {line}\n{self}")));
        }
        self
    }

    /// All events of this name, in order; needs `--format json`.
    pub fn events(&self, name: &str) -> Vec<Value> {
        let lines = self.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|event| event["event"] == name).collect()
    }
}

impl From<std::process::Output> for Output {
    fn from(output: std::process::Output) -> Self {
        let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        Self { code: output.status.code(), stdout, stderr }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {:?}\n--- stdout\n{}--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}
