//! What a canary and the release beside it have done over the same time, and whether the canary is worse.
//!
//! Errors: the lower end of Newcombe's interval for the difference of two shares, made of two Wilson intervals. Latency: the
//! 99th percentiles of two histograms, each with the uncertainty of its rank. Both are looked at again and again while a
//! step goes on, so the intervals are wide: see [`Z`].

use std::collections::BTreeMap;
use std::fmt;

use super::canary::{CanaryGate, CanaryOrder, Share};
use super::names::ReleaseNumber;

/// The width of each interval in standard deviations. One look at one good release is wrong once in some 10,000 times; the
/// simulation in the tests has the rates for a whole step, in which there are many looks.
const Z: f64 = 3.6;
/// The same for ranks. Both percentiles are taken at their far ends, so less is as wide as that.
const RANK_Z: f64 = 2.3;
/// A share of fewer requests or errors says nothing, whatever the formula makes of it.
const LEAST_REQUESTS: u64 = 30;
const LEAST_ERRORS: u64 = 6;
const PERCENTILE: f64 = 0.99;

/// Counters of one release since the proxy's start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReleaseCounters {
    /// Requests by the first digit of their status, 1 to 5; 0 for those whose client left before there was one.
    pub classes: Vec<u64>,
    /// Tries that no replica of it could be reached for, and that another release answered.
    pub unreached: u64,
    /// Requests by duration; see [`CanaryReport::bounds`].
    pub buckets: Vec<u64>,
}

/// What the proxy tells of a canary.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CanaryReport {
    /// What somebody else has asked for, and who.
    pub order: Option<(CanaryOrder, String)>,
    /// Upper bounds of the buckets in seconds. The last bucket has none.
    pub bounds: Vec<f64>,
    pub releases: BTreeMap<ReleaseNumber, ReleaseCounters>,
}

/// What one release has done in a step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub requests: u64,
    /// Answers with 5xx, and requests for which it could not be reached.
    pub errors: u64,
    pub buckets: Vec<u64>,
}

impl ReleaseCounters {
    /// What was counted since `before`. A proxy that has started again counts from zero.
    #[must_use]
    pub fn since(&self, before: &Self) -> Figures {
        let pairs = || self.classes.iter().zip(&before.classes).chain(self.buckets.iter().zip(&before.buckets));
        let is_new = self.unreached < before.unreached || pairs().any(|(now, then)| now < then);
        let zero = Self::default();
        let before = if is_new { &zero } else { before };
        let grown = |now: &[u64], then: &[u64]| -> Vec<u64> {
            now.iter().enumerate().map(|(index, now)| now - then.get(index).copied().unwrap_or(0)).collect()
        };
        let classes = grown(&self.classes, &before.classes);
        let unreached = self.unreached - before.unreached;
        Figures {
            requests: classes.iter().skip(1).fold(unreached, |sum, count| sum.saturating_add(*count)),
            errors: classes.get(5).copied().unwrap_or(0).saturating_add(unreached),
            buckets: grown(&self.buckets, &before.buckets),
        }
    }
}

impl Figures {
    /// `None` without any request.
    #[must_use]
    pub fn error_share(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.errors as f64 / self.requests as f64)
    }
}

impl fmt::Display for Figures {
    /// Such as `3.1 % errors of 412 requests`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = if self.requests == 1 { "request" } else { "requests" };
        match self.error_share() {
            Some(share) => write!(f, "{} errors of {} {requests}", percent(share), grouped(self.requests)),
            None => f.write_str("no requests"),
        }
    }
}

/// One digit after the point; where that would hide an error, two.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 { format!("{percent:.2} %") } else { format!("{percent:.1} %") }
}

/// With a comma between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let first = digits.len() % 3;
    let place = |(index, digit): (usize, char)| {
        let comma = index > 0 && index % 3 == first;
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(place).collect()
}

/// In what a canary is worse than its gate allows.
#[derive(Debug, Clone, PartialEq)]
pub enum Worse {
    Errors,
    /// The 99th percentiles in seconds, canary and stable.
    Latency(f64, f64),
}

