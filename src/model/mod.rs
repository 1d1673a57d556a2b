//! Domain types: names, the desired state (`Project`) and the observed state (`Observed*`).
//!
//! Plain data: no I/O, no clock, no Docker types.

mod accessory_change;
mod acme;
mod address;
mod basic_auth;
mod bytes;
mod canary;
mod canary_figures;
mod certificate;
mod composed;
mod container;
mod course;
mod der;
mod edge;
mod features;
mod files;
mod history;
mod hooks;
mod interruption;
mod keys;
mod label;
mod listening;
mod maintenance;
mod names;
mod observed;
mod observed_container;
mod orphan;
mod overview;
mod policy;
mod project;
mod published;
mod record;
mod redirect;
mod reference;
mod release;
mod remembered;
mod scale;
mod settings;
mod step_id;
mod step_kind;
mod stored;
mod stubborn;
mod timeline;
mod trusted;
mod tuning;
mod unstable;
mod visible;
mod webhook;

pub use accessory_change::AccessoryChange;
pub use acme::{AcmeDns, AcmeSpec, CertificateOrder};
pub use address::{AddressPool, Subnet};
pub use basic_auth::{AuthUser, BasicAuth};
pub use bytes::Bytes;
pub use canary::{
    Canary, CanaryGate, CanaryOrder, CanaryPolicy, CanaryStep, InvalidShare, OnSilence, Ratio, Share, Sticky, Testers,
};
pub use canary_figures::{CanaryReport, Figures, ReleaseCounters, Worse, compared, judge};
pub use certificate::{Certificate, CertificateChange, ObservedCertificate, Renewal, RouteTls, day, days_left};
pub use composed::{ComposeContainer, ComposeLabel};
pub use container::{
    ContainerSpec, Healthcheck, LogLimit, Logging, Mount, MountSource, NetworkAttachment, NewContainer, NewNetwork,
    OwnLabels, PortBinding, Resources, Restart, Role, Tmpfs, Ulimit,
};
pub use course::{Course, Look, Moment, TimedDeploy, TimedStep};
pub use der::Validity;
pub use edge::{ClientAccess, ErrorPage, HeaderField, RateLimit, ResponseHeaders, Timeouts};
pub use features::Features;
pub use files::{ContainerFile, Content, refill};
pub use history::{PastRun, RunEnd, past_runs};
pub use hooks::{Hook, Hooks};
pub use interruption::{Interrupted, Interruption};
pub use keys::{
    Device, DeviceRate, DeviceRequest, Dns, EndpointOptions, HostAccess, MountOptions, NetworkPool, NetworkSettings,
    NewVolume, Recursive, Shares,
};
pub use label::Label;
pub use listening::{Listening, parse_sockets};
pub use maintenance::{Maintenance, Page, Pause};
pub use names::{AppKey, AppName, Generation, InvalidName, ProjectName, ProxyName, ReleaseNumber};
pub use observed::{
    DiskSpace, EngineInfo, ForgottenProcess, HostFacts, HostFile, HostRoute, InFlight, Neighbour, ObservedApp,
    ObservedEngine, ObservedImage, ObservedNetwork, ObservedProxy, ObservedState, ResolvedImage, Stranger,
    strangers_among,
};
pub use observed_container::{ContainerState, DockerHealth, ObservedContainer};
pub use orphan::{Orphan, OrphanKind};
pub use overview::{AppTraffic, HeldLease, Lifetime, ProxyOverview, RequestCounts, RequestTotals, Traffic};
pub use policy::{Balance, DEFAULT_STOP_GRACE, DrainPolicy, FailureAction, HealthPolicy, Order, RolloutPolicy};
pub use project::{
    Accessory, App, BuildSpec, Carried, Condition, Dependency, ImageSource, Project, ProxySpec, PullPolicy,
    ReleaseCommand, Service,
};
pub use published::PortAnswer;
pub use record::{AppRecord, Peer, Route};
pub use redirect::Redirect;
pub use reference::familiar_reference;
pub use release::{Release, identity};
pub use scale::{ReplicaCount, ReplicaSource, Scale};
pub use settings::Settings;
pub use step_id::StepId;
pub use step_kind::StepKind;
pub use stored::{StoredPolicy, StoredRelease};
pub use stubborn::{KillCause, Process, kill_cause};
pub use timeline::{Slot, Timeline};
pub use trusted::{InvalidRange, TrustedProxy};
pub use tuning::{AccessLog, PROXY_DRIFT_REMEDY, ProxyTuning, UnknownTuning, UpgradePolicy};
pub use unstable::{Unstable, unstable};
pub use visible::{visible, visible_lines};
pub use webhook::{Secret, Webhook, WebhookFormat};
