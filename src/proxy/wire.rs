//! The bodies of control API v1. Answers may carry fields that we do not know: a newer proxy may add some.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::model::{
    AppKey, AppRecord, CertificateChange, Features, Generation, InFlight, ObservedApp, ObservedCertificate,
    ObservedProxy, ProjectName, ReleaseNumber,
};
use crate::plan::Serving;
use crate::ports::{ProbeAnswer, ProxyVersion};

#[derive(Debug, Deserialize)]
pub(super) struct ErrorAnswer {
    pub error: ErrorBody,
}

#[derive(Debug, Deserialize)]
pub(super) struct ErrorBody {
    pub code: String,
    pub message: String,
    #[serde(flatten)]
    details: Map<String, Value>,
}

impl ErrorBody {
    pub fn detail<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.details.get(name)?.clone()).ok()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct VersionAnswer {
    pub api: u64,
    /// Another API may have no build, and is still to be told by its number.
    #[serde(default)]
    build: String,
    /// One of before has none.
    #[serde(default)]
    instance: Option<u32>,
    #[serde(default)]
    retiring: Vec<u32>,
    #[serde(default)]
    now: u64,
}

impl From<VersionAnswer> for ProxyVersion {
    fn from(answer: VersionAnswer) -> Self {
        let serving = Serving { instance: answer.instance, retiring: answer.retiring };
        Self { api: answer.api, build: answer.build, serving, now_ms: answer.now }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct StateAnswer {
    /// What was added to the API since its first proxies.
    #[serde(default)]
    features: Features,
    generation: Generation,
    apps: BTreeMap<AppKey, AppAnswer>,
    in_flight: BTreeMap<String, InFlight>,
    /// A proxy of an earlier build has none.
    #[serde(default)]
    certificates: Vec<ObservedCertificate>,
}

#[derive(Debug, Deserialize)]
struct AppAnswer {
    generation: Generation,
    last_release: ReleaseNumber,
    #[serde(default)]
    served: Vec<ReleaseNumber>,
    record: Option<AppRecord>,
}

impl From<StateAnswer> for ObservedProxy {
    fn from(answer: StateAnswer) -> Self {
        let named = |certificate: ObservedCertificate| (certificate.host.clone(), certificate);
        let app = |app: AppAnswer| ObservedApp {
            generation: app.generation,
            last_release: app.last_release,
            served: app.served,
            record: app.record,
        };
        Self {
            generation: answer.generation,
            apps: answer.apps.into_iter().map(|(key, answer)| (key, app(answer))).collect(),
            in_flight: answer.in_flight,
            features: answer.features,
            certificates: answer.certificates.into_iter().map(named).collect(),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct HandOverRequest {
    pub to: u32,
}

#[derive(Debug, Serialize)]
pub(super) struct FlipRequest<'a> {
    pub lease: &'a str,
    pub changes: Vec<ChangeRequest<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ChangeRequest<'a> {
    pub app: &'a AppKey,
    pub expect: Generation,
    #[serde(serialize_with = "with_users")]
    pub record: Option<&'a AppRecord>,
}

/// The record with the hashes of its users, which are written nowhere else.
fn with_users<S: Serializer>(record: &Option<&AppRecord>, serializer: S) -> Result<S::Ok, S::Error> {
    let auth = record.and_then(|record| record.settings.basic_auth.as_ref());
    let Some(auth) = auth else { return record.serialize(serializer) };
    let mut whole = serde_json::to_value(record).map_err(serde::ser::Error::custom)?;
    whole["basic_auth"]["users"] = serde_json::to_value(&auth.users).map_err(serde::ser::Error::custom)?;
    whole.serialize(serializer)
}

/// Its key is the one secret that is sent to the proxy.
#[derive(Serialize)]
pub(super) struct CertificateRequest<'a> {
    host: &'a str,
    project: &'a ProjectName,
    expect: Option<&'a str>,
    source: &'static str,
    chain: Option<&'a str>,
    key: Option<&'a str>,
    replaces: Option<&'a AppKey>,
}

impl<'a> From<&'a CertificateChange> for CertificateRequest<'a> {
    fn from(change: &'a CertificateChange) -> Self {
        let certificate = change.certificate.as_ref();
        Self {
            host: &change.host,
            project: &change.project,
            expect: change.expect.as_deref(),
            source: "file",
            chain: certificate.map(|new| new.chain.as_str()),
            key: certificate.map(|new| new.key.reveal()),
            replaces: change.replaces.as_ref(),
        }
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct FlipAnswer {
    pub generation: Generation,
}

#[derive(Debug, Serialize)]
pub(super) struct ProbeRequest<'a> {
    pub address: Ipv4Addr,
    pub port: u16,
    pub path: &'a str,
    pub host: &'a str,
    pub timeout_ms: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct ProbeResult {
    ok: bool,
    status: Option<u16>,
    error: Option<String>,
    body: Option<String>,
}

impl From<ProbeResult> for ProbeAnswer {
    fn from(result: ProbeResult) -> Self {
        Self { healthy: result.ok, status: result.status, error: result.error, body: result.body }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct DrainRequest<'a> {
    pub peers: &'a [String],
    pub wait_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<InFlight>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct LeaseCall {
    pub apps: Vec<AppKey>,
    pub owner: String,
    pub host: String,
    pub purpose: String,
    /// Given to take up a lease again that its connection lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

/// The first line of a lease's answer; the rest of it is silence for as long as the lease lives.
#[derive(Debug, Deserialize)]
pub(super) struct Granted {
    pub token: String,
    pub heartbeat_ms: u64,
    pub expires_ms: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct HeartbeatRequest<'a> {
    pub token: &'a str,
}

#[derive(Debug, Deserialize)]
pub(super) struct HeartbeatAnswer {
    pub expires_ms: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct HistoryRequest<'a> {
    pub app: &'a AppKey,
    pub release: ReleaseNumber,
    pub event: &'a str,
    #[serde(flatten)]
    pub details: Map<String, Value>,
}

#[derive(Serialize)]
pub(super) struct StoreRequest<'a> {
    pub app: &'a AppKey,
    pub release: ReleaseNumber,
    #[serde(flatten)]
    pub document: Map<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct ReleasesAnswer {
    pub releases: Vec<Value>,
}

/// The answer where several apps were asked about.
#[derive(Deserialize)]
pub(super) struct AppsReleasesAnswer {
    pub apps: BTreeMap<AppKey, Vec<Value>>,
}

#[derive(Debug, Serialize)]
pub(super) struct ForgetRequest<'a> {
    pub app: &'a AppKey,
    pub releases: &'a [ReleaseNumber],
}

#[derive(Debug, Deserialize)]
pub(super) struct HistoryAnswer {
    pub records: Vec<Value>,
}
