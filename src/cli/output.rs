//! Output of commands to stdout and stderr.
//!
//! The print macros of the standard library panic when the reader has gone, as with `| head -1` or a closed terminal. A
//! deploy must not end because of that, so [`cli`](super) uses these macros instead.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use super::exit::{Exit, Failure};

/// Prints a line to stdout.
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text to stdout.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!($($text)*)) };
}

/// Prints a line to stderr.
macro_rules! errln {
    ($($text:tt)*) => { $crate::cli::output::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// Prints text to stderr.
macro_rules! err {
    ($($text:tt)*) => { $crate::cli::output::err(format_args!($($text)*)) };
}

/// Write errors are ignored.
pub(super) fn out(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    drop(stdout.write_fmt(text).and_then(|()| stdout.flush()));
}

/// Like [`out`], for stderr.
pub(super) fn err(text: Arguments<'_>) {
    drop(io::stderr().lock().write_fmt(text));
}

/// Prints the result of a command.
///
/// # Errors
/// When it could not be written, such as to a full disk: a partial result must not look complete. A closed pipe, such
/// as to `head`, is not an error.
pub(super) fn result(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(Exit::Failed, format!("standard output cannot be written: {error}"))
                .hint("check where it is written to, such as a full disk"))
        }
        _ => Ok(()),
    }
}
