//! What read-only commands and `exec` need from outside. Apart from a deploy's own ports, which stay small.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use futures_util::Stream;
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::AsyncWrite;

use super::error::{EngineError, ProxyError};
use crate::model::{AppKey, Lifetime, OwnLabels, ProjectName, ProxyName, ProxyOverview, RequestTotals};

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

/// A container of ours, whatever project and proxy it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resident {
    pub labels: OwnLabels,
    pub running: bool,
    /// Published on the host.
    pub ports: Vec<u16>,
}

/// The engine, for those who look. Nothing here changes a container.
pub trait InspectEngine: Send + Sync + 'static {
    /// All that carry our labels, of every proxy on this engine.
    fn residents(&self) -> impl Future<Output = Result<Vec<Resident>, EngineError>> + Send;

    /// By container id; those that are gone are left out.
    fn lifetimes(&self, ids: &[String])
    -> impl Future<Output = Result<BTreeMap<String, Lifetime>, EngineError>> + Send;

    fn logs(&self, container: &str, request: &LogRequest) -> LogStream;

    /// The access log that a running proxy keeps in files of its own. When it is followed, an empty line stands between
    /// what was there and what comes.
    fn access_log(&self, proxy: &str, request: &LogRequest) -> LogStream;

    /// Every start of a container on this proxy since then, and from now on.
    fn starts(&self, proxy: &ProxyName, since: Timestamp) -> Starts;

    fn shell(&self, request: &ShellRequest) -> impl Future<Output = Result<Shell, EngineError>> + Send;

    /// The streams of a created container's own command, from its start to its end.
    fn attach(&self, container: &str) -> impl Future<Output = Result<Shell, EngineError>> + Send;

    fn resize_container(
        &self,
        container: &str,
        columns: u16,
        rows: u16,
    ) -> impl Future<Output = Result<(), EngineError>> + Send;

    fn resize_shell(&self, id: &str, columns: u16, rows: u16) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// How a command that has ended did so.
    fn shell_exit(&self, id: &str) -> impl Future<Output = Result<i64, EngineError>> + Send;
}

/// The proxy, for those who look.
pub trait InspectProxy: Send + Sync + 'static {
    /// The state of all apps, with the traffic of one project's.
    fn overview(&self, project: &ProjectName) -> impl Future<Output = Result<ProxyOverview, ProxyError>> + Send;

    /// What the apps of one project were asked since the proxy started; two looks make a rate.
    fn totals(&self, project: &ProjectName) -> impl Future<Output = Result<RequestTotals, ProxyError>> + Send;

    /// At most `limit` records of each app, newest first.
    fn histories(&self, apps: &[AppKey], limit: usize) -> impl Future<Output = Result<Vec<Value>, ProxyError>> + Send;
}
