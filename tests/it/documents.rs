//! The documents' links lead somewhere, to the heading too.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file that readers open: those at the top, the proxy's, and all below `docs/`.
fn documents() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs")];
    let mut found: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "nginx/README.md"].map(|name| root().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a readable folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

/// The targets of `[text](target)` outside of code blocks.
fn links(text: &str) -> Vec<&str> {
    let mut is_code = false;
    let mut links = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_code = !is_code;
        }
        if is_code {
            continue;
        }
        for (at, opening) in line.match_indices("](") {
            let rest = &line[at + opening.len()..];
            links.extend(rest.find(')').map(|end| &rest[..end]));
        }
    }
    links
}

/// The anchors that the usual renderers give to a document's headings.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let title = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(anchor).collect()
}

/// Why a link of a document at `from` leads nowhere; `None` when it leads somewhere.
fn broken(from: &Path, link: &str) -> Option<String> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = if path.is_empty() { from.to_owned() } else { from.parent().expect("a folder").join(path) };
    if !target.exists() {
        return Some("no such file".to_owned());
    }
    let is_document = target.extension().is_some_and(|extension| extension == "md");
    if anchor.is_empty() || !is_document {
        return None;
    }
    let known = anchors(&fs::read_to_string(&target).expect("a readable document"));
    (!known.contains(anchor)).then(|| "no such heading".to_owned())
}

#[test]
fn links_lead_somewhere() {
    let mut offences = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a readable document");
        for link in links(&text) {
            if let Some(why) = broken(&document, link) {
                let shown = document.strip_prefix(root()).expect("a file of ours").display();
                offences.push(format!("{shown}: ({link}): {why}"));
            }
        }
    }
    assert!(offences.is_empty(), "links that lead nowhere:\n  {}", offences.join("\n  "));
}

#[test]
fn a_broken_link_is_found() {
    let readme = root().join("README.md");
    assert_eq!(broken(&readme, "docs/no-such.md").as_deref(), Some("no such file"));
    assert_eq!(broken(&readme, "docs/README.md#no-such").as_deref(), Some("no such heading"));
    assert_eq!(broken(&readme, "docs/README.md#documents"), None);
    assert_eq!(anchors("## `drain-test`: what it does\n"), BTreeSet::from(["drain-test-what-it-does".to_owned()]));
    assert_eq!(links("[a](b) and `[c]`\n```\n[d](e)\n```\n[f](g#h)"), ["b", "g#h"]);
}
