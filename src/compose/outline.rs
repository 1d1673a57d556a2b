//! The keys of the merged files and their positions, before they are interpreted.
//!
//! `init` generates an override of the files, so it must know which keys to override and where they are.

use std::path::{Path, PathBuf};

use super::error::ComposeError;
use super::request::LoadRequest;
use super::resolve::{Model, resolve};
use super::text::node::{Entry, Node, Value};

/// The merged files of a project.
pub struct Outline {
    model: Model,
    /// The main files in merge order, absolute; `-` is stdin.
    pub files: Vec<PathBuf>,
}

/// Reads and merges the files.
///
/// # Errors
/// When there is no file, or when the files cannot be merged.
pub fn outline(request: &LoadRequest) -> Result<Outline, ComposeError> {
    let model = resolve(request, true)?;
    Ok(Outline { files: model.files.clone(), model })
}

impl Outline {
    fn entry(&self, path: &[&str]) -> Option<&Entry> {
        let (last, parents) = path.split_last()?;
        let parent = parents.iter().try_fold(&self.model.root, |node, key| child(node, key))?;
        parent.as_map()?.get(last).filter(|entry| !entry.value.is_null())
    }

    /// Whether there is a value at this path of keys, such as `services`, `web`, `ports`.
    #[must_use]
    pub fn has(&self, path: &[&str]) -> bool {
        self.entry(path).is_some()
    }

    /// The position of the last key of the path, such as `compose.yaml:12`.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Option<String> {
        let span = match self.entry(path) {
            Some(entry) => entry.key_span,
            // A service without a value still has a key in the file.
            None => child(&self.model.root, path.first()?)?.as_map()?.get(path.get(1)?)?.key_span,
        };
        Some(format!("{}:{}", self.model.sources.shown(span.file), span.line))
    }

    /// The keys below a path.
    #[must_use]
    pub fn keys(&self, path: &[&str]) -> Vec<&str> {
        let map = self.entry(path).and_then(|entry| entry.value.as_map());
        map.map(|map| map.entries.iter().map(|entry| entry.key.as_str()).collect()).unwrap_or_default()
    }

    /// All texts at a path with their positions: the items of a list, the values of a map.
    #[must_use]
    pub fn texts(&self, path: &[&str]) -> Vec<(String, String)> {
        let Some(entry) = self.entry(path) else { return Vec::new() };
        let nodes: Vec<&Node> = match &entry.value.value {
            Value::Null => Vec::new(),
            Value::Scalar(_) => vec![&entry.value],
            Value::List(items) => items.iter().collect(),
            Value::Map(map) => map.entries.iter().map(|entry| &entry.value).collect(),
        };
        let text = |node: &Node| {
            let place = format!("{}:{}", self.model.sources.shown(node.span.file), node.span.line);
            Some((node.as_text()?.to_owned(), place))
        };
        nodes.into_iter().filter_map(text).collect()
    }

    /// The base folder of relative paths.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.model.folder
    }
}

fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    node.as_map().and_then(|map| map.value(key))
}
