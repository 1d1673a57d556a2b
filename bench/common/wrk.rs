//! Full load by wrk in a container, so that its cost is the same for all sides.

use super::host::docker;
use super::{Bench, Result};

const CONNECTIONS: &str = "32";

#[derive(Debug, Clone, Copy)]
pub struct Said {
    pub requests: f64,
    /// Requests per second.
    pub rate: f64,
    pub p99_ms: f64,
}

/// # Errors
/// Also when a single request failed: a rate that includes errors is not a throughput.
pub async fn run(bench: &Bench, name: &str, network: &str, target: &str, seconds: u64) -> Result<Said> {
    let (name, time) = (format!("{name}-wrk"), format!("{seconds}s"));
    let run = ["run", "--rm", "--name", &name, "--network", network, &bench.images.wrk];
    let wrk = ["-t1", "-c", CONNECTIONS, "-d", &time, "--latency", "-H", "Host: web.localhost", target];
    let said = docker(&[run.as_slice(), &wrk].concat()).await?;
    if said.contains("Non-2xx") || said.contains("Socket errors") {
        return Err(format!("requests failed:\n{said}").into());
    }
    let after = |word: &str| said.lines().find_map(|line| line.trim().strip_prefix(word)).map(str::trim);
    let rate = after("Requests/sec:").and_then(|text| text.parse().ok());
    let p99_ms = after("99%").and_then(milliseconds);
    // `74321 requests in 3.00s, 10.21MB read`
    let requests = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
    let all = rate.zip(p99_ms).zip(requests);
    let ((rate, p99_ms), requests) = all.ok_or_else(|| format!("wrk's report is not understood:\n{said}"))?;
    Ok(Said { requests, rate, p99_ms })
}

/// `850.00us`, `3.21ms`, `1.20s`.
fn milliseconds(text: &str) -> Option<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    units.iter().find_map(|(unit, factor)| Some(text.strip_suffix(unit)?.parse::<f64>().ok()? * factor))
}
