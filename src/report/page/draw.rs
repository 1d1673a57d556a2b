//! Lays out a plot and draws it layer by layer.

use super::markup::{Anchor, Canvas, width_of};
use super::plot::{Line, Plot};
use super::scale::{Scale, Spacing, Unit};
use super::shapes::{area, cross, line};

const STRIP: f64 = 14.0;
/// Minimum width, so that a stage of a few milliseconds is visible.
const THINNEST: f64 = 1.5;
/// Minimum height of an area that is labelled.
const NAME: f64 = 20.0;
const ENOUGH: f64 = 60.0;

pub(super) struct Sheet<'a> {
    plot: &'a Plot,
    x: Scale,
    y: Scale,
    left: f64,
    right: f64,
    /// Height of the strip of stages.
    strip: f64,
    top: f64,
    bottom: f64,
}

impl<'a> Sheet<'a> {
    pub(super) fn new(plot: &'a Plot, width: f64, top: f64) -> Self {
        let is_wide = width >= 600.0;
        let names = if plot.marks.is_empty() { top } else { top + 16.0 };
        let strip = names;
        let top = if plot.stages.is_empty() { names } else { strip + STRIP + 4.0 } + 4.0;
        let bottom = top + if is_wide { 210.0 } else { 170.0 } + if plot.misses.is_empty() { 0.0 } else { 16.0 };
        let y = vertical(plot, (bottom, top));
        // The same left edge for all plots of a page where possible, so that times line up.
        let names =
            y.named(plot.unit).map(|(_, text)| width_of(&text)).fold(if is_wide { 48.0 } else { 40.0 }, f64::max);
        let left = names + 8.0;
        let right = width - 6.0;
        let x = Scale::exact(plot.time, Unit::Seconds, if is_wide { 8 } else { 4 }, (left, right));
        Self { plot, x, y, left, right, strip, top, bottom }
    }

    pub(super) fn height(&self) -> f64 {
        self.bottom + 24.0
    }

    pub(super) fn horizontal(&self) -> (f64, f64) {
        (self.left, self.right)
    }

    pub(super) fn vertical(&self) -> (f64, f64) {
        (self.top, self.bottom)
    }

    pub(super) fn draw(&self, canvas: &mut Canvas) {
        self.bands(canvas);
        self.axes(canvas);
        self.stack(canvas);
        // Extremes are drawn first, so that typical values cover them.
        for series in self.plot.lines.iter().rev() {
            let places = series.points.iter().map(|(time, value)| (self.x.place(*time), self.height_of(*value)));
            canvas.path(&format!("edge {} {}", series.look, series.hue.class()), &line(places));
        }
        self.stages(canvas);
        self.marks(canvas);
        self.misses(canvas);
    }

    fn height_of(&self, value: f64) -> f64 {
        let is_shown = value.is_finite() && (self.plot.spacing == Spacing::Linear || value > 0.0);
        if is_shown { self.y.place(value) } else { f64::NAN }
    }

    /// Clipped to the visible time range; `None` when outside.
    fn span(&self, from: f64, to: f64) -> Option<(f64, f64)> {
        let (first, last) = self.x.values();
        (to >= first && from <= last).then(|| (self.x.place(from), self.x.place(to)))
    }

    fn bands(&self, canvas: &mut Canvas) {
        for band in &self.plot.bands {
            if let Some((from, to)) = self.span(band.from, band.to) {
                // Half a pixel less at each end keeps adjacent deploys apart.
                let size = ((to - from - 1.0).max(THINNEST), self.bottom - self.top);
                canvas.rect("band", (from + 0.5, self.top), size, &band.name);
            }
        }
    }

    fn axes(&self, canvas: &mut Canvas) {
        for (y, text) in self.y.named(self.plot.unit) {
            canvas.line("grid", (self.left, y), (self.right, y));
            canvas.text("axis", (self.left - 8.0, y + 4.0), Anchor::End, &text);
        }
        let mut free = f64::MIN;
        for (x, text) in self.x.named(Unit::Seconds) {
            let half = width_of(&text) / 2.0;
            // Labels are kept inside the right edge.
            let (place, anchor, from) = match x + half > self.right {
                true => (self.right, Anchor::End, self.right - 2.0 * half),
                false => (x, Anchor::Middle, x - half),
            };
            canvas.line("grid", (x, self.bottom), (x, self.bottom + 4.0));
            if from > free {
                canvas.text("axis", (place, self.bottom + 17.0), anchor, &text);
                free = from + 2.0 * half + 6.0;
            }
        }
    }

