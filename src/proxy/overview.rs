//! Everything in one call, for those who look: the state with its leases, its ejections and its traffic.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::client::ControlClient;
use super::totals;
use super::wire::{HistoryAnswer, StateAnswer};
use crate::model::{
    AppKey, AppTraffic, HeldLease, ProjectName, ProxyOverview, ReleaseNumber, RequestCounts, RequestTotals, Traffic,
};
use crate::ports::{InspectProxy, ProxyError};

/// The proxy's own bound for one answer.
const MOST_RECORDS: usize = 1000;
/// So many apps fit into a request's line.
const APPS_AT_ONCE: usize = 100;

#[derive(Debug, Deserialize)]
struct OverviewAnswer {
    #[serde(flatten)]
    state: StateAnswer,
    build: String,
    leases: Vec<LeaseAnswer>,
    /// A proxy of an earlier build has neither this nor the traffic.
    #[serde(default)]
    ejected: BTreeSet<String>,
    #[serde(default)]
    rates: Option<RatesAnswer>,
}

#[derive(Debug, Deserialize)]
struct LeaseAnswer {
    app: AppKey,
    owner: String,
    host: String,
    purpose: String,
    since: i64,
}

#[derive(Debug, Deserialize)]
struct RatesAnswer {
    short_ms: u64,
    long_ms: u64,
    apps: BTreeMap<AppKey, AppRates>,
}

#[derive(Debug, Deserialize)]
struct AppRates {
    p50_ms: Option<f64>,
    p99_ms: Option<f64>,
    /// By release number as text.
    releases: BTreeMap<String, Windows>,
}

/// Counts by status class, such as `2xx`.
#[derive(Debug, Deserialize)]
struct Windows {
    short: BTreeMap<String, u64>,
    long: BTreeMap<String, u64>,
}

impl From<LeaseAnswer> for HeldLease {
    fn from(answer: LeaseAnswer) -> Self {
        let LeaseAnswer { app, owner, host, purpose, since } = answer;
        Self { app, owner, host, purpose, since: Timestamp::from_millisecond(since).unwrap_or_default() }
    }
}

fn counts(by_class: &BTreeMap<String, u64>) -> RequestCounts {
    let requests = by_class.values().copied().fold(0, u64::saturating_add);
    RequestCounts { requests, errors: by_class.get("5xx").copied().unwrap_or(0) }
}

impl From<AppRates> for AppTraffic {
    fn from(rates: AppRates) -> Self {
        let release = |(number, windows): (String, Windows)| {
            Some((ReleaseNumber(number.parse().ok()?), (counts(&windows.short), counts(&windows.long))))
        };
        let releases = rates.releases.into_iter().filter_map(release).collect();
        Self { p50_ms: rates.p50_ms, p99_ms: rates.p99_ms, releases }
    }
}

impl From<RatesAnswer> for Traffic {
    fn from(answer: RatesAnswer) -> Self {
        let apps = answer.apps.into_iter().map(|(key, rates)| (key, rates.into())).collect();
        Self { short_ms: answer.short_ms, long_ms: answer.long_ms, apps }
    }
}

impl InspectProxy for ControlClient {
    async fn overview(&self, project: &ProjectName) -> Result<ProxyOverview, ProxyError> {
        let answer: OverviewAnswer = self.call(&Call::get(format!("/v1/state?rates={project}"))).await?;
        Ok(ProxyOverview {
            state: answer.state.into(),
            build: answer.build,
            leases: answer.leases.into_iter().map(HeldLease::from).collect(),
            ejected: answer.ejected,
            traffic: answer.rates.map(Traffic::from),
        })
    }

    async fn totals(&self, project: &ProjectName) -> Result<RequestTotals, ProxyError> {
        let text = self.text(&Call::get("/v1/metrics")).await?;
        Ok(totals::read(&text, project))
    }

    async fn histories(&self, apps: &[AppKey], limit: usize) -> Result<Vec<Value>, ProxyError> {
        let mut records = Vec::new();
        for portion in apps.chunks(APPS_AT_ONCE) {
            let names: String = portion.iter().map(|app| format!("app={app}&")).collect();
            let call = Call::get(format!("/v1/history?{names}limit={}", limit.clamp(1, MOST_RECORDS)));
            let answer: HistoryAnswer = self.call(&call).await?;
            records.extend(answer.records);
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_no_number_holds_end_at_the_largest_one() {
        let by_class = BTreeMap::from([("2xx".to_owned(), u64::MAX), ("5xx".to_owned(), 2)]);
        assert_eq!(counts(&by_class), RequestCounts { requests: u64::MAX, errors: 2 });
        let both: RequestCounts = [counts(&by_class), counts(&by_class)].into_iter().sum();
        assert_eq!(both, RequestCounts { requests: u64::MAX, errors: 4 });
    }
}
