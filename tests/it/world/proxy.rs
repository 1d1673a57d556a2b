//! The proxy's half of the world.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use deploy_apps::model::{
    AppKey, AppRecord, CanaryOrder, CanaryReport, Certificate, CertificateChange, ContainerState, Features, Generation,
    InFlight, ObservedCertificate, ObservedProxy, ReleaseCounters, ReleaseNumber, Role, StoredRelease,
};
use deploy_apps::plan::FlipChange;
use deploy_apps::ports::{HookReport, LeaseRequest, Operator, Probe, ProbeAnswer, Proxy, ProxyError, ProxyVersion};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until};

use super::World;
use super::client::Client;
use super::fault::{Error, Port};
use super::state::State;

/// What its clock says.
pub const NOW_MS: u64 = 1_795_177_451_200;

type Answer<T> = Result<T, ProxyError>;

/// Frees its apps when it is dropped, as a connection does that closes.
pub struct HeldLease {
    world: Arc<World>,
    token: u64,
    apps: Vec<AppKey>,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        let token = self.token;
        self.world.change(|state| {
            let own = |app: &&AppKey| state.leases.get(*app).is_none_or(|holder| *holder == token);
            let own: Vec<AppKey> = self.apps.iter().filter(own).cloned().collect();
            state.leases.retain(|_, holder| *holder != token);
            state.end_canaries(&own);
        });
    }
}

impl Client {
    async fn tell<T>(
        &self,
        what: &'static str,
        subject: &str,
        effect: impl FnOnce(&mut State) -> Answer<T>,
    ) -> Answer<T> {
        let effect = async {
            self.world
                .change(|state| if state.proxy_answers() { effect(state) } else { Err(fails(Error::Unreachable)) })
        };
        self.call(Port::Proxy, what, subject, fails, effect).await
    }
}

fn fails(error: Error) -> ProxyError {
    let (proxy, call, reason) = ("memory".to_owned(), "a call".to_owned(), "injected".to_owned());
    match error {
        Error::Malformed => ProxyError::Malformed { proxy, call, reason },
        Error::Refused => ProxyError::Refused { code: "injected".to_owned(), message: reason },
        Error::PersistFailed => ProxyError::PersistFailed { message: reason },
        Error::GenerationMoved => {
            let app = "sample/go-app".parse().expect("a valid key");
            ProxyError::GenerationMoved { app, expected: 1, found: 2 }
        }
        Error::Unreachable | Error::Engine(_) => ProxyError::Unreachable { proxy, reason },
    }
}

impl Proxy for Client {
    type Lease = HeldLease;

    async fn version(&self) -> Answer<ProxyVersion> {
        self.tell("version", "", |state| {
            let proxy = state.containers.values().find(|container| container.new.labels.role == Role::ProxyInstance);
            let build = proxy.and_then(|proxy| proxy.new.labels.version.clone()).unwrap_or_default();
            Ok(ProxyVersion { api: 1, build, serving: state.serving(), now_ms: NOW_MS })
        })
        .await
    }

    async fn hand_over(&self, to: u32) -> Answer<()> {
        self.tell("hand over", &to.to_string(), |state| {
            state.serves = Some(to);
            Ok(())
        })
        .await
    }

    async fn state(&self) -> Answer<ObservedProxy> {
        self.tell("state", "", |state| Ok(state.observe_proxy())).await
    }

    async fn acquire(&self, request: &LeaseRequest) -> Answer<HeldLease> {
        let apps = request.apps.clone();
        let world = Arc::clone(&self.world);
        self.tell("acquire", "", |state| {
            if let Some(app) = apps.iter().find(|app| state.leases.contains_key(*app)) {
                return Err(ProxyError::LeaseHeld {
                    app: app.clone(),
                    owner: "ann".to_owned(),
                    host: "laptop".to_owned(),
                    purpose: "deploy".to_owned(),
                    age: Duration::from_secs(3),
                });
            }
            state.end_canaries(&apps);
            state.tokens += 1;
            let token = state.tokens;
            state.leases.extend(apps.iter().map(|app| (app.clone(), token)));
            Ok(HeldLease { world, token, apps })
        })
        .await
    }

