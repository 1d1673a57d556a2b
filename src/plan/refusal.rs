//! What the planner will not do, with the numbers that say why.

use crate::model::{AppKey, AppName, Subnet};

/// We would not. Nothing has been touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanRefused {
    #[error("route `{route}` of app `{app}` is taken by app `{other}`, which the same proxy serves")]
    RouteTaken { app: AppKey, other: AppKey, route: String },
    #[error("app `{app}` replaces its replicas in several steps ({why}), so it cannot flip in one call with others")]
    NotAtomic { app: AppKey, why: &'static str },
    #[error("no free address is left for app `{app}` in network {subnet}")]
    NoAddress { app: AppKey, subnet: Subnet },
    #[error("no /20 network in 10.201.0.0–10.254.255.255 is free on the engine")]
    NoSubnet,
    #[error("network `{network}` exists with {found}, and the proxy needs a /20 of its own")]
    ForeignNetwork { network: String, found: String },
    #[error("the proxy `{proxy}` runs with other settings than the compose file asks for")]
    ProxyDiffers { proxy: String },
    #[error("external {kind} `{name}` does not exist on the engine")]
    ExternalMissing { kind: &'static str, name: String },
    #[error("service `{service}` has no image that the engine can run")]
    NoImage { service: AppName },
    #[error("service `{service}` depends on itself through {through}")]
    DependencyCycle { service: AppName, through: String },
    #[error("the proxy `{proxy}` serves other projects too: {apps}")]
    ProxyServesOthers { proxy: String, apps: String },
}

impl PlanRefused {
    /// What mends it.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::RouteTaken { route, .. } => {
                format!("give one of the two another `host` or `path` than `{route}` in `x-deploy-apps.routes`")
            }
            Self::NotAtomic { .. } => {
                "deploy it without `--atomic`, or use `order: start-first` and `parallelism: 0`".to_owned()
            }
            Self::NoAddress { .. } => "remove containers that are no longer needed from the proxy's network".to_owned(),
            Self::NoSubnet => "set `x-deploy-apps.proxy.subnet` to a free /20, or `docker network prune`".to_owned(),
            Self::ForeignNetwork { network, .. } => {
                format!("`docker network rm {network}`, or set `x-deploy-apps.proxy.name` to another name")
            }
            Self::ProxyDiffers { .. } => {
                "`deploy-apps proxy upgrade` replaces it (new connections wait about a second)".to_owned()
            }
            Self::ExternalMissing { kind, name } => format!("`docker {kind} create {name}`"),
            Self::NoImage { service } => format!("give `{service}` an `image` or a `build`"),
            Self::ProxyServesOthers { .. } => "leave out `--proxy`, or take those projects down first".to_owned(),
            Self::DependencyCycle { .. } => "remove one of the `depends_on` entries".to_owned(),
        }
    }
}
