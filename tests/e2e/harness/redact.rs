//! Snapshots of complete outputs: parts that differ between runs are replaced, the rest is compared.

use std::path::Path;

use regex::Regex;

use super::Host;

/// Patterns that are replaced everywhere, in this order, with their replacements.
const PATTERNS: [(&str, &str); 10] = [
    // Image ids and digests, complete and shortened.
    (r"sha256:[0-9a-f]{64}", "ID"),
    (r"(image|from `|of build|build|source|identity|configuration) ?`?\b[0-9a-f]{12,64}\b", "$1 ID"),
    (r"proxy:[0-9a-f]{16}", "proxy:BUILD"),
    (r"\b[0-9a-f]{32,64}\b", "ID"),
    (r"\b10\.\d{1,3}\.\d{1,3}\.\d{1,3}(/\d+)?", "ADDRESS"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "INSTANT"),
    (r#"(_ms":|_us":) ?\d+"#, "${1}0"),
    (r"\b\d+h \d+m\b|\b\d+m \d+s\b|\b\d+(\.\d+)?m?s\b", "TIME"),
    // Times at the start of plain lines are right-aligned, so the padding differs.
    (r"(?m)^ +TIME", "TIME"),
    // On a slow machine, waits print a line every ten seconds.
    (r"(?m)^.*: still at work: .*\n", ""),
];

impl Host {
    /// The text with this host's names, ports and addresses, and all times and ids, replaced by placeholders.
    pub fn redact(&self, text: &str) -> String {
        let folder = self.folder().display().to_string();
        let port = format!(r"\b{}\b", self.address().port());
        let text = text.replace(&folder, "FOLDER").replace(self.name(), "PROJECT");
        let text = Regex::new(&port).expect("a pattern").replace_all(&text, "PORT").into_owned();
        PATTERNS.iter().fold(text, |text, (pattern, word)| {
            Regex::new(pattern).expect("a pattern").replace_all(&text, *word).into_owned()
        })
    }

    /// Compares the redacted text with `tests/e2e/snapshots/<name>`. `UPDATE_SNAPSHOTS=1` rewrites the file, for review
    /// as a diff.
    #[track_caller]
    pub fn snapshot(&self, name: &str, text: &str) {
        let text = self.redact(text);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/snapshots").join(name);
        if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a writable checkout");
            std::fs::write(&path, &text).expect("a writable checkout");
        }
        let wanted = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(text == wanted, "{} is\n{wanted}\nbut this was said\n{text}", path.display());
    }
}
