//! `include`: adds the resources of other projects' files, with their own folders and variables.

use std::path::{Path, PathBuf};

use super::layers::{Layers, MOST_LINKS, Scope, local, named};
use super::paths;
use super::rules;
use super::source::absolute;
use crate::compose::context::Environment;
use crate::compose::error::{Problem, Read};
use crate::compose::refuse;
use crate::compose::text::collections;
use crate::compose::text::node::{Entry, Map, Node, Span, Value};

/// The sections that are included.
const RESOURCES: [&str; 7] = ["services", "jobs", "volumes", "networks", "secrets", "configs", "models"];

struct Include {
    paths: Vec<(PathBuf, Span)>,
    folder: PathBuf,
    env_files: Vec<PathBuf>,
    span: Span,
}

impl Layers {
    /// Adds the resources of included files to `document`.
    pub(super) fn include(&mut self, document: &mut Node, scope: Scope<'_>, trail: &[PathBuf]) -> Read<()> {
        let Some(root) = document.as_map_mut() else { return Ok(()) };
        let Some(entry) = root.remove("include") else { return Ok(()) };
        for item in collections::list(&entry)? {
            let desired = self.include_entry(item, scope)?;
            let mut environment = scope.environment.clone();
            environment.add_files(&desired.env_files).map_err(|error| named(error, desired.span))?;
            if trail.len() > MOST_LINKS {
                let message = format!("files include each other more than {MOST_LINKS} levels deep");
                return Err(Problem::at(desired.span, message).hint("include fewer levels"));
            }
            let mut files = Vec::new();
            for (path, span) in &desired.paths {
                if let Some(begin) = trail.iter().position(|file| file == path) {
                    let circle: Vec<String> =
                        trail[begin..].iter().chain([path]).map(|file| format!("`{}`", self.shown(file))).collect();
                    let message = format!("files include each other in a circle: {}", circle.join(" → "));
                    return Err(Problem::at(*span, message).hint("remove one of these includes"));
                }
                files.push(self.open_named(path, *span, "included file")?);
            }
            let mut included =
                self.model(files, Scope { folder: &desired.folder, environment: &environment }, trail)?;
            rules::strip_tags(&mut included);
            paths::resolve(&mut included, &desired.folder, true);
            pass_on_variables(&mut included, &environment);
            import(root, included)?;
        }
        Ok(())
    }

    fn include_entry(&mut self, item: &Node, scope: Scope<'_>) -> Read<Include> {
        let located = |node: &Node| Ok((absolute(scope.folder, Path::new(&local(node)?)), node.span));
        let several = |entry: &Entry| match &entry.value.value {
            Value::List(items) => items.iter().map(located).collect::<Read<Vec<_>>>(),
            _ => Ok(vec![located(&entry.value)?]),
        };
        let (mut paths, mut env_files, mut folder) = (Vec::new(), None, None);
        match &item.value {
            Value::Map(map) => {
                for field in map.entries.iter().filter(|field| !field.value.is_null()) {
                    match field.key.as_str() {
                        "path" => paths = several(field)?,
                        "env_file" => env_files = Some(several(field)?),
                        "project_directory" => folder = Some(located(&field.value)?.0),
                        _ => self.problems.extend(refuse::INCLUDE.refusal(field)),
                    }
                }
            }
            _ => paths = vec![located(item)?],
        }
        let Some((first, _)) = paths.first() else {
            return Err(Problem::at(item.span, "an include needs its `path`").hint("add `path: other/compose.yaml`"));
        };
        let folder = folder.unwrap_or_else(|| first.parent().unwrap_or(Path::new("/")).to_owned());
        let env_files = match env_files {
            // Compose's way to specify no env file, not even an existing `.env`.
            Some(files) => {
                files.into_iter().map(|(file, _)| file).filter(|file| file != Path::new("/dev/null")).collect()
            }
            None => Some(folder.join(".env")).filter(|file| file.is_file()).into_iter().collect(),
        };
        Ok(Include { paths, folder, env_files, span: item.span })
    }
}

/// Resolves variables without a value here, where the `.env` of the included file is known.
fn pass_on_variables(included: &mut Node, environment: &Environment) {
    let Some(services) = included.as_map_mut().and_then(|root| root.get_mut("services")?.value.as_map_mut()) else {
        return;
    };
    let tables = services.entries.iter_mut().filter_map(|entry| entry.value.as_map_mut()).flat_map(|service| {
        let mut tables: Vec<&mut Node> = Vec::new();
        for entry in &mut service.entries {
            match entry.key.as_str() {
                "environment" => tables.push(&mut entry.value),
                "build" => {
                    let args = entry.value.as_map_mut().and_then(|build| build.get_mut("args"));
                    tables.extend(args.map(|args| &mut args.value));
                }
                _ => {}
            }
        }
        tables
    });
    for table in tables {
        match &mut table.value {
            Value::Map(map) => {
                for entry in map.entries.iter_mut().filter(|entry| entry.value.is_null()) {
                    if let Some(value) = environment.get(&entry.key) {
                        entry.value = Node::text_at(entry.key_span, value);
                    }
                }
            }
            Value::List(items) => {
                for item in items {
                    if let Value::Scalar(name) = &mut item.value
                        && !name.contains('=')
                        && let Some(value) = environment.get(name)
                    {
                        *name = format!("{name}={value}");
                    }
                }
            }
            Value::Null | Value::Scalar(_) => {}
        }
    }
}

/// Adds the included resources; the including file takes precedence, like a file merged over it.
fn import(root: &mut Map, included: Node) -> Read<()> {
    let Value::Map(included) = included.value else { return Ok(()) };
    for section in included.entries.into_iter().filter(|entry| RESOURCES.contains(&entry.key.as_str())) {
        let Value::Map(resources) = section.value.value else { continue };
        if root.get(&section.key).is_none_or(|own| own.value.is_null()) {
            root.set(&section.key, Node::new(section.key_span, Value::Map(Map::default())));
        }
        let Some(own) = root.get_mut(&section.key).and_then(|entry| entry.value.as_map_mut()) else { continue };
        for resource in resources.entries {
            match own.get_mut(&resource.key) {
                None => own.entries.push(resource),
                Some(known) if known.value.means(&resource.value) => {}
                Some(known) => {
                    let over = std::mem::replace(&mut known.value, Node::new(Span::default(), Value::Null));
                    known.value = rules::resources(resource.value, over, &section.key)?;
                }
            }
        }
    }
    Ok(())
}