/// Whether the canary is worse, beyond what chance could do. Nothing when too little is known.
#[must_use]
pub fn judge(gate: &CanaryGate, bounds: &[f64], stable: &Figures, canary: &Figures) -> Option<Worse> {
    if canary.requests < LEAST_REQUESTS {
        return None;
    }
    if canary.errors >= LEAST_ERRORS && least_difference(stable, canary) > gate.max_error_increase.fraction() {
        return Some(Worse::Errors);
    }
    let ratio = gate.max_latency_ratio?.value();
    if canary.requests < gate.min_requests {
        return None;
    }
    let (least, most) = (least_percentile(bounds, canary)?, most_percentile(bounds, stable)?);
    let shown = |figures| percentile(bounds, figures, PERCENTILE).unwrap_or_default();
    (least > ratio * most).then(|| Worse::Latency(shown(canary), shown(stable)))
}

/// How much larger the canary's share of errors is at least.
fn least_difference(stable: &Figures, canary: &Figures) -> f64 {
    let (Some(stable_share), Some(canary_share)) = (stable.error_share(), canary.error_share()) else { return -1.0 };
    let (least, _) = wilson(canary_share, canary.requests as f64, Z);
    let (_, most) = wilson(stable_share, stable.requests as f64, Z);
    canary_share - stable_share - (canary_share - least).hypot(most - stable_share)
}

/// Wilson's interval for a share that was seen in so many cases, `z` standard deviations wide.
fn wilson(share: f64, cases: f64, z: f64) -> (f64, f64) {
    let z2 = z * z / cases;
    let middle = share + z2 / 2.0;
    let half = z * (share * (1.0 - share) / cases + z2 / (4.0 * cases)).sqrt();
    ((middle - half) / (1.0 + z2), (middle + half) / (1.0 + z2))
}

/// The percentile is at least this: the value at a lower rank, below which it is by chance alone.
fn least_percentile(bounds: &[f64], figures: &Figures) -> Option<f64> {
    let (rank, _) = wilson(PERCENTILE, total(figures)? as f64, RANK_Z);
    percentile(bounds, figures, rank)
}

/// The same upwards. With few requests that is as slow as the slowest.
fn most_percentile(bounds: &[f64], figures: &Figures) -> Option<f64> {
    let (_, rank) = wilson(PERCENTILE, total(figures)? as f64, RANK_Z);
    let slowest = figures.buckets.iter().rposition(|count| *count > 0)?;
    // What is in the last bucket may have taken any time.
    let limit = bounds.get(slowest).copied()?;
    let cases = total(figures)? as f64;
    if (1.0 - rank) * cases < 1.0 { Some(limit) } else { percentile(bounds, figures, rank) }
}

fn total(figures: &Figures) -> Option<u64> {
    let total = figures.buckets.iter().copied().fold(0, u64::saturating_add);
    (total > 0).then_some(total)
}

/// The duration below which this part of all requests is, taken as even within a bucket.
fn percentile(bounds: &[f64], figures: &Figures, part: f64) -> Option<f64> {
    let rank = part * total(figures)? as f64;
    let (mut below, mut lower) = (0.0, 0.0);
    for (bound, count) in bounds.iter().zip(&figures.buckets) {
        let count = *count as f64;
        if count > 0.0 && below + count >= rank {
            return Some(lower + (bound - lower) * ((rank - below) / count).clamp(0.0, 1.0));
        }
        (below, lower) = (below + count, *bound);
    }
    // Slower than the last bound: that is all that is known.
    bounds.last().copied()
}

/// How a canary stands, in words, with ` aborted` or nothing as the verb, such as `r8 at 25 %: 3.1 % errors of 412 requests, r7 0.2 % errors of 1,288 requests`.
#[must_use]
pub fn compared(
    canary: (ReleaseNumber, &Figures),
    verb: &str,
    weight: Share,
    stable: (ReleaseNumber, &Figures),
    worse: Option<&Worse>,
) -> String {
    let latency = match worse {
        Some(Worse::Latency(canary, stable)) => {
            format!("; p99 {:.0} ms against {:.0} ms", canary * 1000.0, stable * 1000.0)
        }
        _ => String::new(),
    };
    format!("{}{verb} at {weight}: {}, {} {}{latency}", canary.0, canary.1, stable.0, stable.1)
}

#[cfg(test)]
mod tests;
