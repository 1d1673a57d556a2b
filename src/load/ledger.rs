//! The results of all clients, under one lock that is held only for a few additions.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

use super::config::Kind;
use super::failure::{Cause, FailedRequest, Failure};
use crate::model::Timeline;

/// Limits the memory of a run in which everything fails.
pub(super) const FAILURES_KEPT: usize = 20;
/// One minute in microseconds, above every timeout of a short request. Longer latencies are recorded as this.
const LONGEST_LATENCY_US: u64 = 60_000_000;

/// What the caller does while requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Steady,
    Deploying,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    pub elapsed: Duration,
    /// Requests of all kinds started so far.
    pub requests: u64,
    pub failures: u64,
    /// Events read and echoes received.
    pub messages: u64,
}

/// The start of a request, kept until its result is recorded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begun {
    pub(super) at: Instant,
    phase: Phase,
}

#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    deploying: AtomicBool,
    begun: AtomicU64,
    limit: u64,
    release_header: String,
    book: Mutex<Book>,
}

#[derive(Debug)]
pub(super) struct Book {
    pub(super) kinds: BTreeMap<Kind, Account>,
    pub(super) releases: BTreeMap<String, u64>,
    pub(super) first_failures: Vec<FailedRequest>,
    pub(super) timeline: Timeline,
    pub(super) opened: u64,
    pub(super) closed_while_idle: u64,
    pub(super) longest_gap: Duration,
    /// From the load's start to the start of the gap.
    pub(super) longest_gap_at: Duration,
    /// Set once, when no further request may start.
    pub(super) ended: Option<Duration>,
    last_success: Duration,
}

/// The results of one kind of client.
#[derive(Debug, Default)]
pub(super) struct Account {
    pub(super) ok: u64,
    pub(super) failed: BTreeMap<Cause, u64>,
    pub(super) messages: u64,
    pub(super) ended_kindly: u64,
    pub(super) latencies: Option<Box<PhasedLatencies>>,
}

#[derive(Debug)]
pub(super) struct PhasedLatencies {
    pub(super) steady: Histogram<u64>,
    pub(super) deploying: Histogram<u64>,
}

impl PhasedLatencies {
    pub(super) fn new() -> Self {
        let empty = || Histogram::new_with_max(LONGEST_LATENCY_US, 3).expect("three digits are a valid precision");
        Self { steady: empty(), deploying: empty() }
    }
}

impl Ledger {
    pub(super) fn new(kinds: impl Iterator<Item = Kind>, limit: u64, release_header: String) -> Self {
        let account = |kind: Kind| {
            let latencies = kind.is_short().then(|| Box::new(PhasedLatencies::new()));
            (kind, Account { latencies, ..Account::default() })
        };
        let book = Book {
            kinds: kinds.map(account).collect(),
            releases: BTreeMap::new(),
            first_failures: Vec::new(),
            timeline: Timeline::default(),
            opened: 0,
            closed_while_idle: 0,
            longest_gap: Duration::ZERO,
            longest_gap_at: Duration::ZERO,
            ended: None,
            last_success: Duration::ZERO,
        };
        Self {
            began: Instant::now(),
            deploying: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            limit,
            release_header,
            book: Mutex::new(book),
        }
    }

    pub(super) fn began(&self) -> Instant {
        self.began
    }

    pub(super) fn release_header(&self) -> &str {
        &self.release_header
    }

    pub(super) fn set_phase(&self, phase: Phase) {
        self.deploying.store(phase == Phase::Deploying, Ordering::Relaxed);
    }

    fn phase(&self) -> Phase {
        if self.deploying.load(Ordering::Relaxed) { Phase::Deploying } else { Phase::Steady }
    }

    /// Starts one more request; `None` once the request limit is reached.
    pub(super) fn begin(&self) -> Option<Begun> {
        if self.begun.fetch_add(1, Ordering::Relaxed) >= self.limit {
            return None;
        }
        Some(Begun { at: Instant::now(), phase: self.phase() })
    }

    pub(super) fn succeed(&self, kind: Kind, begun: Begun, release: &str) {
        let now = Instant::now();
        let phase = self.phase_of(begun);
        let (at, took) = (now.duration_since(self.began), now.duration_since(begun.at));
        let mut book = self.book();
        book.count_release(release);
        book.timeline.answered(at, kind.is_short().then_some(took), release);
        if kind.is_short() {
            book.note_success(at);
        }
        let account = book.account(kind);
        account.ok += 1;
        if let Some(latencies) = &mut account.latencies {
            let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            match phase {
                Phase::Steady => latencies.steady.saturating_record(took),
                Phase::Deploying => latencies.deploying.saturating_record(took),
            }
        }
    }

    /// A stream or WebSocket that ended properly.
    pub(super) fn end_kindly(&self, kind: Kind, by_server: bool) {
        let at = self.began.elapsed();
        let mut book = self.book();
        book.timeline.answered(at, None, "");
        let account = book.account(kind);
        account.ok += 1;
        account.ended_kindly += u64::from(by_server);
    }

