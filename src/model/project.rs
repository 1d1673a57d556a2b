//! The desired state: one parsed and validated compose file.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::acme::AcmeSpec;
use super::address::Subnet;
use super::canary::CanaryPolicy;
use super::certificate::Certificate;
use super::container::{ContainerSpec, Logging, Restart, Ulimit};
use super::hooks::Hook;
use super::keys::{NetworkSettings, NewVolume};
use super::names::{AppKey, AppName, ProjectName, ProxyName};
use super::policy::{DrainPolicy, HealthPolicy, RolloutPolicy};
use super::record::Route;
use super::redirect::Redirect;
use super::settings::Settings;
use super::trusted::TrustedProxy;
use super::tuning::{AccessLog, ProxyTuning, UpgradePolicy};
use super::webhook::Webhook;

/// A compose project, with defaults filled in, absolute paths and resolved references.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Project {
    pub name: ProjectName,
    /// The folder of the compose file, the base of relative paths.
    pub folder: PathBuf,
    /// There is no compose file: the project is reconstructed from the engine and the proxy.
    #[serde(skip)]
    pub remembered: bool,
    pub proxy: ProxySpec,
    /// Webhooks that are notified when a run ends.
    pub notify: Vec<Webhook>,
    /// Apps in the order of the file.
    pub apps: IndexMap<AppName, App>,
    pub accessories: IndexMap<AppName, Accessory>,
    /// All apps of the file with a port, including those with inactive profiles: services reach the proxy by these
    /// names. They do not depend on the active profiles, as a change of profiles would otherwise change every
    /// container.
    pub hosts: BTreeSet<AppName>,
    /// Services of the file that are inactive because none of their profiles is active.
    #[serde(skip)]
    pub dormant: BTreeSet<AppName>,
    /// By name on the engine, including the project prefix. External networks are not listed.
    pub networks: IndexMap<String, NetworkSettings>,
    pub volumes: Vec<NewVolume>,
    /// Networks and volumes that must already exist.
    pub external_networks: Vec<String>,
    pub external_volumes: Vec<String>,
    /// By host: those that routes name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub certificates: BTreeMap<String, Certificate>,
    /// The hosts of routes whose certificates come by ACME.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub automatic: BTreeSet<String>,
}

impl Project {
    #[must_use]
    pub fn key(&self, app: &AppName) -> AppKey {
        AppKey { project: self.name.clone(), app: app.clone() }
    }

    /// The app or accessory with this name.
    #[must_use]
    pub fn service(&self, name: &AppName) -> Option<&Service> {
        let app = self.apps.get(name).map(|app| &app.service);
        app.or(self.accessories.get(name).map(|accessory| &accessory.service))
    }

    /// Whether the service runs once and exits, such as a migration: the engine does not restart it, and another
    /// service waits for its success. It runs once for each image and configuration.
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

    /// The URLs of an app, one per route without a wildcard. `host` is the engine's address as seen from here. It is
    /// used for routes without a host, unless the proxy listens on a specific address.
    #[must_use]
    pub fn urls(&self, app: &AppName, host: &str) -> Vec<String> {
        let plain = ("http", self.proxy.http_port, 80);
        let secure = self.proxy.https_port.map(|port| ("https", port, 443));
        let any_host = self.proxy.bind.as_deref().filter(|bind| !is_any(bind)).unwrap_or(host);
        let app = self.apps.get(app);
        let redirects: Vec<Route> =
            app.iter().flat_map(|app| &app.settings.redirects).filter_map(Redirect::route).collect();
        let routes = app.iter().flat_map(|app| &app.routes).filter(|route| !redirects.contains(route));
        let url = |route: &Route| {
            let host = route.host.as_deref().unwrap_or(any_host);
            let (scheme, port, usual) = route.tls.as_ref().and(secure).unwrap_or(plain);
            let port = if port == usual { String::new() } else { format!(":{port}") };
            (!host.starts_with('*')).then(|| format!("{scheme}://{host}{port}{}", route.path.trim_end_matches('/')))
        };
        routes.filter_map(url).collect()
    }
}

/// Whether `bind` is a wildcard address, which cannot be connected to.
fn is_any(bind: &str) -> bool {
    bind.parse().is_ok_and(|address: IpAddr| address.is_unspecified())
}