    async fn lost(&self, lease: &HeldLease) {
        loop {
            let changed = self.world.changed.notified();
            let taken = |state: &State| {
                lease.apps.iter().any(|app| state.leases.get(app).is_some_and(|holder| *holder != lease.token))
            };
            if taken(&self.world.state()) {
                return;
            }
            changed.await;
        }
    }

    async fn probe(&self, probe: &Probe) -> Answer<ProbeAnswer> {
        self.tell("probe", &probe.address.to_string(), |state| Ok(state.probe(probe))).await
    }

    async fn flip(&self, lease: &HeldLease, changes: &[FlipChange], expected: &[Generation]) -> Answer<Generation> {
        let apps: Vec<String> = changes.iter().map(|change| change.app.to_string()).collect();
        self.tell("flip", &apps.join(" "), |state| state.flip(lease, changes, expected)).await
    }

    async fn in_flight(&self, peers: &[String], known: Option<InFlight>, wait: Duration) -> Answer<InFlight> {
        let until = Instant::now() + wait;
        let count = async {
            loop {
                let changed = self.world.changed.notified();
                let (open, next) = {
                    let state = self.world.state();
                    if !state.proxy_answers() {
                        return Err(fails(Error::Unreachable));
                    }
                    let ends = state.open.iter().map(|open| open.ends).filter(|end| *end > Instant::now());
                    (state.in_flight(peers), ends.min().unwrap_or(until).min(until))
                };
                if open.is_zero() || known != Some(open) || Instant::now() >= until {
                    return Ok(open);
                }
                tokio::select! { () = changed => {} () = sleep_until(next) => {} }
            }
        };
        self.call(Port::Proxy, "in_flight", &peers.join(" "), fails, count).await
    }

    async fn record(&self, app: &AppKey, release: ReleaseNumber, event: &str, _: Map<String, Value>) -> Answer<()> {
        self.tell("record", &format!("{app} {event}"), |state| {
            state.history.push((app.clone(), release, event.to_owned()));
            let known = state.apps.entry(app.clone()).or_default();
            known.last_release = known.last_release.max(release);
            Ok(())
        })
        .await
    }

    async fn history(&self, app: &AppKey, limit: usize) -> Answer<Vec<Value>> {
        self.tell("history", &app.to_string(), |state| {
            let records = state.history.iter().rev().filter(|(key, _, _)| key == app).take(limit);
            Ok(records.map(|(_, release, event)| Value::from(format!("{release} {event}"))).collect())
        })
        .await
    }

    async fn store_release(&self, app: &AppKey, release: ReleaseNumber, document: Value) -> Answer<()> {
        let subject = format!("{app} {release}");
        self.tell("store_release", &subject, |state| {
            state.knows_releases("POST /v1/release")?;
            let mut stored: StoredRelease = serde_json::from_value(document).expect("a whole document");
            stored.at = 1_763_640_000_000 + u64::from(release.0) * 60_000;
            state.stored.insert((app.clone(), release), stored);
            Ok(())
        })
        .await
    }

    async fn releases(&self, apps: &[AppKey]) -> Answer<BTreeMap<AppKey, Vec<StoredRelease>>> {
        if apps.is_empty() {
            return Ok(BTreeMap::new());
        }
        let subject: Vec<String> = apps.iter().map(ToString::to_string).collect();
        self.tell("releases", &subject.join(" "), |state| {
            state.knows_releases("GET /v1/releases")?;
            let kept = |app: &AppKey| {
                let own = state.stored.iter().rev().filter(|((key, _), _)| key == app);
                own.map(|(_, stored)| stored.clone()).collect()
            };
            Ok(apps.iter().map(|app| (app.clone(), kept(app))).collect())
        })
        .await
    }

    async fn canary(&self, app: &AppKey, releases: &[ReleaseNumber]) -> Answer<CanaryReport> {
        self.tell("canary", &app.to_string(), |state| {
            let from = *state.counted_from.get_or_insert_with(Instant::now);
            let requests = from.elapsed().as_secs() * state.traffic;
            let counters = |release: &ReleaseNumber| {
                let errors = if state.failing.contains(release) { requests / 10 } else { 0 };
                let classes = vec![0, 0, requests - errors, 0, 0, errors];
                (*release, ReleaseCounters { classes, unreached: 0, buckets: vec![requests, 0] })
            };
            let order = state.orders.get(app).map(|order| (*order, "`bob` on `ci`".to_owned()));
            Ok(CanaryReport { order, bounds: vec![1.0], releases: releases.iter().map(counters).collect() })
        })
        .await
    }

