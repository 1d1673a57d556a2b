//! The container engine; the only user of bollard.
//!
//! Each method of [`Engine`] is one call or one wait, without decisions, output or state. Mistakes of bollard are
//! corrected here, and the engine's answers are converted to our own types and errors.

mod access_log;
mod api;
mod build;
mod built;
mod connect;
mod containers;
mod create;
mod credentials;
mod disk;
mod doctor;
mod errors;
mod exec;
mod files;
mod forgotten;
mod healthcheck;
mod hook;
mod host_config;
mod host_files;
mod images;
mod inherited;
mod inspect;
mod listening;
mod logs;
mod networks;
mod observe;
mod processes;
mod pull;
mod reattach;
mod routes;
mod shell;
mod socket;
mod text;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::Future;
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use tokio_util::task::AbortOnDropHandle;

pub use connect::{CertificateInfo, EngineChoice, connect, connect_to};
pub use doctor::certificate_end;
pub use exec::ExecDial;
pub use socket::SocketDial;

use crate::model::{
    BuildSpec, DiskSpace, EngineInfo, Hook, HostFile, Listening, NewContainer, NewNetwork, NewVolume, ObservedEngine,
    ProxyName,
};
use crate::ports::{
    ContainerStatus, Engine, EngineError, EngineErrorKind, ExitReport, HookReport, Progress, StopReport,
};
use api::ApiVersion;
use connect::Link;
use credentials::Credentials;

/// Generous: creating twenty containers at once on a slow disk queues inside the engine.
const CALL_LIMIT: Duration = Duration::from_secs(60);
/// When a link breaks this often during one call, the call fails.
const CALL_ATTEMPTS: usize = 4;

/// A Docker Engine, version 20.10 or later. Clones share one client.
#[derive(Clone)]
pub struct DockerEngine {
    client: Docker,
    api: ApiVersion,
    info: Arc<EngineInfo>,
    certificates: Arc<[CertificateInfo]>,
    credentials: Arc<Credentials>,
    classic_builder: bool,
    /// `None` for a local socket.
    link: Option<Arc<Link>>,
    /// Dropped with the last clone.
    #[expect(dead_code, reason = "held for its drop, which ends the watch over the link")]
    watch: Option<Arc<AbortOnDropHandle<()>>>,
}

impl DockerEngine {
    /// The engine's version and address.
    #[must_use]
    pub fn about(&self) -> &EngineInfo {
        &self.info
    }

    /// The certificates used to connect to the engine: the CA's and ours; empty without TLS.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateInfo] {
        &self.certificates
    }

    /// Runs an idempotent call, and repeats it when the connection broke and the link may recover.
    async fn again<T, F>(&self, call: impl Fn() -> F) -> Result<T, EngineError>
    where
        F: Future<Output = Result<T, EngineError>>,
    {
        for _ in 1..CALL_ATTEMPTS {
            match Box::pin(call()).await {
                Err(error) if error.kind == EngineErrorKind::Unreachable && self.may_come_back() => {}
                result => return result,
            }
        }
        Box::pin(call()).await
    }

    fn may_come_back(&self) -> bool {
        self.link.as_ref().is_some_and(|link| !link.is_given_up())
    }

    /// Awaits one call; `doing` completes the sentence "could not …". The client's futures are large, so they are
    /// boxed.
    async fn call<T>(
        &self,
        doing: &str,
        call: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let call = Box::pin(call);
        bounded(doing, CALL_LIMIT, async { call.await.map_err(|error| errors::explain(doing, &error)) }).await
    }
}

/// Bollard's timeout ends with the response's headers, so bodies are bounded here.
async fn bounded<T>(
    doing: &str,
    limit: Duration,
    work: impl Future<Output = Result<T, EngineError>>,
) -> Result<T, EngineError> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(errors::timed_out(doing, limit)),
    }
}

