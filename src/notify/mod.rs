//! Notifies webhooks of a run's outcome, after it is decided. A failed delivery never fails the run.
//!
//! [`summary`] collects the outcome from the events, [`deliver`] sends it.

mod deliver;
mod summary;
#[cfg(test)]
mod tests;

pub use deliver::deliver;
pub use summary::{Gathered, Summary};
