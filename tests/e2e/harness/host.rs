//! One test's part of the machine, and how it is cleaned up.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deploy_apps::docker::{DockerEngine, SocketDial, connect};
use deploy_apps::load::{Expect, Load, LoadConfig, Traffic};
use deploy_apps::model::{AppRecord, ContainerState, InFlight, ObservedContainer, ObservedProxy, Role};
use deploy_apps::ports::{Engine, Proxy};
use deploy_apps::proxy::{CONTROL_SOCKET, ControlClient};
use tempfile::TempDir;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

use crate::durations::Stopwatch;

use super::{App, Cli, DEADLINE, Output, Scenario, docker, eventually, sweep};

/// Everything on it is named after the scenario and goes when it is dropped, also by a panic.
pub struct Host {
    scenario: Scenario,
    folder: TempDir,
    pub engine: DockerEngine,
    proxy: ControlClient,
    client: reqwest::Client,
    /// Stopped after the clean-up.
    _stopwatch: Stopwatch,
    /// Given back after the clean-up.
    _turn: SemaphorePermit<'static>,
}

/// An answer to a single request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Host {
    pub(super) async fn new(scenario: Scenario, folder: TempDir, turn: SemaphorePermit<'static>) -> Self {
        let place = scenario.place.as_ref().map_or(&[][..], |place| &place.env[..]);
        let of_place = |name: &str| place.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let env = |name: &str| of_place(name).or_else(|| std::env::var(name).ok());
        let engine = connect(env).await.expect("an engine; `setup/setup engine` makes one");
        let dial = SocketDial::new(engine.clone(), scenario.name.container(), CONTROL_SOCKET);
        let proxy = ControlClient::new(&scenario.name, Arc::new(dial));
        // As the binary does; an error says that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Every request opens a connection of its own: what a kept one goes through is the load's business.
        let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(Duration::from_secs(60));
        Self {
            scenario,
            folder,
            engine,
            proxy,
            client: client.build().expect("a client"),
            _stopwatch: Stopwatch::start(),
            _turn: turn,
        }
    }

    /// The name of the project and of the proxy, and the beginning of every other name.
    pub fn name(&self) -> &str {
        self.scenario.name.as_str()
    }

    /// Whether it is on the engine that all tests share.
    pub(super) fn is_shared(&self) -> bool {
        self.scenario.place.is_none()
    }

    /// Where `compose.yaml` lies and commands run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The proxy's port on this machine.
    pub fn address(&self) -> SocketAddr {
        self.scenario.address()
    }

    /// Changes an app in the compose file; the next deploy will see it.
    #[track_caller]
    pub fn change(&mut self, app: &str, change: impl FnOnce(App) -> App) {
        let place = self.scenario.apps.iter_mut().find(|other| other.name == app).expect("an app of the scenario");
        *place = change(place.clone());
        self.write();
    }

    /// Changes a setting of the proxy in the compose file.
    pub fn change_proxy(&mut self, key: &str, value: serde_json::Value) {
        self.scenario = self.scenario.clone().proxy(key, value);
        self.write();
    }

    /// Puts an app into the compose file.
    pub fn add(&mut self, app: App) {
        self.scenario.apps.push(app);
        self.write();
    }

    /// Takes an app out of the compose file; what is deployed of it stays.
    pub fn forget(&mut self, app: &str) {
        self.scenario.apps.retain(|other| other.name != app);
        self.write();
    }

    pub(super) fn write(&self) {
        std::fs::write(self.folder().join("compose.yaml"), self.scenario.compose()).expect("a writable folder");
    }

    /// A run of `deploy-apps` with these arguments, in this host's folder.
    pub fn cli(&self, args: &[&str]) -> Cli {
        let cli = Cli::new(self.folder().to_owned(), args);
        match &self.scenario.place {
            Some(place) => cli.envs(&place.env),
            None => cli,
        }
    }

    #[must_use = "its exit code says whether it did anything"]
    pub async fn deploy(&self, args: &[&str]) -> Output {
        self.cli(args).run().await
    }

    /// Load against one app, to be filled with clients. It ends by itself if the test does not end it.
    pub fn load(&self, app: &str) -> LoadConfig {
        LoadConfig::new(self.address(), &format!("{app}.localhost")).bounded(Duration::from_secs(300), 10_000_000)
    }

    /// Kept connections that GET and POST without end, at a rate that leaves the machine something for the deploy.
    pub fn steady(&self, app: &str) -> LoadConfig {
        let gap = Duration::from_millis(5);
        self.load(app)
            .send_every(6, gap, Traffic::get("/"))
            .send_every(6, gap, Traffic::post("/upload", Expect::ByteCount))
            .send(2, Traffic::pooled_post("/upload", Expect::ByteCount, Duration::from_secs(2)))
    }

    pub async fn start(&self, config: LoadConfig) -> Load {
        Load::start(config).await.expect("load that can be sent")
    }

    /// Asks an app once, on a new connection.
    pub async fn get(&self, app: &str, path: &str) -> Answer {
        self.ask(app, path).await.expect("an answer of the proxy")
    }

    /// The same while the proxy itself may be away: `None` when there is no answer soon. Nobody tells a client whose request
    /// went to a network that is just being taken down, and that one must not use up the time of all further tries.
    pub async fn try_get(&self, app: &str, path: &str) -> Option<Answer> {
        timeout(Duration::from_secs(5), self.ask(app, path)).await.ok()?.ok()
    }

    async fn ask(&self, app: &str, path: &str) -> reqwest::Result<Answer> {
        let request = self.client.get(format!("http://{}{path}", self.address()));
        let answer = request.header("host", format!("{app}.localhost")).send().await?;
        let status = answer.status().as_u16();
        Ok(Answer { status, body: answer.text().await?.trim().to_owned() })
    }

    pub async fn proxy_state(&self) -> ObservedProxy {
        self.proxy.state().await.expect("the proxy's state")
    }

    /// The proxy's record of an app, if it has one.
    pub async fn record(&self, app: &str) -> Option<AppRecord> {
        let state = self.proxy_state().await;
        let key = format!("{}/{app}", self.name()).parse().expect("a key");
        state.apps.get(&key).and_then(|known| known.record.clone())
    }

    /// Waits until what the proxy counts for all replicas of an app is as wanted.
    #[track_caller]
    pub fn in_flight(&self, app: &str, is_wanted: impl Fn(InFlight) -> bool) -> impl Future<Output = InFlight> {
        let ours = format!("{}-{app}-r", self.name());
        eventually("the open requests", DEADLINE, async move || {
            let state = self.proxy_state().await;
            let mut open = InFlight::default();
            for (_, of_peer) in state.in_flight.iter().filter(|(peer, _)| peer.starts_with(&ours)) {
                open.requests += of_peer.requests;
                open.websockets += of_peer.websockets;
            }
            is_wanted(open).then_some(open)
        })
    }

    /// The containers of all apps, in the order of their names; the proxy's own is left out.
    pub async fn containers(&self) -> Vec<ObservedContainer> {
        let observed = self.engine.observe(&self.scenario.name).await.expect("an engine that answers");
        observed.containers.into_iter().filter(|container| container.labels.role != Role::Proxy).collect()
    }

    /// Asserts that there are these containers and no others, all running. Names are given without the project's.
    #[track_caller]
    pub fn runs<'h>(&'h self, wanted: &[&str]) -> impl Future<Output = ()> + use<'h> {
        let caller = std::panic::Location::caller();
        let mut wanted: Vec<String> = wanted.iter().map(|name| format!("{}-{name}", self.name())).collect();
        wanted.sort();
        async move {
            let found = self.containers().await;
            let names: Vec<&String> = found.iter().map(|container| &container.name).collect();
            assert_eq!(names, wanted.iter().collect::<Vec<_>>(), "{caller}: the containers");
            for container in &found {
                assert_eq!(container.state, ContainerState::Running, "{caller}: `{}`", container.name);
            }
        }
    }

    /// For the reader of a failure, before the clean-up destroys the evidence.
    fn tell(&self) {
        let ours = format!("name=^{}-", self.name());
        let listed = docker(&["ps", "-a", "--filter", &ours, "--format", "{{.Names}}\t{{.Status}}"]);
        let log = docker(&["logs", "--tail", "40", &self.scenario.name.container()]);
        eprintln!("--- containers of `{}`\n{listed}\n--- last lines of the proxy\n{log}", self.name());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        // An engine of its own goes as a whole.
        if !self.is_shared() {
            return;
        }
        sweep::remove_scenario(self.name());
    }
}
