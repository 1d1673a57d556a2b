//! One line per number, printed immediately, so that a later failure loses nothing.

use super::samples::Samples;

#[derive(Debug, Clone, Copy)]
pub enum Unit {
    Count,
    Milliseconds,
    PerSecond,
    /// A ratio.
    Times,
}

impl Unit {
    fn text(self, value: f64) -> String {
        match self {
            Self::Count => format!("{value:.0}"),
            Self::Milliseconds if value.abs() < 10.0 => format!("{value:.2} ms"),
            Self::Milliseconds => format!("{value:.0} ms"),
            Self::PerSecond => format!("{value:.0} /s"),
            Self::Times => format!("{value:.2} ×"),
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Goal {
    AtMost(f64),
    AtLeast(f64),
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    what: String,
    unit: Unit,
    value: f64,
    /// The source of the value: minimum and maximum of the rounds, or the causes of a count.
    beside: String,
    goal: Option<Goal>,
}

impl Row {
    /// The median of several rounds.
    pub fn median(what: impl Into<String>, unit: Unit, samples: &Samples) -> Self {
        let (lowest, highest) = samples.spread();
        let beside = format!("{} – {}, {} rounds", unit.text(lowest), unit.text(highest), samples.rounds());
        Self { what: what.into(), unit, value: samples.median(), beside, goal: None }
    }

    pub fn count(what: impl Into<String>, count: u64, beside: String) -> Self {
        Self { what: what.into(), unit: Unit::Count, value: count as f64, beside, goal: None }
    }

    pub fn at_most(self, goal: f64) -> Self {
        Self { goal: Some(Goal::AtMost(goal)), ..self }
    }

    pub fn at_least(self, goal: f64) -> Self {
        Self { goal: Some(Goal::AtLeast(goal)), ..self }
    }

    /// A row without a goal explains the previous row, and is indented below it.
    pub fn print(self) {
        let Self { what, unit, value, beside, goal } = self;
        let (goal, verdict) = match goal {
            Some(Goal::AtMost(most)) => (format!("≤ {}", unit.text(most)), judge(value <= most)),
            Some(Goal::AtLeast(least)) => (format!("≥ {}", unit.text(least)), judge(value >= least)),
            None => (String::new(), ""),
        };
        let what = if goal.is_empty() { format!("  {what}") } else { what };
        let line = format!("{what:<68} {:>10}  {goal:>11}  {verdict:<7}  {beside}", unit.text(value));
        println!("{}", line.trim_end());
    }
}

fn judge(is_reached: bool) -> &'static str {
    if is_reached { "reached" } else { "short" }
}

pub fn head() {
    println!("{:<68} {:>10}  {:>11}  {:<7}  lowest – highest", "number", "median", "goal", "");
}
