//! Redraws lines in place on a terminal.

use std::io::{self, Write};

use console::measure_text_width;

/// Remembers the last frame, to overwrite it with the next.
pub(super) struct Screen<W> {
    out: W,
    drawn: Vec<String>,
}

impl<W: Write> Screen<W> {
    pub fn new(out: W) -> Self {
        Self { out, drawn: Vec::new() }
    }

    /// Replaces the last frame with one write, so that no partial frame is visible.
    ///
    /// The cursor stays visible and below the frame, so that the terminal is usable if the process ends here.
    pub fn draw(&mut self, lines: Vec<String>, width: usize) -> io::Result<()> {
        let mut frame = String::new();
        let above = self.rows_above(width);
        if above > 0 {
            frame += &format!("\x1b[{above}A\r");
        }
        for line in &lines {
            frame += line;
            frame += "\x1b[K\n";
        }
        frame += "\x1b[J";
        self.out.write_all(frame.as_bytes())?;
        self.out.flush()?;
        self.drawn = lines;
        Ok(())
    }

    /// In a window that became narrower, the lines drawn before have wrapped.
    fn rows_above(&self, width: usize) -> usize {
        self.drawn.iter().map(|line| measure_text_width(line).div_ceil(width.max(1)).max(1)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(drawings: &[(&[&str], usize)]) -> String {
        let mut screen = Screen::new(Vec::new());
        for (lines, width) in drawings {
            screen.draw(lines.iter().map(ToString::to_string).collect(), *width).expect("written");
        }
        String::from_utf8(screen.out).expect("text")
    }

    #[test]
    fn a_frame_takes_the_place_of_the_one_before() {
        let text = frames(&[(&["one", "two"], 80), (&["three"], 80)]);
        assert_eq!(text, "one\x1b[K\ntwo\x1b[K\n\x1b[J\x1b[2A\rthree\x1b[K\n\x1b[J");
    }

    #[test]
    fn lines_that_a_narrower_window_has_wrapped_are_replaced_whole() {
        let text = frames(&[(&["twelve chars", ""], 80), (&["x"], 5)]);
        assert!(text.contains("\x1b[4A\r"), "{text:?}");
    }
}
