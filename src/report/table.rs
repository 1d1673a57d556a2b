//! Aligned columns for people: no lines, no boxes, readable without colour.
//!
//! Cells may carry colour; what counts is how wide they look. A column without a value in any row is left out.

use std::fmt::{self, Write};

use console::{Alignment, measure_text_width, pad_str};

const GAP: &str = "  ";

/// How a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    Left,
    /// For numbers.
    Right,
}

/// Rows below a header, with lines between them that belong to no column.
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
    /// The header's words are lowercase; an empty one is allowed.
    #[must_use]
    pub fn new<const N: usize>(columns: [(&'static str, Align); N]) -> Self {
        Self { columns: columns.to_vec(), lines: Vec::new() }
    }

    /// Missing cells are empty, further ones are not shown.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.lines.push(Line::Row(cells.into_iter().map(Into::into).collect()));
    }

    /// A line below the last row, as it is.
    pub fn note(&mut self, text: impl Into<String>) {
        self.lines.push(Line::Note(text.into()));
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The header and all lines, without spaces at their ends.
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

    /// 0 for a column that says nothing.
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
    fn spaces_at_a_lines_end_are_left_out() {
        let mut table = Table::new([("app", Align::Left), ("state", Align::Left)]);
        table.row(["web", "serving"]);
        table.row(["worker", ""]);
        assert_eq!(table.to_string(), "app     state\nweb     serving\nworker");
    }
}
