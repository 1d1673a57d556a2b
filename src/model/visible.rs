//! Makes foreign text safe for a terminal or a log: it must not move the cursor, change colours or imitate our own
//! lines.

use std::borrow::Cow;

/// Escapes a single line: control characters become `\n`, `\u{1b}`.
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    written_out(text, is_hidden)
}

/// Like [`visible`], but keeps line breaks.
#[must_use]
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    written_out(text, |c| c != '\n' && is_hidden(c))
}

fn is_hidden(c: char) -> bool {
    // Unicode line separators, and marks that reverse or isolate the writing direction.
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn written_out(text: &str, hidden: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if hidden(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(visible("plain, ü"), "plain, ü");
        assert_eq!(visible("a\u{1b}[2Jb\nerror: c\r\u{9b}\t"), "a\\u{1b}[2Jb\\nerror: c\\r\\u{9b}\\t");
        assert_eq!(visible("user\u{202e}txt"), "user\\u{202e}txt");
        assert_eq!(visible_lines("a\nb\u{7}"), "a\nb\\u{7}");
    }
}
