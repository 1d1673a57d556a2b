//! Charts of measurements as HTML pages and SVG files.
//!
//! Pure: data in, a `String` out. A [`Page`] is one HTML file without external resources that follows the reader's light
//! or dark theme. A [`Plot`] (lines, stacked areas, bands, marks over time) or [`Bars`] (one measure of several
//! subjects) is part of a page, or an SVG file of its own for a README.
//!
//! ```
//! use deploy_apps::report::page::{Bar, Bars, Hue, Page, Section, Unit, Verdict};
//!
//! let bars = Bars::new("Failed requests in 12 flips", Unit::Count)
//!     .bar(Bar::new("this", 0.0, Hue::Series(0)))
//!     .bar(Bar::new("nginx -s reload", 1413.0, Hue::Quiet).spread(902.0, 1588.0).note("9 rounds"));
//! let alone: String = bars.standalone("fewer is better");
//! let page = Page::new("Rivals", Verdict::Neutral).section(Section::new("Flips").bars(&bars, "fewer is better"));
//! assert!(alone.starts_with("<svg ") && page.html().starts_with("<!doctype html>"));
//! ```
//!
//! Colours are named by a [`Hue`]; one style sheet defines them for both themes.

mod bars;
mod canvas;
mod draw;
mod frame;
mod markup;
mod plot;
mod scale;
mod shapes;
mod table;

#[cfg(test)]
mod tests;

pub use bars::{Bar, Bars};
pub use frame::{Page, Section, Tile, Verdict};
pub use markup::escape;
pub use plot::{Band, Line, Mark, Miss, Plot, Stage};
pub use scale::{Spacing, Unit};
pub use table::{Cell, Table};

/// The meaning of a colour. There is always a second sign: a dash, a name, a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hue {
    /// One of five colours that the colour-blind can tell apart; they repeat beyond five.
    Series(usize),
    /// A stage of a deploy, from 0 (first) to 5 (last); 3 is the flip.
    Stage(usize),
    /// Context, such as a rival or an extreme.
    Quiet,
    /// Failures.
    Lost,
}

impl Hue {
    fn class(self) -> String {
        match self {
            Self::Series(number) => format!("c{}", number % 5),
            Self::Stage(number) => format!("s{}", number.min(5)),
            Self::Quiet => "quiet".to_owned(),
            Self::Lost => "lost".to_owned(),
        }
    }
}
