//! Decides. From what is wished and what there is to a complete list of steps, each with its reason.
//!
//! Pure and total: no async, clock, environment, prompt or log. Nothing is left for execution to choose.

mod step;

pub use step::{Because, Expect, FlipChange, Gate, Limits, Planned, Stage, Step};
