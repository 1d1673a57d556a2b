//! The figures in the table, each derived from the rounds in one place.

use crate::common::samples::Samples;
use crate::round::Round;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// A count that may be a mean.
    Each,
    Milliseconds,
    PerSecond,
    Microseconds,
    Megabytes,
}

impl Unit {
    pub fn text(self, value: f64) -> String {
        let short = |unit: &str| {
            let digits = if value.abs() < 10.0 { 1 } else { 0 };
            format!("{value:.digits$}{unit}")
        };
        match self {
            Self::Each => short(""),
            Self::Milliseconds => short(" ms"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Microseconds => short(" µs"),
            Self::Megabytes => short(" MB"),
        }
    }
}

/// One line of the table.
pub struct Metric {
    pub label: &'static str,
    pub unit: Unit,
    /// The value for one round; `None` if the tool does not have it.
    of: fn(&Round) -> Option<f64>,
}

impl Metric {
    pub fn samples(&self, rounds: &[Round]) -> Samples {
        let mut samples = Samples::default();
        rounds.iter().filter_map(self.of).for_each(|value| samples.push(value));
        samples
    }

    /// Bars start at 0, so figures that may be negative have none.
    pub fn is_drawn(&self) -> bool {
        self.label != STOP
    }

    pub fn better(&self) -> &'static str {
        if self.unit == Unit::PerSecond { "more is better" } else { "less is better" }
    }
}

const STOP: &str = "last old request → stop signal";

const fn metric(label: &'static str, unit: Unit, of: fn(&Round) -> Option<f64>) -> Metric {
    Metric { label, unit, of }
}

pub const METRICS: [Metric; 15] = [
    metric("requests lost per deploy", Unit::Each, |round| Some(round.lost_per_deploy())),
    metric("longest gap", Unit::Milliseconds, |round| Some(round.load.longest_gap.ms as f64)),
    metric("p50 steady", Unit::Milliseconds, |round| Some(round.load.latency.steady?.p50_us as f64 / 1e3)),
    metric("p50 deploying", Unit::Milliseconds, |round| Some(round.load.latency.deploying?.p50_us as f64 / 1e3)),
    metric("p99 steady", Unit::Milliseconds, |round| Some(round.load.latency.steady?.p99_us as f64 / 1e3)),
    metric("p99 deploying", Unit::Milliseconds, |round| Some(round.load.latency.deploying?.p99_us as f64 / 1e3)),
    metric("p99.9 steady", Unit::Milliseconds, |round| Some(round.load.latency.steady?.p999_us as f64 / 1e3)),
    metric("p99.9 deploying", Unit::Milliseconds, |round| Some(round.load.latency.deploying?.p999_us as f64 / 1e3)),
    metric("deploy", Unit::Milliseconds, |round| Some(round.wall_ms())),
    metric("deploy − engine's floor", Unit::Milliseconds, |round| Some(round.wall_ms() - round.floor_ms)),
    metric(STOP, Unit::Milliseconds, |round| {
        let mut stops = Samples::default();
        round.stops.iter().for_each(|stop| stops.push(stop.after_last_request_ms));
        Some(stops.median())
    }),
    metric("throughput", Unit::PerSecond, |round| Some(round.throughput.requests_per_second)),
    metric("proxy's CPU per request", Unit::Microseconds, |round| round.throughput.proxy_us_per_request),
    metric("proxy's memory", Unit::Megabytes, |round| Some(round.proxy_memory_bytes? / 1e6)),
    metric("tool's memory", Unit::Megabytes, |round| Some(round.tool_memory_bytes as f64 / 1e6)),
];

impl Round {
    pub fn lost_per_deploy(&self) -> f64 {
        self.load.failures() as f64 / self.deploys.len() as f64
    }

    pub fn wall_ms(&self) -> f64 {
        let mut walls = Samples::default();
        self.deploys.iter().for_each(|deploy| walls.push(deploy.wall_ms));
        walls.median()
    }
}
