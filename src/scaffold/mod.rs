//! A first compose file, from what lies in a folder.
//!
//! [`look`] finds Dockerfiles, languages, ports and health paths; [`compose`] makes the file of it, [`dockerfile`] a
//! Dockerfile where there is none. Everything that is a guess is called one, in a comment beside it.

mod compose;
mod dockerfile;
mod look;
#[cfg(test)]
mod tests;

pub use compose::{Wish, compose_file, service_block};
pub use dockerfile::{Dockerfile, dockerfile};
pub use look::{Found, FoundApp, Language, Port, app_name, look, port_of};
