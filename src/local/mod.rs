//! This machine, asked with care: its files, and what git knows of a folder.
//!
//! A folder may come from anybody. Reading it must not wait for ever, fill the memory or run what somebody put into it.

mod file;
mod git;

pub use file::{FileError, bytes, open, open_stream, stream, text};
pub use git::{changed, described, head};
