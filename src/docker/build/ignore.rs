//! `.dockerignore`, with the rules of the docker CLI, which differ from those of `.gitignore`: patterns start at the
//! context's root, the last match wins, and a match of a folder applies to everything below it.

use regex::Regex;

/// The patterns of one file, in order.
#[derive(Debug, Default)]
pub(super) struct Ignore {
    patterns: Vec<Pattern>,
}

#[derive(Debug)]
struct Pattern {
    matcher: Regex,
    /// A `!pattern`, which includes matches again.
    readmits: bool,
}

/// The patterns that matched a folder or one of its parents. Children inherit it.
#[derive(Debug, Clone, Default)]
pub(super) struct Matched(Vec<bool>);

/// An invalid line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BadPattern {
    /// From 1.
    pub(super) line: usize,
    pub(super) text: String,
}

impl Ignore {
    pub(super) fn parse(text: &str) -> Result<Self, BadPattern> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut patterns = Vec::new();
        for (index, raw) in text.lines().enumerate() {
            let line = raw.trim();
            // A comment starts with `#` in the first column.
            if raw.starts_with('#') || line.is_empty() {
                continue;
            }
            let (readmits, pattern) = match line.strip_prefix('!') {
                Some(rest) => (true, rest.trim()),
                None => (false, line),
            };
            let regex =
                Some(pattern).filter(|pattern| !pattern.is_empty()).and_then(|pattern| translate(&clean(pattern)));
            let matcher = regex.and_then(|regex| Regex::new(&regex).ok());
            let Some(matcher) = matcher else { return Err(BadPattern { line: index + 1, text: line.to_owned() }) };
            patterns.push(Pattern { matcher, readmits });
        }
        Ok(Self { patterns })
    }

    /// The root matches no pattern: a context is never ignored as a whole.
    pub(super) fn root(&self) -> Matched {
        Matched(vec![false; self.patterns.len()])
    }

    /// Whether `path` (relative, with `/`) is ignored; `parent` is the result for its folder.
    pub(super) fn check(&self, path: &str, parent: &Matched) -> (bool, Matched) {
        let mut ignored = false;
        let mut matched = Vec::with_capacity(self.patterns.len());
        for (pattern, inherited) in self.patterns.iter().zip(&parent.0) {
            // A pattern that would change nothing is skipped and not inherited: `!docs` includes files below `docs`
            // again only if an earlier pattern had ignored `docs` itself.
            let matches = *inherited || (pattern.readmits == ignored && pattern.matcher.is_match(path));
            if matches {
                ignored = !pattern.readmits;
            }
            matched.push(matches);
        }
        (ignored, Matched(matched))
    }

    /// Whether an ignored folder may contain files that are included again.
    pub(super) fn may_readmit(&self) -> bool {
        self.patterns.iter().any(|pattern| pattern.readmits)
    }
}

