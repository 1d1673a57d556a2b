//! Generates a first compose file from the contents of a folder.
//!
//! [`look`] detects Dockerfiles, languages, ports and health paths; [`compose`] generates the file, and [`dockerfile`]
//! a missing Dockerfile. For an existing compose file, [`judge()`] classifies its services, and [`overlay()`] writes
//! the override that makes apps of them. A comment in the file marks every guess.

mod clues;
mod compose;
mod dockerfile;
mod judge;
mod known;
mod look;
mod mentions;
mod overlay;
#[cfg(test)]
mod tests;

pub use compose::{Desired, compose_file, service_block};
pub use dockerfile::{Dockerfile, dockerfile, ignored};
pub use judge::{Candidate, Judged, Kind, Web, judge};
pub use look::{Found, FoundApp, Language, Port, app_name, look, port_of};
pub use mentions::{Mention, mentions};
pub use overlay::{Facts, Overlay, Rolled, overlay};
