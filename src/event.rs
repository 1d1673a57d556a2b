//! What happened, as facts in the past tense. Events are the only output of the core; reporters make text of them.

use std::time::Duration;

use serde::Serialize;

use crate::model::{AccessoryChange, AppKey, Generation, InFlight, KillCause, ReleaseNumber, StepId, StepKind};

/// One fact. `app` is `None` for what concerns the host, such as the proxy's start.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    pub app: Option<AppKey>,
    /// Since the run began.
    pub elapsed: Duration,
    #[serde(flatten)]
    pub fact: Fact,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Fact {
    /// Another deploy holds the lease; it is waited for.
    LeaseAwaited {
        owner: String,
        host: String,
        age: Duration,
    },
    /// The state has been observed and the plan is made. Once for each attempt.
    PlanMade {
        took: Duration,
    },
    /// What the plan will do with this app.
    AppPlanned {
        from: Option<ReleaseNumber>,
        to: ReleaseNumber,
        version: String,
        replicas: u32,
        up_to_date: bool,
    },
    /// This app will be taken away. `containers` counts also those that an interrupted run has left.
    RemovalPlanned {
        release: ReleaseNumber,
        version: String,
        containers: u32,
    },
    /// What the plan will do with this accessory, which was asked for by its name.
    AccessoryPlanned {
        change: AccessoryChange,
    },
    /// Something harmless that the user should know.
    Warned {
        message: String,
    },
    /// `id` is the step's number in its plan, by which its end is found. `subject` is what it is about, such as a container's
    /// name or an image's tag.
    StepStarted {
        #[serde(rename = "step_id")]
        id: StepId,
        step: String,
        kind: StepKind,
        subject: Option<String>,
        because: String,
    },
    StepFinished {
        #[serde(rename = "step_id")]
        id: StepId,
        step: String,
        took: Duration,
    },
    BuildProgressed {
        line: String,
    },
    ImageBuilt {
        took: Duration,
        reused: bool,
    },
    ImagePulled {
        reference: String,
        took: Duration,
    },
    ReleaseCommandFinished {
        took: Duration,
    },
    /// An accessory's data is saved. `output`: the last lines of the command.
    BackupFinished {
        name: String,
        output: Vec<String>,
        took: Duration,
    },
    ReplicaStarted {
        name: String,
    },
    /// Counted over the replicas that this run starts; `wanted` is how many those are.
    ReplicaHealthy {
        name: String,
        healthy: u32,
        wanted: u32,
        took: Duration,
    },
    Flipped {
        generation: Generation,
        took: Duration,
    },
    /// The proxy serves a host with a new certificate from now on. `expires` is a day, such as `2031-03-04`.
    CertificateStored {
        host: String,
        expires: String,
    },
    /// "Up to date" is said only with this: the proxy routes where the plan says.
    RouteConfirmed,
    /// Over all replicas of the app that drain right now.
    DrainProgressed {
        left: InFlight,
    },
    /// `waited` is what was open at the flip; `cut` is what the limit ended.
    Drained {
        waited: InFlight,
        cut: InFlight,
        took: Duration,
    },
    /// `killed`: it had not ended when its grace period was over. `cause`: why, where its processes tell.
    ReplicaStopped {
        name: String,
        killed: bool,
        cause: Option<KillCause>,
        took: Duration,
    },
    /// A new replica that was healthy ends again and again since it serves. `within` is since the run began with its app.
    ReplicaUnstable {
        name: String,
        /// How often the engine has started it again.
        restarts: u64,
        within: Duration,
        log: Vec<String>,
        hint: String,
    },
    /// The run goes on with undoing.
    StepFailed {
        #[serde(rename = "step_id")]
        id: StepId,
        step: String,
        error: String,
        hint: Option<String>,
        details: Vec<Detail>,
    },
    /// How a canary stands beside what serves, again and again while a step of it goes on and at its end. `summary` says the same
    /// in words.
    CanaryCompared {
        release: ReleaseNumber,
        stable: ReleaseNumber,
        /// Percent of the requests.
        weight: f64,
        standing: CanaryStanding,
        requests: u64,
        errors: u64,
        stable_requests: u64,
        stable_errors: u64,
        summary: String,
    },
    /// The user asked to stop.
    CancelRequested,
    /// `id` is the number of the step that is undone by this one.
    Undone {
        #[serde(rename = "step_id")]
        id: StepId,
        step: String,
    },
    /// Undoing failed too: a human must look.
    UndoFailed {
        #[serde(rename = "step_id")]
        id: StepId,
        step: String,
        error: String,
    },
    /// Left behind for the next run to clean. `id` is the step that failed, was not begun, or could not be undone.
    LeftBehind {
        #[serde(rename = "step_id")]
        id: Option<StepId>,
        what: String,
        error: String,
    },
    /// Old releases of the app went after its deploy. It changes nothing about the outcome.
    Pruned {
        images: u32,
        containers: u32,
    },
    AppFinished {
        outcome: Outcome,
        urls: Vec<String>,
        took: Duration,
    },
}

/// What is known of a canary in its step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryStanding {
    /// The step goes on.
    Watched,
    /// It is no worse, and the step is over.
    Passed,
    /// Too few requests came in the step's time, and it goes on nevertheless.
    Silent,
    /// Somebody has promoted it.
    Promoted,
    Aborted,
}

/// Evidence for a failure, such as the last probe's answer or the app's last log lines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Detail {
    pub title: String,
    pub lines: Vec<String>,
}

/// How it ended, for one app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing had to change, and the proxy routes there.
    UpToDate,
    Completed,
    /// The new version serves; something old is left for the next run.
    CompletedWithLeftovers,
    /// The new version serves, and a replica of it ends again and again. What is needed for a rollback stays.
    Unstable,
    /// It failed before the flip (or was flipped back): the old version serves as before.
    RolledBack,
    /// A canary was worse than what serves, or somebody aborted it: the old version serves as before.
    Aborted,
    /// Ended by the user. Before the flip all is undone, after it the rest is left for the next run.
    Cancelled,
    /// The connection to the engine was lost before the flip: the old version serves as before, and the next run
    /// finishes or undoes what this one began.
    Disconnected,
    /// Undoing failed, or it is not known what the proxy routes: a human must look.
    Stuck,
}
