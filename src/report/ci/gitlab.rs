//! GitLab's collapsible sections.

/// Opens a collapsed section. `name` may contain letters, digits, `-`, `_` and `.`, as app names do.
pub(super) fn section_start(time: u64, name: &str, title: &str) -> String {
    format!("\x1b[0Ksection_start:{time}:{name}[collapsed=true]\r\x1b[0K{title}")
}

pub(super) fn section_end(time: u64, name: &str) -> String {
    format!("\x1b[0Ksection_end:{time}:{name}\r\x1b[0K")
}
