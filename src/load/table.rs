//! The report as aligned text.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use super::failure::Cause;
use super::ledger::Phase;
use super::report::{Latencies, Latency, Report};

impl Report {
    /// The report as plain text, without colours and without a final newline.
    #[must_use]
    pub fn table(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = self.write(&mut text);
        text.truncate(text.trim_end().len());
        text
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "{:<10} {:>11} {:>8} {:>10} {:>6}  failures by cause",
            "sent", "ok", "failed", "messages", "ended"
        )?;
        for kind in &self.kinds {
            let streams = |count| if kind.latency.is_none() && count > 0 { grouped(count) } else { String::new() };
            writeln!(
                out,
                "{:<10} {:>11} {:>8} {:>10} {:>6}  {}",
                kind.kind,
                grouped(kind.ok),
                grouped(kind.failures()),
                streams(kind.messages),
                streams(kind.ended_kindly),
                causes(&kind.failed)
            )?;
        }
        let (ok, failed) = (grouped(self.ok), grouped(self.failures()));
        writeln!(out, "{:<10} {ok:>11} {failed:>8} {:>10} {:>6}  {}\n", "total", "", "", causes(&self.failed))?;

        self.write_latencies(out)?;
        writeln!(
            out,
            "longest gap between two successes {} ms, {} s after the start",
            grouped(self.longest_gap.ms),
            seconds(self.longest_gap.at_ms)
        )?;
        let rate = grouped(self.requests_per_second.round() as u64);
        writeln!(
            out,
            "{rate} requests/s for {} s over {} connections, {} closed by the server while idle",
            seconds(self.duration_ms),
            grouped(self.connections_opened),
            grouped(self.connections_closed_while_idle)
        )?;
        if !self.releases.is_empty() {
            let seen = self.releases.iter().map(|(release, count)| format!("{release} ({})", grouped(*count)));
            writeln!(out, "answered by release {}", seen.collect::<Vec<_>>().join(", "))?;
        }
        self.write_failures(out)
    }

    fn write_latencies(&self, out: &mut String) -> fmt::Result {
        if self.latency.steady.is_none() && self.latency.deploying.is_none() {
            return Ok(());
        }
        writeln!(
            out,
            "{:<10} {:<10} {:>11} {:>10} {:>10} {:>10} {:>10}",
            "latency", "phase", "requests", "p50", "p99", "p99.9", "max"
        )?;
        let kinds: Vec<_> = self.kinds.iter().filter_map(|kind| Some((kind.kind.to_string(), kind.latency?))).collect();
        for (name, latencies) in &kinds {
            write_phases(out, name, latencies)?;
        }
        if kinds.len() > 1 {
            write_phases(out, "all short", &self.latency)?;
        }
        if let Some(ratio) = self.latency.p999_ratio() {
            writeln!(out, "p99.9 while deploying is {ratio:.2} × that of steady state")?;
        }
        writeln!(out)
    }

    fn write_failures(&self, out: &mut String) -> fmt::Result {
        if self.first_failures.is_empty() {
            return Ok(());
        }
        writeln!(out, "\nfirst {} of {} failures", self.first_failures.len(), grouped(self.failures()))?;
        for failed in &self.first_failures {
            writeln!(
                out,
                "{:>9} s  {:<9}  {:<9}  {:<10}  client {}, after {} ms: {}",
                seconds(failed.at_ms),
                phase(failed.phase),
                failed.kind,
                failed.cause,
                failed.client,
                grouped(failed.after_ms),
                failed.detail
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table())
    }
}

fn write_phases(out: &mut String, name: &str, latencies: &Latencies) -> fmt::Result {
    let phases = [(Phase::Steady, latencies.steady), (Phase::Deploying, latencies.deploying)];
    for (at, latency) in phases.into_iter().filter_map(|(at, latency)| Some((at, latency?))) {
        let Latency { requests, p50_us, p99_us, p999_us, max_us } = latency;
        write!(out, "{name:<10} {:<10} {:>11}", phase(at), grouped(requests))?;
        for value in [p50_us, p99_us, p999_us, max_us] {
            write!(out, " {:>10}", milliseconds(value))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Steady => "steady",
        Phase::Deploying => "deploying",
    }
}

fn causes(failed: &BTreeMap<Cause, u64>) -> String {
    failed.iter().map(|(cause, count)| format!("{cause}: {}", grouped(*count))).collect::<Vec<_>>().join(", ")
}

fn milliseconds(micros: u64) -> String {
    format!("{}.{:02} ms", grouped(micros / 1000), micros % 1000 / 10)
}

fn seconds(millis: u64) -> String {
    format!("{}.{:03}", grouped(millis / 1000), millis % 1000)
}

/// Digits in groups of three: `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
