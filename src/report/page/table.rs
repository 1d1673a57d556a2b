//! Tables of a page, with the data of each plot.

use std::fmt::Write;

use super::markup::escape;

/// One cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Right-aligned.
    Number(String),
    Word(String),
    /// May wrap.
    Words(String),
    Code(String),
}

impl Cell {
    pub(super) fn html(&self, tag: &str) -> String {
        match self {
            Self::Number(text) => format!(r#"<{tag} class="number">{}</{tag}>"#, escape(text)),
            Self::Word(text) => format!("<{tag}>{}</{tag}>", escape(text)),
            Self::Words(text) => format!(r#"<{tag} class="words">{}</{tag}>"#, escape(text)),
            Self::Code(text) => format!(r#"<{tag} class="words"><code>{}</code></{tag}>"#, escape(text)),
        }
    }
}

/// Rows below a header; the first cell of a row is its heading.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    caption: String,
    head: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
}

impl Table {
    /// `caption` is for screen readers.
    #[must_use]
    pub fn new(caption: &str, head: Vec<Cell>) -> Self {
        Self { caption: caption.to_owned(), head, rows: Vec::new() }
    }

    #[must_use]
    pub fn row(mut self, cells: Vec<Cell>) -> Self {
        self.rows.push(cells);
        self
    }

    #[must_use]
    pub fn rows(mut self, rows: impl IntoIterator<Item = Vec<Cell>>) -> Self {
        self.rows.extend(rows);
        self
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Wrapped in a scrollable element, so that a wide table does not widen the page.
    pub(super) fn html(&self) -> String {
        let caption = escape(&self.caption);
        let mut out = format!(r#"<div class="scroll" tabindex="0" role="region" aria-label="{caption}"><table>"#);
        out.push_str("<thead><tr>");
        for cell in &self.head {
            let class = if matches!(cell, Cell::Number(_)) { r#" class="number""# } else { "" };
            let (Cell::Number(text) | Cell::Word(text) | Cell::Words(text) | Cell::Code(text)) = cell;
            let _ = write!(out, r#"<th scope="col"{class}>{}</th>"#, escape(text));
        }
        out.push_str("</tr></thead><tbody>");
        for row in &self.rows {
            out.push_str("<tr>");
            for cell in row {
                out.push_str(&cell.html("td"));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table></div>");
        out
    }
}
