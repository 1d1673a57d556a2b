//! A step is one call to the engine or the proxy, or one bounded wait. It is also the unit of undo.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

use crate::model::{
    AppKey, AppName, AppRecord, BuildSpec, CanaryGate, CertificateChange, CertificateOrder, Condition, DrainPolicy,
    Generation, HealthPolicy, Hook, NewContainer, NewNetwork, NewVolume, ReleaseNumber, Share, StoredRelease,
};

/// What to do.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    CreateNetwork(NewNetwork),
    CreateVolume(NewVolume),
    /// Writes the release's number into the proxy's history, so that it is never used again.
    ReserveRelease {
        app: AppKey,
        release: ReleaseNumber,
        version: String,
    },
    /// Keeps in the proxy what a release is made of, so that it can be run again.
    StoreRelease {
        app: AppKey,
        /// Its environment may hold secrets: a plan that is shown does without it.
        #[serde(skip_serializing)]
        release: Box<StoredRelease>,
    },
    /// Gives the proxy the certificate of a host, or takes it away. Never undone: the newest one stays.
    ChangeCertificate(Box<CertificateChange>),
    /// Has a certificate ordered by ACME. Never undone either.
    OrderCertificate(Box<CertificateOrder>),
    BuildImage {
        tag: String,
        digest: String,
        build: Box<BuildSpec>,
    },
    TagImage {
        image: String,
        /// What it was built from, if we built it: every image of this source is as good.
        source: Option<String>,
        tag: String,
        /// The user's own name for the image, which moves from build to build: an undo leaves it.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        alias: bool,
    },
    UntagImage {
        tag: String,
    },
    CreateContainer(Box<NewContainer>),
    StartContainer {
        name: String,
    },
    /// Runs a command in a started container. When it fails, so does the step: it has never served.
    PostStart {
        name: String,
        hook: Hook,
    },
    /// The same before its stop. What fails is said, and the stop goes on: nothing would be won by waiting.
    PreStop {
        name: String,
        hook: Hook,
    },
    /// Runs a command in an accessory's container before that is replaced. When it fails, nothing of it is touched.
    Backup {
        name: String,
        hook: Hook,
    },
    AwaitHealthy {
        name: String,
        gate: Gate,
    },
    /// Asks new replicas once more, right before they get traffic: one may have died while others started.
    LookAgain {
        replicas: Vec<Look>,
    },
    /// Waits until the proxy in this container answers on its control channel.
    AwaitControl {
        name: String,
        timeout: Duration,
    },
    /// Lets this nginx take new connections, and the one of before retire.
    HandOver {
        name: String,
        /// Its number.
        to: u32,
        /// How long it may take to be ready.
        timeout: Duration,
        /// How long to wait for a deploy that is under way.
        lock_wait: Duration,
    },
    /// Waits for the exit of a started container; anything but 0 is a failure.
    AwaitExit {
        name: String,
        timeout: Duration,
    },
    /// Waits until these services, which have parts of their own in the plan, are ready. Each part is bounded itself.
    AwaitServices {
        services: Vec<AppName>,
    },
    Flip {
        changes: Vec<FlipChange>,
    },
    /// Asks the proxy whether it routes the app as this record says.
    ConfirmRoute {
        app: AppKey,
        record: Box<AppRecord>,
    },
    AwaitDrained {
        app: AppKey,
        peers: Vec<String>,
        limits: Limits,
    },
    /// `restart` is for a container that an undo must bring back.
    StopContainer {
        name: String,
        signal: Option<String>,
        grace: Option<Duration>,
        restart: Option<RestartSpec>,
    },
    RemoveContainer {
        name: String,
    },
    /// Asks the proxy whether it has forgotten the app's routes.
    ConfirmGone {
        app: AppKey,
    },
    RemoveNetwork {
        name: String,
    },
    /// Its data goes with it, so this is planned only when the user has asked for it by name.
    RemoveVolume {
        name: String,
    },
    /// Makes the proxy forget what a rollback to these releases would need.
    ForgetReleases {
        app: AppKey,
        releases: Vec<ReleaseNumber>,
    },
    /// Removes images of ours that have no tag and that no container uses; the engine decides which those are.
    RemoveDangling,
    /// Compares a canary with what serves beside it, for as long as the step is to take, and fails when it is worse.
    WatchCanary(Box<CanaryWatch>),
    /// Lets time pass between two batches, as `delay` asks.
    Pause {
        duration: Duration,
    },
}

