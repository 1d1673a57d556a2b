//! Tells webhooks how a run has ended: after its outcome is decided, with a few tries, and never at the run's cost.
//!
//! [`summary`] gathers what there is to tell from the events, [`deliver`] sends it.

mod deliver;
mod summary;
#[cfg(test)]
mod tests;

pub use deliver::deliver;
pub use summary::{Gathered, Summary};
