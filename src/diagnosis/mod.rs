//! What is wrong with a host, from what was seen of it: findings, each with how to fix it.
//!
//! Pure, as the planner is: whoever gathers the facts may have to reach far, but what they mean is decided here.

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
    /// It works, and may not for long or not under load.
    Warning,
    /// Something does not work.
    Problem,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub level: Level,
    /// What it is about, such as `engine` or `replicas`; these words are stable.
    pub check: &'static str,
    pub message: String,
    pub remedy: Option<String>,
    /// `--fix` does it.
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

    /// `--fix` fixes it.
    #[must_use]
    pub fn fixable(mut self) -> Self {
        self.fixable = true;
        self
    }
}

/// What was seen. A part that could not be asked is `None`, and the finding that says why is made by whoever asked.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    pub now: Timestamp,
    /// What the compose file asks of the proxy; `None` without a readable file.
    pub desired: Option<ProxySpec>,
    pub proxy_name: ProxyName,
    /// The digest of the `nginx/` folder that this deploy-apps holds.
    pub build_id: String,
    pub engine: Option<EngineFacts>,
    pub proxy: Option<ProxyFacts>,
    pub certificates: Vec<Certificate>,
    /// Whether the published port answers; `None` where the proxy does not run.
    pub published: Option<PortAnswer>,
    /// Services on the host that the compose file does not have any more.
    pub orphans: Vec<Orphan>,
}

/// Of the engine.
#[derive(Debug, Clone)]
pub struct EngineFacts {
    pub info: EngineInfo,
    pub host: HostFacts,
    pub observed: ObservedEngine,
    pub disk: Option<DiskSpace>,
    /// What the disk must have free, when somebody has said so.
    pub min_free: Option<u64>,
    /// Containers of ours that do not come back by themselves after a reboot, with their restart policy.
    pub not_restarted: Vec<(String, String)>,
    /// Where the engine is this machine's; elsewhere nobody can see them.
    pub forgotten: Vec<ForgottenProcess>,
    /// What is in the way of the proxy's port while the proxy does not run; `None` when it is free or not known.
    pub port_holder: Option<String>,
    /// That the proxy's container, if there is one, is made otherwise than the compose file asks; and how to fix it.
    pub differs: Option<(String, String)>,
    /// What a deploy goes on with although the compose file asks for something else.
    pub drift: Option<String>,
    /// What runs on the proxy's network.
    pub neighbours: Vec<Neighbour>,
    /// Containers of ours that end again and again.
    pub unstable: Vec<Unstable>,
}

/// Of the proxy, by its own words.
#[derive(Debug, Clone, Default)]
pub struct ProxyFacts {
    pub build: String,
    pub state: ObservedProxy,
    pub leases: Vec<HeldLease>,
    /// Of nginx, such as `1.26.3`.
    pub nginx: Option<String>,
    /// When the proxy was asked, and what its clock said.
    pub clock: Option<Timestamp>,
    /// Files that one of its processes may have open.
    pub open_files: Option<u64>,
    /// Connections that the kernel lets wait to be accepted.
    pub somaxconn: Option<u64>,
}

/// A certificate that the way to the engine needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    pub path: String,
    /// An error where it cannot be read.
    pub not_after: Result<Timestamp, String>,
}

/// Every finding, in the order in which things depend on each other.
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
        }
        findings.extend(apps::unstable(engine));
        findings.extend(apps::orphans(&facts.orphans));
        findings.extend(apps::images(engine));
    }
    findings
}

/// How far `other` is from `now`, and in which direction.
fn clock_gap(now: Timestamp, other: Timestamp) -> SignedDuration {
    now.duration_until(other)
}

fn told(gap: SignedDuration) -> String {
    let seconds = gap.unsigned_abs().as_secs_f64();
    format!("{seconds:.1} s {}", if gap.is_negative() { "behind" } else { "ahead" })
}

/// Beyond this, times in the history and logs of two machines cannot be put in order.
const CLOCK_LIMIT: Duration = Duration::from_secs(2);

fn is_far(gap: SignedDuration) -> bool {
    gap.unsigned_abs() > CLOCK_LIMIT
}