/// Converts a not-found error to `None`.
fn present<T>(result: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(error.kind, EngineErrorKind::NotFound | EngineErrorKind::ImageNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A filter in the format of the engine's list calls.
fn filter(key: &str, value: impl Into<String>) -> HashMap<String, Vec<String>> {
    HashMap::from([(key.to_owned(), vec![value.into()])])
}

impl Engine for DockerEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        Ok(EngineInfo::clone(&self.info))
    }

    async fn observe(&self, proxy: &ProxyName) -> Result<ObservedEngine, EngineError> {
        self.again(|| observe::observe(self, proxy)).await
    }

    async fn source_digest(&self, build: &BuildSpec) -> Result<String, EngineError> {
        build::source_digest(build).await
    }

    async fn build_image(
        &self,
        build: &BuildSpec,
        tag: &str,
        digest: &str,
        progress: Progress,
    ) -> Result<String, EngineError> {
        build::build_image(self, build, tag, digest, progress).await
    }

    async fn pull_image(&self, reference: &str, progress: Progress) -> Result<String, EngineError> {
        pull::pull_image(self, reference, progress).await
    }

    async fn image_id(&self, reference: &str) -> Result<Option<String>, EngineError> {
        self.again(|| images::image_id(self, reference)).await
    }

    async fn tag_image(&self, image: &str, tag: &str) -> Result<(), EngineError> {
        self.again(|| images::tag_image(self, image, tag)).await
    }

    async fn untag_image(&self, tag: &str) -> Result<(), EngineError> {
        self.again(|| images::untag_image(self, tag)).await
    }

    async fn create_network(&self, network: &NewNetwork) -> Result<(), EngineError> {
        networks::create_network(self, network).await
    }

    async fn create_volume(&self, volume: &NewVolume) -> Result<(), EngineError> {
        networks::create_volume(self, volume).await
    }

    async fn create_container(&self, container: &NewContainer) -> Result<(), EngineError> {
        create::create_container(self, container).await
    }

    async fn start_container(&self, name: &str) -> Result<(), EngineError> {
        self.again(|| containers::start(self, name)).await
    }

    async fn container_status(&self, name: &str) -> Result<Option<ContainerStatus>, EngineError> {
        self.again(|| containers::status(self, name)).await
    }

    async fn last_check(&self, name: &str) -> Result<Vec<String>, EngineError> {
        self.again(|| healthcheck::last(self, name)).await
    }

    async fn run_hook(&self, name: &str, hook: &Hook) -> Result<Option<HookReport>, EngineError> {
        hook::run_hook(self, name, hook).await
    }

    async fn await_exit(&self, name: &str) -> Result<ExitReport, EngineError> {
        self.again(|| containers::await_exit(self, name)).await
    }

    async fn stop_container(
        &self,
        name: &str,
        signal: Option<&str>,
        grace: Option<Duration>,
    ) -> Result<StopReport, EngineError> {
        self.again(|| containers::stop(self, name, signal, grace)).await
    }

    async fn remove_container(&self, name: &str) -> Result<(), EngineError> {
        self.again(|| containers::remove(self, name)).await
    }

    async fn remove_network(&self, name: &str) -> Result<(), EngineError> {
        networks::remove_network(self, name).await
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        networks::remove_volume(self, name).await
    }

    async fn remove_dangling(&self) -> Result<(), EngineError> {
        images::remove_dangling(self).await
    }

    async fn disk(&self, proxy: &ProxyName) -> Result<Option<DiskSpace>, EngineError> {
        disk::disk(self, proxy).await
    }

    async fn image_bytes(&self) -> Result<u64, EngineError> {
        disk::image_bytes(self).await
    }

    async fn host_files(&self, paths: &BTreeSet<String>) -> Result<BTreeMap<String, HostFile>, EngineError> {
        self.again(|| host_files::host_files(self, paths)).await
    }

    async fn listening(&self, name: &str, address: SocketAddrV4) -> Result<Option<Listening>, EngineError> {
        listening::listening(self, name, address).await
    }

    async fn log_tail(&self, name: &str, lines: usize) -> Result<Vec<String>, EngineError> {
        self.again(|| containers::log_tail(self, name, lines)).await
    }
}
