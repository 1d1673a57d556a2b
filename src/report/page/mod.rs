//! Pictures of measurements: a page of its own, with plots that are drawn here.
//!
//! Data goes in, a `String` comes out; nothing is read, asked or written. A [`Page`] is one HTML file that loads nothing
//! from elsewhere and is light or dark as its reader's system is. A [`Plot`] (lines, stacked areas, bands, marks over
//! time) or [`Bars`] (one measure of several rivals) goes into a page, or stands alone as an SVG file for a README.
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
//! Colours are names of a [`Hue`], never values: one style sheet turns them into light and dark.

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

/// What a colour means. Beside it there is always a second sign: a dash, a name, a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hue {
    /// One of five that are told apart, also by the colour-blind; beyond them they come again.
    Series(usize),
    /// Of a deploy, from 0, its beginning, to 5, its end; 3 is the flip.
    Stage(usize),
    /// What stands beside the subject, such as a rival or an extreme.
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
