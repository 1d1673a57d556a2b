//! Requests per second by release over the last minutes, from counters that only grow.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::model::{AppName, ReleaseNumber, RequestCounts, RequestTotals};

/// As long as the chart; at one look a second.
const KEPT: usize = 180;
/// The proxy's workers add up once a second each, so a single second may have none or two of them.
const SPAN: usize = 2;
/// Nobody has looked for so long that a mean over it would hide what happened.
const GAP: Duration = Duration::from_secs(6);

/// One moment of the chart.
pub(super) type Point = Value;

#[derive(Debug, Default)]
pub(super) struct Flow {
    looks: VecDeque<(Instant, RequestTotals)>,
    points: VecDeque<Point>,
}

impl Flow {
    /// Takes in a look. `None` when there is nothing yet to compare it with.
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

    /// All of the chart, the oldest first.
    pub fn points(&self) -> Vec<Point> {
        self.points.iter().cloned().collect()
    }
}

/// Whether the proxy began to count again. A series that is gone alone was dropped, its release being long retired.
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
            // A release that was not there before has had all of its requests since.
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
    fn traffic_is_seen_crossing_over() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        let mut take = |seconds, releases: &[(u32, u64, u64)]| {
            flow.take(Timestamp::UNIX_EPOCH, after(start, seconds), totals(releases))
                .map(|mut point| point["apps"]["web"].take())
        };
        assert_eq!(take(0, &[(1, 1000, 0)]), None, "one look is no rate");
        assert_eq!(take(1, &[(1, 1100, 0)]), Some(json!({ "1": [100.0, 0.0] })));
        // Over two looks: what one second lacks, the next one has.
        assert_eq!(take(2, &[(1, 1140, 0), (2, 60, 4)]), Some(json!({ "1": [70.0, 0.0], "2": [30.0, 2.0] })));
        assert_eq!(take(3, &[(1, 1140, 0), (2, 160, 4)]), Some(json!({ "1": [20.0, 0.0], "2": [80.0, 2.0] })));
        assert_eq!(take(4, &[(1, 1140, 0), (2, 260, 4)]), Some(json!({ "2": [100.0, 0.0] })));
        assert_eq!(flow.points().len(), 4);
    }

    #[test]
    fn neither_a_new_proxy_nor_a_pause_makes_a_peak() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        let mut take = |seconds, requests| {
            flow.take(Timestamp::UNIX_EPOCH, after(start, seconds), totals(&[(1, requests, 0)])).is_some()
        };
        assert_eq!([take(0, 500), take(1, 600)], [false, true]);
        assert_eq!([take(2, 7), take(3, 9)], [false, true], "a proxy that counts from zero");
        assert_eq!([take(60, 9_000), take(61, 9_100)], [false, true], "nobody looked for a minute");
    }

    #[test]
    fn the_chart_has_an_end() {
        let (mut flow, start) = (Flow::default(), Instant::now());
        for second in 0..(KEPT as u64 + 20) {
            flow.take(Timestamp::UNIX_EPOCH, after(start, second), totals(&[(1, second * 10, 0)]));
        }
        assert_eq!(flow.points().len(), KEPT);
    }
}
