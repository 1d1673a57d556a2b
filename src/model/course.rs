//! Timeline of a load run: answers, open requests and deploys, all on one clock.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::names::ReleaseNumber;
use super::step_kind::StepKind;
use super::timeline::{Slot, Timeline};

/// Over a shorter time, a rate would show the interval at which the proxy's workers publish their counters.
const RATE_OVER_MS: u64 = 2000;

/// An observation older than this is not used.
const STALE_MS: u64 = 2000;

/// A part of the run in slots of equal length. Milliseconds count from the load's start.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Course {
    pub slot_ms: u64,
    pub slots: Vec<Moment>,
    /// Whether answers name their release. Otherwise `per_second` comes from the proxy's counters, averaged over two
    /// seconds or more.
    pub is_told: bool,
    pub deploys: Vec<TimedDeploy>,
}

/// One slot of the timeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Moment {
    /// Start of the slot.
    pub at_ms: u64,
    pub ok: u64,
    /// Failures by cause.
    pub failed: BTreeMap<String, u64>,
    /// Median latency of short requests; `None` when none was answered.
    pub p50_us: Option<u64>,
    pub p99_us: Option<u64>,
    pub max_us: Option<u64>,
    /// Open requests and WebSockets by release, a mean of the observations; empty when there were none.
    pub open: BTreeMap<ReleaseNumber, f64>,
    /// Answers by release, as named in the answers, or as counted by the proxy for an app whose answers do not name it.
    pub per_second: BTreeMap<String, f64>,
}

/// A deploy of one app under load.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TimedDeploy {
    /// From 1.
    pub number: u32,
    /// The new release.
    pub release: Option<ReleaseNumber>,
    pub from_ms: u64,
    pub to_ms: u64,
    pub steps: Vec<TimedStep>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimedStep {
    pub kind: StepKind,
    pub subject: Option<String>,
    pub from_ms: u64,
    pub to_ms: u64,
}

/// Proxy counters by release at one time: open requests, or requests ended since the proxy started to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    pub at_ms: u64,
    pub releases: BTreeMap<ReleaseNumber, u64>,
}

impl Course {
    /// The part from `from_ms` to `to_ms`, in at most `most` slots.
    #[must_use]
    pub fn of(
        timeline: &Timeline,
        (open, totals): (&[Look], &[Look]),
        deploys: &[TimedDeploy],
        (from_ms, to_ms): (u64, u64),
        most: usize,
    ) -> Self {
        let finest = u64::try_from(timeline.slot().as_millis()).unwrap_or(u64::MAX);
        let index = |ms: u64| usize::try_from(ms / finest).unwrap_or(usize::MAX).min(timeline.slots().len());
        let (first, last) = (index(from_ms), index(to_ms.saturating_add(finest - 1)));
        let slots = &timeline.slots()[first.min(last)..last];
        // The length is doubled until the slots fit, so it is always one of a few lengths.
        let mut each = 1;
        while slots.len().div_ceil(each) > most.max(1) {
            each *= 2;
        }
        let slot_ms = finest * each as u64;
        let begin = first as u64 * finest;
        let is_told = timeline.slots().iter().any(|slot| !slot.releases.is_empty());
        let told = |slot: &Slot| -> BTreeMap<String, f64> {
            let rate = |count: u64| (count as f64 * 10_000.0 / slot_ms as f64).round() / 10.0;
            slot.releases.iter().map(|(release, count)| (release.clone(), rate(*count))).collect()
        };
        let moments = slots.chunks(each).enumerate().map(|(number, slots)| {
            let at_ms = begin + number as u64 * slot_ms;
            let whole = Slot::merged(slots);
            Moment {
                at_ms,
                ok: whole.ok,
                p50_us: whole.quantile_us(0.5),
                p99_us: whole.quantile_us(0.99),
                max_us: whole.max_us,
                open: means(open, at_ms, at_ms + slot_ms),
                per_second: match is_told {
                    true => told(&whole),
                    false => rates(totals, at_ms + slot_ms / 2, slot_ms.max(RATE_OVER_MS)),
                },
                failed: whole.failed,
            }
        });
        let deploys = deploys.iter().filter(|deploy| deploy.from_ms <= to_ms && deploy.to_ms >= from_ms);
        Self { slot_ms, slots: moments.collect(), is_told, deploys: deploys.cloned().collect() }
    }

    /// Start of the first slot and end of the last one, in seconds.
    #[must_use]
    pub fn seconds(&self) -> (f64, f64) {
        let from = self.slots.first().map_or(0, |moment| moment.at_ms);
        let to = self.slots.last().map_or(0, |moment| moment.at_ms + self.slot_ms);
        (from as f64 / 1000.0, to as f64 / 1000.0)
    }
}

/// Mean of the observations in a time range. The proxy does not list releases without open requests; they count as 0.
fn means(looks: &[Look], from: u64, to: u64) -> BTreeMap<ReleaseNumber, f64> {
    let first = looks.partition_point(|look| look.at_ms < from);
    let after = looks.partition_point(|look| look.at_ms < to).max(first);
    // On a busy machine there are fewer observations than slots: then the last one is used until it is stale.
    let is_fresh = |look: &&Look| from.saturating_sub(look.at_ms) < STALE_MS;
    let first = if after > first || !looks[..first].last().iter().any(is_fresh) { first } else { first - 1 };
    let inside = &looks[first..after];
    let mut sums: BTreeMap<ReleaseNumber, f64> = BTreeMap::new();
    for (release, count) in inside.iter().flat_map(|look| &look.releases) {
        *sums.entry(*release).or_default() += *count as f64;
    }
    let mean = |sum: f64| (sum / inside.len() as f64 * 100.0).round() / 100.0;
    sums.into_iter().map(|(release, sum)| (release, mean(sum))).collect()
}

