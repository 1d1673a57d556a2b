//! The result of a run, for printing and storing. The JSON form has version 1.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::config::Kind;
use super::failure::{Cause, FailedRequest};
use super::ledger::{Account, Book, PhasedLatencies, millis};
use crate::model::Timeline;

/// Version of the JSON form. It is raised when a reader of the old form would misread the new one.
const VERSION: u32 = 1;

#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub v: u32,
    /// From the first request to the time after which none was started.
    pub duration_ms: u64,
    /// Answered requests of all kinds in that time.
    pub requests_per_second: f64,
    pub ok: u64,
    pub failed: BTreeMap<Cause, u64>,
    pub kinds: Vec<KindReport>,
    /// All short requests.
    pub latency: Latencies,
    pub longest_gap: Gap,
    pub connections_opened: u64,
    /// Idle connections that the server closed without announcing it, detected before a request was sent on them.
    pub connections_closed_while_idle: u64,
    /// Answers by release, for apps that send the release header.
    pub releases: BTreeMap<String, u64>,
    pub first_failures: Vec<FailedRequest>,
    /// All results over time, for plots. Too detailed for the JSON form.
    #[serde(skip)]
    pub timeline: Timeline,
}

#[derive(Debug, Clone, Serialize)]
pub struct KindReport {
    pub kind: Kind,
    pub ok: u64,
    pub failed: BTreeMap<Cause, u64>,
    /// Events read, or echoes received.
    pub messages: u64,
    /// Streams and WebSockets that the server ended properly; included in `ok`.
    pub ended_kindly: u64,
    /// Short requests only.
    pub latency: Option<Latencies>,
}

/// The same figures in steady state and during a deploy.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Latencies {
    pub steady: Option<Latency>,
    pub deploying: Option<Latency>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    pub requests: u64,
    pub p50_us: u64,
    pub p99_us: u64,
    pub p999_us: u64,
    pub max_us: u64,
}

/// The longest time without a successful short request, including the time before the first and after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Gap {
    pub ms: u64,
    /// From the run's start to the start of the gap.
    pub at_ms: u64,
}

impl Report {
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// The report of one kind, if it was sent.
    #[must_use]
    pub fn kind(&self, kind: Kind) -> Option<&KindReport> {
        self.kinds.iter().find(|report| report.kind == kind)
    }

    pub(super) fn of(book: &Book) -> Self {
        let kinds: Vec<_> = book.kinds.iter().map(|(kind, account)| KindReport::of(*kind, account)).collect();
        let mut failed = BTreeMap::new();
        for (cause, count) in kinds.iter().flat_map(|kind| &kind.failed) {
            *failed.entry(*cause).or_default() += count;
        }
        let mut all = PhasedLatencies::new();
        for latencies in book.kinds.values().filter_map(|account| account.latencies.as_ref()) {
            // All histograms have the same bounds, so adding cannot fail.
            all.steady += &latencies.steady;
            all.deploying += &latencies.deploying;
        }
        let ok = kinds.iter().map(|kind| kind.ok).sum();
        let duration = book.ended.unwrap_or_default();
        Self {
            v: VERSION,
            duration_ms: millis(duration),
            requests_per_second: ok as f64 / duration.as_secs_f64().max(f64::EPSILON),
            ok,
            failed,
            kinds,
            latency: Latencies::of(&all),
            longest_gap: Gap { ms: millis(book.longest_gap), at_ms: millis(book.longest_gap_at) },
            connections_opened: book.opened,
            connections_closed_while_idle: book.closed_while_idle,
            releases: book.releases.clone(),
            first_failures: book.first_failures.clone(),
            timeline: book.timeline.clone(),
        }
    }
}

impl KindReport {
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    fn of(kind: Kind, account: &Account) -> Self {
        Self {
            kind,
            ok: account.ok,
            failed: account.failed.clone(),
            messages: account.messages,
            ended_kindly: account.ended_kindly,
            latency: account.latencies.as_deref().map(Latencies::of),
        }
    }
}

impl Latencies {
    fn of(phased: &PhasedLatencies) -> Self {
        Self { steady: Latency::of(&phased.steady), deploying: Latency::of(&phased.deploying) }
    }

    /// Ratio of the p99.9 latency during a deploy to the one in steady state.
    #[must_use]
    pub fn p999_ratio(&self) -> Option<f64> {
        let (steady, deploying) = (self.steady?, self.deploying?);
        (steady.p999_us > 0).then(|| deploying.p999_us as f64 / steady.p999_us as f64)
    }
}

impl Latency {
    fn of(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self {
            requests: histogram.len(),
            p50_us: histogram.value_at_quantile(0.5),
            p99_us: histogram.value_at_quantile(0.99),
            p999_us: histogram.value_at_quantile(0.999),
            max_us: histogram.max(),
        })
    }
}