/// Removes `.`, double slashes and `..`; a leading slash means the context's root.
fn clean(pattern: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in pattern.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if pattern.starts_with('/') => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Converts a pattern to a regular expression for the whole path; `None` when it ends with an escape.
fn translate(pattern: &str) -> Option<String> {
    // `**` followed by plain text matches a suffix; elsewhere `**` matches up to a slash.
    if let Some(suffix) = pattern.strip_prefix("**").filter(|rest| !rest.contains(['*', '?', '[', ']', '\\'])) {
        return Some(match suffix.strip_prefix('/') {
            Some(name) => format!("(?s)^(?:.*/)?{}$", regex::escape(name)),
            None => format!("(?s)^.*{}$", regex::escape(suffix)),
        });
    }
    let mut regex = String::from("(?s)^");
    let mut letters = pattern.chars().peekable();
    let mut in_class = false;
    while let Some(letter) = letters.next() {
        match letter {
            '*' if !in_class && letters.next_if_eq(&'*').is_some() => {
                letters.next_if_eq(&'/');
                regex.push_str(if letters.peek().is_none() { ".*" } else { "(?:.*/)?" });
            }
            '*' if !in_class => regex.push_str("[^/]*"),
            '?' if !in_class => regex.push_str("[^/]"),
            '\\' => match letters.next() {
                Some(escaped) => regex.push_str(&regex::escape(&escaped.to_string())),
                None => return None,
            },
            '[' if !in_class => {
                in_class = true;
                regex.push('[');
                if letters.next_if_eq(&'^').is_some() {
                    regex.push('^');
                }
            }
            ']' if in_class => {
                in_class = false;
                regex.push(']');
            }
            '-' if in_class => regex.push('-'),
            other => regex.push_str(&regex::escape(&other.to_string())),
        }
    }
    regex.push('$');
    Some(regex)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the path as the walk does: folder by folder from the root.
    fn ignored(patterns: &str, path: &str) -> bool {
        let ignore = Ignore::parse(patterns).expect("valid patterns");
        let mut matched = ignore.root();
        let mut result = false;
        let ends = path.match_indices('/').map(|(end, _)| end).chain([path.len()]);
        for end in ends {
            (result, matched) = ignore.check(&path[..end], &matched);
        }
        result
    }

    #[test]
    fn single_patterns_follow_the_engines_table() {
        let table = [
            ("**", "file", true),
            ("**", "dir/file", true),
            ("**/", "dir/file", true),
            ("**/**", "dir/file", true),
            ("dir/**", "dir/file", true),
            ("dir/**", "dir/dir2/file", true),
            ("dir/**", "dir", false),
            ("**/dir2/*", "dir/dir2/file", true),
            ("**/dir2/**", "dir/dir2/dir2/file", true),
            ("**file", "file", true),
            ("**file", "dir/file", true),
            ("**/file", "dir/dir/file", true),
            ("**/file", "dir/xfile", false),
            ("**/file*", "dir/dir/file.txt", true),
            ("**/file*txt", "dir/dir/file.txt", true),
            ("**/file*.txt*", "dir/dir/file.txt", true),
            ("**/**/*.txt", "dir/dir/file.txt", true),
            ("**/**/*.txt2", "dir/dir/file.txt", false),
            ("**/*.txt", "file.txt", true),
            ("**/**/*.txt", "file.txt", true),
            ("a**/*.txt", "a/file.txt", true),
            ("a**/*.txt", "a/dir/file.txt", true),
            ("a/*.txt", "a/dir/file.txt", false),
            ("a/*.txt", "a/file.txt", true),
            ("a[b-d]e", "ae", false),
            ("a[b-d]e", "ace", true),
            ("a[b-d]e", "aae", false),
            ("a[^b-d]e", "aze", true),
            (".*", ".foo", true),
            (".*", "foo", false),
            ("abc.def", "abcdef", false),
            ("abc.def", "abc.def", true),
            ("abc?def", "abcZdef", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("a+b(c)|{}$", "a+b(c)|{}$", true),
            ("**/foo/bar", "foo/bar", true),
            ("**/foo/bar", "dir/foo/bar", true),
            ("abc/**", "abc/def/ghi", true),
            ("**/.foo", "bar/.foo", true),
            ("**/.foo", ".foobar", false),
            ("*.md", "docs/README.md", false),
            ("node_modules", "web/node_modules", false),
            ("docs", "docs/deep/README.md", true),
            ("/docs/", "docs/a", true),
            ("./docs/../src//x", "src/x", true),
            ("../x", "x", false),
            (" spaced ", "spaced", true),
            ("a b", "a b", true),
        ];
        for (pattern, path, expected) in table {
            assert_eq!(ignored(pattern, path), expected, "`{pattern}` against `{path}`");
        }
    }

    #[test]
    fn the_last_match_wins_also_inside_an_ignored_folder() {
        let table = [
            ("docs\n!docs/README.md", "docs/README.md", false),
            ("docs\n!docs/README.md", "docs/other", true),
            ("!docs/README.md\ndocs", "docs/README.md", true),
            ("*\n!src", "src/main.rs", false),
            ("*\n!src\nsrc/*.log", "src/x.log", true),
            ("**\n!**/*.go", "cmd/main.go", false),
            ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", true),
            ("*.md\n!README*.md", "README-en.md", false),
            ("**foo\n!*.md", "a.md/foo/x", true),
            ("*.md\n**foo\n!*.md", "a.md/foo/x", false),
        ];
        for (patterns, path, expected) in table {
            assert_eq!(ignored(patterns, path), expected, "{patterns:?} against `{path}`");
        }
    }

    #[test]
    fn comments_need_the_first_column_and_bad_lines_are_named() {
        assert!(!ignored("# docs\n\n", "docs"));
        assert!(ignored("\u{feff}docs", "docs"));
        assert!(ignored(" #docs", "#docs"));
        for text in ["x\n!\n", "x\n[a\n", "x\na\\\n"] {
            assert_eq!(Ignore::parse(text).unwrap_err().line, 2, "{text:?}");
        }
    }
}