/// Growth of the counters per second around `middle`.
fn rates(looks: &[Look], middle: u64, over: u64) -> BTreeMap<String, f64> {
    let (Some(first), Some(last)) = (looks.first(), looks.last()) else { return BTreeMap::new() };
    let from = middle.saturating_sub(over / 2).max(first.at_ms);
    let to = (middle + over / 2).min(last.at_ms);
    if to <= from {
        return BTreeMap::new();
    }
    let near = &looks[looks.partition_point(|look| look.at_ms < from).saturating_sub(1)..];
    let near = &near[..near.len().min(near.partition_point(|look| look.at_ms < to) + 1)];
    let releases: BTreeSet<ReleaseNumber> = near.iter().flat_map(|look| look.releases.keys().copied()).collect();
    let rate = |release| {
        let grown = count_at(near, release, to) - count_at(near, release, from);
        let rate = (grown * 1000.0 / (to - from) as f64 * 10.0).round() / 10.0;
        // No rate while a counter restarts with its proxy.
        (rate > 0.0).then(|| (release.to_string(), rate))
    };
    releases.into_iter().filter_map(rate).collect()
}

/// A counter interpolated between two observations. A missing earlier value is 0; a missing later value means no
/// growth.
fn count_at(looks: &[Look], release: ReleaseNumber, at: u64) -> f64 {
    let after = looks.partition_point(|look| look.at_ms < at).min(looks.len() - 1);
    let before = after.saturating_sub(1);
    let known = |index: usize| looks[index].releases.get(&release).map(|count| *count as f64);
    let (start, end) = (&looks[before], &looks[after]);
    let low = known(before).unwrap_or(0.0);
    let high = known(after).unwrap_or(low);
    let span = end.at_ms.saturating_sub(start.at_ms);
    if span == 0 {
        return high;
    }
    let share = at.saturating_sub(start.at_ms) as f64 / span as f64;
    low + (high - low) * share.min(1.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn look(at_ms: u64, releases: &[(u32, u64)]) -> Look {
        Look { at_ms, releases: releases.iter().map(|(number, count)| (ReleaseNumber(*number), *count)).collect() }
    }

    #[test]
    fn a_course_keeps_all_answers() {
        let mut timeline = Timeline::default();
        for number in 0..4000 {
            timeline.answered(Duration::from_millis(number * 10), Some(Duration::from_millis(5)), "r7");
        }
        timeline.failed(Duration::from_millis(39_000), "reset");
        let course = Course::of(&timeline, (&[], &[]), &[], (0, 40_000), 50);
        assert_eq!((course.slot_ms, course.slots.len(), course.seconds()), (1000, 40, (0.0, 40.0)));
        assert_eq!(course.slots.iter().map(|moment| moment.ok).sum::<u64>(), 4000);
        assert_eq!(course.slots[39].failed["reset"], 1);
        assert_eq!(course.slots[7].per_second, BTreeMap::from([("r7".to_owned(), 100.0)]), "as the answers say");
        let part = Course::of(&timeline, (&[], &[]), &[], (10_100, 11_900), 50);
        assert_eq!((part.slot_ms, part.slots.len(), part.slots[0].at_ms), (250, 8, 10_000));
    }

    #[test]
    fn deploys_outside_of_the_range_are_left_out() {
        let mut timeline = Timeline::default();
        timeline.answered(Duration::from_secs(30), None, "");
        let deploy = |number, from_ms, to_ms| TimedDeploy { number, from_ms, to_ms, ..TimedDeploy::default() };
        let deploys = [deploy(1, 1000, 4000), deploy(2, 9000, 12_000), deploy(3, 20_000, 21_000)];
        let course = Course::of(&timeline, (&[], &[]), &deploys, (8000, 13_000), 100);
        assert_eq!(course.deploys.iter().map(|deploy| deploy.number).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn open_requests_are_averaged() {
        let looks = [look(0, &[(1, 10)]), look(100, &[(1, 8)]), look(300, &[(1, 2), (2, 6)]), look(400, &[(2, 9)])];
        let open = [0, 250, 500, 2500].map(|from| means(&looks, from, from + 250));
        assert_eq!(open[0], BTreeMap::from([(ReleaseNumber(1), 9.0)]));
        assert_eq!(open[1], BTreeMap::from([(ReleaseNumber(1), 1.0), (ReleaseNumber(2), 7.5)]));
        assert_eq!(open[2], BTreeMap::from([(ReleaseNumber(2), 9.0)]), "the last look holds");
        assert_eq!(open[3], BTreeMap::new(), "no sample for long");
    }

    #[test]
    fn rates_come_from_counters() {
        let looks = [
            look(0, &[(1, 1000)]),
            look(1000, &[(1, 1100)]),
            look(2000, &[(1, 1150), (2, 50)]),
            look(3000, &[(2, 150)]),
            look(4000, &[(2, 250)]),
        ];
        let at = |middle| rates(&looks, middle, 1000).into_iter().collect::<Vec<_>>();
        let rate = |release: &str, rate| (release.to_owned(), rate);
        assert_eq!(at(500), [rate("r1", 100.0)]);
        assert_eq!(at(1500), [rate("r1", 50.0), rate("r2", 50.0)]);
        assert_eq!((at(2500), at(3500)), (vec![rate("r2", 100.0)], vec![rate("r2", 100.0)]));
        assert_eq!(rates(&[], 0, 1000), BTreeMap::new());
        let again = [look(0, &[(1, 1000)]), look(1000, &[(1, 5)])];
        assert_eq!(rates(&again, 500, 1000), BTreeMap::new(), "the proxy began again");
    }
}
