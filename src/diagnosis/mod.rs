//! Diagnoses a host from collected facts: findings, each with a suggested fix.
//!
//! Pure functions, like the planner. The caller collects the facts; this module only interprets them.

mod apps;
mod clients;
mod host;

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::model::{
    DiskSpace, EngineInfo, ForgottenProcess, HeldLease, HostFacts, Neighbour, ObservedEngine, ObservedProxy, Orphan,
    PortAnswer, ProxyName, ProxySpec, Unstable,
};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Ok,
    /// It works now, but may fail later or under load.
    Warning,
    /// Something does not work.
    Problem,
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// The checked area, such as `engine` or `replicas`. These names are stable.
    pub check: &'static str,
    pub message: String,
    pub remedy: Option<String>,
    /// `--fix` repairs it.
    pub fixable: bool,
}

impl Finding {
    #[must_use]
    pub fn ok(check: &'static str, message: impl Into<String>) -> Self {
        Self { level: Level::Ok, check, message: message.into(), remedy: None, fixable: false }
    }

    #[must_use]
    pub fn warning(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        let remedy = Some(remedy.into());
        Self { level: Level::Warning, check, message: message.into(), remedy, fixable: false }
    }

    #[must_use]
    pub fn problem(check: &'static str, message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Problem, ..Self::warning(check, message, remedy) }
    }

    /// Marks the finding as repaired by `--fix`.
    #[must_use]
    pub fn fixable(mut self) -> Self {
        self.fixable = true;
        self
    }
}

/// The collected facts. A part that could not be read is `None`; the caller adds the finding that says why.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub now: Timestamp,
    /// The proxy that the compose file asks for; `None` without a readable file.
    pub desired: Option<ProxySpec>,
    pub proxy_name: ProxyName,
    /// The digest of the `nginx/` folder embedded in this deploy-apps.
    pub build_id: String,
    pub engine: Option<EngineFacts>,
    pub proxy: Option<ProxyFacts>,
    pub certificates: Vec<Certificate>,
    /// Whether the published port answers; `None` if the proxy does not run.
    pub published: Option<PortAnswer>,
    /// Services on the host that the compose file no longer has.
    pub orphans: Vec<Orphan>,
}

/// Facts about the engine.
#[derive(Debug, Clone)]
pub struct EngineFacts {
    pub info: EngineInfo,
    pub host: HostFacts,
    pub observed: ObservedEngine,
    pub disk: Option<DiskSpace>,
    /// The configured minimum of free disk space.
    pub min_free: Option<u64>,
    /// Our containers that do not start after a reboot, with their restart policy.
    pub not_restarted: Vec<(String, String)>,
    /// Processes that the engine has lost. Only visible when the engine runs on this machine.
    pub forgotten: Vec<ForgottenProcess>,
    /// What occupies the proxy's port while the proxy does not run; `None` when it is free or not known.
    pub port_holder: Option<String>,
    /// How the existing proxy container differs from the compose file, and how to fix it.
    pub differs: Option<(String, String)>,
    /// A difference from the compose file that a deploy tolerates.
    pub drift: Option<String>,
    /// Containers on the proxy's network.
    pub neighbours: Vec<Neighbour>,
    /// Our containers that restart repeatedly.
    pub unstable: Vec<Unstable>,
}

/// Facts that the proxy reports.
#[derive(Debug, Clone, Default)]
pub struct ProxyFacts {
    pub build: String,
    pub state: ObservedProxy,
    pub leases: Vec<HeldLease>,
    /// The version of nginx, such as `1.26.3`.
    pub nginx: Option<String>,
    /// The proxy's clock at the time of the request.
    pub clock: Option<Timestamp>,
    /// The limit of open files of one of its processes.
    pub open_files: Option<u64>,
    /// The kernel's limit of the accept backlog.
    pub somaxconn: Option<u64>,
}

/// A certificate used to connect to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub path: String,
    /// An error when it cannot be read.
    pub not_after: Result<Timestamp, String>,
}

/// All findings, ordered by dependency: a later one may be caused by an earlier one.
#[must_use]
pub fn diagnose(facts: &Facts) -> Vec<Finding> {
    let mut findings = host::certificates(facts);
    if let Some(engine) = &facts.engine {
        findings.extend(host::engine(facts, engine));
        findings.extend(host::proxy(facts, engine));
        if let Some(proxy) = &facts.proxy {
            findings.extend(apps::replicas(engine, proxy));
            findings.extend(apps::strangers(engine, proxy));
            findings.extend(apps::leases(facts, proxy));
            findings.extend(apps::certificates(facts, proxy));
        }
        findings.extend(apps::unstable(engine));
        findings.extend(apps::orphans(&facts.orphans));
        findings.extend(apps::images(engine));
    }
    findings
}

/// The signed difference of `other` from `now`.
fn clock_gap(now: Timestamp, other: Timestamp) -> SignedDuration {
    now.duration_until(other)
}

fn told(gap: SignedDuration) -> String {
    let seconds = gap.unsigned_abs().as_secs_f64();
    format!("{seconds:.1} s {}", if gap.is_negative() { "behind" } else { "ahead" })
}

/// Beyond this, entries in history and logs of two machines cannot be ordered.
const CLOCK_LIMIT: Duration = Duration::from_secs(2);

fn is_far(gap: SignedDuration) -> bool {
    gap.unsigned_abs() > CLOCK_LIMIT
}
