//! What the proxy knows of an app. The serialised form is part of the control API.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::canary::Canary;
use super::certificate::RouteTls;
use super::maintenance::{Maintenance, Pause};
use super::names::{AppKey, AppName, ProjectName, ReleaseNumber};
use super::observed_container::ObservedContainer;
use super::redirect::Redirect;
use super::scale::Scale;
use super::settings::Settings;

/// The proxy's record of one app: where its requests come from and which peers serve them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppRecord {
    pub project: ProjectName,
    pub app: AppName,
    pub release: ReleaseNumber,
    pub version: String,
    pub routes: Vec<Route>,
    #[serde(flatten)]
    pub settings: Settings,
    /// Milliseconds that a request waits for a peer while there is none.
    pub hold_ms: u64,
    /// A release on trial. Left out where there is none, for the same reason as `scale`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// What `scale` has set. Left out where there is none, so that a proxy of an older build takes the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// What somebody has switched on, and switches off again: neither is part of a release. Left out where there is none, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause: Option<Pause>,
    pub peers: Vec<Peer>,
}

impl AppRecord {
    /// Without routes, settings and peers.
    #[must_use]
    pub fn new(key: AppKey, release: ReleaseNumber, version: String) -> Self {
        Self {
            project: key.project,
            app: key.app,
            release,
            version,
            routes: Vec::new(),
            settings: Settings::default(),
            hold_ms: 0,
            canary: None,
            scale: None,
            maintenance: None,
            pause: None,
            peers: Vec::new(),
        }
    }

    #[must_use]
    pub fn key(&self) -> AppKey {
        AppKey { project: self.project.clone(), app: self.app.clone() }
    }

    /// As it was before its canary, and as the proxy makes it again when nobody watches that any more.
    #[must_use]
    pub fn without_canary(&self) -> Self {
        let Some(canary) = &self.canary else { return self.clone() };
        let peers = self.peers.iter().filter(|peer| peer.release != canary.release).cloned().collect();
        Self { canary: None, peers, ..self.clone() }
    }

    #[must_use]
    pub fn serves(&self, container: &str) -> bool {
        self.peers.iter().any(|peer| peer.id == container)
    }

    /// Whether requests that are sent to the container come to it: not when it was disconnected from the proxy's network, or
    /// connected again with another address.
    #[must_use]
    pub fn reaches(&self, container: &ObservedContainer) -> bool {
        self.peers.iter().any(|peer| peer.id == container.name && container.address == Some(peer.address))
    }
}

/// Which requests are an app's.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Route {
    /// `None` is any host; `*.example.com` any name below it.
    pub host: Option<String>,
    /// A prefix that ends at a segment boundary.
    pub path: String,
    /// Whether the app sees the path without the prefix.
    pub strip: bool,
    /// `None` is plain HTTP. Left out then, so that a proxy of an older build takes the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<RouteTls>,
}

impl Route {
    /// Whether requests that come to `other` today would come here: on the same host, with a path below the other's. What
    /// has no host lies open to everybody, so there the root is nobody's.
    #[must_use]
    pub fn takes_from(&self, other: &Self) -> bool {
        let below = self.path.strip_prefix(other.path.as_str()).is_some_and(|rest| rest.starts_with('/'));
        let below_root = other.path == "/" && self.path != "/" && self.host.is_some();
        self.host == other.host && (below || below_root)
    }
}

impl Redirect {
    /// The route that brings its requests; `None` where it is for every host of its app.
    #[must_use]
    pub fn route(&self) -> Option<Route> {
        let host = self.host.clone()?;
        Some(Route { host: Some(host), path: self.path.clone(), strip: false, tls: None })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host.as_deref().unwrap_or("*"), self.path)
    }
}

/// A replica that gets traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// The container's name. It counts open requests too, so it is used again only after an undo, when none are left.
    pub id: String,
    pub address: Ipv4Addr,
    /// `None` for a worker, which is recorded but never balanced.
    pub port: Option<u16>,
    pub release: ReleaseNumber,
    pub replica: u32,
    pub version: String,
}
