//! Repeated measurements of one number.

use std::time::{Duration, SystemTime};

use serde::Serialize;

/// The values of several rounds, in the unit of their row.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    pub fn push_time(&mut self, time: Duration) {
        self.push(milliseconds(time));
    }

    /// The value at this quantile; NaN when there are none.
    pub fn quantile(&self, share: f64) -> f64 {
        let sorted = self.sorted();
        let last = sorted.len().saturating_sub(1) as f64;
        sorted.get((last * share).round() as usize).copied().unwrap_or(f64::NAN)
    }

    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        match sorted.len() {
            0 => f64::NAN,
            count if count % 2 == 1 => sorted[count / 2],
            count => f64::midpoint(sorted[count / 2 - 1], sorted[count / 2]),
        }
    }

    /// The minimum and the maximum.
    pub fn spread(&self) -> (f64, f64) {
        (self.quantile(0.0), self.quantile(1.0))
    }

    pub fn rounds(&self) -> usize {
        self.0.len()
    }

    /// Combines the values round by round, so that a disturbance of both in one round cancels out.
    pub fn zip(&self, other: &Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(one, two)| combine(*one, *two)).collect())
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// The time from `earlier` to `later`; negative if the clocks say so.
pub fn between(earlier: SystemTime, later: SystemTime) -> f64 {
    later.duration_since(earlier).map_or_else(|error| -milliseconds(error.duration()), milliseconds)
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
