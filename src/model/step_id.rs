//! The number of a step in its plan: what tells two steps with the same text apart.

use std::fmt;

use serde::Serialize;

/// From 1, in the order in which the plan is shown. 0 is a step that is in no plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl StepId {
    /// The number after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not `write!`: a width, as in a column of numbers, is kept.
        self.0.fmt(f)
    }
}
