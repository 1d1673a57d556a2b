//! Text that replaces what was shown before.

use std::io;

use console::{Term, truncate_str};

use super::screen::Screen;

/// Repeatedly redraws text on standard output.
pub struct Watch {
    term: Term,
    screen: Screen<Term>,
}

impl Default for Watch {
    fn default() -> Self {
        let term = Term::stdout();
        Self { screen: Screen::new(term.clone()), term }
    }
}

impl Watch {
    /// Shows as much as fits: lines that wrapped or scrolled away could not be overwritten.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn show(&mut self, lines: &[String]) -> io::Result<()> {
        let (height, width) = match self.term.size() {
            (0, _) | (_, 0) => (24, 80),
            (height, width) => (usize::from(height), usize::from(width)),
        };
        let room = height.saturating_sub(1).max(1);
        let hidden = lines.len().saturating_sub(room);
        let shown = if hidden > 0 { room - 1 } else { lines.len() };
        let mut frame: Vec<String> =
            lines[..shown].iter().map(|line| truncate_str(line, width.saturating_sub(1), "…").into_owned()).collect();
        if hidden > 0 {
            frame.push(format!("… and {} lines more", lines.len() - shown));
        }
        self.screen.draw(frame, width)
    }
}
