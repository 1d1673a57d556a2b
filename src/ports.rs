//! What the core needs from outside, in the domain's own types.
//!
//! `docker` and `proxy` implement these for real; the tests implement them in memory.

mod error;
mod inspect;
mod run;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::net::SocketAddrV4;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};
use tokio::io::{AsyncRead, AsyncWrite};

pub use error::{EngineError, EngineErrorKind, ProxyError, innermost};
pub use inspect::{
    InspectEngine, InspectProxy, LogLine, LogRequest, LogStream, OutputStream, Resident, Shell, ShellOutput,
    ShellRequest, Starts,
};
pub use run::{Ending, LeaseRequest, Operator, Origin, RunInfo};

use crate::model::{
    AppKey, BuildSpec, CanaryOrder, CanaryReport, CertificateChange, ContainerState, DiskSpace, DockerHealth,
    EngineInfo, Generation, Hook, HostFile, InFlight, KillCause, Listening, NewContainer, NewNetwork, NewVolume,
    ObservedEngine, ObservedProxy, ProxyName, ReleaseNumber, StoredRelease,
};
use crate::plan::{FlipChange, Serving};

/// A container right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContainerStatus {
    pub state: ContainerState,
    pub health: Option<DockerHealth>,
    /// How often the engine has started it again, by its restart policy, after it had ended by itself.
    pub restarts: u64,
    /// How long after its start its HEALTHCHECK may need for the first answer, by the check's own times.
    pub first_check_within: Option<Duration>,
}

/// How a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitReport {
    pub code: i64,
    pub oom_killed: bool,
}

/// How a command in a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookReport {
    pub code: i64,
    /// The last lines of what it said, both streams.
    pub output: Vec<String>,
}

/// How a stop went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StopReport {
    /// It had not ended when its grace period was over.
    pub killed: bool,
    /// Why, where its processes tell.
    pub cause: Option<KillCause>,
}

/// Takes a line of progress, such as a build's output.
pub type Progress = Arc<dyn Fn(String) + Send + Sync>;

/// A container engine. One method is one call or one wait; nothing here decides.
///
/// Calls are idempotent where the name says a state (`remove`, `stop`): what is so already is no error.
pub trait Engine: Send + Sync + 'static {
    fn info(&self) -> impl Future<Output = Result<EngineInfo, EngineError>> + Send;

    /// Everything that carries our labels for this proxy (all projects), all networks, all volume names, our images.
    fn observe(&self, proxy: &ProxyName) -> impl Future<Output = Result<ObservedEngine, EngineError>> + Send;

    /// The digest of what a build would read: context after `.dockerignore`, Dockerfile, arguments, target.
    fn source_digest(&self, build: &BuildSpec) -> impl Future<Output = Result<String, EngineError>> + Send;

    /// Builds and tags; the image carries `digest` and `project` as labels. Returns the image's id.
    fn build_image(
        &self,
        build: &BuildSpec,
        tag: &str,
        digest: &str,
        progress: Progress,
    ) -> impl Future<Output = Result<String, EngineError>> + Send;

    fn pull_image(
        &self,
        reference: &str,
        progress: Progress,
    ) -> impl Future<Output = Result<String, EngineError>> + Send;

    /// The id behind a tag or reference; `None` when the engine does not have it.
    fn image_id(&self, reference: &str) -> impl Future<Output = Result<Option<String>, EngineError>> + Send;

    fn tag_image(&self, image: &str, tag: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// An image without another tag goes with it.
    fn untag_image(&self, tag: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    fn create_network(&self, network: &NewNetwork) -> impl Future<Output = Result<(), EngineError>> + Send;

    fn create_volume(&self, volume: &NewVolume) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Creates it with all its networks and files, not started.
    fn create_container(&self, container: &NewContainer) -> impl Future<Output = Result<(), EngineError>> + Send;

    fn start_container(&self, name: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// `None` when there is no such container.
    fn container_status(&self, name: &str)
    -> impl Future<Output = Result<Option<ContainerStatus>, EngineError>> + Send;

    /// Runs a command in a running container to its end. `None` when the container does not run (any more).
    /// Unbounded in itself; a command that is given up goes on until its container ends.
    fn run_hook(&self, name: &str, hook: &Hook)
    -> impl Future<Output = Result<Option<HookReport>, EngineError>> + Send;

    /// Returns as soon as a started container is no longer running, also when that was so already.
    fn await_exit(&self, name: &str) -> impl Future<Output = Result<ExitReport, EngineError>> + Send;

    /// `signal: None` is the container's own; `grace: None` its own, else 10 s.
    fn stop_container(
        &self,
        name: &str,
        signal: Option<&str>,
        grace: Option<Duration>,
    ) -> impl Future<Output = Result<StopReport, EngineError>> + Send;

    /// Also kills it if it runs, and removes its anonymous volumes.
    fn remove_container(&self, name: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    fn remove_network(&self, name: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// With its data. An error when a container still uses it.
    fn remove_volume(&self, name: &str) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// Removes images that we built and that have neither a tag nor a container.
    fn remove_dangling(&self) -> impl Future<Output = Result<(), EngineError>> + Send;

    /// The disk where the engine keeps its images; `None` where nobody can tell from here.
    fn disk(&self, proxy: &ProxyName) -> impl Future<Output = Result<Option<DiskSpace>, EngineError>> + Send;

    /// Bytes that all images take on the engine's disk, what they share counted once.
    fn image_bytes(&self) -> impl Future<Output = Result<u64, EngineError>> + Send;

    /// What its HEALTHCHECK said last; empty when it has not answered yet, or is none.
    fn last_check(&self, name: &str) -> impl Future<Output = Result<Vec<String>, EngineError>> + Send;

    /// Where the processes of a running container listen, and whether TLS is what answers at this address of its own.
    /// `None` where nobody can tell.
    fn listening(
        &self,
        name: &str,
        address: SocketAddrV4,
    ) -> impl Future<Output = Result<Option<Listening>, EngineError>> + Send;

    /// What there is at these paths of the engine's host; nothing at all where that host is not this machine.
    fn host_files(
        &self,
        paths: &BTreeSet<String>,
    ) -> impl Future<Output = Result<BTreeMap<String, HostFile>, EngineError>> + Send;

    /// The last lines of its output, both streams in order of arrival.
    fn log_tail(&self, name: &str, lines: usize) -> impl Future<Output = Result<Vec<String>, EngineError>> + Send;
}

/// A byte stream in both directions.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// A dial under way.
pub type Dialing<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Duplex>, EngineError>> + Send + 'a>>;

/// Opens a stream to the proxy's control socket; each call is a channel of its own.
pub trait Dial: Send + Sync + 'static {
    fn dial(&self) -> Dialing<'_>;
}

/// Who the proxy is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyVersion {
    pub api: u64,
    /// The digest of the `nginx/` folder that its image was built from.
    pub build: String,
    /// Which nginx serves and which retire.
    pub serving: Serving,
    /// Its clock, since 1970; 0 from one of an older build.
    pub now_ms: u64,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    pub address: std::net::Ipv4Addr,
    pub port: u16,
    pub path: String,
    pub host: String,
    pub timeout: Duration,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    pub healthy: bool,
    pub status: Option<u16>,
    /// Such as `connection refused`, when there was no answer.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub body: Option<String>,
}

impl fmt::Display for ProbeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.status, &self.error) {
            (Some(status), _) => write!(f, "status {status}"),
            (None, Some(error)) => f.write_str(error),
            (None, None) => f.write_str("no answer"),
        }
    }
}

