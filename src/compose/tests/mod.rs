//! Whole files: what they mean, and the whole text of what is wrong with them.

mod refusals;
mod sample;

use std::collections::BTreeMap;

use super::*;

/// A folder of its own with a compose file and what else a case needs.
pub(super) struct Case {
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Case {
    pub fn new(compose: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, env: BTreeMap::new() }.file("compose.yaml", compose)
    }

    pub fn file(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn path(&self, inner: &str) -> String {
        self.folder.path().join(inner).display().to_string()
    }

    pub fn request(&self) -> LoadRequest {
        LoadRequest {
            file: None,
            folder: self.folder.path().to_owned(),
            project_name: Some("sample".to_owned()),
            env: self.env.clone(),
        }
    }

    pub fn loaded(&self) -> Loaded {
        load(&self.request()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The project, of a file that gives no warnings.
    pub fn project(&self) -> Project {
        let loaded = self.loaded();
        assert_eq!(loaded.warnings, []);
        loaded.project
    }

    pub fn warnings(&self) -> Vec<String> {
        self.loaded().warnings.iter().map(ToString::to_string).collect()
    }

    pub fn error(&self) -> String {
        load(&self.request()).expect_err("a refusal").to_string()
    }
}
