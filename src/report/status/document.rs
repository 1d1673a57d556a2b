//! The status as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::certificates::document as certificate;
use super::super::interrupted::{maintenance_document, pause_document, pause_note};
use super::words::state_word;
use super::{ProxyStanding, Status, elapsed, totals};
use crate::model::{ContainerState, PortAnswer, Stranger, Unstable};
use crate::plan::{AccessoryStatus, AppStatus, Drift, ReplicaStatus};

impl Status {
    /// The whole status as one JSON document.
    #[must_use]
    pub fn document(&self) -> Value {
        let ProxyStanding { name, state, error, build, own_build, differs, drift, published, lifetime } = &self.proxy;
        json!({
            "v": 1,
            "project": self.project,
            "at": self.at.to_string(),
            "engine": { "address": self.engine.0, "version": self.engine.1 },
            "proxy": {
                "name": name,
                "state": state.map(state_word),
                "error": error,
                "build": build,
                "outdated": self.proxy.is_outdated(),
                "own_build": own_build,
                "started_at": lifetime.started_at.map(|at| at.to_string()),
                "differs": differs.as_ref().map(|(why, _)| why),
                "drift": drift,
                "port_answers": published.as_ref().and_then(port_answers),
                "port_error": published.as_ref().and_then(PortAnswer::trouble),
            },
            "strangers": self.strangers.iter().map(stranger_document).collect::<Vec<_>>(),
            "certificates": self.certificates.iter().map(|one| certificate(one, self.at)).collect::<Vec<_>>(),
            "unstable": self.unstable.iter().map(unstable_document).collect::<Vec<_>>(),
            "apps": self.apps.iter().map(|app| self.app_document(app)).collect::<Vec<_>>(),
            "accessories": self.accessories.iter().map(accessory_document).collect::<Vec<_>>(),
        })
    }

    fn app_document(&self, app: &AppStatus) -> Value {
        let lease = app.lease.as_ref().map(|lease| {
            json!({
                "owner": lease.owner,
                "host": lease.host,
                "purpose": lease.purpose,
                "since_at": lease.since.to_string(),
                "age_ms": milliseconds(elapsed(lease.since, self.at)),
            })
        });
        json!({
            "app": app.app.app,
            "state": app.state,
            "in_compose_file": app.in_file,
            "orphan": app.orphan,
            "release": app.release,
            "version": app.version,
            "replicas": {
                "wanted": app.wanted.map(|wanted| wanted.count),
                "source": app.wanted.map(|wanted| wanted.source),
                "serving": app.serving,
            },
            "in_flight": app.in_flight,
            "traffic": self.traffic_document(app),
            "containers": app.replicas.iter().map(replica_document).collect::<Vec<_>>(),
            "drift": app.drift.as_ref().map(|drift| drift.iter().map(drift_document).collect::<Vec<_>>()),
            "lease": lease,
            "maintenance": app.maintenance.as_ref().map(maintenance_document),
            "pause": app.pause.as_ref().filter(|pause| pause_note(pause, self.at).is_some()).map(pause_document),
            "canary": app.canary.as_ref().map(|canary| json!({
                "release": canary.release,
                "weight": canary.weight.fraction() * 100.0,
            })),
        })
    }

    fn traffic_document(&self, app: &AppStatus) -> Value {
        let (Some((short_ms, long_ms)), Some(traffic)) = (self.windows, &app.traffic) else { return Value::Null };
        let (short, long) = totals(app);
        let releases: Vec<Value> = traffic
            .releases
            .iter()
            .map(|(release, (_, long))| json!({ "release": release, "requests": long.requests, "errors": long.errors }))
            .collect();
        json!({
            "requests_per_second": rounded(short.requests as f64 * 1000.0 / short_ms.max(1) as f64),
            "rate_window_ms": short_ms,
            "requests": long.requests,
            "errors": long.errors,
            "window_ms": long_ms,
            "p50_ms": traffic.p50_ms.map(|ms| ms.round() as u64),
            "p99_ms": traffic.p99_ms.map(|ms| ms.round() as u64),
            "releases": releases,
        })
    }
}

/// `None`: not checked, or not reachable from here.
fn port_answers(answer: &PortAnswer) -> Option<bool> {
    match answer {
        PortAnswer::Answers { .. } => Some(true),
        PortAnswer::Silent { .. } => Some(false),
        PortAnswer::NotAsked { .. } => None,
    }
}

fn stranger_document(stranger: &Stranger) -> Value {
    json!({
        "container": stranger.container,
        "address": stranger.address.to_string(),
        "peer": stranger.peer,
        "app": stranger.app,
    })
}

fn unstable_document(one: &Unstable) -> Value {
    json!({
        "container": one.name,
        "service": one.service,
        "restarts": one.restarts,
        "within_ms": milliseconds(one.within),
        "up_ms": milliseconds(one.up),
        "log": one.log,
    })
}

fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn drift_document(drift: &Drift) -> Value {
    // An enum with named fields, which always serialises.
    let mut value = serde_json::to_value(drift).unwrap_or_default();
    if let Value::Object(fields) = &mut value {
        fields.insert("text".to_owned(), drift.to_string().into());
    }
    value
}

fn replica_document(replica: &ReplicaStatus) -> Value {
    let exit = match replica.state {
        Some(ContainerState::Exited { code, oom_killed }) => json!({ "code": code, "oom_killed": oom_killed }),
        _ => Value::Null,
    };
    json!({
        "name": replica.name,
        "part": replica.part,
        "release": replica.release,
        "version": replica.version,
        "replica": replica.replica,
        "state": replica.state.map(state_word),
        "exit": exit,
        "health": replica.health,
        "ejected": replica.ejected,
        "reachable": replica.reachable,
        "well": replica.is_well(),
        "started_at": replica.lifetime.started_at.map(|at| at.to_string()),
        "finished_at": replica.lifetime.finished_at.map(|at| at.to_string()),
        "restarts": replica.lifetime.restarts,
        "in_flight": replica.in_flight,
    })
}

fn accessory_document(accessory: &AccessoryStatus) -> Value {
    json!({
        "service": accessory.service,
        "state": accessory.state.map(state_word),
        "health": accessory.health,
        "started_at": accessory.lifetime.started_at.map(|at| at.to_string()),
        "restarts": accessory.lifetime.restarts,
        "differs": accessory.differs,
        "in_compose_file": accessory.in_file,
        "orphan": accessory.orphan,
    })
}
