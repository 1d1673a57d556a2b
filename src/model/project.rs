//! The desired state: one compose file, parsed, checked and complete.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::address::Subnet;
use super::container::{ContainerSpec, Logging, Restart, Ulimit};
use super::hooks::Hook;
use super::keys::{NetworkSettings, NewVolume};
use super::names::{AppKey, AppName, ProjectName, ProxyName};
use super::policy::{Balance, DrainPolicy, HealthPolicy, RolloutPolicy};
use super::record::Route;
use super::trusted::TrustedProxy;
use super::tuning::{AccessLog, ProxyTuning};
use super::webhook::Webhook;

/// A compose project. Defaults are filled in, paths are absolute, references are resolved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    pub name: ProjectName,
    /// The folder of the compose file; relative paths in it start here.
    pub folder: PathBuf,
    /// There is no compose file: this is what the engine and the proxy know of the project.
    #[serde(skip)]
    pub remembered: bool,
    pub proxy: ProxySpec,
    /// Who is told of a run's end.
    pub notify: Vec<Webhook>,
    /// In the file's order.
    pub apps: IndexMap<AppName, App>,
    pub accessories: IndexMap<AppName, Accessory>,
    /// Every app of the file with a port, also where its profile is not active: by these names services reach the proxy.
    /// They must not hang on the profiles of a run, or each change of those would change every container.
    pub hosts: BTreeSet<AppName>,
    /// Services of the file that take no part, because none of their profiles is active.
    #[serde(skip)]
    pub dormant: BTreeSet<AppName>,
    /// By their names on the engine, project prefix included. External ones are not listed.
    pub networks: IndexMap<String, NetworkSettings>,
    pub volumes: Vec<NewVolume>,
    /// Networks and volumes that must exist already.
    pub external_networks: Vec<String>,
    pub external_volumes: Vec<String>,
}

impl Project {
    #[must_use]
    pub fn key(&self, app: &AppName) -> AppKey {
        AppKey { project: self.name.clone(), app: app.clone() }
    }

    /// The app or accessory of this name.
    #[must_use]
    pub fn service(&self, name: &AppName) -> Option<&Service> {
        let app = self.apps.get(name).map(|app| &app.service);
        app.or(self.accessories.get(name).map(|accessory| &accessory.service))
    }

    /// Whether it does one thing and ends, such as a migration: the engine does not start it again, and another service
    /// waits for its success. It runs once for each image and configuration.
    #[must_use]
    pub fn is_one_shot(&self, name: &AppName) -> bool {
        let Some(accessory) = self.accessories.get(name) else { return false };
        let ends = matches!(accessory.service.container.restart, Restart::No | Restart::OnFailure(_));
        let apps = self.apps.values().map(|app| &app.service);
        let mut services = apps.chain(self.accessories.values().map(|accessory| &accessory.service));
        let awaits = |dependency: &Dependency| {
            dependency.service == *name && dependency.condition == Condition::CompletedSuccessfully
        };
        ends && services.any(|service| service.depends_on.iter().any(awaits))
    }

    /// Where an app is reached, one for each route; wildcard hosts have none. `host` is the engine's as it is reached
    /// from here: what a route of any host has in its URL, unless the proxy listens on an address that is its own.
    #[must_use]
    pub fn urls(&self, app: &AppName, host: &str) -> Vec<String> {
        let port = if self.proxy.http_port == 80 { String::new() } else { format!(":{}", self.proxy.http_port) };
        let any_host = self.proxy.bind.as_deref().filter(|bind| !is_any(bind)).unwrap_or(host);
        let routes = self.apps.get(app).map_or(&[][..], |app| &app.routes);
        let hosts =
            routes.iter().map(|route| (route.host.as_deref().unwrap_or(any_host), route.path.trim_end_matches('/')));
        hosts
            .filter(|(host, _)| !host.starts_with('*'))
            .map(|(host, path)| format!("http://{host}{port}{path}"))
            .collect()
    }
}

/// An address that stands for all of a host's; none of them is one to connect to.
fn is_any(bind: &str) -> bool {
    bind.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
}

/// The host's proxy as this project wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProxySpec {
    pub name: ProxyName,
    /// On the host, 1–65535.
    pub http_port: u16,
    /// The address of the host it listens on; `None` is all of them.
    pub bind: Option<String>,
    /// `None` takes the first free /20; see [`super::address::AddressPool`].
    pub subnet: Option<Subnet>,
    /// The image that the proxy is built from.
    pub base_image: String,
    /// Of its access log; `None` limits what the engine keeps in files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Who is believed about a client's address and scheme; nobody when it is empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The published port takes connections that begin with a PROXY line, and no others.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// Of the proxy's container; see [`ProxySpec::MEMORY`].
    pub memory_bytes: i64,
    pub access_log: AccessLog,
}

