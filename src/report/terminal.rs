//! For terminals: one live line per app, redrawn in place, then the failures.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use console::Term;

use super::Reporter;
use super::frame::{self, Paint, Size};
use super::run::Run;
use super::screen::Screen;
use crate::event::Event;

/// Draws in its own thread, so that a slow terminal never delays a deploy.
pub struct TerminalReporter {
    events: Mutex<Option<Sender<Event>>>,
    drawing: Mutex<Option<JoinHandle<()>>>,
}

impl TerminalReporter {
    /// Live lines on standard error; results also on standard output when that is not a terminal.
    #[must_use]
    pub fn new() -> Self {
        let (sender, events) = channel();
        // Without a thread the run continues without output.
        let drawing = Builder::new().name("terminal".to_owned()).spawn(move || {
            // The terminal may disappear, as with a closed window; the deploy continues.
            drop(draw(&events, &Term::stderr()));
        });
        Self { events: Mutex::new(Some(sender)), drawing: Mutex::new(drawing.ok()) }
    }
}

impl Default for TerminalReporter {
    fn default() -> Self {
        Self::new()
    }
}

impl Reporter for TerminalReporter {
    fn event(&self, event: &Event) {
        if let Some(events) = &*self.events.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only when drawing has already ended.
            drop(events.send(event.clone()));
        }
    }

    fn finish(&self) {
        drop(self.events.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(drawing) = self.drawing.lock().unwrap_or_else(PoisonError::into_inner).take() {
            drop(drawing.join());
        }
    }
}

impl Drop for TerminalReporter {
    fn drop(&mut self) {
        self.finish();
    }
}

const PAINT: Paint = Paint { colour: true };

/// Returns when all senders are dropped, after the last frame.
fn draw(events: &Receiver<Event>, term: &Term) -> io::Result<()> {
    let mut run = Run::default();
    let mut screen = Screen::new(term);
    let mut last_event = Instant::now();
    loop {
        // No redraw by time alone while nothing is in progress.
        let next = match run.is_moving() {
            true => events.recv_timeout(frame::TICK),
            false => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(event) => {
                // A build emits more lines than can be read: events that arrived meanwhile share a frame.
                for event in std::iter::once(event).chain(events.try_iter()) {
                    run.apply(&event);
                }
                last_event = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        let now = run.elapsed + last_event.elapsed();
        let size = size(term);
        screen.draw(frame::live(&run, now, size, PAINT), size.width)?;
    }
    let closing = frame::closing(&run, PAINT).into_iter().chain(frame::total(&run));
    screen.draw(closing.collect(), size(term).width)?;
    let mut stdout = io::stdout();
    if !stdout.is_terminal() {
        for line in frame::results(&run, Paint { colour: false }) {
            writeln!(stdout, "{line}")?;
        }
    }
    Ok(())
}

fn size(term: &Term) -> Size {
    // Some pseudo-terminals report no size; use the common default.
    let (height, width) = match term.size() {
        (0, _) | (_, 0) => (24, 80),
        size => size,
    };
    Size { width: width.into(), height: height.into() }
}
