//! A step is one call to the engine or the proxy, or one bounded wait. It is also the unit of undo.

use std::fmt;
use std::net::Ipv4Addr;
use std::time::Duration;

use serde::Serialize;

use crate::model::{
    AppKey, AppRecord, BuildSpec, Condition, DrainPolicy, Generation, HealthPolicy, Hook, NewContainer, NewNetwork,
    NewVolume, ReleaseNumber, StoredRelease,
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
    BuildImage {
        tag: String,
        digest: String,
        build: BuildSpec,
    },
    TagImage {
        image: String,
        /// What it was built from, if we built it: every image of this source is as good.
        source: Option<String>,
        tag: String,
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
    /// Waits for the exit of a started container; anything but 0 is a failure.
    AwaitExit {
        name: String,
        timeout: Duration,
    },
    Flip {
        changes: Vec<FlipChange>,
    },
    /// Asks the proxy whether it routes the app as this record says.
    ConfirmRoute {
        app: AppKey,
        record: AppRecord,
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
        restart: Option<Comeback>,
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
    /// Lets time pass between two batches, as `delay` asks.
    Pause {
        duration: Duration,
    },
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
pub struct Comeback {
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
    pub fn once_more(&self) -> Self {
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

impl From<&DrainPolicy> for Limits {
    fn from(policy: &DrainPolicy) -> Self {
        Self { requests: policy.timeout, websockets: policy.websocket_timeout }
    }
}

/// Why a step is in the plan, in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Because(pub String);

impl From<&str> for Because {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for Because {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// A step with its reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Planned {
    #[serde(flatten)]
    pub step: Step,
    pub because: Because,
}

impl Planned {
    #[must_use]
    pub fn new(step: Step, because: impl Into<Because>) -> Self {
        Self { step, because: because.into() }
    }
}

/// Lanes of steps. The lanes run beside each other, the steps of a lane one after the other,
/// and the next stage begins when every lane is done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Stage {
    pub lanes: Vec<Vec<Planned>>,
}

impl Stage {
    /// A stage of one lane.
    #[must_use]
    pub fn line(steps: Vec<Planned>) -> Self {
        Self { lanes: vec![steps] }
    }

    /// A stage of several lanes; empty ones are left out.
    #[must_use]
    pub fn beside(lanes: Vec<Vec<Planned>>) -> Self {
        Self { lanes: lanes.into_iter().filter(|lane| !lane.is_empty()).collect() }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(Vec::is_empty)
    }

    /// Every step, lane by lane.
    pub fn steps(&self) -> impl Iterator<Item = &Planned> {
        self.lanes.iter().flatten()
    }
}

/// What a container made in this run gets to finish when it is undone: it has never served, so little.
const UNDO_GRACE: Duration = Duration::from_secs(2);

impl Step {
    /// Whether it leaves the engine and the proxy as they are.
    #[must_use]
    pub fn only_looks(&self) -> bool {
        matches!(
            self,
            Self::AwaitHealthy { .. }
                | Self::LookAgain { .. }
                | Self::AwaitExit { .. }
                | Self::AwaitControl { .. }
                | Self::AwaitDrained { .. }
                | Self::ConfirmRoute { .. }
                | Self::ConfirmGone { .. }
                | Self::Pause { .. }
        )
    }

    /// What takes this step back, in the order of running. Empty when there is nothing to take back.
    #[must_use]
    pub fn undo(&self) -> Vec<Step> {
        match self {
            Self::BuildImage { tag, .. } | Self::TagImage { tag, .. } => vec![Self::UntagImage { tag: tag.clone() }],
            Self::StoreRelease { app, release } => {
                vec![Self::ForgetReleases { app: app.clone(), releases: vec![release.number] }]
            }
            Self::CreateContainer(container) => vec![Self::RemoveContainer { name: container.name.clone() }],
            Self::StartContainer { name } => {
                vec![Self::StopContainer { name: name.clone(), signal: None, grace: Some(UNDO_GRACE), restart: None }]
            }
            Self::StopContainer { name, restart: Some(comeback), .. } => {
                let start = std::iter::once(Self::StartContainer { name: name.clone() });
                let hooks = comeback.post_start.iter().cloned();
                let hooks = hooks.map(|hook| Self::PostStart { name: name.clone(), hook });
                let gate = Self::AwaitHealthy { name: name.clone(), gate: comeback.gate.clone() };
                start.chain(hooks).chain([gate]).collect()
            }
            Self::Flip { changes } => undo_flip(changes),
            // Networks and volumes are shared and cost nothing; the rest has no effect to take back.
            Self::CreateNetwork(_)
            | Self::CreateVolume(_)
            | Self::ReserveRelease { .. }
            | Self::UntagImage { .. }
            | Self::PostStart { .. }
            | Self::PreStop { .. }
            | Self::AwaitHealthy { .. }
            | Self::LookAgain { .. }
            | Self::AwaitExit { .. }
            | Self::AwaitControl { .. }
            | Self::ConfirmRoute { .. }
            | Self::AwaitDrained { .. }
            | Self::StopContainer { restart: None, .. }
            | Self::RemoveContainer { .. }
            | Self::ConfirmGone { .. }
            | Self::ForgetReleases { .. }
            | Self::RemoveNetwork { .. }
            | Self::RemoveVolume { .. }
            | Self::RemoveDangling
            | Self::Pause { .. } => Vec::new(),
        }
    }
}

/// Puts the earlier record back, then waits for what the later one had taken in.
fn undo_flip(changes: &[FlipChange]) -> Vec<Step> {
    let back = changes
        .iter()
        .map(|change| FlipChange {
            app: change.app.clone(),
            expect: Expect::OwnLast,
            record: change.before.clone(),
            before: change.record.clone(),
            limits: change.limits,
        })
        .collect();
    let drains = changes.iter().filter_map(|change| {
        let gone: Vec<String> = change
            .record
            .iter()
            .flat_map(|record| &record.peers)
            .filter(|peer| change.before.as_ref().is_none_or(|before| !before.serves(&peer.id)))
            .map(|peer| peer.id.clone())
            .collect();
        (!gone.is_empty()).then(|| Step::AwaitDrained { app: change.app.clone(), peers: gone, limits: change.limits })
    });
    std::iter::once(Step::Flip { changes: back }).chain(drains).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateNetwork(network) => match network.subnet {
                Some(subnet) => write!(f, "create network `{}` {subnet}", network.name),
                None => write!(f, "create network `{}`", network.name),
            },
            Self::CreateVolume(volume) => write!(f, "create volume `{}`", volume.name),
            Self::ReserveRelease { app, release, version } => write!(f, "reserve {release} ({version}) of `{app}`"),
            Self::StoreRelease { app, release } => write!(f, "keep what {} of `{app}` is made of", release.number),
            Self::LookAgain { replicas } => {
                let names: Vec<String> = replicas.iter().map(|look| format!("`{}`", look.name)).collect();
                write!(f, "look again at {}", names.join(" "))
            }
            Self::BuildImage { tag, .. } => write!(f, "build image `{tag}`"),
            Self::TagImage { image, tag, .. } => write!(f, "tag image {} as `{tag}`", short(image)),
            Self::UntagImage { tag } => write!(f, "untag image `{tag}`"),
            Self::CreateContainer(container) => {
                write!(f, "create `{}` from `{}`", container.name, short(&container.image))?;
                match container.spec.networks.iter().find_map(|network| network.address) {
                    Some(address) => write!(f, " at {address}"),
                    None => Ok(()),
                }
            }
            Self::StartContainer { name } => write!(f, "start `{name}`"),
            Self::PostStart { name, hook } => write!(f, "run post_start `{}` in `{name}`", hook.shown()),
            Self::PreStop { name, hook } => write!(f, "run pre_stop `{}` in `{name}`", hook.shown()),
            Self::AwaitHealthy { name, gate } => write!(f, "await `{name}` {gate}"),
            Self::AwaitControl { name, timeout } => {
                write!(f, "await the control channel of `{name}` within {timeout:?}")
            }
            Self::AwaitExit { name, timeout } => write!(f, "await exit of `{name}` within {timeout:?}"),
            Self::Flip { changes } => {
                f.write_str("flip")?;
                for (index, change) in changes.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {change}")?;
                }
                Ok(())
            }
            Self::ConfirmRoute { app, record } => write!(f, "confirm that `{app}` is routed to {}", peers(record)),
            Self::AwaitDrained { peers, limits, .. } => {
                let names: Vec<String> = peers.iter().map(|peer| format!("`{peer}`")).collect();
                write!(f, "drain {} within {:?}, websockets {:?}", names.join(" "), limits.requests, limits.websockets)
            }
            Self::StopContainer { name, .. } => write!(f, "stop `{name}`"),
            Self::RemoveContainer { name } => write!(f, "remove `{name}`"),
            Self::ConfirmGone { app } => write!(f, "confirm that `{app}` is routed nowhere"),
            Self::ForgetReleases { app, releases } => {
                let releases: Vec<String> = releases.iter().map(ToString::to_string).collect();
                write!(f, "forget {} of `{app}`", releases.join(" "))
            }
            Self::RemoveNetwork { name } => write!(f, "remove network `{name}`"),
            Self::RemoveVolume { name } => write!(f, "remove volume `{name}` and its data"),
            Self::RemoveDangling => f.write_str("remove untagged images that deploy-apps has built"),
            Self::Pause { duration } => write!(f, "pause {duration:?}"),
        }
    }
}

impl fmt::Display for FlipChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.expect {
            Expect::Observed(generation) => write!(f, "`{}` from {generation}", self.app)?,
            Expect::OwnLast => write!(f, "`{}`", self.app)?,
        }
        match &self.record {
            Some(record) => write!(f, " to {}", peers(record)),
            None => f.write_str(" to nothing"),
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Probe { address, port, policy, .. } => {
                write!(f, "healthy: {} × {address}:{port}{} within {:?}", policy.successes, policy.path, policy.timeout)
            }
            Self::Engine { condition, timeout, .. } => {
                let what = match condition {
                    Condition::Started => "running",
                    Condition::Healthy => "healthy",
                    Condition::CompletedSuccessfully => "completed",
                };
                write!(f, "{what} within {timeout:?}")
            }
        }
    }
}

fn peers(record: &AppRecord) -> String {
    if record.peers.is_empty() && record.hold_ms == 0 {
        return "no peer".to_owned();
    }
    if record.peers.is_empty() {
        return format!("no peer, holding requests for {:?}", Duration::from_millis(record.hold_ms));
    }
    record.peers.iter().map(|peer| format!("`{}`", peer.id)).collect::<Vec<_>>().join(" ")
}

/// An image id is shown by its first 12 digits, as the engine's own tools do.
fn short(image: &str) -> &str {
    image.strip_prefix("sha256:").and_then(|id| id.get(..12)).unwrap_or(image)
}