impl ProxySpec {
    /// The tables in shared memory may take 154 MiB, each worker 20 MiB, and the most connections that two workers take at once
    /// another 500 MiB. `nginx/start.sh` makes workers and connections fit into whatever limit there is.
    pub const MEMORY: i64 = 1 << 30;
    /// The tables, one worker and some thousand connections.
    pub const LEAST_MEMORY: i64 = 256 << 20;

    /// What a proxy that is made now gets besides its identity.
    #[must_use]
    pub fn tuning(&self) -> ProxyTuning {
        ProxyTuning { memory_bytes: Some(self.memory_bytes), access_log: self.access_log }
    }
}

/// A service that is rolled.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct App {
    pub service: Service,
    /// From `git describe` or the app's VERSION file, without the build number.
    pub version: String,
    /// Where the app listens; `None` makes it a worker, which is never routed.
    pub port: Option<u16>,
    pub routes: Vec<Route>,
    /// What the compose file asks for, or else 1; see [`App::file_replicas`].
    pub replicas: u32,
    /// The compose file says the number. Else it is the default.
    pub replicas_stated: bool,
    pub health: HealthPolicy,
    pub drain: DrainPolicy,
    pub rollout: RolloutPolicy,
    /// How a rollback is rolled: `rollback_config`, or as `rollout` where the file has none.
    pub rollback: RolloutPolicy,
    pub balance: Balance,
    /// Where each replica tells its own metrics; `None`: no scraper is sent there.
    pub metrics: Option<String>,
    pub release: Option<ReleaseCommand>,
    /// An app that this one takes over from: it leaves the proxy in the flip that brings this one in.
    pub replaces: Option<AppKey>,
}

impl App {
    /// The number of replicas that the compose file says, if it says one.
    #[must_use]
    pub fn file_replicas(&self) -> Option<u32> {
        self.replicas_stated.then_some(self.replicas)
    }
}

/// A service that apps depend on: created when missing, never restarted by a deploy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accessory {
    /// Runs in its container before it is replaced. Not part of the container's configuration: a changed backup replaces
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Hook>,
    pub service: Service,
    /// `None` is [`Accessory::default_name`].
    pub container_name: Option<String>,
}

impl Accessory {
    /// The name of its container.
    #[must_use]
    pub fn container(&self, project: &ProjectName) -> String {
        self.container_name.clone().unwrap_or_else(|| Self::default_name(project, self.service.name.as_str()))
    }

    /// Compose's own naming, so that a project that it started is carried on.
    #[must_use]
    pub fn default_name(project: &ProjectName, service: &str) -> String {
        format!("{project}-{service}-1")
    }
}

/// What apps and accessories have in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Service {
    pub name: AppName,
    pub image: ImageSource,
    pub container: ContainerSpec,
    pub depends_on: Vec<Dependency>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dependency {
    pub service: AppName,
    pub condition: Condition,
}

/// What a service must be for those who depend on it; the later, the stricter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    Started,
    Healthy,
    CompletedSuccessfully,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ImageSource {
    Build(Box<BuildSpec>),
    Pull { reference: String, policy: PullPolicy },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PullPolicy {
    Always,
    #[default]
    Missing,
    Never,
}

/// How an image is built.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BuildSpec {
    /// An absolute folder on this machine.
    pub context: PathBuf,
    /// Relative to the context.
    pub dockerfile: PathBuf,
    pub dockerfile_inline: Option<String>,
    pub args: IndexMap<String, String>,
    pub target: Option<String>,
    pub labels: IndexMap<String, String>,
    pub network: Option<String>,
    pub extra_hosts: Vec<String>,
    pub no_cache: bool,
    pub pull: bool,
    /// References whose layers the builder may take.
    pub cache_from: Vec<String>,
    /// Of the build's containers, in bytes.
    pub shm_bytes: Option<i64>,
    pub ulimits: Vec<Ulimit>,
    pub platform: Option<String>,
    /// More tags for the image; the service's `image` is one of them.
    pub tags: Vec<String>,
    /// Instead of the context's folder, which then means nothing.
    #[serde(skip)]
    pub carried: Option<Carried>,
}

/// Files that the program itself carries, by their paths in a build context. Scripts (`.sh`) may be executed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Carried(pub &'static [(&'static str, &'static [u8])]);

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.0.len())
    }
}

/// Runs once in the new image before anything is flipped, such as a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseCommand {
    pub command: Vec<String>,
    pub timeout: Duration,
}

impl ReleaseCommand {
    /// Long enough for a large migration, short enough that a hung one does not block a pipeline for hours.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
}
