//! Safe access to this machine's files and to git metadata of a folder.
//!
//! A folder may come from an untrusted source. Reading it must not block, exhaust memory or run commands from it.

mod file;
mod git;

pub use file::{FileError, bytes, open, open_stream, stream, text};
pub use git::{changed, described, head};
