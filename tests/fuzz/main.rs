//! The fuzz targets with stable Rust: each input of their corpora as it is, and some hundreds of changed ones.
//!
//! `tests/run --fuzz` runs the same functions with coverage, for as long as one likes.

#[path = "../../fuzz/src/lib.rs"]
mod targets;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::RngSeed;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// A target's inputs, with their files.
fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(folder().join("corpus").join(target)).expect("a corpus");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let read = |file: PathBuf| (file.clone(), std::fs::read(&file).expect("a readable file"));
    files.into_iter().map(read).collect()
}

/// The words of a target's dictionary, in libFuzzer's form: `"word"` a line, `\xNN` for what is no text.
fn words(target: &str) -> Vec<Vec<u8>> {
    let text = std::fs::read_to_string(folder().join("dictionaries").join(target)).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix('"')?.strip_suffix('"')).map(unescaped).collect()
}

fn unescaped(word: &str) -> Vec<u8> {
    let mut rest = word;
    let mut bytes = Vec::new();
    while let Some(first) = rest.chars().next() {
        let hex = rest.strip_prefix("\\x").and_then(|hex| u8::from_str_radix(hex.get(..2)?, 16).ok());
        let (byte, length) = match (hex, first) {
            (Some(byte), _) => (Some(byte), 4),
            (None, '\\') => (rest.as_bytes().get(1).copied(), 2),
            (None, _) => (None, first.len_utf8()),
        };
        match byte {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(&rest.as_bytes()[..length]),
        }
        rest = rest.get(length..).unwrap_or_default();
    }
    bytes
}

/// Every input holds, or the message names its file.
fn replay(target: &str, body: fn(&[u8])) {
    let corpus = corpus(target);
    assert!(corpus.len() >= 5, "the corpus of `{target}` has {} inputs", corpus.len());
    for (file, data) in corpus {
        std::panic::catch_unwind(|| body(&data))
            .unwrap_or_else(|_| panic!("{} does not hold, see above", file.display()));
    }
}

/// What a fuzzer does to an input.
#[derive(Debug, Clone)]
enum Change {
    Cut { at: Index, bytes: usize },
    Put { at: Index, bytes: Vec<u8> },
    Word { at: Index, word: Index },
    Copy { from: Index, bytes: usize, to: Index },
}

fn change() -> impl Strategy<Value = Change> {
    let (at, few) = (any::<Index>, 1..24_usize);
    prop_oneof![
        (at(), few.clone()).prop_map(|(at, bytes)| Change::Cut { at, bytes }),
        (at(), prop::collection::vec(any::<u8>(), 1..8)).prop_map(|(at, bytes)| Change::Put { at, bytes }),
        (at(), at()).prop_map(|(at, word)| Change::Word { at, word }),
        (at(), few, at()).prop_map(|(from, bytes, to)| Change::Copy { from, bytes, to }),
    ]
}

fn changed(data: &[u8], changes: &[Change], words: &[Vec<u8>]) -> Vec<u8> {
    let mut data = data.to_vec();
    for change in changes {
        let place = |at: &Index| at.index(data.len() + 1);
        let (range, put) = match change {
            Change::Cut { at, bytes } => (place(at)..(place(at) + bytes).min(data.len()), Vec::new()),
            Change::Put { at, bytes } => (place(at)..(place(at) + bytes.len()).min(data.len()), bytes.clone()),
            Change::Word { at, word } if !words.is_empty() => (place(at)..place(at), word.get(words).clone()),
            Change::Word { at, .. } => (place(at)..place(at), Vec::new()),
            Change::Copy { from, bytes, to } => {
                let end = (place(from) + bytes).min(data.len());
                (place(to)..place(to), data[place(from)..end].to_vec())
            }
        };
        data.splice(range, put);
    }
    data
}

/// So many inputs, each made of one of the corpus; the same ones in each run, so that what is red stays red.
fn vary(target: &'static str, cases: u32, body: fn(&[u8])) {
    let (corpus, words) = (LazyLock::new(move || corpus(target)), words(target));
    let config =
        ProptestConfig { cases, failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() };
    let input = (any::<Index>(), prop::collection::vec(change(), 1..6));
    proptest!(config, |((which, changes) in input)| {
        body(&changed(&which.get(&corpus).1, &changes, &words));
    });
}

macro_rules! targets {
    ($($name:ident: $cases:literal,)*) => { $(
        mod $name {
            use super::{replay, targets, vary};

            #[test]
            fn its_corpus_holds() {
                replay(stringify!($name), targets::$name);
            }

            #[test]
            fn changed_inputs_hold() {
                vary(stringify!($name), $cases, targets::$name);
            }
        }
    )* };
}

// As many as take a few seconds each without optimisation.
targets! {
    compose: 400,
    interpolation: 400,
    control: 500,
    plan: 2000,
}

#[test]
fn words_of_a_dictionary_are_read_as_libfuzzer_reads_them() {
    assert_eq!(unescaped(r#"a\x00\\\"ä"#), b"a\0\\\"\xc3\xa4");
}
