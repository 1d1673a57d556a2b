//! Aligned columns without borders, readable without colour.
//!
//! Cells may contain colour codes; alignment uses the visible width. Empty columns are omitted.

use std::fmt::{self, Write};

use console::{Alignment, measure_text_width, pad_str, truncate_str};

const GAP: &str = "  ";

/// Alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Rows below a header, and lines between rows that span all columns.
#[derive(Debug, Clone)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
enum Line {
    Row(Vec<String>),
    Note(String),
}

impl Table {
    /// Header texts are lowercase and may be empty.
    #[must_use]
    pub fn new<const N: usize>(columns: [(&'static str, Align); N]) -> Self {
        Self { columns: columns.to_vec(), lines: Vec::new() }
    }

    /// Missing cells are empty, surplus cells are dropped.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.lines.push(Line::Row(cells.into_iter().map(Into::into).collect()));
    }

    /// A line below the last row, printed as it is.
    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Note(text.into()));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The header and all lines, without trailing spaces.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let header = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        let widths: Vec<usize> = (0..self.columns.len()).map(|column| self.width(column)).collect();
        let lines = self.lines.iter().map(|line| match line {
            Line::Row(cells) => self.aligned(cells, &widths),
            Line::Note(text) => text.clone(),
        });
        std::iter::once(self.aligned(&header, &widths)).chain(lines).collect()
    }

    /// Fits the table into `width`: omits the columns of `spare` one by one, then wraps notes and truncates what is
    /// still too long. `None`: no limit, for files and pipes.
    #[must_use]
    pub fn lines_within(mut self, width: Option<usize>, spare: &[&str]) -> Vec<String> {
        let Some(width) = width else { return self.lines() };
        for name in spare {
            if self.total() <= width {
                break;
            }
            self.leave_out(name);
        }
        let lines = std::mem::take(&mut self.lines);
        self.lines = lines.into_iter().flat_map(|line| wrapped(line, width)).collect();
        self.lines().iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
    }

    /// The total width of the rows.
    fn total(&self) -> usize {
        let widths = (0..self.columns.len()).map(|column| self.width(column)).filter(|width| *width > 0);
        let (columns, sum) = widths.fold((0, 0), |(columns, sum), width| (columns + 1, sum + width));
        sum + GAP.len() * usize::saturating_sub(columns, 1)
    }

    fn leave_out(&mut self, name: &str) {
        let Some(index) = self.columns.iter().position(|(other, _)| *other == name) else { return };
        self.columns.remove(index);
        for line in &mut self.lines {
            match line {
                Line::Row(cells) if cells.len() > index => drop(cells.remove(index)),
                Line::Row(_) | Line::Note(_) => {}
            }
        }
    }

    /// 0 for an empty column.
    fn width(&self, column: usize) -> usize {
        let cells = self.lines.iter().filter_map(|line| match line {
            Line::Row(cells) => cells.get(column),
            Line::Note(_) => None,
        });
        match cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0) {
            0 => 0,
            widest => widest.max(measure_text_width(self.columns[column].0)),
        }
    }

    fn aligned(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        let mut gap = "";
        for (column, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
            let alignment = match self.columns[column].1 {
                Align::Left => Alignment::Left,
                Align::Right => Alignment::Right,
            };
            line += gap;
            line += &pad_str(cells.get(column).map_or("", String::as_str), *width, alignment, None);
            gap = GAP;
        }
        line.truncate(line.trim_end().len());
        line
    }
}

/// A wrapped note continues at the indentation of its first line.
fn wrapped(line: Line, width: usize) -> Vec<Line> {
    let Line::Note(text) = &line else { return vec![line] };
    if measure_text_width(text) <= width {
        return vec![line];
    }
    let plain = console::strip_ansi_codes(text);
    let (before, after) = text.split_once(plain.trim()).unwrap_or(("", ""));
    let indent = plain.len() - plain.trim_start().len();
    let room = width.saturating_sub(indent + GAP.len()).max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in plain.split_whitespace() {
        match lines.last_mut() {
            Some(last) if measure_text_width(last) + 1 + measure_text_width(word) <= room => {
                *last += " ";
                *last += word;
            }
            _ => lines.push(word.to_owned()),
        }
    }
    let further = " ".repeat(indent + GAP.len());
    let note = |(index, line): (usize, String)| {
        let indent = if index == 0 { "" } else { further.as_str() };
        let before = if index == 0 { before } else { before.trim_start_matches(' ') };
        Line::Note(format!("{indent}{before}{line}{after}"))
    };
    lines.into_iter().enumerate().map(note).collect()
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, line) in self.lines().iter().enumerate() {
            if index > 0 {
                f.write_char('\n')?;
            }
            f.write_str(line)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_they_show() {
        let mut table = Table::new([("app", Align::Left), ("open", Align::Right), ("note", Align::Left)]);
        table.row(["go-app", "3", ""]);
        table.note("  a line of its own, as wide as it likes");
        table.row(["\u{1b}[1mé\u{1b}[0m", "1,204"]);
        assert_eq!(
            table.lines(),
            [
                "app      open",
                "go-app      3",
                "  a line of its own, as wide as it likes",
                "\u{1b}[1mé\u{1b}[0m       1,204"
            ]
        );
    }

    #[test]
    fn what_is_too_wide_loses_spare_columns_first() {
        let mut table = Table::new([("app", Align::Left), ("version", Align::Left), ("state", Align::Left)]);
        table.row(["web", "1.4.0+7", "serving"]);
        table.note("  drift: environment.COLOUR is another one now");
        assert_eq!(table.clone().lines_within(Some(80), &["version"]), table.lines());
        let narrow = table.clone().lines_within(Some(20), &["version"]);
        assert_eq!(
            narrow,
            ["app  state", "web  serving", "  drift:", "    environment.COL…", "    is another one", "    now"]
        );
        assert_eq!(table.lines_within(Some(9), &["version"])[1], "web  ser…");
    }

    #[test]
    fn spaces_at_a_lines_end_are_left_out() {
        let mut table = Table::new([("app", Align::Left), ("state", Align::Left)]);
        table.row(["web", "serving"]);
        table.row(["worker", ""]);
        assert_eq!(table.to_string(), "app     state\nweb     serving\nworker");
    }
}
