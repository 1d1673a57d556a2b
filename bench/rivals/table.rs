//! Compares the tools: medians over the rounds, with minimum and maximum below.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::Measured;
use crate::common::samples::Samples;
use crate::metrics::{METRICS, Unit};
use crate::round::Round;

const LABEL: usize = 31;
const CELL: usize = 19;

/// One round, printed while others still run.
pub fn line(round: &Round) -> String {
    let lost = round.load.failures();
    let requests = round.load.ok + lost;
    let (wall, deploys) = (round.wall_ms(), round.deploys.len());
    format!("{lost} of {requests} requests lost in {deploys} deploys of {wall:.0} ms{}", listed(&causes([round])))
}

pub fn table(measured: &[Measured]) -> String {
    let here = here(measured);
    let mut text = String::new();
    if !here.is_empty() {
        row(&mut text, "median (lowest – highest)", here.iter().map(|tool| tool.title.to_owned()));
    }
    for metric in &METRICS {
        let of: Vec<Samples> = here.iter().map(|tool| metric.samples(&tool.rounds)).collect();
        row(&mut text, metric.label, of.iter().map(|samples| median(metric.unit, samples)));
        row(&mut text, "", of.iter().map(|samples| spread(metric.unit, samples)));
    }
    for tool in measured {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "{}", below(tool));
    }
    text
}

/// Tools that were measured at least once.
pub fn here(measured: &[Measured]) -> Vec<&Measured> {
    measured.iter().filter(|tool| !tool.rounds.is_empty()).collect()
}

/// Details that do not fit into a cell: failures with their causes, and tools missing in the table.
pub fn below(tool: &Measured) -> String {
    let title = tool.title;
    if let Some(why) = &tool.missing {
        return format!("{title}: {why}");
    }
    let rounds = &tool.rounds;
    let Totals { lost, requests, deploys } = Totals::of(rounds);
    let stops = rounds.iter().flat_map(|round| &round.stops);
    let (answered, held) = (stops.clone().filter(|stop| stop.answered).count(), stops.count());
    let version = tool.version.as_deref().unwrap_or_default();
    let mut text = format!("{title} ({version}): {lost} of {requests} requests lost in {deploys} deploys");
    text += &listed(&causes(rounds));
    let _ = write!(text, "; {answered} of {held} held requests answered");
    for error in &tool.errors {
        let _ = write!(text, "\n  a round was not measured: {error}");
    }
    text
}

/// Sums over all rounds of a tool.
pub struct Totals {
    pub lost: u64,
    /// Including failed ones.
    pub requests: u64,
    pub deploys: usize,
}

impl Totals {
    pub fn of(rounds: &[Round]) -> Self {
        let lost = rounds.iter().map(|round| round.load.failures()).sum();
        let requests = lost + rounds.iter().map(|round| round.load.ok).sum::<u64>();
        Self { lost, requests, deploys: rounds.iter().map(|round| round.deploys.len()).sum() }
    }
}

fn causes<'a>(rounds: impl IntoIterator<Item = &'a Round>) -> BTreeMap<String, u64> {
    let mut causes = BTreeMap::new();
    for (cause, count) in rounds.into_iter().flat_map(|round| &round.load.failed) {
        *causes.entry(cause.to_string()).or_default() += count;
    }
    causes
}

fn listed(causes: &BTreeMap<String, u64>) -> String {
    let causes: Vec<_> = causes.iter().map(|(cause, count)| format!("{cause}: {count}")).collect();
    if causes.is_empty() { String::new() } else { format!(" ({})", causes.join(", ")) }
}

fn median(unit: Unit, samples: &Samples) -> String {
    if samples.rounds() == 0 { "–".to_owned() } else { unit.text(samples.median()) }
}

fn spread(unit: Unit, samples: &Samples) -> String {
    let (lowest, highest) = samples.spread();
    if samples.rounds() == 0 { String::new() } else { format!("({} – {})", number(unit, lowest), unit.text(highest)) }
}

/// Without its unit, which is printed after the other end of the spread.
fn number(unit: Unit, value: f64) -> String {
    let text = unit.text(value);
    text.split(' ').next().unwrap_or_default().to_owned()
}

fn row(text: &mut String, label: &str, cells: impl Iterator<Item = String>) {
    let cells: String = cells.map(|cell| format!(" {cell:>CELL$}")).collect();
    let _ = writeln!(text, "{}", format!("{label:<LABEL$}{cells}").trim_end());
}
