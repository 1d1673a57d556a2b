//! The loader: any file is read or refused, in the same way each time, and what is printed of it means the same.

use std::collections::BTreeMap;
use std::path::Path;

use deploy_apps::compose::{Config, LoadRequest, config, load};
use tempfile::TempDir;

/// The input's parts are separated by NUL: `compose.yaml`, `.env`, and a file that is merged over the first.
const FILES: [&str; 3] = ["compose.yaml", ".env", "over.yaml"];

pub fn compose(data: &[u8]) {
    // A folder of its own for each input: one file more or less decides what is included.
    let folder = tempfile::tempdir().expect("a folder");
    let request = written(&folder, data);
    let first = load(&request);
    match (&first, &load(&request)) {
        (Ok(one), Ok(other)) => assert_eq!(one.project, other.project, "two loads differ"),
        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string(), "two refusals differ"),
        (one, other) => panic!("read once and refused once: {one:?} and {other:?}"),
    }
    if let Err(refused) = &first {
        assert!(!refused.findings.is_empty(), "refused without a reason");
        assert!(refused.findings.iter().all(|finding| !finding.message.is_empty()), "{refused}");
    }
    drop(config(&request, false));
    if let Ok(printed) = config(&request, true) {
        means_the_same(folder.path(), &printed);
    }
}

fn written(folder: &TempDir, data: &[u8]) -> LoadRequest {
    let mut files = Vec::new();
    for (name, text) in FILES.iter().zip(data.splitn(FILES.len(), |byte| *byte == 0)) {
        std::fs::write(folder.path().join(name), text).expect("a file");
        files.extend(name.ends_with(".yaml").then(|| (*name).into()));
    }
    LoadRequest { files, folder: folder.path().to_owned(), env: variables(), ..LoadRequest::default() }
}

fn variables() -> BTreeMap<String, String> {
    let known = [("SET", "one"), ("EMPTY", ""), ("HOME", "/home/user")];
    known.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What is printed can be read again, from anywhere, and is then printed in the same way.
fn means_the_same(folder: &Path, first: &Config) {
    let Config { model, environment, .. } = first;
    let text = first.yaml();
    let again = tempfile::tempdir().expect("a folder");
    std::fs::write(again.path().join("compose.yaml"), &text).expect("a file");
    let request = LoadRequest {
        files: vec!["compose.yaml".into()],
        folder: again.path().to_owned(),
        project_folder: Some(folder.to_owned()),
        // Secrets are named in what is printed, not told.
        env: environment.clone(),
        ..LoadRequest::default()
    };
    let second = config(&request, true).unwrap_or_else(|error| panic!("what was printed is refused: {error}\n{text}"));
    assert_eq!(second.model, *model, "what was printed means something else\n{text}");
}
