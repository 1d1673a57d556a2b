//! A table of numbers by size: a column per size, a line per number.

use std::fmt;

use serde::Serialize;

use crate::common::samples::Samples;

const LABEL: usize = 38;
const CELL: usize = 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "ms")]
    Milliseconds,
    #[serde(rename = "MB")]
    Megabytes,
    #[serde(rename = "")]
    Count,
}

impl Unit {
    fn text(self, value: f64) -> String {
        let digits = if value.abs() < 10.0 && self != Self::Count { 2 } else { 0 };
        match self {
            Self::Milliseconds => format!("{value:.digits$} ms"),
            Self::Megabytes => format!("{value:.digits$} MB"),
            Self::Count => format!("{value:.0}"),
        }
    }
}

/// Measurements for increasing sizes of one thing.
#[derive(Debug, Serialize)]
pub struct Grid {
    /// The thing that grows.
    pub of: &'static str,
    pub cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
pub struct Cell {
    pub size: usize,
    pub what: &'static str,
    pub unit: Unit,
    /// One value per round.
    pub values: Samples,
}

impl Grid {
    pub fn new(of: &'static str) -> Self {
        Self { of, cells: Vec::new() }
    }

    pub fn put(&mut self, size: usize, what: &'static str, unit: Unit, values: Samples) {
        self.cells.push(Cell { size, what, unit, values });
    }

    /// Distinct values in the order of their first occurrence.
    pub fn distinct<T: PartialEq>(&self, of: impl Fn(&Cell) -> T) -> Vec<T> {
        let mut found = Vec::new();
        for value in self.cells.iter().map(of) {
            if !found.contains(&value) {
                found.push(value);
            }
        }
        found
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = self.distinct(|cell| cell.size);
        let heads: String = sizes.iter().map(|size| format!(" {size:>CELL$}")).collect();
        writeln!(f, "{:<LABEL$}{heads}", self.of)?;
        for what in self.distinct(|cell| cell.what) {
            let of = |size: &usize| self.cells.iter().find(|cell| cell.size == *size && cell.what == what);
            let cells: String =
                sizes.iter().map(|size| format!(" {:>CELL$}", of(size).map_or(String::new(), text))).collect();
            writeln!(f, "  {:<width$}{cells}", what, width = LABEL - 2)?;
        }
        Ok(())
    }
}

/// The median, and the maximum if there are several values.
fn text(cell: &Cell) -> String {
    let median = cell.unit.text(cell.values.median());
    if cell.values.rounds() < 2 {
        return median;
    }
    format!("{median} (≤ {})", cell.unit.text(cell.values.quantile(1.0)))
}
