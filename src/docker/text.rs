//! Makes the output of containers and builds safe to show.

/// Removes escape sequences and control characters, and keeps only the last state of a line that redraws itself.
pub(super) fn plain(line: &str) -> String {
    let text = console::strip_ansi_codes(line);
    let text = text.trim_end_matches(['\r', '\n']);
    let last = text.rsplit('\r').next().unwrap_or(text);
    last.chars().map(|c| if c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect()
}

/// Joins chunks to lines; a chunk may contain several lines or a part of one.
#[derive(Debug, Default)]
pub(super) struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// The lines completed by this chunk.
    pub(super) fn push(&mut self, chunk: &[u8]) -> Vec<String> {
        self.partial.extend_from_slice(chunk);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.partial.split_off(end + 1);
        let complete = std::mem::replace(&mut self.partial, rest);
        complete[..end].split(|byte| *byte == b'\n').map(|line| plain(&String::from_utf8_lossy(line))).collect()
    }

    /// The text after the last newline.
    pub(super) fn finish(self) -> Option<String> {
        Some(plain(&String::from_utf8_lossy(&self.partial))).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_redrawn_progress_are_dropped() {
        assert_eq!(plain("\u{1b}[31mred\u{1b}[0m\u{7} end\r\n"), "red end");
        assert_eq!(plain("10%\r50%\r100%"), "100%");
        assert_eq!(plain("a\tb"), "a b");
    }

    #[test]
    fn lines_are_joined_across_chunks() {
        let mut lines = Lines::default();
        assert_eq!(lines.push(b"one\ntw"), ["one"]);
        assert_eq!(lines.push(b"o\n\nthree"), ["two", ""]);
        assert_eq!(lines.finish(), Some("three".to_owned()));
    }
}