/// One step of a canary, whose weight was flipped in right before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CanaryWatch {
    pub app: AppKey,
    pub canary: ReleaseNumber,
    /// What it is compared with.
    pub stable: ReleaseNumber,
    pub weight: Share,
    pub duration: Duration,
    pub gate: CanaryGate,
    /// The canary's containers. One that ends is a verdict.
    pub replicas: Vec<String>,
}

/// One app's part of a flip.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FlipChange {
    pub app: AppKey,
    pub expect: Expect,
    /// `None` removes the app from the proxy.
    pub record: Option<AppRecord>,
    /// What an undo puts back.
    pub before: Option<AppRecord>,
    /// The limits for draining what this change brings in, should it be undone.
    pub limits: Limits,
}

/// Which generation of the app a flip replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Expect {
    /// The one that was observed.
    Observed(Generation),
    /// The one that this run's last flip of the app made.
    OwnLast,
}

/// How a stopped container serves again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RestartSpec {
    pub gate: Gate,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub post_start: Vec<Hook>,
}

/// When a started container counts as good.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The proxy reaches it, over the way that traffic will take.
    Probe {
        address: Ipv4Addr,
        port: u16,
        /// The Host header of the probe.
        host: String,
        policy: HealthPolicy,
        /// How long it must stay up afterwards.
        monitor: Duration,
    },
    /// The engine says so. For containers that are not routed.
    Engine { condition: Condition, timeout: Duration, monitor: Duration },
}

/// A replica that has passed its gate, and how it is asked once more.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Look {
    pub name: String,
    pub gate: Gate,
}

impl Gate {
    /// The same with a single success, for what has passed it already.
    #[must_use]
    pub fn recheck(&self) -> Self {
        match self.clone() {
            Self::Probe { address, port, host, policy, .. } => {
                // A probe that is lost on the way may be asked again within the time of one.
                let policy = HealthPolicy { successes: 1, timeout: policy.probe_timeout, ..policy };
                Self::Probe { address, port, host, policy, monitor: Duration::ZERO }
            }
            Self::Engine { condition, .. } => Self::Engine { condition, timeout: LOOK_LIMIT, monitor: Duration::ZERO },
        }
    }
}

/// The engine answers in milliseconds, unless it is very busy.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// How long to wait for open requests, and for open WebSockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limits {
    pub requests: Duration,
    pub websockets: Duration,
}

impl Limits {
    /// For replicas whose end all new requests wait for.
    #[must_use]
    pub fn of_stop_first(policy: &DrainPolicy) -> Self {
        let most = policy.stop_first_timeout;
        Self { requests: policy.timeout.min(most), websockets: policy.websocket_timeout.min(most) }
    }

    #[must_use]
    pub fn longest(self) -> Duration {
        self.requests.max(self.websockets)
    }
}

impl From<&DrainPolicy> for Limits {
    fn from(policy: &DrainPolicy) -> Self {
        Self { requests: policy.timeout, websockets: policy.websocket_timeout }
    }
}

impl Step {
    /// Whether it builds an image, which takes room on the disk.
    #[must_use]
    pub fn is_build(&self) -> bool {
        matches!(self, Self::BuildImage { .. })
    }

    /// What it changes in the proxy, if it is a flip.
    #[must_use]
    pub fn changes(&self) -> &[FlipChange] {
        match self {
            Self::Flip { changes } => changes,
            _ => &[],
        }
    }

    /// Whether it leaves the engine and the proxy as they are.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::AwaitHealthy { .. }
                | Self::LookAgain { .. }
                | Self::AwaitExit { .. }
                | Self::AwaitControl { .. }
                | Self::AwaitServices { .. }
                | Self::AwaitDrained { .. }
                | Self::ConfirmRoute { .. }
                | Self::ConfirmGone { .. }
                | Self::Pause { .. }
                | Self::WatchCanary(_)
        )
    }
}
