//! The control API as the port that the core knows.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::call::Call;
use super::canary::{CanaryAnswer, CanaryRequest};
use super::channel::Opener;
use super::lease::Lease;
use super::pool::Pool;
use super::wire::{
    CertificateRequest, ChangeRequest, DrainRequest, FlipAnswer, FlipRequest, ForgetRequest, HandOverRequest,
    HistoryAnswer, HistoryRequest, LeaseCall, ProbeRequest, ProbeResult, StateAnswer, StoreRequest, VersionAnswer,
};
use crate::model::{
    AppKey, CanaryOrder, CanaryReport, CertificateChange, Generation, InFlight, ObservedProxy, ProxyName,
    ReleaseNumber, StoredRelease,
};
use crate::plan::FlipChange;
use crate::ports::{Dial, LeaseRequest, Operator, Probe, ProbeAnswer, Proxy, ProxyError, ProxyVersion};

/// The control API that this version speaks.
pub const CONTROL_API: u64 = 1;

/// Where it is spoken, in the proxy's container.
pub const CONTROL_SOCKET: &str = "/run/deploy-apps/control.sock";

/// The new nginx reads the state, and the one of before waits for that.
const HAND_OVER_LIMIT: Duration = Duration::from_secs(30);

/// A client of one proxy. Clones share their channels.
#[derive(Clone)]
pub struct ControlClient {
    pool: Arc<Pool>,
}

impl ControlClient {
    /// Opens nothing yet: the first call does.
    #[must_use]
    pub fn new(proxy: &ProxyName, dial: Arc<dyn Dial>) -> Self {
        Self { pool: Pool::new(Opener { proxy: proxy.to_string(), dial }) }
    }

    pub(super) async fn call<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ProxyError> {
        self.pool.call(call).await
    }

    pub(super) async fn text(&self, call: &Call) -> Result<String, ProxyError> {
        self.pool.text(call).await
    }
}

impl Proxy for ControlClient {
    type Lease = Lease;

    async fn version(&self) -> Result<ProxyVersion, ProxyError> {
        let answer: VersionAnswer = self.pool.call_any_api(&Call::get("/version")).await?;
        Ok(answer.into())
    }

    async fn hand_over(&self, to: u32) -> Result<(), ProxyError> {
        let call = Call::post("/v1/handover", &HandOverRequest { to }).waiting(HAND_OVER_LIMIT);
        self.pool.call(&call).await.map(|_: Value| ())
    }

    async fn state(&self) -> Result<ObservedProxy, ProxyError> {
        let answer: StateAnswer = self.pool.call(&Call::get("/v1/state")).await?;
        Ok(answer.into())
    }

    async fn acquire(&self, request: &LeaseRequest) -> Result<Lease, ProxyError> {
        let LeaseRequest { apps, owner, host, purpose } = request.clone();
        Lease::acquire(Arc::clone(&self.pool), LeaseCall { apps, owner, host, purpose, token: None }).await
    }

    async fn lost(&self, lease: &Lease) {
        lease.lost().await;
    }

    async fn probe(&self, probe: &Probe) -> Result<ProbeAnswer, ProxyError> {
        let body = ProbeRequest {
            address: probe.address,
            port: probe.port,
            path: &probe.path,
            host: &probe.host,
            timeout_ms: milliseconds(probe.timeout),
        };
        let call = Call::post("/v1/probe", &body).repeatable().waiting(probe.timeout);
        let result: ProbeResult = self.pool.call(&call).await?;
        Ok(result.into())
    }

    async fn flip(
        &self,
        lease: &Lease,
        changes: &[FlipChange],
        expected: &[Generation],
    ) -> Result<Generation, ProxyError> {
        let changes = changes.iter().zip(expected).map(|(change, expect)| ChangeRequest {
            app: &change.app,
            expect: *expect,
            record: change.record.as_ref(),
        });
        let call = Call::post("/v1/flip", &FlipRequest { lease: lease.token(), changes: changes.collect() });
        let answer: FlipAnswer = self.pool.call(&call).await?;
        Ok(answer.generation)
    }

    async fn in_flight(
        &self,
        peers: &[String],
        known: Option<InFlight>,
        wait: Duration,
    ) -> Result<InFlight, ProxyError> {
        let call = Call::post("/v1/drain", &DrainRequest { peers, wait_ms: milliseconds(wait), known });
        let call = call.repeatable();
        // Without a known count the proxy answers at once.
        self.pool.call(&if known.is_some() { call.waiting(wait) } else { call }).await
    }

    async fn record(
        &self,
        app: &AppKey,
        release: ReleaseNumber,
        event: &str,
        details: Map<String, Value>,
    ) -> Result<(), ProxyError> {
        let call = Call::post("/v1/history", &HistoryRequest { app, release, event, details });
        self.pool.call(&call).await.map(|_: Value| ())
    }

    async fn history(&self, app: &AppKey, limit: usize) -> Result<Vec<Value>, ProxyError> {
        let call = Call::get(format!("/v1/history?app={app}&limit={limit}"));
        let answer: HistoryAnswer = self.pool.call(&call).await?;
        Ok(answer.records)
    }

    async fn store_release(&self, app: &AppKey, release: ReleaseNumber, document: Value) -> Result<(), ProxyError> {
        let Value::Object(mut document) = document else {
            let (code, message) = ("invalid_release".to_owned(), "a release is an object".to_owned());
            return Err(ProxyError::Refused { code, message });
        };
        // These two are the call's own.
        document.remove("app");
        document.remove("release");
        // Storing it once more stores the same.
        let call = Call::post("/v1/release", &StoreRequest { app, release, document }).repeatable();
        self.pool.call(&call).await.map(|_: Value| ())
    }

    async fn releases(&self, apps: &[AppKey]) -> Result<BTreeMap<AppKey, Vec<StoredRelease>>, ProxyError> {
        self.releases_of(apps).await
    }

    async fn canary(&self, app: &AppKey, releases: &[ReleaseNumber]) -> Result<CanaryReport, ProxyError> {
        let releases: String = releases.iter().map(|release| format!("&release={}", release.0)).collect();
        let answer: CanaryAnswer = self.pool.call(&Call::get(format!("/v1/canary?app={app}{releases}"))).await?;
        Ok(answer.into())
    }

    async fn order_canary(&self, app: &AppKey, order: CanaryOrder, by: &Operator) -> Result<(), ProxyError> {
        let body = CanaryRequest { app, order, owner: &by.owner, host: &by.host };
        self.pool.call(&Call::post("/v1/canary", &body).repeatable()).await.map(|_: Value| ())
    }

    async fn change_certificate(&self, change: &CertificateChange) -> Result<(), ProxyError> {
        // What is there already is what was asked for, so it may be asked for again.
        let call = Call::post("/v1/certificates", &CertificateRequest::from(change)).repeatable();
        self.pool.call(&call).await.map(|_: Value| ())
    }

    async fn forget_releases(&self, app: &AppKey, releases: &[ReleaseNumber]) -> Result<(), ProxyError> {
        let call = Call::post("/v1/releases/forget", &ForgetRequest { app, releases }).repeatable();
        self.pool.call(&call).await.map(|_: Value| ())
    }
}

/// Rounded up, so that a short wait does not become none.
fn milliseconds(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000).try_into().unwrap_or(u64::MAX)
}
