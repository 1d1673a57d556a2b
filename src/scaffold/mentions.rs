//! Finds places where a service addresses another one with a port, such as `http://api:3000`.
//!
//! The name of an app resolves to the proxy, which listens on port 80: the app's own port cannot be reached by that
//! name.

/// A place where the name occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// From 1.
    pub line: usize,
    pub port: Option<u16>,
}

/// Finds the host `name` in `text`, with a port or as the host of a URL.
#[must_use]
pub fn mentions(text: &str, name: &str) -> Vec<Mention> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with('#') {
            continue;
        }
        for (at, _) in line.match_indices(name) {
            let (before, after) = (&line[..at], &line[at + name.len()..]);
            if before.ends_with(inner) || after.starts_with(inner) {
                continue;
            }
            let digits: String =
                after.strip_prefix(':').unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
            let port = digits.parse().ok();
            if port.is_some() || before.ends_with("://") {
                found.push(Mention { line: index + 1, port });
            }
        }
    }
    found
}

/// Rewrites an address to use the proxy: `http://api:3000/v1` becomes `http://api/v1`, `api:3000` becomes `api:80`.
pub(super) fn through_proxy(value: &str, name: &str, port: u16) -> String {
    let with_port = format!("{name}:{port}");
    value.replace(&format!("http://{with_port}"), &format!("http://{name}")).replace(&with_port, &format!("{name}:80"))
}