    fn stack(&self, canvas: &mut Canvas) {
        let mut lower = vec![0.0; self.plot.stack.first().map_or(0, |series| series.points.len())];
        for series in &self.plot.stack {
            let upper: Vec<f64> = lower.iter().zip(&series.points).map(|(below, (_, value))| below + value).collect();
            let places: Vec<(f64, f64, f64)> = std::iter::zip(&series.points, std::iter::zip(&upper, &lower))
                .enumerate()
                // No edge where the series is zero.
                .map(|(index, ((time, _), (upper, lower)))| {
                    let upper = if is_near(&series.points, index) { self.y.place(*upper) } else { f64::NAN };
                    (self.x.place(*time), upper, self.y.place(*lower))
                })
                .collect();
            let class = series.hue.class();
            canvas.path(&format!("area {class}"), &area(&places));
            canvas.path(&format!("edge thin {class}"), &line(places.iter().map(|(x, upper, _)| (*x, *upper))));
            self.name(canvas, series, &places);
            lower.iter_mut().zip(&upper).filter(|(_, upper)| upper.is_finite()).for_each(|(low, high)| *low = *high);
        }
    }

    /// A label at the widest place of an area, if there is room.
    fn name(&self, canvas: &mut Canvas, series: &Line, places: &[(f64, f64, f64)]) {
        let half = width_of(&series.name) * 0.6;
        // The height available for a label there, up to a sufficient height.
        let room = |at: f64| {
            let around = places.iter().filter(|(x, ..)| (x - at).abs() <= half);
            let (top, low) = around.fold((f64::MIN, f64::MAX), |(top, low), (_, upper, lower)| {
                if upper.is_finite() { (top.max(*upper), low.min(*lower)) } else { (f64::MAX, f64::MIN) }
            });
            (f64::midpoint(top, low), (low - top).min(ENOUGH))
        };
        let inside = places.iter().filter(|(x, ..)| x - half > self.left && x + half < self.right);
        let rooms: Vec<(f64, (f64, f64))> = inside.map(|(x, ..)| (*x, room(*x))).collect();
        let best = rooms.iter().map(|(_, (_, height))| *height).fold(NAME, f64::max);
        let equal: Vec<_> = rooms.iter().filter(|(_, (_, height))| *height >= best).collect();
        if let Some((x, (middle, _))) = equal.get(equal.len() / 2) {
            canvas.text("name", (*x, middle + 4.5), Anchor::Middle, &series.name);
        }
    }

    fn stages(&self, canvas: &mut Canvas) {
        for stage in &self.plot.stages {
            let Some((from, to)) = self.span(stage.from, stage.to) else { continue };
            let class = format!("stage s{}", stage.number.min(5));
            canvas.rect(&class, (from, self.strip), ((to - from).max(THINNEST), STRIP), &stage.hint);
        }
    }

    fn marks(&self, canvas: &mut Canvas) {
        let mut free = f64::MIN;
        for mark in &self.plot.marks {
            let Some((x, _)) = self.span(mark.at, mark.at) else { continue };
            let half = width_of(&mark.name) / 2.0;
            let middle = x.clamp(self.left + half, (self.right - half).max(self.left + half));
            canvas.line("flip", (x, self.strip - 2.0), (x, self.bottom));
            // Labels must not overlap; the lines mark all positions.
            if middle - half > free {
                canvas.text("mark", (middle, self.strip - 6.0), Anchor::Middle, &mark.name);
                free = middle + half + 6.0;
            }
        }
    }

    /// A row of crosses at the bottom, each with its number of failures.
    fn misses(&self, canvas: &mut Canvas) {
        for (number, miss) in self.plot.misses.iter().enumerate() {
            for (time, count) in &miss.at {
                let Some((x, _)) = self.span(*time, *time) else { continue };
                let hint = format!("{count} × {} at {time:.1} s", miss.cause);
                canvas.raw(format_args!("<g>"));
                canvas.path("cross", &cross(number, x, self.bottom - 9.0));
                canvas.rect("hit", (x - 6.0, self.bottom - 15.0), (12.0, 12.0), &hint);
                canvas.raw(format_args!("</g>"));
            }
        }
    }
}

/// Whether the series is non-zero here or at a neighbour: each area starts and ends at zero.
fn is_near(points: &[(f64, f64)], index: usize) -> bool {
    let at = |index: usize| points.get(index).is_some_and(|(_, value)| *value > 0.0);
    points[index].1.is_finite() && (at(index) || at(index + 1) || index.checked_sub(1).is_some_and(at))
}

/// The axis that covers all values.
fn vertical(plot: &Plot, places: (f64, f64)) -> Scale {
    let lines = plot.lines.iter().flat_map(|line| line.points.iter().map(|(_, value)| *value));
    let count = plot.stack.first().map_or(0, |line| line.points.len());
    let sums = (0..count).map(|index| {
        let values = plot.stack.iter().filter_map(|line| line.points.get(index).map(|(_, value)| *value));
        values.filter(|value| value.is_finite()).sum::<f64>()
    });
    let all = lines.chain(sums).filter(|value| value.is_finite());
    match plot.spacing {
        Spacing::Linear => Scale::from_zero(all.fold(0.0, f64::max), plot.unit, 4, places),
        Spacing::Log => {
            let (least, most) = all
                .filter(|value| *value > 0.0)
                .fold((f64::INFINITY, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
            Scale::log(least, most, places)
        }
    }
}