    pub(super) fn fail(&self, kind: Kind, client: usize, begun: Begun, failure: Failure) {
        let now = Instant::now();
        let phase = self.phase_of(begun);
        let mut book = self.book();
        *book.account(kind).failed.entry(failure.cause).or_default() += 1;
        book.timeline.failed(now.duration_since(self.began), &failure.cause.to_string());
        if book.first_failures.len() < FAILURES_KEPT {
            book.first_failures.push(FailedRequest {
                at_ms: millis(now.duration_since(self.began)),
                after_ms: millis(now.duration_since(begun.at)),
                phase,
                kind,
                client,
                cause: failure.cause,
                detail: failure.detail,
            });
        }
    }

    pub(super) fn messages(&self, kind: Kind, count: u64) {
        self.book().account(kind).messages += count;
    }

    pub(super) fn seen_release(&self, release: &str) {
        self.book().count_release(release);
    }

    pub(super) fn opened(&self) {
        self.book().opened += 1;
    }

    pub(super) fn closed_while_idle(&self) {
        self.book().closed_while_idle += 1;
    }

    /// Stops the clock for gap and rate. Sleepers may still finish afterwards without changing either.
    pub(super) fn end(&self) {
        let now = self.began.elapsed();
        let mut book = self.book();
        if book.ended.is_none() {
            if book.kinds.keys().any(|kind| kind.is_short()) {
                // An outage that lasts until the end counts as a gap although no success closes it.
                book.note_success(now);
            }
            book.ended = Some(now);
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let book = self.book();
        let failures = book.kinds.values().flat_map(|account| account.failed.values()).sum();
        let messages = book.kinds.values().map(|account| account.messages).sum();
        let requests = self.begun.load(Ordering::Relaxed).min(self.limit);
        Progress { elapsed: self.began.elapsed(), requests, failures, messages }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A request counts as `Deploying` if a deploy was in progress at its start or its end.
    fn phase_of(&self, begun: Begun) -> Phase {
        if begun.phase == Phase::Deploying { Phase::Deploying } else { self.phase() }
    }
}

impl Book {
    fn account(&mut self, kind: Kind) -> &mut Account {
        self.kinds.entry(kind).or_default()
    }

    fn note_success(&mut self, at: Duration) {
        if self.ended.is_some() {
            return;
        }
        // Clients read their clocks before they take the lock, so times may arrive out of order.
        let gap = at.saturating_sub(self.last_success);
        if gap > self.longest_gap {
            self.longest_gap = gap;
            self.longest_gap_at = self.last_success;
        }
        self.last_success = self.last_success.max(at);
    }

    fn count_release(&mut self, release: &str) {
        if release.is_empty() {
            return;
        }
        match self.releases.get_mut(release) {
            Some(count) => *count += 1,
            None => drop(self.releases.insert(release.to_owned(), 1)),
        }
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new([Kind::Get].into_iter(), 10, "x-release".to_owned())
    }

    #[test]
    fn the_longest_gap_spans_the_beginning_the_middle_and_the_end() {
        let gap_of = |successes: &[u64], end: u64| {
            let ledger = ledger();
            let mut book = ledger.book();
            for at in successes.iter().chain([&end]) {
                book.note_success(Duration::from_millis(*at));
            }
            (millis(book.longest_gap), millis(book.longest_gap_at))
        };
        assert_eq!(gap_of(&[50, 60, 70], 75), (50, 0), "no success at the beginning");
        assert_eq!(gap_of(&[5, 10, 90, 95], 100), (80, 10), "an outage in the middle");
        assert_eq!(gap_of(&[5, 10], 100), (90, 10), "an outage to the end");
        assert_eq!(gap_of(&[5, 20, 15, 30], 31), (15, 5), "results booked out of order");
    }

    #[test]
    fn a_request_that_overlaps_a_deploy_counts_as_deploying() {
        let ledger = ledger();
        let begun = |phase| {
            ledger.set_phase(phase);
            ledger.begin().expect("one of ten")
        };
        let (steady, deploying) = (begun(Phase::Steady), begun(Phase::Deploying));
        ledger.succeed(Kind::Get, steady, "");
        ledger.set_phase(Phase::Steady);
        ledger.succeed(Kind::Get, deploying, "");
        ledger.succeed(Kind::Get, steady, "");
        let book = ledger.book();
        let latencies = book.kinds[&Kind::Get].latencies.as_ref().expect("a short kind");
        assert_eq!((latencies.steady.len(), latencies.deploying.len()), (1, 2));
    }

    #[test]
    fn the_request_limit_holds() {
        let ledger = ledger();
        assert_eq!((0..20).filter(|_| ledger.begin().is_some()).count(), 10);
        assert_eq!(ledger.progress().requests, 10);
    }

    #[test]
    fn only_the_first_failures_are_kept_but_all_are_counted() {
        let ledger = Ledger::new([Kind::Get].into_iter(), 100, String::new());
        for client in 0..50 {
            let begun = ledger.begin().expect("one of a hundred");
            ledger.fail(Kind::Get, client, begun, Failure::new(Cause::Status(502), "bad gateway"));
        }
        assert_eq!(ledger.progress().failures, 50);
        assert_eq!(ledger.book().first_failures.len(), FAILURES_KEPT);
    }
}
