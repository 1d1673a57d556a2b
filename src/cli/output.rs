//! What a command says, on standard output and standard error.
//!
//! The macros of the standard library end the process when nobody reads any more: behind `| head -1`, or on a terminal
//! that is gone. A deploy must not end for that, so all of [`cli`](super) writes with these.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use super::exit::{Exit, Failure};

/// A line on standard output.
macro_rules! outln {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!("{}\n", format_args!($($text)*))) };
}

/// A text on standard output, as it is.
macro_rules! out {
    ($($text:tt)*) => { $crate::cli::output::out(format_args!($($text)*)) };
}

/// A line on standard error.
macro_rules! errln {
    ($($text:tt)*) => { $crate::cli::output::err(format_args!("{}\n", format_args!($($text)*))) };
}

/// A text on standard error, as it is.
macro_rules! err {
    ($($text:tt)*) => { $crate::cli::output::err(format_args!($($text)*)) };
}

/// Nowhere to say it is no reason to do, or to end, in another way.
pub(super) fn out(text: Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    drop(stdout.write_fmt(text).and_then(|()| stdout.flush()));
}

/// As [`out`], on standard error.
pub(super) fn err(text: Arguments<'_>) {
    drop(io::stderr().lock().write_fmt(text));
}

/// A text that is all that the command was for.
///
/// # Errors
/// When it could not be written, such as to a full disk: half a file must not pass for a whole one. A reader that went
/// away, such as `head`, has read what it wanted.
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
