//! Texts that all human-readable formats share.

use std::time::Duration;

use crate::model::InFlight;

/// `1ms`, `0.4s`, `6.2s`, `1m 12s`, `2h 5m`.
pub(super) fn duration(duration: Duration) -> String {
    // Rounded up, so that a short duration is not shown as zero.
    let milliseconds = duration.as_micros().div_ceil(1000);
    if milliseconds < 100 {
        return format!("{milliseconds}ms");
    }
    let tenths = (milliseconds + 50) / 100;
    if tenths < 600 {
        return format!("{}.{}s", tenths / 10, tenths % 10);
    }
    minutes(tenths.div_ceil(10))
}

/// Whole seconds, for a duration that is still growing.
pub(super) fn seconds(duration: Duration) -> String {
    match u128::from(duration.as_secs()) {
        seconds @ 0..60 => format!("{seconds}s"),
        seconds => minutes(seconds),
    }
}

fn minutes(seconds: u128) -> String {
    match seconds / 60 {
        minutes @ 0..60 => format!("{minutes}m {}s", seconds % 60),
        minutes => format!("{}h {}m", minutes / 60, minutes % 60),
    }
}

/// `1 request`, `2 requests`.
pub(super) fn count(number: u64, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// `14 requests`, `1 websocket`, `14 requests and 1 websocket`, `nothing`.
pub(super) fn in_flight(count_of: InFlight) -> String {
    let InFlight { requests, websockets } = count_of;
    match (requests, websockets) {
        (0, 0) => "nothing".to_owned(),
        (_, 0) => count(requests, "request"),
        (0, _) => count(websockets, "websocket"),
        (_, _) => format!("{} and {}", count(requests, "request"), count(websockets, "websocket")),
    }
}

/// What finished by itself before an old replica was stopped. Cut requests are counted separately.
pub(super) fn drained(finished: InFlight, cut: InFlight, took: Duration) -> String {
    match (finished.is_zero(), cut.is_zero()) {
        (true, true) => "nothing to drain".to_owned(),
        (true, false) => format!("waited {}", duration(took)),
        (false, _) => format!("drained {} in {}", in_flight(finished), duration(took)),
    }
}

/// Sanitises a line from an app or a build: it must not move the cursor, change colours or hide text.
pub(super) fn clean(line: &str) -> String {
    let plain = console::strip_ansi_codes(line);
    // A progress bar redraws itself after `\r`; keep its last state, as a terminal would show.
    let last = plain.trim_end().rsplit('\r').find(|part| !part.trim().is_empty()).unwrap_or_default();
    last.chars().filter_map(harmless).collect()
}

fn harmless(c: char) -> Option<char> {
    match c {
        '\t' | '\n' => Some(' '),
        // Bidirectional control characters can disguise a line as another.
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
        c if c.is_control() => None,
        c => Some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_precision_that_people_want() {
        let cases = [
            (0, "0ms"),
            (400, "1ms"),
            (1_000, "1ms"),
            (99_000, "99ms"),
            (99_400, "0.1s"),
            (400_000, "0.4s"),
            (6_240_000, "6.2s"),
            (59_940_000, "59.9s"),
            (59_960_000, "1m 0s"),
            (72_000_000, "1m 12s"),
            (3_599_990_000, "1h 0m"),
            (7_500_000_000, "2h 5m"),
        ];
        for (microseconds, expected) in cases {
            assert_eq!(duration(Duration::from_micros(microseconds)), expected, "{microseconds} µs");
        }
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        let text = |requests, websockets| in_flight(InFlight { requests, websockets });
        assert_eq!(text(0, 0), "nothing");
        assert_eq!(text(1, 0), "1 request");
        assert_eq!(text(0, 2), "2 websockets");
        assert_eq!(text(14, 1), "14 requests and 1 websocket");
    }

    #[test]
    fn output_of_others_cannot_touch_the_terminal() {
        assert_eq!(clean("\x1b[31mred\x1b[0m \x1b]0;title\x07text"), "red text");
        assert_eq!(clean("10%\r 50%\r100%\r\n"), "100%");
        assert_eq!(clean("a\tb\x08\x07c\u{9b}2Jd"), "a bcd");
        assert_eq!(clean("abc\u{202e}def"), "abcdef");
        assert!(clean("\x1b[2J\x1b[H").is_empty());
    }
}
