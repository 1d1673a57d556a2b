//! Observations beyond what a plan needs: running deploys, uptimes and traffic.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::names::{AppKey, AppName, ReleaseNumber};
use super::observed::ObservedProxy;

/// Start, end and restarts of a container.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lifetime {
    pub created_at: Option<Timestamp>,
    /// The last start; `None` when it has never run.
    pub started_at: Option<Timestamp>,
    /// `None` while it runs.
    pub finished_at: Option<Timestamp>,
    /// Restarts by its restart policy, without manual ones.
    pub restarts: u64,
}

/// The holder of an app's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLease {
    pub app: AppKey,
    pub owner: String,
    pub host: String,
    pub purpose: String,
    pub since: Timestamp,
}

/// Requests by result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    pub requests: u64,
    /// Answers with 5xx, from the app or from the proxy on its behalf.
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

/// Requests since the proxy started, by the release that answered; `r0` when no release was reached. The counters only
/// grow, and restart with the proxy.
pub type RequestTotals = BTreeMap<AppName, BTreeMap<ReleaseNumber, RequestCounts>>;

/// Recent traffic of an app.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppTraffic {
    /// Median latency of the long window, in milliseconds.
    pub p50_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    /// By the release that answered (`r0` when none was reached): counts of the short window and of the long one.
    pub releases: BTreeMap<ReleaseNumber, (RequestCounts, RequestCounts)>,
}

/// Recent counts of a proxy. The length of its windows varies by a few seconds between observations.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Traffic {
    pub short_ms: u64,
    pub long_ms: u64,
    pub apps: BTreeMap<AppKey, AppTraffic>,
}

/// Everything that the proxy reports in one call.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ProxyOverview {
    pub state: ObservedProxy,
    /// The digest of the `nginx/` folder that it was built from.
    pub build: String,
    pub leases: Vec<HeldLease>,
    /// Peers that get no requests because they could not be reached.
    pub ejected: BTreeSet<String>,
    /// `None` from a proxy of an older build, which does not count.
    pub traffic: Option<Traffic>,
}