    async fn order_canary(&self, app: &AppKey, order: CanaryOrder, _: &Operator) -> Answer<()> {
        self.tell("order_canary", &app.to_string(), |state| {
            state.orders.insert(app.clone(), order);
            Ok(())
        })
        .await
    }

    async fn change_certificate(&self, change: &CertificateChange) -> Answer<()> {
        self.tell("change_certificate", &change.host, |state| {
            let found = state.certificates.get(&change.host).and_then(|known| known.id.clone());
            let wanted = change.certificate.as_ref().map(|new| new.id.clone());
            if found == wanted {
                return Ok(());
            }
            if found != change.expect {
                return Err(ProxyError::CertificateMoved { host: change.host.clone() });
            }
            match &change.certificate {
                Some(new) => state.certificates.insert(change.host.clone(), observed(change, new)),
                None => state.certificates.remove(&change.host),
            };
            Ok(())
        })
        .await
    }

    async fn forget_releases(&self, app: &AppKey, releases: &[ReleaseNumber]) -> Answer<()> {
        self.tell("forget_releases", &app.to_string(), |state| {
            state.knows_releases("POST /v1/releases/forget")?;
            state.stored.retain(|(key, release), _| key != app || !releases.contains(release));
            Ok(())
        })
        .await
    }
}

impl State {
    fn knows_releases(&self, call: &str) -> Answer<()> {
        if self.proxy_is_old {
            return Err(ProxyError::TooOld { proxy: "deploy-apps".to_owned(), call: call.to_owned() });
        }
        Ok(())
    }

    /// The proxy gives everything back to what served when a canary's lease has ended, or when another one begins.
    pub(super) fn end_canaries(&mut self, apps: &[AppKey]) {
        for app in apps {
            let Some(record) = self.record(app).filter(|record| record.canary.is_some()).cloned() else { continue };
            let after = record.without_canary();
            self.leave(Some(&record), Some(&after));
            self.generation += 1;
            let known = self.apps.entry(app.clone()).or_default();
            known.generation = Generation(self.generation);
            known.record = Some(after);
        }
    }

    fn observe_proxy(&self) -> ObservedProxy {
        let now = Instant::now();
        let open = self.open.iter().filter(|open| open.ends > now).map(|open| open.peer.clone());
        ObservedProxy {
            generation: Generation(self.generation),
            apps: self.apps.clone(),
            in_flight: open.map(|peer| (peer.clone(), self.in_flight(&[peer]))).collect(),
            features: if self.proxy_is_old { Features::default() } else { Features::all() },
            certificates: self.certificates.clone(),
        }
    }

    fn probe(&mut self, probe: &Probe) -> ProbeAnswer {
        let now = Instant::now();
        let answer = |status: Option<u16>| ProbeAnswer {
            healthy: status == Some(200),
            status,
            error: status.is_none().then(|| "connection refused".to_owned()),
            body: None,
        };
        let target =
            self.containers.values_mut().find(|other| other.runs(now) && other.address() == Some(probe.address));
        let Some(container) = target else { return answer(None) };
        if container.behaviour.port.is_some_and(|port| port != probe.port) {
            return answer(None);
        }
        let healthy = container.healthy(now);
        container.probed = if healthy { container.probed + 1 } else { 0 };
        debug_assert!(matches!(container.state(now), ContainerState::Running));
        answer(Some(if healthy { 200 } else { 503 }))
    }

