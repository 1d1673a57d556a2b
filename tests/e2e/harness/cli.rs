//! Runs of the binary, to the end or under way.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use deploy_apps::proxy::CONTROL_SOCKET;
use rustix::net::{Shutdown, SocketAddrUnix, getpeername, shutdown};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, Signal, kill_process, pidfd_getfd, pidfd_open};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Far above any run of these tests; a run that hangs fails with what it has said so far.
const LIMIT: Duration = Duration::from_secs(900);

/// What would change a run behind the test's back; also of the pipeline that these tests run in.
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

/// The one under test.
pub fn binary() -> PathBuf {
    std::env::var_os("DEPLOY_APPS_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_deploy-apps").into()).into()
}

/// A command line that has not begun.
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
        // Telemetry would leave the machine; a port of the surroundings would win over the one in the folder's `.env`.
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

    /// Runs it elsewhere, such as where no compose file is.
    pub fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn envs(mut self, variables: &[(String, String)]) -> Self {
        self.command.envs(variables.iter().map(|(name, value)| (name, value)));
        self
    }

    /// As under `nohup`.
    pub fn ignoring_hangups(self) -> Self {
        let mut shell = Command::new("sh");
        let inner = self.command.as_std();
        shell.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(inner.get_program()).args(inner.get_args());
        shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        Self { command: self.surrounds(shell) }
    }

    /// Gives what starts this command the folder and the variables that it would have.
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

    /// The program and its arguments, as a shell reads them.
    pub(super) fn line(&self) -> String {
        let inner = self.command.as_std();
        let quoted = |word: &OsStr| format!("'{}'", word.to_string_lossy().replace('\'', r"'\''"));
        let words: Vec<String> = std::iter::once(inner.get_program()).chain(inner.get_args()).map(quoted).collect();
        words.join(" ")
    }

    /// Runs it to its end.
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

/// A run under way. Dropping it kills it.
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

    /// Waits for the next event of this name that `is_meant`.
    pub async fn event_where(&mut self, name: &str, is_meant: impl Fn(&Value) -> bool) -> Value {
        let event = self.event_or_end(name, is_meant).await;
        event.unwrap_or_else(|| panic!("the run ended without the event `{name}`\n{}", self.seen))
    }

    /// The same of a run that may end without it.
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

    /// Waits for the next line of standard output.
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

    /// Cuts each connection that it has to a proxy's control socket, and says how many those were. Only root can.
    pub fn cut_control(&self) -> usize {
        let process = pidfd_open(self.pid(), PidfdFlags::empty()).expect("our own child");
        let opened = fs::read_dir(format!("/proc/{}/fd", self.pid().as_raw_nonzero())).into_iter().flatten().flatten();
        let numbers = opened.filter_map(|entry| entry.file_name().to_str()?.parse::<RawFd>().ok());
        let cut = |number| {
            // What it has closed meanwhile is no connection to cut.
            let socket = pidfd_getfd(&process, number, PidfdGetfdFlags::empty()).ok()?;
            let peer = SocketAddrUnix::try_from(getpeername(&socket).ok()??).ok()?;
            (peer.path_bytes()? == CONTROL_SOCKET.as_bytes()).then(|| shutdown(&socket, Shutdown::Both).ok())?
        };
        numbers.filter_map(cut).count()
    }

    fn pid(&self) -> Pid {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        id.expect("a process that runs")
    }

    /// Reads to the end and waits for the exit.
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

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// `None` when a signal ended it.
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

    /// Asserts that standard output or standard error has this text.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text) || self.stderr.contains(text), "it does not say `{text}`\n{self}");
        self
    }

    /// The one JSON document on standard output, which is as `docs/schema/<command>.json` says; needs `--format json`.
    #[track_caller]
    pub fn document(&self, command: &str) -> Value {
        let document = serde_json::from_str(&self.stdout);
        let document = document.unwrap_or_else(|error| panic!("not one JSON document: {error}\n{self}"));
        crate::schema::validates(command, &document);
        document
    }

    /// Asserts that every line of standard output is an event as `docs/schema/events.json` says.
    #[track_caller]
    pub fn streamed(self) -> Self {
        assert!(!self.stdout.is_empty(), "no event at all\n{self}");
        for line in self.stdout.lines() {
            let event = serde_json::from_str(line);
            crate::schema::validates("events", &event.unwrap_or_else(|error| panic!("{error}: {line}\n{self}")));
        }
        self
    }

    /// All events of this name, in their order; needs `--format json`.
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
