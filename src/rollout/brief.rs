//! Reasons as the history keeps them.

/// A history keeps thousands of records, so each says its reason on one line of bounded length.
pub(super) fn brief(reason: &str) -> String {
    const MOST: usize = 300;
    let line = reason.lines().next().unwrap_or_default();
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}
