//! Horizontal bar charts with the range of the rounds.

use super::canvas::{ALONE, Sign, Words, embedded, legend, standalone};
use super::markup::{Anchor, Canvas, width_of};
use super::scale::{Scale, Unit};
use super::table::{Cell, Table};
use super::{Hue, canvas};

const BAR: f64 = 20.0;
/// Below this width, names are drawn above the bars.
const BESIDE: f64 = 600.0;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    name: String,
    value: f64,
    spread: Option<(f64, f64)>,
    note: String,
    hue: Hue,
}

impl Bar {
    /// In the chart's unit; milliseconds for [`Unit::Milliseconds`].
    #[must_use]
    pub fn new(name: &str, value: f64, hue: Hue) -> Self {
        Self { name: name.to_owned(), value, spread: None, note: String::new(), hue }
    }

    /// The lowest and highest of the rounds; `value` is their median.
    #[must_use]
    pub fn spread(mut self, lowest: f64, highest: f64) -> Self {
        self.spread = Some((lowest, highest));
        self
    }

    /// A short note beside the value.
    #[must_use]
    pub fn note(mut self, note: &str) -> Self {
        note.clone_into(&mut self.note);
        self
    }
}

/// A chart with one bar per subject. All bars start at 0, so lengths are proportional to values.
#[derive(Debug, Clone, PartialEq)]
pub struct Bars {
    title: String,
    unit: Unit,
    bars: Vec<Bar>,
}

impl Bars {
    #[must_use]
    pub fn new(title: &str, unit: Unit) -> Self {
        Self { title: title.to_owned(), unit, bars: Vec::new() }
    }

    /// Appends a bar.
    #[must_use]
    pub fn bar(mut self, bar: Bar) -> Self {
        self.bars.push(bar);
        self
    }

    /// The chart as an SVG file; `under` is its subtitle and may be empty.
    #[must_use]
    pub fn standalone(&self, under: &str) -> String {
        let (inside, height) = self.draw(ALONE);
        standalone(&self.words(), under, ALONE, height, &inside)
    }

    pub(super) fn svg(&self, scope: &str, width: f64) -> String {
        let (inside, height) = self.draw(width);
        embedded(&self.words(), scope, (width, height), &inside)
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn table(&self) -> Table {
        let head = [("", false), ("value", true), ("lowest", true), ("highest", true), ("", false)];
        let head = head.map(|(text, is_number)| match is_number {
            true => Cell::Number(text.to_owned()),
            false => Cell::Word(text.to_owned()),
        });
        let rows = self.bars.iter().map(|bar| {
            let end = |value: Option<f64>| Cell::Number(value.map_or("–".to_owned(), |value| self.unit.text(value)));
            let (lowest, highest) = (bar.spread.map(|spread| spread.0), bar.spread.map(|spread| spread.1));
            let name = Cell::Word(bar.name.clone());
            vec![name, end(Some(bar.value)), end(lowest), end(highest), Cell::Words(bar.note.clone())]
        });
        Table::new(&self.title, head.to_vec()).rows(rows)
    }

    fn words(&self) -> Words<'_> {
        Words { title: &self.title, about: "", data: String::new() }
    }

    /// The maximum of all values, ranges included.
    fn most(&self) -> f64 {
        let ends = self.bars.iter().flat_map(|bar| [bar.value, bar.spread.map_or(bar.value, |(_, highest)| highest)]);
        ends.filter(|value| value.is_finite()).fold(0.0, f64::max)
    }

    fn said(&self, bar: &Bar) -> String {
        let value = self.unit.text(bar.value);
        if bar.note.is_empty() { value } else { format!("{value}  {}", bar.note) }
    }

    fn draw(&self, width: f64) -> (String, f64) {
        let mut canvas = Canvas::default();
        let has_spread = self.bars.iter().any(|bar| bar.spread.is_some());
        let signs = [(Sign::Line(Hue::Quiet, "thin"), "lowest to highest round".to_owned())];
        let beside = width >= BESIDE;
        let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
        let left = if beside { widest(&mut self.bars.iter().map(|bar| width_of(&bar.name))) + 16.0 } else { 0.0 };
        let right = widest(&mut self.bars.iter().map(|bar| width_of(&self.said(bar)))) + 14.0;
        // Long notes must not shorten the bars.
        let end = (width - right).max(left + (width - left) * 0.4);
        let scale = Scale::from_zero(self.most(), self.unit, if beside { 5 } else { 3 }, (left, end));
        let row = if beside { BAR + 14.0 } else { BAR + 30.0 };
        let bottom = self.bars.len() as f64 * row + 4.0;
        for (x, text) in scale.named(self.unit) {
            canvas.line("grid", (x, 0.0), (x, bottom));
            canvas.text("axis", (x, bottom + 15.0), if x <= left { Anchor::Start } else { Anchor::Middle }, &text);
        }
        for (index, bar) in self.bars.iter().enumerate() {
            let top = index as f64 * row + if beside { 7.0 } else { 22.0 };
            let middle = top + BAR / 2.0;
            let (name_x, name_y, anchor) = match beside {
                true => (left - 12.0, middle + 4.0, Anchor::End),
                false => (0.0, top - 6.0, Anchor::Start),
            };
            canvas.text("", (name_x, name_y), anchor, &bar.name);
            let hint = format!("{}: {}", bar.name, self.said(bar));
            // Zero is drawn as a line, to tell it from a missing value.
            let length = (scale.place(bar.value) - left).max(2.0);
            canvas.rect(&format!("bar {}", bar.hue.class()), (left, top), (length, BAR), &hint);
            let mut text_x = left + length;
            if let Some((lowest, highest)) = bar.spread {
                let (from, to) = (scale.place(lowest), scale.place(highest));
                canvas.path(
                    "spread",
                    &format!(
                        "M{from:.1} {0}V{1}M{from:.1} {middle}H{to:.1}M{to:.1} {0}V{1}",
                        middle - 4.0,
                        middle + 4.0
                    ),
                );
                text_x = text_x.max(to);
            }
            canvas.text("value", (text_x + 8.0, middle + 4.0), Anchor::Start, &self.said(bar));
        }
        let mut height = bottom + 22.0;
        if has_spread {
            height = legend(&mut canvas, &signs, width, height + 4.0);
        }
        (canvas.out, height.max(canvas::NARROW / 8.0))
    }
}
