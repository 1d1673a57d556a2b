//! Values over time: lines, stacked areas, events and failures.

use super::canvas::{ALONE, Sign, Words, embedded, legend, standalone};
use super::draw::Sheet;
use super::scale::{Spacing, Unit};
use super::table::{Cell, Table};
use super::{Hue, markup};

/// Values of one series. A value that is not a number is a gap, which is not bridged.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub(super) name: String,
    pub(super) hue: Hue,
    pub(super) look: &'static str,
    /// Time and value.
    pub(super) points: Vec<(f64, f64)>,
}

impl Line {
    #[must_use]
    pub fn new(name: &str, hue: Hue, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), hue, look: "", points }
    }

    /// For extremes, which should be less prominent than typical values.
    #[must_use]
    pub fn dotted(self) -> Self {
        Self { look: "dashed", ..self }
    }

    #[must_use]
    pub fn thin(self) -> Self {
        Self { look: "thin", ..self }
    }
}

/// A time range, drawn behind all lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    pub from: f64,
    pub to: f64,
    /// Hover text.
    pub name: String,
}

/// A stage of an event, in a strip above the lines.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    pub from: f64,
    pub to: f64,
    /// Its kind, for the legend.
    pub name: String,
    /// From 0 to 5; see [`Hue::Stage`].
    pub number: usize,
    pub hint: String,
}

/// A point in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    pub at: f64,
    /// The label above the lines, where there is room.
    pub name: String,
}

/// Failures of one cause.
#[derive(Debug, Clone, PartialEq)]
pub struct Miss {
    pub cause: String,
    /// Time and count.
    pub at: Vec<(f64, u64)>,
}

/// A plot over time, in seconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    pub(super) title: String,
    pub(super) about: String,
    pub(super) time: (f64, f64),
    pub(super) unit: Unit,
    pub(super) spacing: Spacing,
    pub(super) lines: Vec<Line>,
    pub(super) stack: Vec<Line>,
    pub(super) bands: Vec<Band>,
    pub(super) stages: Vec<Stage>,
    pub(super) marks: Vec<Mark>,
    pub(super) misses: Vec<Miss>,
}

/// With more areas than this, labels are drawn in the plot instead of a legend.
const LEGEND_MOST: usize = 6;

impl Plot {
    /// A plot from `time.0` to `time.1`, in seconds, with values in `unit`.
    #[must_use]
    pub fn new(title: &str, time: (f64, f64), unit: Unit) -> Self {
        Self {
            title: title.to_owned(),
            about: String::new(),
            time,
            unit,
            spacing: Spacing::Linear,
            lines: Vec::new(),
            stack: Vec::new(),
            bands: Vec::new(),
            stages: Vec::new(),
            marks: Vec::new(),
            misses: Vec::new(),
        }
    }

