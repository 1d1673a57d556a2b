//! Requests per second by release over the last minutes, from monotonic counters.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::model::{AppName, ReleaseNumber, RequestCounts, RequestTotals};

/// Points of the chart, one per second.
const KEPT: usize = 180;
/// The proxy's workers publish their counts once a second each, so one second may hold none or two of them.
const SPAN: usize = 2;
/// After a pause this long, a mean would hide what happened meanwhile.
const GAP: Duration = Duration::from_secs(6);

/// One point of the chart.
pub(super) type Point = Value;

#[derive(Debug, Default)]
pub(super) struct Flow {
    looks: VecDeque<(Instant, RequestTotals)>,
    points: VecDeque<Point>,
}

impl Flow {
    /// Adds an observation. `None` when there is no earlier one to compare it with.
    pub fn take(&mut self, at: Timestamp, now: Instant, totals: RequestTotals) -> Option<Point> {
        let is_broken = self.looks.back().is_some_and(|(then, before)| now - *then > GAP || is_reset(before, &totals));
        if is_broken {
            self.looks.clear();
        }
        let point = self.looks.front().map(|(then, before)| point(at, before, &totals, now - *then));
        self.looks.push_back((now, totals));
        if self.looks.len() > SPAN {
            self.looks.pop_front();
        }
        let point = point?;
        self.points.push_back(point.clone());
        if self.points.len() > KEPT {
            self.points.pop_front();
        }
        Some(point)
    }

    /// All points of the chart, the oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.points.iter().cloned().collect()
    }
}

/// Whether the proxy's counters were reset. A single missing series is a retired release that the proxy dropped.
fn is_reset(before: &RequestTotals, now: &RequestTotals) -> bool {
    let known = |app: &AppName, release: &ReleaseNumber| now.get(app)?.get(release);
    let all =
        before.iter().flat_map(|(app, releases)| releases.iter().map(move |(release, count)| (app, release, count)));
    all.into_iter().any(|(app, release, count)| known(app, release).is_some_and(|now| now.requests < count.requests))
        || (now.is_empty() && !before.is_empty())
}

fn point(at: Timestamp, before: &RequestTotals, now: &RequestTotals, over: Duration) -> Point {
    let seconds = over.as_secs_f64().max(0.001);
    let per_second = |now: u64, before: u64| ((now.saturating_sub(before)) as f64 * 10.0 / seconds).round() / 10.0;
    let mut apps = Map::new();
    for (app, releases) in now {
        let old = before.get(app);
        let mut rates = Map::new();
        for (release, RequestCounts { requests, errors }) in releases {
            // A new release has counted from 0 since the previous observation.
            let then = old.and_then(|old| old.get(release)).copied().unwrap_or_default();
            if *requests > then.requests {
                let rate = json!([per_second(*requests, then.requests), per_second(*errors, then.errors)]);
                rates.insert(release.0.to_string(), rate);
            }
        }
        apps.insert(app.to_string(), Value::Object(rates));
    }
    json!({ "at_ms": at.as_millisecond(), "apps": apps })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(releases: &[(u32, u64, u64)]) -> RequestTotals {
        let counts = releases
            .iter()
            .map(|(release, requests, errors)| {
                (ReleaseNumber(*release), RequestCounts { requests: *requests, errors: *errors })
            })
            .collect();
        RequestTotals::from([("web".parse().expect("a name"), counts)])
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn traffic_moves_to_the_new_release() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        let mut take = |seconds, releases: &[(u32, u64, u64)]| {
            flow.take(Timestamp::UNIX_EPOCH, after(start, seconds), totals(releases))
                .map(|mut point| point["apps"]["web"].take())
        };
        assert_eq!(take(0, &[(1, 1000, 0)]), None, "one look is no rate");
        assert_eq!(take(1, &[(1, 1100, 0)]), Some(json!({ "1": [100.0, 0.0] })));
        // A mean over two observations: a second without counts is followed by one with twice as many.
        assert_eq!(take(2, &[(1, 1140, 0), (2, 60, 4)]), Some(json!({ "1": [70.0, 0.0], "2": [30.0, 2.0] })));
        assert_eq!(take(3, &[(1, 1140, 0), (2, 160, 4)]), Some(json!({ "1": [20.0, 0.0], "2": [80.0, 2.0] })));
        assert_eq!(take(4, &[(1, 1140, 0), (2, 260, 4)]), Some(json!({ "2": [100.0, 0.0] })));
        assert_eq!(flow.points().len(), 4);
    }

    #[test]
    fn a_counter_reset_or_a_pause_makes_no_peak() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        let mut take = |seconds, requests| {
            flow.take(Timestamp::UNIX_EPOCH, after(start, seconds), totals(&[(1, requests, 0)])).is_some()
        };
        assert_eq!([take(0, 500), take(1, 600)], [false, true]);
        assert_eq!([take(2, 7), take(3, 9)], [false, true], "a proxy that counts from zero");
        assert_eq!([take(60, 9_000), take(61, 9_100)], [false, true], "nobody looked for a minute");
    }

    #[test]
    fn the_chart_is_bounded() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        for second in 0..(KEPT as u64 + 20) {
            flow.take(Timestamp::UNIX_EPOCH, after(start, second), totals(&[(1, second * 10, 0)]));
        }
        assert_eq!(flow.points().len(), KEPT);
    }
}
