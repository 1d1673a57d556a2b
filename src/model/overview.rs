//! What a look at the host tells beyond what a plan needs: who is at work, how long things run, what they are asked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::names::{AppKey, AppName, ReleaseNumber};
use super::observed::ObservedProxy;

/// How long a container has been what it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub created_at: Option<Timestamp>,
    /// Of the last start; `None` when it never ran.
    pub started_at: Option<Timestamp>,
    /// `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// By its restart policy, not by hand.
    pub restarts: u64,
}

/// Who deploys an app right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    pub app: AppKey,
    pub owner: String,
    pub host: String,
    pub purpose: String,
    pub since: Timestamp,
}

/// Requests by how they were answered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    pub requests: u64,
    /// Answered with 5xx, by the app or by the proxy for it.
    pub errors: u64,
}

impl std::iter::Sum for RequestCounts {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |sum, next| Self {
            requests: sum.requests.saturating_add(next.requests),
            errors: sum.errors.saturating_add(next.errors),
        })
    }
}

/// Requests since a proxy started, by the release that answered, `r0` where none was reached. They only grow, and begin
/// again with the proxy.
pub type RequestTotals = BTreeMap<AppName, BTreeMap<ReleaseNumber, RequestCounts>>;

/// What an app was asked lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppTraffic {
    /// Of the long window, in milliseconds.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// By the release that answered, `r0` where none was reached: in the short window, and in the long one.
    pub releases: BTreeMap<ReleaseNumber, (RequestCounts, RequestCounts)>,
}

/// What a proxy has counted lately. How long its windows are differs by a few seconds from look to look.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    pub short_ms: u64,
    pub long_ms: u64,
    pub apps: BTreeMap<AppKey, AppTraffic>,
}

/// Everything that a proxy can tell in one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProxyOverview {
    pub state: ObservedProxy,
    /// The digest of the `nginx/` folder that it was built from.
    pub build: String,
    pub leases: Vec<HeldLease>,
    /// Peers that are left out because they could not be reached.
    pub ejected: BTreeSet<String>,
    /// `None` from a proxy that does not count this yet.
    pub traffic: Option<Traffic>,
}
