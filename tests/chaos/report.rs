//! What a campaign has done so far, as a table; and how to see a failure again.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use crate::laws::Tally;
use crate::schedule::{KINDS, Step};

/// Told when it is dropped, also by a panic: then with the step that broke a law.
pub struct Report {
    seed: u64,
    began: Instant,
    rows: BTreeMap<&'static str, Row>,
    under_way: Option<Step>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Row {
    times: u64,
    took: Duration,
    tally: Tally,
}

impl Row {
    fn add(&mut self, other: &Self) {
        self.times += other.times;
        self.took += other.took;
        self.tally.sent += other.tally.sent;
        self.tally.by_fault += other.tally.by_fault;
        self.tally.otherwise += other.tally.otherwise;
    }
}

impl Report {
    pub fn new(seed: u64) -> Self {
        Self { seed, began: Instant::now(), rows: BTreeMap::new(), under_way: None }
    }

    pub fn begins(&mut self, step: &Step) {
        eprintln!("seed {}, step {}: {step}", self.seed, step.number);
        self.under_way = Some(step.clone());
    }

    /// The step under way kept all laws but perhaps that of lost requests.
    pub fn tallied(&mut self, tally: Tally, took: Duration) {
        let Some(step) = &self.under_way else { return };
        let Tally { sent, by_fault, otherwise } = tally;
        let seconds = took.as_secs_f64();
        eprintln!("    {seconds:.1} s, {sent} requests, {by_fault} failed by the fault, {otherwise} otherwise");
        self.rows.entry(step.kind).or_default().add(&Row { times: 1, took, tally });
    }

    pub fn ended(&mut self) {
        self.under_way = None;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["step", "times", "seconds", "requests", "failed by fault", "otherwise"];
        writeln!(f, "{:<28} {:>6} {:>9} {:>11} {:>16} {:>10}", head[0], head[1], head[2], head[3], head[4], head[5])?;
        let mut total = Row::default();
        for row in KINDS.iter().filter_map(|(kind, _)| Some((kind, self.rows.get(kind)?))) {
            total.add(row.1);
            write_row(f, row.0, row.1)?;
        }
        write_row(f, "total", &total)
    }
}

fn write_row(f: &mut fmt::Formatter<'_>, name: &str, row: &Row) -> fmt::Result {
    let Tally { sent, by_fault, otherwise } = row.tally;
    let seconds = row.took.as_secs_f64();
    writeln!(f, "{name:<28} {:>6} {seconds:>9.1} {sent:>11} {by_fault:>16} {otherwise:>10}", row.times)
}

impl Drop for Report {
    fn drop(&mut self) {
        let mut text = format!("\nchaos: seed {}, {:.0} s\n{self}", self.seed, self.began.elapsed().as_secs_f64());
        if let Some(step) = &self.under_way {
            let (seed, number) = (self.seed, step.number);
            // Writing into a string cannot fail.
            let _ = write!(
                text,
                "\nseed {seed}, step {number}: {step}\nagain: tests/run --chaos --seed {seed} --steps {number}\n\
                 that step alone: tests/run --chaos --seed {seed} --from {number} --steps {number}\n"
            );
        }
        eprint!("{text}");
    }
}
