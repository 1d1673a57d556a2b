//! Files of real projects, compared with the output of `docker compose config`.
//!
//! Each folder of tests/compose has files and their expected model. The expectations were compared with docker compose
//! v2.26; tests/compose/README.md lists all differences.

use std::path::{Path, PathBuf};

use crate::compose::config;
use crate::compose::load;
use crate::compose::request::LoadRequest;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose")
}

fn request(folder: &Path) -> LoadRequest {
    let json = Some(folder.join("compose.json")).filter(|file| file.is_file());
    let profiles = std::fs::read_to_string(folder.join("profiles.txt")).unwrap_or_default();
    LoadRequest {
        files: json.into_iter().collect(),
        folder: folder.to_owned(),
        profiles: profiles.split_whitespace().map(str::to_owned).collect(),
        env: [("HOME".to_owned(), "/home/user".to_owned())].into(),
        ..LoadRequest::default()
    }
}

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(corpus()).expect("the corpus");
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    // The cases in tests/compose/differ have no expected model.
    folders.retain(|path| path.is_dir() && !path.ends_with("cases"));
    folders.sort();
    assert!(folders.len() >= 6);
    folders
}

#[test]
fn real_files_are_read_like_in_compose() {
    for folder in folders() {
        let printed = config(&request(&folder), true).unwrap_or_else(|error| panic!("{error}")).yaml();
        let printed = printed.replace(&folder.display().to_string(), "/project");
        let file = folder.join("expected.yaml");
        if std::env::var_os("UPDATE_CONFIG").is_some() {
            std::fs::write(&file, &printed).expect("writable");
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(printed == expected, "{}:\n{printed}", file.display());
    }
}

#[test]
fn the_output_of_config_loads_with_the_same_meaning() {
    for folder in folders() {
        let first = config(&request(&folder), true).unwrap_or_else(|error| panic!("{error}"));
        let again = tempfile::tempdir().expect("a folder");
        std::fs::write(again.path().join("compose.yaml"), first.yaml()).expect("writable");
        let mut request = LoadRequest { project_folder: Some(folder.clone()), ..request(&folder) };
        request.files = vec![again.path().join("compose.yaml")];
        let second = config(&request, true).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert_eq!(second.model, first.model, "{}", folder.display());
        let json = again.path().join("compose.json");
        std::fs::write(&json, serde_json::to_string_pretty(&first.model).expect("json")).expect("writable");
        request.files = vec![json];
        let third = config(&request, true).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert_eq!(third.model, first.model, "{}", folder.display());
        assert_eq!(load(&request).is_ok(), load(&self::request(&folder)).is_ok());
    }
}
