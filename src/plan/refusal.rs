//! What the planner will not do, with the numbers that say why.

use super::rollback_target::{NoTarget, RollbackTarget};
use crate::model::{AppKey, AppName, Bytes, ReleaseNumber, Subnet};

/// We would not. Nothing has been touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    #[error("route `{route}` of app `{app}` is taken by app `{other}`, which the same proxy serves")]
    RouteTaken { app: AppKey, other: AppKey, route: String },
    #[error("route `{route}` of app `{app}` still leads to app `{other}`, which gives it up in the compose file")]
    RouteChangesHands { app: AppKey, other: AppKey, route: String },
    #[error("route `{route}` of app `{app}` is taken by app `{other}`, which is no longer in the compose file")]
    RouteOfRemovedApp { app: AppKey, other: AppKey, route: String },
    #[error("app `{app}` cannot replace app `{replaced}` with `order: stop-first`: both would run at once")]
    ReplacesStopFirst { app: AppKey, replaced: AppKey },
    #[error(
        "route `{wanted}` of app `{app}` would take requests from route `{route}` of app `{other}` of another project"
    )]
    RouteOfOthers { app: AppKey, other: AppKey, wanted: String, route: String },
    #[error("`{app}` and `{other}` would have the same names on the engine, `{name}-…`")]
    NameClash { app: AppKey, other: AppKey, name: String },
    #[error("bind mount of service `{service}`: `{path}` does not exist on the engine's host")]
    MountMissing { service: AppName, path: String, must_exist: bool },
    #[error("app `{app}` replaces its replicas in several steps ({why}), so it cannot flip in one call with others")]
    NotAtomic { app: AppKey, why: &'static str },
    #[error("app `{app}` cannot have a canary: {why}")]
    NoCanary { app: AppKey, why: &'static str },
    #[error("no free address is left for app `{app}` in network {subnet}")]
    NoAddress { app: AppKey, subnet: Subnet },
    #[error(
        "no /20 network in 10.201.0.0–10.254.255.255, 172.16.0.0/12 or 192.168.0.0/16 is free: the engine's networks and its \
         machine's routes take {taken}"
    )]
    NoSubnet { taken: String },
    #[error("network `{network}` exists with {found}, and the proxy needs a /20 of its own")]
    ForeignNetwork { network: String, found: String },
    #[error("the proxy `{proxy}` runs with other settings than the compose file asks for{}", port_text(*.port))]
    ProxyDiffers {
        proxy: String,
        /// The one that it listens on, and the one of the file, where they differ.
        port: Option<(u16, u16)>,
        /// Whether connections are refused while it is replaced.
        gap: bool,
    },
    #[error("app `{app}` has a route with `tls`, and the proxy `{proxy}` is of an older build, which serves no HTTPS")]
    ProxyWithoutHttps { app: AppKey, proxy: String },
    #[error(
        "the proxy is of an older build and does not know `{setting}` of app `{app}`, without which it must not serve"
    )]
    ProxyWithoutSetting { app: AppKey, setting: &'static str },
    #[error(
        "app `{app}` has a route with `tls: auto`, and the proxy `{proxy}` is of an older build, which knows no ACME"
    )]
    ProxyWithoutAcme { app: AppKey, proxy: String },
    #[error(
        "app `{app}` has a route with `tls`, and neither the proxy nor a file here has the certificate of `{host}`"
    )]
    NoCertificate { app: AppKey, host: String },
    #[error("external {kind} `{name}` does not exist on the engine")]
    ExternalMissing { kind: &'static str, name: String },
    #[error("service `{service}` has no image that the engine can run")]
    NoImage { service: AppName },
    #[error("app `{app}` is not deployed yet")]
    NotDeployed { app: AppKey },
    #[error("what {release} of app `{app}` is made of is not kept by the proxy")]
    NotKept { app: AppKey, release: ReleaseNumber },
    #[error("app `{app}` is stopped")]
    Stopped { app: AppKey },
    #[error("app `{app}` is scaled to zero, which a start leaves as it is")]
    ScaledToZero { app: AppKey },
    #[error("accessory `{app}` has no container on the engine")]
    NoAccessory { app: AppKey },
    #[error("{release} of app `{app}` was deployed with no replica, so it has never been seen healthy")]
    NeverServed { app: AppKey, release: ReleaseNumber },
    #[error("the image of {release} of app `{app}` is no longer on the engine")]
    ImageGone { app: AppKey, release: ReleaseNumber },
    #[error("{release} of app `{app}` needs {kind} `{name}`, which is no longer on the engine")]
    ResourceGone { app: AppKey, release: ReleaseNumber, kind: &'static str, name: String },
    #[error("{release} of app `{app}` needs secret or config `{file}`, whose value the compose file no longer gives")]
    FileGone { app: AppKey, release: ReleaseNumber, file: String },
    #[error("app `{app}` cannot have {replicas} replicas: with `order: stop-first` only one may write to `{volume}`")]
    OneWriter { app: AppKey, replicas: u32, volume: String },
    #[error("a rollback of app `{half}` was cut off, so it is not known whether `{app}` has been rolled back already")]
    HalfBack { app: AppKey, half: AppKey },
    #[error("app `{app}` cannot be rolled back: {why}")]
    NoTarget { app: AppKey, why: NoTarget, targets: Vec<RollbackTarget> },
    #[error("service `{service}` depends on itself through {through}")]
    DependencyCycle { service: AppName, through: String },
    #[error("service `{service}` waits for app `{app}` to complete, and an app is kept running")]
    NeverCompletes { service: AppName, app: AppName },
    #[error("only {free} of {size} are free at `{path}`, where the engine keeps its images, and {minimum} must be")]
    DiskLow { path: String, free: Bytes, size: Bytes, minimum: Bytes },
    #[error("the proxy `{proxy}` serves other projects too: {apps}")]
    ProxyServesOthers { proxy: String, apps: String },
}

fn port_text(port: Option<(u16, u16)>) -> String {
    let text = |(runs, wanted)| format!(": it listens on port {runs}, and the file says `http_port: {wanted}`");
    port.map(text).unwrap_or_default()
}

impl PlanRefused {
    /// What could be rolled back to instead, when that was asked for.
    #[must_use]
    pub fn targets(&self) -> &[RollbackTarget] {
        match self {
            Self::NoTarget { targets, .. } => targets,
            _ => &[],
        }
    }

    /// How to fix it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::RouteTaken { route, .. } => {
                format!("give one of the two another `host` or `path` than `{route}` in `x-deploy-apps.routes`")
            }
            Self::RouteChangesHands { app, other, .. } => {
                format!("`deploy-apps --atomic {} {}` flips both in one call", other.app, app.app)
            }
            Self::RouteOfRemovedApp { other, .. } => format!(
                "`x-deploy-apps.replaces: {0}` takes over from it in one flip; `deploy-apps remove {0}` removes it first",
                other.app
            ),
            Self::ReplacesStopFirst { replaced, .. } => {
                format!("`deploy-apps remove {}` first, or use `order: start-first`", replaced.app)
            }
            Self::RouteOfOthers { app, other, .. } => format!(
                "give `{}` a host of its own in `x-deploy-apps.routes`, or deploy it as an app of project `{}`",
                app.app, other.project
            ),
            Self::NameClash { app, other, .. } if app.project == other.project => {
                format!("rename one of the services `{}` and `{}`", app.app, other.app)
            }
            Self::NameClash { app, other, .. } => format!(
                "rename service `{}`, or give project `{}` or project `{}` another name: top-level `name`, or `--project-name`",
                app.app, app.project, other.project
            ),
            Self::MountMissing { path, must_exist: true, .. } => {
                format!(
                    "create it, or leave out `create_host_path: false`: then a folder is made, as by `mkdir -p {path}`"
                )
            }
            Self::MountMissing { path, .. } => {
                format!("create the file; compose would make a folder of that name: if one is meant, `mkdir -p {path}`")
            }
            Self::NotAtomic { .. } => {
                "deploy it without `--atomic`, or use `order: start-first` and `parallelism: 0`".to_owned()
            }
            Self::NoCanary { .. } => "`--no-canary` deploys it without one".to_owned(),
            Self::NoAddress { .. } => "remove containers that are no longer needed from the proxy's network".to_owned(),
            Self::NoSubnet { .. } => {
                "`docker network prune` removes unused networks; or set `x-deploy-apps.proxy.subnet` to \
                                      a /20 that nothing here is to reach, such as one of 100.64.0.0/10"
                    .to_owned()
            }
            Self::ForeignNetwork { network, .. } => {
                format!("`docker network rm {network}`, or set `x-deploy-apps.proxy.name` to another name")
            }
            Self::ProxyDiffers { port, gap, .. } => {
                let keep = port.map(|(runs, _)| format!("; or leave it to all who share it: `http_port: {runs}`"));
                let loses = if *gap { "connections are refused for about a second" } else { "no request is lost" };
                format!("`deploy-apps proxy upgrade` replaces it ({loses}){}", keep.unwrap_or_default())
            }
            Self::ProxyWithoutHttps { .. } | Self::ProxyWithoutSetting { .. } | Self::ProxyWithoutAcme { .. } => {
                "`deploy-apps proxy upgrade` replaces it by the one of this deploy-apps".to_owned()
            }
            Self::NoCertificate { host, .. } => {
                format!("run it where the compose file with the certificate of `{host}` and its files are")
            }
            Self::ExternalMissing { kind, name } => format!("`docker {kind} create {name}`"),
            Self::NoImage { service } => format!("give `{service}` an `image` or a `build`"),
            Self::DiskLow { .. } => {
                "`deploy-apps prune` removes old releases; `--min-free` or DEPLOY_APPS_MIN_FREE asks for less"
                    .to_owned()
            }
            Self::ProxyServesOthers { .. } => "leave out `--proxy`, or take those projects down first".to_owned(),
            Self::NotDeployed { app } | Self::NotKept { app, .. } => {
                format!("`deploy-apps {}` deploys it; with `--replicas N` with another number of replicas", app.app)
            }
            Self::Stopped { app } => format!("`deploy-apps start {}` brings back what served", app.app),
            Self::ScaledToZero { app } => format!("`deploy-apps scale {}=1` gives it a replica", app.app),
            Self::NoAccessory { app } => format!("`deploy-apps {}` creates it", app.app),
            Self::NeverServed { app, .. } => {
                format!("`deploy-apps {} --replicas N` starts what the compose file says", app.app)
            }
            Self::ImageGone { app, .. } => format!("`deploy-apps {}` builds or pulls it again", app.app),
            Self::ResourceGone { kind, name, .. } => format!("`docker {kind} create {name}`"),
            Self::HalfBack { app, half } => {
                format!("say the releases: `deploy-apps rollback {} rN {} rN`, or one app at a time", half.app, app.app)
            }
            Self::FileGone { app, file, .. } => format!("give `{}` the secret or config `{file}` again", app.app),
            Self::OneWriter { .. } => "use `order: start-first` if several may write at once, or mount it read-only; \
                                       else one replica is all it can have"
                .to_owned(),
            Self::NoTarget { app, targets, .. } => match targets.first() {
                Some(target) => {
                    format!("`deploy-apps rollback {} {}` goes back to the newest of them", app.app, target.release)
                }
                None => "a release can be rolled back to once it has served and another has replaced it".to_owned(),
            },
            Self::NeverCompletes { app, .. } => {
                format!("take the `x-deploy-apps` block out of `{app}`, or use `condition: service_healthy`")
            }
            Self::DependencyCycle { .. } => "remove one of the `depends_on` entries".to_owned(),
        }
    }
}
