//! The crate's shape: imports point down, siblings do not know each other, foreign types stay in their folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The layer of each top-level module, as the table in `src/lib.rs` has it.
const LAYERS: [(&str, u8); 17] = [
    ("local", 0),
    ("model", 0),
    ("plan", 1),
    ("event", 1),
    ("diagnosis", 1),
    ("ports", 2),
    ("compose", 3),
    ("docker", 3),
    ("proxy", 3),
    ("load", 3),
    ("rollout", 3),
    ("report", 3),
    ("telemetry", 3),
    ("notify", 3),
    ("scaffold", 3),
    ("dashboard", 3),
    ("cli", 4),
];
/// Crates that only one folder may see.
const OWNED: [(&str, &str); 3] = [("bollard", "docker"), ("granit_parser", "compose"), ("clap", "cli")];
/// A file that grows longer has two subjects.
const LONGEST: usize = 500;

fn layer(module: &str) -> Option<u8> {
    LAYERS.iter().find(|(name, _)| *name == module).map(|(_, layer)| *layer)
}

struct Source {
    path: PathBuf,
    /// Of the files of `src/proxy/`: `proxy`; of `src/event.rs`: `event`.
    module: String,
    text: String,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let source = |file: PathBuf| {
        let path = file.strip_prefix(&root).expect("a file below src").to_owned();
        let first = path.iter().next().expect("a name").to_string_lossy();
        let module = first.strip_suffix(".rs").unwrap_or(&first).to_owned();
        Source { text: fs::read_to_string(&file).expect("a readable file"), path, module }
    };
    files.into_iter().map(source).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Code lines, with their numbers; comments may name whatever they explain.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// The top-level modules that a line names through `crate::`.
fn named(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("crate::").map(|(at, prefix)| {
        let rest = &line[at + prefix.len()..];
        &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
    })
}

/// Whether a module may use another.
fn allowed(from: &str, to: &str) -> bool {
    match (layer(from), layer(to)) {
        // The roots of the library and of the binary join everything.
        (None, _) => true,
        // A macro or a constant of the root.
        (Some(_), None) => true,
        (Some(upper), Some(lower)) => from == to || lower < upper,
    }
}

#[test]
fn imports_point_down_and_siblings_do_not_know_each_other() {
    let mut offences = Vec::new();
    for source in sources() {
        for (number, line) in code(&source.text) {
            let offending = named(line).filter(|module| !allowed(&source.module, module));
            offences.extend(offending.map(|module| format!("src/{}:{number}: `{module}`", source.path.display())));
        }
    }
    assert!(offences.is_empty(), "imports that point upwards or sideways:\n  {}", offences.join("\n  "));
}

#[test]
fn every_top_level_module_has_a_layer() {
    let unknown: Vec<String> =
        sources().into_iter().map(|source| source.module).filter(|module| layer(module).is_none()).collect();
    assert!(unknown.iter().all(|module| ["lib", "main"].contains(&module.as_str())), "without a layer: {unknown:?}");
}

/// Where there is no graphviz, `tests/run` installs it and checks the same.
#[test]
fn the_picture_of_the_modules_is_current() {
    if Command::new("tred").arg("-?").output().is_err() {
        return;
    }
    let draw = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures/draw");
    let checked = Command::new(draw).arg("--check").output().expect("the script");
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn a_foreign_api_is_seen_by_one_folder() {
    let mut offences = Vec::new();
    for source in sources() {
        for (name, owner) in OWNED.iter().filter(|(_, owner)| *owner != source.module) {
            let uses = code(&source.text).filter(|(_, line)| line.contains(&format!("{name}::")));
            offences.extend(uses.map(|(number, _)| {
                format!("src/{}:{number}: `{name}` belongs to `src/{owner}/`", source.path.display())
            }));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn the_planner_is_pure() {
    const IMPURE: [&str; 9] = [
        "async ",
        ".await",
        "tokio::",
        "std::env",
        "std::fs",
        "SystemTime",
        "Instant::now",
        "println!",
        "std::process",
    ];
    let mut offences = Vec::new();
    for source in sources().into_iter().filter(|source| ["plan", "model"].contains(&source.module.as_str())) {
        for (number, line) in code(&source.text) {
            let found = IMPURE.iter().filter(|word| line.contains(**word));
            offences.extend(found.map(|word| format!("src/{}:{number}: `{word}`", source.path.display())));
        }
    }
    assert!(offences.is_empty(), "{}", offences.join("\n"));
}

#[test]
fn no_file_is_longer_than_its_subject() {
    let long = sources().into_iter().map(|source| (source.text.lines().count(), source.path));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > LONGEST).collect();
    assert!(long.is_empty(), "longer than {LONGEST} lines: {long:?}");
}

#[test]
fn the_rule_itself_tells_right_from_wrong() {
    assert!(
        allowed("rollout", "ports") && allowed("cli", "docker") && allowed("plan", "plan") && allowed("lib", "cli")
    );
    assert!(!allowed("rollout", "docker") && !allowed("plan", "ports") && !allowed("model", "plan"));
    assert_eq!(named("use crate::model::{A, B}; fn f(_: crate::plan::Step)").collect::<Vec<_>>(), ["model", "plan"]);
}
