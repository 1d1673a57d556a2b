//! Complete files, with the resulting project or the complete error text.

mod any_text;
mod apps;
mod as_compose;
mod attachments;
mod basic_auth;
mod canary;
mod corpus;
mod edge;
mod files;
mod formats;
mod hooks;
mod host;
mod keys;
mod notify;
mod redirects;
mod refusals;
mod sample;
mod schema;
mod secrets;
mod several;
mod specification;
mod tls;
mod yaml;

use std::collections::BTreeMap;

use super::*;
use crate::model::{App, ContainerSpec, Project};

/// A temporary folder with a compose file and other files of a case.
pub(super) struct Case {
    folder: tempfile::TempDir,
    env: BTreeMap<String, String>,
}

impl Case {
    pub fn new(compose: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { folder, env: BTreeMap::new() }.file("compose.yaml", compose)
    }

    /// A file with one app whose service has these additional lines, from line 5 on.
    pub fn app(lines: &str) -> Self {
        Self::new(&format!("services:\n  web:\n    image: web:1\n    x-deploy-apps: {{ port: 80 }}\n{lines}"))
    }

    /// A file with one app whose block has these lines, from line 5 on.
    pub fn block(lines: &str) -> Self {
        Self::new(&format!("services:\n  web:\n    image: web:1\n    x-deploy-apps:\n{lines}"))
    }

    /// A file with one accessory whose service has these additional lines, from line 4 on.
    pub fn accessory(lines: &str) -> Self {
        Self::new(&format!("services:\n  db:\n    image: db:1\n{lines}"))
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
            folder: self.folder.path().to_owned(),
            project_name: Some("sample".to_owned()),
            env: self.env.clone(),
            ..LoadRequest::default()
        }
    }

    #[track_caller]
    pub fn loaded(&self) -> Loaded {
        load(&self.request()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The project of a file without warnings.
    #[track_caller]
    pub fn project(&self) -> Project {
        let loaded = self.loaded();
        assert_eq!(loaded.warnings, []);
        loaded.project
    }

    #[track_caller]
    pub fn first_app(&self) -> App {
        self.project().apps[0].clone()
    }

    /// The container of the only service.
    #[track_caller]
    pub fn container(&self) -> ContainerSpec {
        let project = self.project();
        let app = project.apps.values().map(|app| &app.service).next();
        app.or_else(|| project.accessories.values().map(|found| &found.service).next())
            .expect("a service")
            .container
            .clone()
    }

    pub fn warnings(&self) -> Vec<String> {
        self.loaded().warnings.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    pub fn error(&self) -> String {
        load(&self.request()).expect_err("a refusal").to_string()
    }

    /// Asserts the complete text of the error.
    #[track_caller]
    pub fn says(&self, expected: &str) {
        let error = self.error();
        assert!(error == expected, "expected:\n{expected}\n\ngot:\n{error}\n");
    }

    /// Asserts message and hint of the first finding, without the excerpt. In a file without an app, which is never
    /// deployed, unsupported keys are warnings.
    #[track_caller]
    pub fn refuses(&self, message: &str, hint: &str) {
        let found = match load(&self.request()) {
            Err(error) => error.findings[0].clone(),
            Ok(loaded) if loaded.project.apps.is_empty() && !loaded.warnings.is_empty() => loaded.warnings[0].0.clone(),
            Ok(_) => panic!("a refusal"),
        };
        let place = found.place.as_ref().map(|place| format!("{}:{}: ", place.line, place.column)).unwrap_or_default();
        assert_eq!(format!("{place}{}", found.message), message);
        assert_eq!(found.hint.as_deref().unwrap_or_default(), hint);
    }
}
