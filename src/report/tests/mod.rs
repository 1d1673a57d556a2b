//! Whole runs as events, and the whole text that each format makes of them.

mod json;
mod live;
mod plain;
pub(in crate::report) mod runs;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::frame::{self, Paint, Size};
use super::run::Run;
use crate::event::Event;

/// A stream whose text can be read after the reporter has got it.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("text")
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run_of(events: &[Event]) -> Run {
    let mut run = Run::default();
    events.iter().for_each(|event| run.apply(event));
    run
}

const SCREEN: Size = Size { width: 100, height: 24 };
const NO_COLOUR: Paint = Paint { colour: false };

/// The live frame right after the last event.
fn live(events: &[Event]) -> String {
    let run = run_of(events);
    frame::live(&run, run.elapsed, SCREEN, NO_COLOUR).join("\n")
}

fn closing(events: &[Event]) -> String {
    frame::closing(&run_of(events), NO_COLOUR).join("\n")
}

/// Without the first line break, so that expectations can be written as blocks.
fn block(text: &str) -> &str {
    text.trim_start_matches('\n').trim_end_matches('\n')
}
