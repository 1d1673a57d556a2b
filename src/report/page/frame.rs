//! The page around the plots: verdict, figures, sections. One file without external resources.

use std::fmt::Write;

use super::bars::Bars;
use super::canvas::{NARROW, WIDE, compact, style};
use super::markup::escape;
use super::plot::Plot;
use super::table::Table;

const FRAME: &str = include_str!("frame.css");
const SCRIPT: &str = include_str!("page.js");

/// The page's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Good,
    Bad,
    /// A comparison without a verdict.
    Neutral,
}

/// A key figure at the top of the page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tile {
    pub name: String,
    pub value: String,
    /// A short caption.
    pub note: String,
    pub is_bad: bool,
}

/// A section with its heading.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Section {
    title: String,
    body: String,
}

impl Section {
    /// Without a title, the section continues the previous one.
    #[must_use]
    pub fn new(title: &str) -> Self {
        Self { title: title.to_owned(), body: String::new() }
    }

    #[must_use]
    pub fn tiles(mut self, tiles: &[Tile]) -> Self {
        self.body.push_str(r#"<dl class="tiles">"#);
        for Tile { name, value, note, is_bad } in tiles {
            let (name, value, note) = (escape(name), escape(value), escape(note));
            let bad = if *is_bad { " bad" } else { "" };
            let _ = write!(self.body, r#"<div class="tile{bad}"><dt>{name}</dt><dd>{value}</dd>"#);
            if !note.is_empty() {
                let _ = write!(self.body, r#"<dd class="muted">{note}</dd>"#);
            }
            self.body.push_str("</div>");
        }
        self.body.push_str("</dl>");
        self
    }

    /// The plot at both widths, and its data as a table. `under` is the subtitle.
    #[must_use]
    pub fn plot(self, plot: &Plot, under: &str) -> Self {
        let drawings = [WIDE, NARROW].map(|width| plot.svg(&self.title, width));
        self.figure(plot.title(), under, &drawings, &plot.table(), true)
    }

    #[must_use]
    pub fn bars(self, bars: &Bars, under: &str) -> Self {
        let drawings = [WIDE, NARROW].map(|width| bars.svg(&self.title, width));
        self.figure(bars.title(), under, &drawings, &bars.table(), false)
    }

    #[must_use]
    pub fn table(mut self, title: &str, under: &str, table: &Table) -> Self {
        self.head(title, under);
        self.body.push_str(&table.html());
        self.body.push_str("</section>");
        self
    }

    fn figure(mut self, title: &str, under: &str, drawings: &[String; 2], table: &Table, is_read: bool) -> Self {
        self.head(title, under);
        let [wide, narrow] = drawings;
        // Hover text is hidden from screen readers, which have the table.
        let readout = if is_read { r#"<p class="readout muted" aria-hidden="true"></p>"# } else { "" };
        let _ = write!(
            self.body,
            r#"<figure><div class="wide">{wide}</div><div class="narrow">{narrow}</div></figure>{readout}<details><summary>The same in figures</summary>{}</details></section>"#,
            table.html()
        );
        self
    }

    fn head(&mut self, title: &str, under: &str) {
        let _ = write!(self.body, r#"<section class="card"><h3>{}</h3>"#, escape(title));
        if !under.is_empty() {
            let _ = write!(self.body, r#"<p class="muted">{}</p>"#, escape(under));
        }
    }
}

/// An HTML page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    title: String,
    verdict: Verdict,
    under: String,
    sections: Vec<Section>,
    foot: String,
}

impl Page {
    /// The title states the result; it is also the window's title.
    #[must_use]
    pub fn new(title: &str, verdict: Verdict) -> Self {
        Self { title: title.to_owned(), verdict, under: String::new(), sections: Vec::new(), foot: String::new() }
    }

    /// The subtitle.
    #[must_use]
    pub fn under(mut self, text: &str) -> Self {
        text.clone_into(&mut self.under);
        self
    }

    #[must_use]
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// The footer.
    #[must_use]
    pub fn foot(mut self, text: &str) -> Self {
        text.clone_into(&mut self.foot);
        self
    }

    /// The complete HTML file.
    #[must_use]
    pub fn html(&self) -> String {
        let (title, under, foot) = (escape(&self.title), escape(&self.under), escape(&self.foot));
        let (style, frame, sign) = (style(), compact(FRAME), sign(self.verdict));
        let mut body = String::new();
        for section in &self.sections {
            if !section.title.is_empty() {
                let _ = write!(body, "<h2>{}</h2>", escape(&section.title));
            }
            body.push_str(&section.body);
        }
        // The content security policy enforces that nothing is loaded.
        format!(
            r#"<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark"><title>{title}</title><link rel="icon" href="data:,">
<style>{style}{frame}</style></head>
<body><header class="verdict">{sign}<h1>{title}</h1><p>{under}</p></header>
<main>{body}</main>
<footer class="muted">{foot}</footer>
<script>{SCRIPT}</script></body></html>
"#
        )
    }
}

/// A tick or a cross, so that colour is not the only sign.
fn sign(verdict: Verdict) -> String {
    let (class, name, shape) = match verdict {
        Verdict::Good => ("good", "passed", "M12 20.5l5.5 5.5L28.5 15"),
        Verdict::Bad => ("bad", "failed", "M14 14l12 12M26 14L14 26"),
        Verdict::Neutral => return String::new(),
    };
    format!(
        r#"<svg class="sign {class}" viewBox="0 0 40 40" role="img" aria-label="{name}"><circle cx="20" cy="20" r="20"/><path d="{shape}"/></svg>"#
    )
}
