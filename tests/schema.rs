//! The published JSON Schemas in `docs/schema/`, and whether a document is as they say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use serde_json::Value;

/// Compiling a schema takes longer than using it, and a stream has thousands of lines.
static COMPILED: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Where the schema of a command's document lies: `plan`, `history`, … or `events` and `error`.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema").join(name).with_extension("json")
}

/// Asserts that `document` is what `docs/schema/<name>.json` promises; the message holds every finding.
#[track_caller]
pub fn validates(name: &str, document: &Value) {
    let findings: Vec<String> =
        validator(name).iter_errors(document).map(|error| format!("  {}: {error}", error.instance_path())).collect();
    assert!(findings.is_empty(), "not valid by docs/schema/{name}.json:\n{}\n{document:#}", findings.join("\n"));
}

fn validator(name: &str) -> Arc<Validator> {
    let mut compiled = COMPILED.lock().expect("no panic while it is held");
    let compile = || {
        let path = path_of(name);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let schema: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let valid = jsonschema::validator_for(&schema);
        Arc::new(valid.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    Arc::clone(compiled.entry(name.to_owned()).or_insert_with(compile))
}
