//! What the commands that only look need of the world, and `exec`. Apart from a deploy's own ports, which stay small.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

use futures_util::Stream;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::AsyncWrite;

use super::{EngineError, ProxyError};
use crate::model::{AppKey, ObservedProxy, ProjectName, ProxyName, ReleaseNumber};

/// How long a container has been what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// Of the last start; `None` when it never ran.
    pub started_at: Option<Timestamp>,
    /// `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// By its restart policy, not by hand.
    pub restarts: u64,
}

/// Which of its two outputs a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutputStream {
    Stdout,
    Stderr,
}

/// One line of a container's output, as it was written, without its line end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub at: Timestamp,
    pub stream: OutputStream,
    pub text: Vec<u8>,
}

/// Which part of a log is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogRequest {
    /// The last so many lines; `None` is all.
    pub tail: Option<u64>,
    pub since: Option<Timestamp>,
    /// Goes on until the container stops.
    pub follow: bool,
}

pub type LogStream = Pin<Box<dyn Stream<Item = Result<LogLine, EngineError>> + Send>>;

/// Names of containers, as they start.
pub type Starts = Pin<Box<dyn Stream<Item = Result<String, EngineError>> + Send>>;

/// A command to run beside a container's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellRequest {
    pub container: String,
    pub command: Vec<String>,
    /// Columns and rows of the terminal that the command gets.
    pub terminal: Option<(u16, u16)>,
}

pub type ShellOutput = Pin<Box<dyn Stream<Item = Result<(OutputStream, Vec<u8>), EngineError>> + Send>>;

/// A command under way.
pub struct Shell {
    /// Under which the engine knows it.
    pub id: String,
    /// Shutting it down is the end of the command's stdin.
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
    /// Ends when the command does. With a terminal all of it is stdout.
    pub output: ShellOutput,
}

/// The engine, for those who look. Nothing here changes a container.
pub trait InspectEngine: Send + Sync + 'static {
    /// By container id; those that are gone are left out.
    fn lifetimes(&self, ids: &[String])
    -> impl Future<Output = Result<BTreeMap<String, Lifetime>, EngineError>> + Send;

    fn logs(&self, container: &str, request: &LogRequest) -> LogStream;

    /// Every start of a container on this proxy from now on.
    fn starts(&self, proxy: &ProxyName) -> Starts;

    fn shell(&self, request: &ShellRequest) -> impl Future<Output = Result<Shell, EngineError>> + Send;

    fn resize_shell(&self, id: &str, columns: u16, rows: u16) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// How a command that has ended did so.
    fn shell_exit(&self, id: &str) -> impl Future<Output = Result<i64, EngineError>> + Send;
}

/// Who deploys an app right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    pub app: AppKey,
    pub owner: String,
    pub host: String,
    pub purpose: String,
    pub since: Timestamp,
}

/// Requests by how they were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    pub requests: u64,
    /// Answered with 5xx, by the app or by the proxy for it.
    pub errors: u64,
}

/// What an app was asked lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppTraffic {
    /// Of the long window, in milliseconds.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// By the release that answered, `r0` where none was reached: in the short window, and in the long one.
    pub releases: BTreeMap<ReleaseNumber, (RequestCounts, RequestCounts)>,
}

/// What a proxy has counted lately. How long its windows are differs by a few seconds from look to look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    pub short_ms: u64,
    pub long_ms: u64,
    pub apps: BTreeMap<AppKey, AppTraffic>,
}

/// Everything that a proxy can tell in one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProxyOverview {
    pub state: ObservedProxy,
    /// The digest of the `nginx/` folder that it was built from.
    pub build: String,
    pub leases: Vec<HeldLease>,
    /// Peers that are left out because they could not be reached.
    pub ejected: BTreeSet<String>,
    /// `None` from a proxy that does not count this yet.
    pub traffic: Option<Traffic>,
}

/// The proxy, for those who look.
pub trait InspectProxy: Send + Sync + 'static {
    /// The state of all apps, with the traffic of one project's.
    fn overview(&self, project: &ProjectName) -> impl Future<Output = Result<ProxyOverview, ProxyError>> + Send;

    /// At most `limit` records of each app, newest first.
    fn histories(&self, apps: &[AppKey], limit: usize) -> impl Future<Output = Result<Vec<Value>, ProxyError>> + Send;
}