    fn flip(&mut self, lease: &HeldLease, changes: &[FlipChange], expected: &[Generation]) -> Answer<Generation> {
        for change in changes {
            // After a restart the lease's owner takes it up again, unless somebody else was quicker.
            let held = *self.leases.entry(change.app.clone()).or_insert(lease.token) == lease.token;
            if !held || !lease.apps.contains(&change.app) {
                return Err(ProxyError::LeaseLost { app: change.app.to_string() });
            }
        }
        for (change, expected) in changes.iter().zip(expected) {
            let found = self.generation_of(&change.app);
            if found != *expected {
                let app = change.app.clone();
                return Err(ProxyError::GenerationMoved { app, expected: expected.0, found: found.0 });
            }
        }
        self.check_routes(changes)?;
        let backends = self.backends();
        self.generation += 1;
        self.before_flip =
            changes.iter().map(|change| (change.app.clone(), self.record(&change.app).cloned())).collect();
        for change in changes {
            self.judge_flip(change);
            let before = self.record(&change.app).cloned();
            self.leave(before.as_ref(), change.record.as_ref());
            let known = self.apps.entry(change.app.clone()).or_default();
            known.generation = Generation(self.generation);
            known.record.clone_from(&change.record);
            serve(&mut known.served, change.record.as_ref());
        }
        let apps: Vec<String> = changes.iter().map(|change| change.to_string()).collect();
        self.judge_backends(&backends, &format!("flip {}", apps.join(", ")));
        Ok(Generation(self.generation))
    }

    fn check_routes(&self, changes: &[FlipChange]) -> Answer<()> {
        for change in changes {
            let routes = change.record.iter().flat_map(|record| &record.routes);
            for route in routes {
                let others = self.apps.iter().filter(|(key, _)| !changes.iter().any(|change| change.app == **key));
                let taken = others.filter_map(|(key, app)| Some((key, app.record.as_ref()?)));
                let had = self.apps.get(&change.app).and_then(|app| app.record.as_ref());
                let is_new = !had.is_some_and(|had| had.routes.contains(route));
                let taken = taken.into_iter().find(|(key, record)| {
                    let is_intruder = is_new && key.project != change.app.project;
                    record.routes.iter().any(|other| {
                        other.host == route.host && other.path == route.path || is_intruder && route.takes_from(other)
                    })
                });
                if let Some((other, _)) = taken {
                    let (app, route) = (change.app.clone(), route.to_string());
                    return Err(ProxyError::RouteConflict { app, other: other.clone(), route });
                }
            }
        }
        Ok(())
    }
}

impl State {
    /// What the container for certificates does.
    pub(super) fn order_certificate(&mut self, host: &str, project: &str) -> HookReport {
        if !self.ca_says.is_empty() {
            return HookReport { code: 1, output: self.ca_says.clone() };
        }
        let expires: jiff::Timestamp = "2027-01-01T00:00:00Z".parse().expect("a time");
        let got = ObservedCertificate {
            host: host.to_owned(),
            id: Some(format!("acme {host}")),
            project: project.parse().ok(),
            source: Some(ObservedCertificate::ACME.to_owned()),
            names: vec![host.to_owned()],
            not_before: Some(0),
            not_after: Some(expires.as_millisecond()),
            issuer: Some("a CA".to_owned()),
            serial: Some("2".to_owned()),
            error: None,
            renewal: None,
        };
        self.certificates.insert(host.to_owned(), got);
        HookReport { code: 0, output: Vec::new() }
    }
}

/// A certificate as the proxy tells of it.
pub fn observed(change: &CertificateChange, new: &Certificate) -> ObservedCertificate {
    ObservedCertificate {
        host: change.host.clone(),
        id: Some(new.id.clone()),
        project: Some(change.project.clone()),
        source: Some("file".to_owned()),
        names: vec![change.host.clone()],
        not_before: Some(new.not_before.as_millisecond()),
        not_after: Some(new.not_after.as_millisecond()),
        issuer: Some("a CA".to_owned()),
        serial: Some("1".to_owned()),
        error: None,
        renewal: None,
    }
}

/// The releases of the peers that a flip brings in get traffic.
fn serve(served: &mut Vec<ReleaseNumber>, record: Option<&AppRecord>) {
    let mut brought: Vec<ReleaseNumber> =
        record.iter().flat_map(|record| record.without_canary().peers).map(|peer| peer.release).collect();
    brought.sort();
    brought.dedup();
    served.retain(|release| !brought.contains(release));
    served.extend(brought);
}