/// The desired proxy of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProxySpec {
    pub name: ProxyName,
    /// On the host, 1–65535.
    pub http_port: u16,
    /// Likewise, for HTTPS; `None`: there is no HTTPS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub https_port: Option<u16>,
    /// The host address that it listens on; `None`: all.
    pub bind: Option<String>,
    /// `None`: the first free /20; see [`super::address::AddressPool`].
    pub subnet: Option<Subnet>,
    /// The image that the proxy is built from.
    pub base_image: String,
    /// Log driver for the access log; `None`: the engine's, limited if it writes local files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logging: Option<Logging>,
    /// Addresses that may set a client's address and scheme; empty: none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trusted_proxies: Vec<TrustedProxy>,
    /// The published port accepts only connections that begin with a PROXY line.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub proxy_protocol: bool,
    /// Memory limit of the proxy's container; see [`ProxySpec::MEMORY`].
    pub memory_bytes: i64,
    pub access_log: AccessLog,
    /// What one address may hold; `None`: as many as take half of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections_per_client: Option<u32>,
    /// How certificates are got; `None`: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acme: Option<AcmeSpec>,
    #[serde(skip_serializing_if = "UpgradePolicy::is_manual")]
    pub upgrade: UpgradePolicy,
}

impl ProxySpec {
    /// The shared-memory tables need up to 160 MiB, each worker 20 MiB, and the maximum of connections of two workers
    /// another 500 MiB. `nginx/start.sh` adapts workers and connections to the limit.
    pub const MEMORY: i64 = 1 << 30;
    /// Enough for the tables, one worker and a few thousand connections.
    pub const LEAST_MEMORY: i64 = 256 << 20;

    /// Settings of a proxy that do not belong to its identity.
    #[must_use]
    pub fn tuning(&self) -> ProxyTuning {
        ProxyTuning {
            memory_bytes: Some(self.memory_bytes),
            access_log: self.access_log,
            connections_per_client: self.connections_per_client,
        }
    }
}

/// A rolled service.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct App {
    pub service: Service,
    /// From `git describe` or the app's VERSION file, without the build number.
    pub version: String,
    /// The port that the app listens on; `None` makes it a worker, which is never routed.
    pub port: Option<u16>,
    pub routes: Vec<Route>,
    /// The number in the compose file, or 1; see [`App::file_replicas`].
    pub replicas: u32,
    /// Whether the compose file sets `replicas`.
    pub replicas_stated: bool,
    pub health: HealthPolicy,
    pub drain: DrainPolicy,
    pub rollout: RolloutPolicy,
    /// The policy of a rollback: `rollback_config`, or `rollout` if the file has none.
    pub rollback: RolloutPolicy,
    /// How the proxy treats its requests.
    #[serde(flatten)]
    pub settings: Settings,
    pub release: Option<ReleaseCommand>,
    /// How a deploy tries a new release before it gets all requests; `None`: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canary: Option<CanaryPolicy>,
    /// An app that this one replaces: its record is removed in the same flip that adds this one.
    pub replaces: Option<AppKey>,
}

impl App {
    /// The number of replicas in the compose file, if set.
    #[must_use]
    pub fn file_replicas(&self) -> Option<u32> {
        self.replicas_stated.then_some(self.replicas)
    }
}

/// A service that apps depend on. It is created when missing, and a deploy never restarts it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Accessory {
    /// Runs in its container before the container is replaced. Not part of the container's configuration: a changed
    /// backup does not replace it.
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

    /// Compose's naming scheme, so that a project started with compose can be taken over.
    #[must_use]
    pub fn default_name(project: &ProjectName, service: &str) -> String {
        format!("{project}-{service}-1")
    }
}

/// The common part of apps and accessories.
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

/// The state that a dependent service requires, from the weakest to the strictest.
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

/// How to build an image.
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
    /// Images whose layers the builder may reuse.
    pub cache_from: Vec<String>,
    /// `/dev/shm` of the build containers, in bytes.
    pub shm_bytes: Option<i64>,
    pub ulimits: Vec<Ulimit>,
    pub platform: Option<String>,
    /// Additional tags; the service's `image` is one of them.
    pub tags: Vec<String>,
    /// Used as the build context; `context` is then ignored.
    #[serde(skip)]
    pub carried: Option<Carried>,
}

/// Embedded files, by their paths in a build context. Scripts (`.sh`) are executable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Carried(pub &'static [(&'static str, &'static [u8])]);

impl fmt::Debug for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files", self.0.len())
    }
}

/// Runs once in the new image before the first flip, such as a migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseCommand {
    pub command: Vec<String>,
    pub timeout: Duration,
}

impl ReleaseCommand {
    /// Long enough for a large migration, short enough that a hung one does not block a pipeline for hours.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(600);
}