    /// The accessible description.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        text.clone_into(&mut self.about);
        self
    }

    /// Logarithmic scale. Values of 0 and less are gaps then.
    #[must_use]
    pub fn log(self) -> Self {
        Self { spacing: Spacing::Log, ..self }
    }

    #[must_use]
    pub fn line(mut self, line: Line) -> Self {
        self.lines.push(line);
        self
    }

    /// Stacked areas, the first at the bottom. All must have their points at the same times.
    #[must_use]
    pub fn stack(mut self, lines: impl IntoIterator<Item = Line>) -> Self {
        self.stack.extend(lines);
        self
    }

    #[must_use]
    pub fn bands(mut self, bands: impl IntoIterator<Item = Band>) -> Self {
        self.bands.extend(bands);
        self
    }

    #[must_use]
    pub fn stages(mut self, stages: impl IntoIterator<Item = Stage>) -> Self {
        self.stages.extend(stages);
        self
    }

    #[must_use]
    pub fn marks(mut self, marks: impl IntoIterator<Item = Mark>) -> Self {
        self.marks.extend(marks);
        self
    }

    #[must_use]
    pub fn misses(mut self, misses: impl IntoIterator<Item = Miss>) -> Self {
        self.misses.extend(misses);
        self
    }

    /// Whether there is no value to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let points = self.lines.iter().chain(&self.stack).flat_map(|line| &line.points);
        points.into_iter().all(|(_, value)| !value.is_finite()) && self.misses.is_empty()
    }

    /// The plot as an SVG file; `under` is its subtitle and may be empty.
    #[must_use]
    pub fn standalone(&self, under: &str) -> String {
        let (inside, height, _) = self.draw(ALONE);
        standalone(&self.words(String::new()), under, ALONE, height, &inside)
    }

    pub(super) fn svg(&self, scope: &str, width: f64) -> String {
        let (inside, height, data) = self.draw(width);
        embedded(&self.words(data), scope, (width, height), &inside)
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    /// The data as a table. The first column is the time, which the page's script reads too.
    pub(super) fn table(&self) -> Table {
        let series: Vec<&Line> = self.stack.iter().chain(&self.lines).collect();
        let mut times: Vec<f64> = series.iter().flat_map(|line| line.points.iter().map(|(time, _)| *time)).collect();
        times.sort_by(f64::total_cmp);
        times.dedup();
        let head = std::iter::once("time").chain(series.iter().map(|line| line.name.as_str()));
        let head = head.map(|name| Cell::Number(name.to_owned())).collect();
        let rows = times.into_iter().map(|time| {
            let values = series.iter().map(|line| {
                let at = line.points.iter().find(|point| point.0 == time).map(|point| point.1);
                let value = at.filter(|value| value.is_finite());
                Cell::Number(value.map_or("–".to_owned(), |value| self.unit.text(value)))
            });
            std::iter::once(Cell::Number(format!("{time:.1} s"))).chain(values).collect()
        });
        Table::new(&self.title, head).rows(rows)
    }

    fn words(&self, data: String) -> Words<'_> {
        Words { title: &self.title, about: &self.about, data }
    }

    fn signs(&self) -> Vec<(Sign, String)> {
        let mut signs: Vec<_> =
            self.lines.iter().map(|line| (Sign::Line(line.hue, line.look), line.name.clone())).collect();
        if self.stack.len() <= LEGEND_MOST {
            signs.extend(self.stack.iter().map(|line| (Sign::Square(line.hue), line.name.clone())));
        }
        let mut kinds: Vec<(usize, &str)> = Vec::new();
        for stage in &self.stages {
            // The flip has its own symbol.
            let is_marked = stage.number == 3 && !self.marks.is_empty();
            if !is_marked && !kinds.iter().any(|(number, _)| *number == stage.number) {
                kinds.push((stage.number, &stage.name));
            }
        }
        kinds.sort_unstable();
        signs.extend(kinds.into_iter().map(|(number, name)| (Sign::Square(Hue::Stage(number)), name.to_owned())));
        if !self.marks.is_empty() {
            signs.push((Sign::Flip, "flip".to_owned()));
        }
        signs.extend(self.misses.iter().enumerate().map(|(number, miss)| {
            let count: u64 = miss.at.iter().map(|(_, count)| count).sum();
            (Sign::Cross(number), format!("{} × {}", Unit::Count.text(count as f64), miss.cause))
        }));
        signs
    }

    /// The plot's content, its height, and the data for the page's script.
    fn draw(&self, width: f64) -> (String, f64, String) {
        let mut canvas = markup::Canvas::default();
        let top = legend(&mut canvas, &self.signs(), width, 0.0);
        let sheet = Sheet::new(self, width, top);
        sheet.draw(&mut canvas);
        let ((left, right), (from, to)) = (sheet.horizontal(), self.time);
        let (upper, lower) = sheet.vertical();
        let data = format!(
            r#" data-left="{left:.1}" data-right="{right:.1}" data-from="{from}" data-to="{to}" data-top="{upper:.1}" data-bottom="{lower:.1}""#
        );
        (canvas.out, sheet.height(), data)
    }
}
