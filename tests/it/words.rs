//! One word for one thing: words that the field does not use, or that we have given up, do not come back.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

/// What is not said, and what is said instead.
const BANNED: &[(&str, &str)] = &[
    (r"wish(es|ed)?", "the desired state"),
    (r"mend(s|ed|ing)?", "repair, fix"),
    (r"anew", "again"),
    (r"ill", "unhealthy"),
    (r"at rest", "scaled to zero"),
    (r"looks? again", "recheck, check again"),
    (r"greets?", "warn if outdated"),
    (r"tid(y|ies|ied)", "cleanup"),
    (r"sweeps?", "cleanup"),
    (r"unwind", "undo"),
    (r"takes? back|take_back", "undo"),
    (r"take_in", "absorb"),
    (r"heard_by", "observed by"),
    (r"breach(es)?", "violation"),
    (r"comeback", "restart"),
    (r"once_more", "recheck"),
    (r"the world", "the state"),
    (r"gone on with", "resumed"),
    (r"kindly", "properly"),
    (r"far host", "remote host"),
    (r"(a|the) want", "what is expected"),
    (r"takes? it for", "treats it as"),
    (r"lets? go of", "drop"),
    (r"the books", "the results"),
    (r"(come|came|comes) to no end", "does not end, is aborted"),
    (r"go(es)? as a whole", "is removed"),
    (r"comes? to rest", "stops growing"),
    (r"the user says", "is configured, an option"),
    (r"asks? nobody", "no I/O, no prompt"),
];
/// The tests' own texts may quote what users write.
const PLACES: [&str; 6] = ["src", "nginx", "docs", "README.md", "CONTRIBUTING.md", "CHANGELOG.md"];
const KINDS: [&str; 5] = ["rs", "lua", "md", "conf", "json"];

fn files(place: PathBuf, found: &mut Vec<PathBuf>) {
    if place.is_dir() {
        let entries = fs::read_dir(&place).expect("a readable folder");
        entries.for_each(|entry| files(entry.expect("an entry").path(), found));
    } else if place.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known)) {
        found.push(place);
    }
}

/// Each line with a word that is not said, and what to say.
fn offences(name: &str, text: &str, banned: &[(Regex, &str)]) -> Vec<String> {
    let mut offences = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for (word, instead) in banned {
            if let Some(found) = word.find(line) {
                offences.push(format!("{name}:{}: `{}`, say: {instead}", index + 1, found.as_str()));
            }
        }
    }
    offences
}

fn banned() -> Vec<(Regex, &'static str)> {
    let whole = |word: &str| Regex::new(&format!(r"(?i)\b({word})\b")).expect("a pattern");
    BANNED.iter().map(|(word, instead)| (whole(word), *instead)).collect()
}

#[test]
fn words_that_were_given_up_do_not_come_back() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    PLACES.iter().for_each(|place| files(root.join(place), &mut found));
    let banned = banned();
    let all: Vec<String> = found
        .iter()
        .flat_map(|file| {
            let name = file.strip_prefix(root).expect("a file of ours").display().to_string();
            offences(&name, &fs::read_to_string(file).expect("a readable file"), &banned)
        })
        .collect();
    assert!(all.is_empty(), "{} lines:\n  {}", all.len(), all.join("\n  "));
}

#[test]
fn a_banned_word_is_found_and_a_longer_one_is_not() {
    assert_eq!(offences("a.rs", "fine\nMends it", &banned()), ["a.rs:2: `Mends`, say: repair, fix"]);
    assert_eq!(offences("a.rs", "still, amend, catch_unwind, willing", &banned()), [""; 0]);
}
