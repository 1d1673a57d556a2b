//! Builds HTML and SVG with foreign text escaped.

use std::fmt::{self, Display, Write};

/// Escapes text for the content of an element or a quoted attribute, in HTML and SVG.
///
/// Drops characters that XML forbids and those that change the direction of text.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}' => {}
            '\n' | '\t' => safe.push(' '),
            c if c.is_control() => {}
            c => safe.push(c),
        }
    }
    safe
}

/// A coordinate, rounded to a tenth of a pixel.
pub(super) struct At(pub(super) f64);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.0 * 10.0).round() / 10.0;
        // Avoids `-0` and `12.0`.
        write!(f, "{}", if tenths == 0.0 { 0.0 } else { tenths })
    }
}

/// Alignment of a text relative to its position.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An SVG builder. Writing into a string cannot fail, so no method returns a result.
#[derive(Debug, Default)]
pub(super) struct Canvas {
    pub(super) out: String,
}

impl Canvas {
    pub(super) fn raw(&mut self, markup: fmt::Arguments<'_>) {
        let _ = self.out.write_fmt(markup);
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let (x1, y1, x2, y2) = (At(x1), At(y1), At(x2), At(y2));
        self.raw(format_args!(r#"<line class="{class}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>"#));
    }

    /// `hint` is shown on hover and read by screen readers.
    pub(super) fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64), hint: &str) {
        let (x, y, width, height) = (At(x), At(y), At(width.max(0.0)), At(height.max(0.0)));
        let hint = escape(hint);
        self.raw(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y}" width="{width}" height="{height}"><title>{hint}</title></rect>"#
        ));
    }

    pub(super) fn text(&mut self, class: &str, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let place = match anchor {
            Anchor::Start => "",
            Anchor::Middle => r#" text-anchor="middle""#,
            Anchor::End => r#" text-anchor="end""#,
        };
        self.raw(format_args!(r#"<text class="{class}" x="{}" y="{}"{place}>{}</text>"#, At(x), At(y), escape(text)));
    }

    pub(super) fn path(&mut self, class: &str, shape: &str) {
        self.raw(format_args!(r#"<path class="{class}" d="{shape}"/>"#));
    }
}

/// Estimated width of a text in the plots' font size, in pixels. Fonts differ, so the estimate is generous.
pub(super) fn width_of(text: &str) -> f64 {
    text.chars().count() as f64 * 6.8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(
            escape(r#"<script>alert("a & b's")</script>"#),
            "&lt;script&gt;alert(&quot;a &amp; b&#39;s&quot;)&lt;/script&gt;"
        );
        assert_eq!(escape("a\u{0}b\u{1b}[31m\u{202e}c\nd\u{fffe}"), "ab[31mc d");
        assert_eq!(escape("größer ✓"), "größer ✓");
        let mut canvas = Canvas::default();
        canvas.text("axis", (0.0, 0.0), Anchor::Start, "</text><script>");
        assert!(!canvas.out.contains("<script>"), "{}", canvas.out);
    }

    #[test]
    fn coordinates_are_short() {
        let text = |value| At(value).to_string();
        assert_eq!([text(12.0), text(0.04), text(-0.04), text(1.0 / 3.0)], ["12", "0", "0", "0.3"]);
    }
}
