//! From a compose file to a `Project`; refuses by name, with file and line, what it does not honour.
//!
//! Data flows through the folders in this order: [`text`] makes a tree in which every node knows its file and place,
//! [`merge`] finds the files, puts the variables in, completes each file by what it includes and extends, merges it over
//! those before it and takes out what does not take part, [`read`] gives the tree its meaning, and [`refuse`] names the
//! keys that no reader takes. [`config`] prints the tree instead. Problems are collected, so that one run reports all.

mod config;
mod context;
mod error;
mod load;
mod merge;
mod outline;
mod read;
mod refuse;
mod request;
mod resolve;
mod select;
#[cfg(test)]
mod tests;
mod text;

pub use config::{Config, config};
pub use error::{ComposeError, ComposeErrorKind, Finding, Place, Warning};
pub use load::{Loaded, load};
pub use outline::{Outline, outline};
pub use request::{LoadRequest, Needs};
pub use select::{select, select_services};
pub use text::scalar::{parse_bytes, parse_duration};
pub use text::suggest::nearest;
