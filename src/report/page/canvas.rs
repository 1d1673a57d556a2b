//! The SVG canvas of a drawing: its size, its accessible name, and its legend.

use std::fmt::Write;

use super::Hue;
use super::markup::{Anchor, At, Canvas, escape, width_of};
use super::shapes::cross;

const STYLE: &str = include_str!("style.css");
/// Margin of a standalone drawing.
const MARGIN: f64 = 20.0;
const LEGEND_ROW: f64 = 20.0;

/// Plot widths for a desktop, a phone and a standalone file. Text keeps its size, so each width is drawn separately.
pub(super) const WIDE: f64 = 1000.0;
pub(super) const NARROW: f64 = 340.0;
pub(super) const ALONE: f64 = 860.0;

/// Texts of a drawing.
pub(super) struct Words<'a> {
    pub(super) title: &'a str,
    /// The accessible description.
    pub(super) about: &'a str,
    /// Additional attributes of the root element.
    pub(super) data: String,
}

/// A drawing embedded in a page, which provides the style. `scope` makes its identifiers unique.
pub(super) fn embedded(words: &Words<'_>, scope: &str, (width, height): (f64, f64), inside: &str) -> String {
    let Words { title, about, data } = words;
    let id = format!("{}-{width}", slug(&format!("{scope} {title}")));
    let (title, about, height) = (escape(title), escape(about), At(height));
    format!(
        r#"<svg class="plot" viewBox="0 0 {width} {height}" role="img" aria-labelledby="{id}-t {id}-d"{data}><title id="{id}-t">{title}</title><desc id="{id}-d">{about}</desc>{inside}</svg>"#
    )
}

/// A standalone SVG file with its style, title and background.
pub(super) fn standalone(words: &Words<'_>, under: &str, inner: f64, height: f64, inside: &str) -> String {
    let heading = if under.is_empty() { 30.0 } else { 50.0 };
    let (width, whole) = (inner + 2.0 * MARGIN, height + heading + 2.0 * MARGIN);
    let mut canvas = Canvas::default();
    canvas.text("heading", (MARGIN, MARGIN + 14.0), Anchor::Start, words.title);
    if !under.is_empty() {
        canvas.text("about", (MARGIN, MARGIN + 34.0), Anchor::Start, under);
    }
    let (title, about) = (escape(words.title), escape(words.about));
    let (style, heading, whole) = (compact(STYLE), canvas.out, At(whole));
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 {width} {whole}" width="{width}" height="{whole}" role="img" aria-labelledby="t d"><title id="t">{title}</title><desc id="d">{about}</desc><style>{style}</style><rect class="ground" x="0.5" y="0.5" width="{}" height="{}" rx="12"/>{heading}<g transform="translate({MARGIN} {})">{inside}</g></svg>"#,
        At(width - 1.0),
        At(height + 2.0 * MARGIN + if under.is_empty() { 29.0 } else { 49.0 }),
        MARGIN + if under.is_empty() { 30.0 } else { 50.0 },
    ) + "\n"
}

/// The style sheet of all drawings, without rules for interaction.
pub(super) fn style() -> String {
    compact(STYLE)
}

pub(super) fn compact(css: &str) -> String {
    let mut text = String::with_capacity(css.len());
    let mut rest = css;
    while let Some((before, after)) = rest.split_once("/*") {
        text.push_str(before);
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    text.push_str(rest);
    text.lines().map(str::trim).collect()
}

/// A title as an identifier.
pub(super) fn slug(title: &str) -> String {
    let mut id = String::new();
    for c in title.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => id.push(c.to_ascii_lowercase()),
            _ if id.ends_with('-') || id.is_empty() => {}
            _ => id.push('-'),
        }
    }
    // Titles in other alphabets must stay distinct.
    for c in title.chars().filter(|c| !c.is_ascii()) {
        let _ = write!(id, "{:x}", u32::from(c));
    }
    id
}

/// The meaning of a legend's symbol.
pub(super) enum Sign {
    Line(Hue, &'static str),
    Square(Hue),
    Flip,
    Cross(usize),
}

/// Draws the legend from `top` on, wrapped into rows, and returns its bottom edge.
pub(super) fn legend(canvas: &mut Canvas, signs: &[(Sign, String)], width: f64, top: f64) -> f64 {
    let (mut x, mut y) = (0.0, top);
    for (sign, text) in signs {
        let wide = 24.0 + width_of(text) + 14.0;
        if x > 0.0 && x + wide - 14.0 > width {
            (x, y) = (0.0, y + LEGEND_ROW);
        }
        let middle = y + 8.0;
        match sign {
            Sign::Line(hue, look) => {
                canvas.line(&format!("edge {look} {}", hue.class()), (x + 1.0, middle), (x + 17.0, middle));
            }
            Sign::Square(hue) => {
                canvas.raw(format_args!(
                    r#"<rect class="swatch {}" x="{}" y="{}" width="12" height="12" rx="3"/>"#,
                    hue.class(),
                    At(x + 4.0),
                    At(middle - 6.0)
                ));
            }
            Sign::Flip => canvas.line("flip", (x + 10.0, y + 1.0), (x + 10.0, y + 15.0)),
            Sign::Cross(number) => canvas.path("cross", &cross(*number, x + 10.0, middle)),
        }
        canvas.text("", (x + 23.0, y + 12.0), Anchor::Start, text);
        x += wide;
    }
    if signs.is_empty() { top } else { y + LEGEND_ROW + 4.0 }
}
