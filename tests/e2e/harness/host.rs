//! The resources of one test on this machine, and their cleanup.

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

/// All of its resources are named after the scenario and removed on drop, also after a panic.
pub struct Host {
    scenario: Scenario,
    folder: TempDir,
    pub engine: DockerEngine,
    proxy: ControlClient,
    client: reqwest::Client,
    /// Stopped after the cleanup.
    _stopwatch: Stopwatch,
    /// Released after the cleanup.
    _turn: SemaphorePermit<'static>,
}

/// The answer to a single request.
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
        // Like the binary; an error means that one is already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Every request opens a new connection: keep-alive connections are tested by the load.
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

    /// The name of the project and of the proxy, and the prefix of all other names.
    pub fn name(&self) -> &str {
        self.scenario.name.as_str()
    }

    /// Whether it uses the engine that all tests share.
    pub(super) fn is_shared(&self) -> bool {
        self.scenario.place.is_none()
    }

    /// The folder with `compose.yaml`, in which commands run.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The proxy's address on this machine.
    pub fn address(&self) -> SocketAddr {
        self.scenario.address()
    }

    /// Changes an app in the compose file, for the next deploy.
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

    /// Adds an app to the compose file.
    pub fn add(&mut self, app: App) {
        self.scenario.apps.push(app);
        self.write();
    }

    /// Removes an app from the compose file; its deployment stays.
    pub fn forget(&mut self, app: &str) {
        self.scenario.apps.retain(|other| other.name != app);
        self.write();
    }

    pub(super) fn write(&self) {
        std::fs::write(self.folder().join("compose.yaml"), self.scenario.compose()).expect("a writable folder");
    }

    /// A `deploy-apps` command with these arguments, in this host's folder.
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

    /// A load for one app, without clients yet. It ends by itself if the test does not end it.
    pub fn load(&self, app: &str) -> LoadConfig {
        LoadConfig::new(self.address(), &format!("{app}.localhost")).bounded(Duration::from_secs(300), 10_000_000)
    }

    /// Endless GET and POST requests on keep-alive connections, at a rate that leaves capacity for the deploy.
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

    /// Sends one request to an app, on a new connection.
    pub async fn get(&self, app: &str, path: &str) -> Answer {
        self.ask(app, path).await.expect("an answer of the proxy")
    }

    /// The same while the proxy may be down: `None` without an answer soon. A request into a network that is being
    /// removed gets no error, and must not use up the time of all further tries.
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

    /// The proxy's record of an app, if it exists.
    pub async fn record(&self, app: &str) -> Option<AppRecord> {
        let state = self.proxy_state().await;
        let key = format!("{}/{app}", self.name()).parse().expect("a key");
        state.apps.get(&key).and_then(|known| known.record.clone())
    }

    /// Waits until the proxy's counts for all replicas of an app satisfy `is_wanted`.
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

    /// The containers of all apps by name, without the proxy's.
    pub async fn containers(&self) -> Vec<ObservedContainer> {
        let observed = self.engine.observe(&self.scenario.name).await.expect("an engine that answers");
        observed
            .containers
            .into_iter()
            .filter(|container| !matches!(container.labels.role, Role::Proxy | Role::ProxyInstance))
            .collect()
    }

    /// Asserts that exactly these containers exist and run. The names have no project prefix.
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

    /// The container of the first nginx that this proxy has.
    pub fn nginx(&self) -> String {
        self.scenario.name.instance(1)
    }

    /// Prints the state on a failure, before the cleanup removes it.
    fn tell(&self) {
        let ours = format!("name=^{}-", self.name());
        let listed = docker(&["ps", "-a", "--filter", &ours, "--format", "{{.Names}}\t{{.Status}}"]);
        let log = docker(&["logs", "--tail", "40", &self.nginx()]);
        eprintln!("--- containers of `{}`\n{listed}\n--- last lines of the proxy\n{log}", self.name());
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.tell();
        }
        // A private engine is removed as a whole.
        if !self.is_shared() {
            return;
        }
        sweep::remove_scenario(self.name());
    }
}
