//! Reads compose files into a `Project`. Unsupported keys are refused by name, with file and line.
//!
//! Data flows through the folders in this order. [`text`] parses a tree whose nodes have file and position. [`merge`]
//! finds the files, interpolates variables, resolves includes and `extends`, merges the files and removes inactive
//! services. [`read`] converts the tree to the project, and [`refuse`] reports keys that no reader handles. [`config`]
//! prints the tree instead. Problems are collected, so that one run reports all of them.

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