/// The proxy's control API. One method is one call.
pub trait Proxy: Send + Sync + 'static {
    /// Held by a connection of its own; dropping it frees the apps at once.
    type Lease: Send + Sync;

    fn version(&self) -> impl Future<Output = Result<ProxyVersion, ProxyError>> + Send;

    /// The nginx that serves hands over to the one with the number `to`, which is ready or not: then it serves on.
    fn hand_over(&self, to: u32) -> impl Future<Output = Result<(), ProxyError>> + Send;

    fn state(&self) -> impl Future<Output = Result<ObservedProxy, ProxyError>> + Send;

    /// All of the apps or none. A held lease is an error at once; waiting is the caller's.
    fn acquire(&self, request: &LeaseRequest) -> impl Future<Output = Result<Self::Lease, ProxyError>> + Send;

    /// Returns when somebody else may have the lease's apps; never while it holds.
    fn lost(&self, lease: &Self::Lease) -> impl Future<Output = ()> + Send;

    fn probe(&self, probe: &Probe) -> impl Future<Output = Result<ProbeAnswer, ProxyError>> + Send;

    /// `expected` holds, for each change, the generation it replaces (0: no record). Persisted before it returns.
    fn flip(
        &self,
        lease: &Self::Lease,
        changes: &[FlipChange],
        expected: &[Generation],
    ) -> impl Future<Output = Result<Generation, ProxyError>> + Send;

    /// Returns the sum over `peers` as soon as it differs from `known` or is zero, at the latest after `wait`.
    fn in_flight(
        &self,
        peers: &[String],
        known: Option<InFlight>,
        wait: Duration,
    ) -> impl Future<Output = Result<InFlight, ProxyError>> + Send;

    /// Appends to the history, which also makes the release's number used.
    fn record(
        &self,
        app: &AppKey,
        release: ReleaseNumber,
        event: &str,
        details: Map<String, Value>,
    ) -> impl Future<Output = Result<(), ProxyError>> + Send;

    /// Newest first.
    fn history(&self, app: &AppKey, limit: usize) -> impl Future<Output = Result<Vec<Value>, ProxyError>> + Send;

    /// Keeps what a rollback to `release` needs; `document` is an object. Replaces what was kept under that number.
    fn store_release(
        &self,
        app: &AppKey,
        release: ReleaseNumber,
        document: Value,
    ) -> impl Future<Output = Result<(), ProxyError>> + Send;

    /// What the proxy has counted for these releases of an app, and what somebody asks of its canary.
    fn canary(
        &self,
        app: &AppKey,
        releases: &[ReleaseNumber],
    ) -> impl Future<Output = Result<CanaryReport, ProxyError>> + Send;

    /// Asks whoever watches the app's canary. An error when nobody does.
    fn order_canary(
        &self,
        app: &AppKey,
        order: CanaryOrder,
        operator: &Operator,
    ) -> impl Future<Output = Result<(), ProxyError>> + Send;

    /// What is kept of the releases of each of the apps, highest first.
    fn releases(
        &self,
        apps: &[AppKey],
    ) -> impl Future<Output = Result<BTreeMap<AppKey, Vec<StoredRelease>>, ProxyError>> + Send;

    /// Stores or removes the certificate of a host. Persisted before it returns; what is so already is no error.
    fn change_certificate(&self, change: &CertificateChange) -> impl Future<Output = Result<(), ProxyError>> + Send;

    /// They can no longer be rolled back to. What is not kept is no error.
    fn forget_releases(
        &self,
        app: &AppKey,
        releases: &[ReleaseNumber],
    ) -> impl Future<Output = Result<(), ProxyError>> + Send;
}
