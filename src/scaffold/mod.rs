//! A first compose file, from what lies in a folder.
//!
//! [`look`] finds Dockerfiles, languages, ports and health paths; [`compose`] makes the file of it, [`dockerfile`] a
//! Dockerfile where there is none. Where there is a compose file, [`judge()`] tells what its services are, and [`overlay()`]
//! writes the override that makes apps of them. Everything that is a guess is called one, in a comment beside it.

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
