//! Merges all files of a project to one tree: each file is read, interpolated, completed with its includes and
//! `extends`, and merged over the previous files.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::paths;
use super::rules;
use super::source::{self, absolute};
use crate::compose::context::Environment;
use crate::compose::error::{ComposeErrorKind, Problem, Read};
use crate::compose::refuse;
use crate::compose::text::interpolate;
use crate::compose::text::node::{Entry, Map, Node, Span, Value, clip};
use crate::compose::text::parse::{MOST_NODES, parse};
use crate::compose::text::root::NEEDS_SERVICES;
use crate::compose::text::sources::Sources;
use crate::compose::text::suggest::nearest;

/// Files may include files that include the same files: without a limit, ten files could result in a million.
const MOST_FILES: usize = 500;

/// Depth limit for includes and `extends`, which are resolved recursively.
pub(super) const MOST_LINKS: usize = 50;

/// A file that was read and is valid YAML.
#[derive(Debug)]
pub(in crate::compose) struct File {
    /// `None` for stdin.
    pub path: Option<PathBuf>,
    pub documents: Vec<Node>,
}

/// The base of a file's relative paths, and its variables.
#[derive(Clone, Copy)]
pub(in crate::compose) struct Scope<'a> {
    pub folder: &'a Path,
    pub environment: &'a Environment,
}

/// The services of one file, as a base for `extends`.
struct Bases {
    path: PathBuf,
    folder: PathBuf,
    services: Map,
}

pub(in crate::compose) struct Layers {
    pub sources: Sources,
    /// Problems that do not prevent reading further files.
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// The current folder: messages show paths relative to it.
    from: PathBuf,
    interpolates: bool,
    /// The number of nodes in all files, including copies made by `extends`.
    spent: usize,
    bases: HashMap<PathBuf, Rc<Bases>>,
    /// Variables without a value, each reported once.
    unset: BTreeSet<String>,
}

/// Why a file has no tree.
pub(in crate::compose) enum Unread {
    File(ComposeErrorKind, String, String),
    Text(Problem),
}

impl Layers {
    pub fn new(from: PathBuf, interpolates: bool) -> Self {
        Self {
            sources: Sources::default(),
            problems: Vec::new(),
            warnings: Vec::new(),
            from,
            interpolates,
            spent: 0,
            bases: HashMap::new(),
            unset: BTreeSet::new(),
        }
    }

    pub fn shown(&self, file: &Path) -> String {
        match file.strip_prefix(&self.from) {
            Ok(here) if here.as_os_str().is_empty() => ".".to_owned(),
            below => below.unwrap_or(file).display().to_string(),
        }
    }

    /// Adds a text; `path` is its origin.
    pub fn add(&mut self, path: Option<PathBuf>, text: String) -> Read<File> {
        let shown = path.as_ref().map_or_else(|| "<stdin>".to_owned(), |path| self.shown(path));
        self.add_as(shown, path, text)
    }

    /// Like [`Layers::add`], with a name for messages.
    pub fn add_as(&mut self, shown: String, path: Option<PathBuf>, text: String) -> Read<File> {
        let id = self.sources.add(shown, text);
        let documents = parse(self.sources.text(id), id)?;
        for document in &documents {
            self.spend(document.size(), document.span)?;
        }
        Ok(File { path, documents })
    }

    /// Opens a file named on the command line.
    pub fn open_main(&mut self, path: &Path) -> Result<File, Unread> {
        let text = source::read_named(path).map_err(|(kind, what, hint)| Unread::File(kind, what, hint))?;
        self.add(Some(path.to_owned()), text).map_err(Unread::Text)
    }

    fn open(&mut self, path: &Path) -> Result<File, Unread> {
        let text = source::read(path).map_err(|(kind, what, hint)| Unread::File(kind, what, hint))?;
        self.add(Some(path.to_owned()), text).map_err(Unread::Text)
    }

    /// Opens a file that another file names at `span`.
    pub(super) fn open_named(&mut self, path: &Path, span: Span, what: &str) -> Read<File> {
        if self.sources.len() >= MOST_FILES {
            return Err(Problem::at(span, format!("more than {MOST_FILES} files")).hint("include fewer files"));
        }
        self.open(path).map_err(|unread| match unread {
            Unread::Text(problem) => problem,
            Unread::File(_, why, hint) => Problem::at(span, format!("{what} `{}` {why}", self.shown(path))).hint(hint),
        })
    }

    fn spend(&mut self, nodes: usize, span: Span) -> Read<()> {
        self.spent = self.spent.saturating_add(nodes);
        if self.spent <= MOST_NODES {
            return Ok(());
        }
        let message = format!("more than {MOST_NODES} values in all files together");
        Err(Problem::at(span, message).hint("extend smaller services"))
    }

    /// The files merged in order. `trail`: the files that include them.
    pub fn model(&mut self, files: Vec<File>, scope: Scope<'_>, trail: &[PathBuf]) -> Read<Node> {
        let mut model: Option<Node> = None;
        for File { path, documents } in files {
            let trail: Vec<PathBuf> = trail.iter().cloned().chain(path.clone()).collect();
            for mut document in documents {
                self.put_in_variables(&mut document, scope.environment);
                self.include(&mut document, scope, &trail)?;
                self.extend(&mut document, scope, path.as_deref())?;
                model = Some(match model {
                    None => document,
                    Some(base) => rules::files(base, document)?,
                });
            }
        }
        let span = Span { line: 1, column: 1, ..Span::default() };
        model.ok_or_else(|| Problem::at(span, "the file is empty").hint(NEEDS_SERVICES))
    }

    fn put_in_variables(&mut self, tree: &mut Node, environment: &Environment) {
        if !self.interpolates {
            return;
        }
        let value = |name: &str| environment.get(name);
        let mut walker = interpolate::Tree::new(self.sources.text(tree.span.file), &value);
        walker.walk(tree);
        let (failures, unset) = (walker.failures, walker.unset);
        self.problems
            .extend(failures.into_iter().map(|(span, failure)| Problem::at(span, failure.message).hint(failure.hint)));
        for (name, span) in unset {
            if self.unset.insert(name.clone()) {
                let hint = format!("set it, or give it a default: `${{{name}:-…}}`");
                let message = format!("variable `{name}` is not set, so it is empty");
                self.warnings.push(Problem::at(span, message).hint(hint));
            }
        }
    }

    /// Resolves `extends` in every service of a document.
    fn extend(&mut self, document: &mut Node, scope: Scope<'_>, path: Option<&Path>) -> Read<()> {
        let services = document.as_map_mut().and_then(|root| root.get_mut("services")?.value.as_map_mut());
        let Some(services) = services else { return Ok(()) };
        let extends = |entry: &Entry| entry.value.as_map().is_some_and(|map| map.get("extends").is_some());
        if !services.entries.iter().any(extends) {
            return Ok(());
        }
        let own = Rc::new(Bases {
            path: path.map_or_else(PathBuf::new, Path::to_owned),
            folder: scope.folder.to_owned(),
            services: services.clone(),
        });
        for entry in services.entries.iter_mut().filter(|entry| extends(entry)) {
            entry.value = self.extended(&entry.key, entry.value.clone(), &own, scope.environment, &mut Vec::new())?;
        }
        Ok(())
    }

    /// `service` merged over the service that it extends, recursively; `chain`: the services that led here.
    fn extended(
        &mut self,
        name: &str,
        mut service: Node,
        place: &Rc<Bases>,
        environment: &Environment,
        chain: &mut Vec<Link>,
    ) -> Read<Node> {
        let desired = service.as_map_mut().and_then(|map| map.remove("extends")).filter(|entry| !entry.value.is_null());
        let Some(desired) = desired else { return Ok(service) };
        let link = Link { file: place.path.clone(), service: name.to_owned(), span: desired.key_span };
        let same = |known: &Link| known.file == link.file && known.service == link.service;
        if let Some(begin) = chain.iter().position(same) {
            let one_file = chain.iter().all(|known| known.file == link.file);
            let shown = |link: &Link| match one_file {
                true => format!("`{}`", clip(&link.service)),
                false => format!("`{}` in `{}`", clip(&link.service), self.shown(&link.file)),
            };
            let closing = chain.last().map_or(link.span, |last| last.span);
            let circle: Vec<String> = chain[begin..].iter().chain([&link]).map(shown).collect();
            let message = format!("services extend each other in a circle: {}", circle.join(" → "));
            return Err(Problem::at(closing, message).hint("remove one of these `extends`"));
        }
        if chain.len() >= MOST_LINKS {
            let message = format!("services extend each other more than {MOST_LINKS} levels deep");
            return Err(Problem::at(desired.key_span, message).hint("extend fewer levels"));
        }
        chain.push(link);
        let (base_name, span, file) = self.extends_entry(&desired)?;
        let base_place = match file {
            None => Rc::clone(place),
            Some(node) => self.bases(&absolute(&place.folder, Path::new(&local(&node)?)), node.span, environment)?,
        };
        let Some(base) = base_place.services.get(&base_name) else {
            let known = base_place.services.entries.iter().map(|entry| entry.key.as_str());
            let place =
                if base_place.path.as_os_str().is_empty() { "<stdin>".into() } else { self.shown(&base_place.path) };
            let message = format!("`extends` names `{}`, which is not a service of `{place}`", clip(&base_name));
            let problem = Problem::at(span, message);
            return Err(match nearest(&base_name, known) {
                Some(near) => problem.hint(format!("did you mean `{near}`?")),
                None => problem.hint("add `file: …` when it stands in another file"),
            });
        };
        self.spend(base.value.size(), span)?;
        let mut base = self.extended(&base_name, base.value.clone(), &base_place, environment, chain)?;
        rules::strip_tags(&mut base);
        // An empty base is not an error: the service itself may be complete.
        if base.is_null() { Ok(service) } else { rules::services(base, service) }
    }

    /// Name and position of the extended service, and the file that contains it.
    fn extends_entry(&mut self, entry: &Entry) -> Read<(String, Span, Option<Node>)> {
        let Value::Map(map) = &entry.value.value else { return Ok((entry.text()?, entry.value.span, None)) };
        for field in &map.entries {
            if !refuse::EXTENDS.known.contains(&field.key.as_str()) {
                self.problems.extend(refuse::EXTENDS.refusal(field));
            }
        }
        let service = map.get("service").ok_or_else(|| {
            Problem::at(entry.key_span, "`extends` needs its `service`")
                .hint("write `extends: { file: …, service: … }`")
        })?;
        Ok((service.text()?, service.value.span, map.value("file").cloned()))
    }

    /// The services of another file. Its includes are ignored, and its paths are made absolute.
    fn bases(&mut self, path: &Path, span: Span, environment: &Environment) -> Read<Rc<Bases>> {
        if let Some(known) = self.bases.get(path) {
            return Ok(Rc::clone(known));
        }
        let file = self.open_named(path, span, "extended file")?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let mut model: Option<Node> = None;
        for mut document in file.documents {
            self.put_in_variables(&mut document, environment);
            paths::resolve(&mut document, &folder, false);
            model = Some(match model {
                None => document,
                Some(base) => rules::files(base, document)?,
            });
        }
        let services = model.as_ref().and_then(|root| root.as_map()?.value("services")?.as_map()).cloned();
        let bases = Rc::new(Bases { path: path.to_owned(), folder, services: services.unwrap_or_default() });
        self.bases.insert(path.to_owned(), Rc::clone(&bases));
        Ok(bases)
    }
}

/// One step in a chain of `extends`.
struct Link {
    file: PathBuf,
    service: String,
    span: Span,
}

/// A local path; compose can also fetch a file.
pub(super) fn local(node: &Node) -> Read<String> {
    let text = crate::compose::text::scalar::text("path", node)?;
    if paths::is_remote(&text) || text.starts_with("oci:") {
        return Err(Problem::at(node.span, format!("`{}` is not a file", clip(&text)))
            .hint("fetch it first, and name the file; remote files are not read"));
    }
    Ok(text)
}

/// A problem in an env file, reported at the position that names the file.
pub(super) fn named(error: crate::compose::error::ComposeError, span: Span) -> Problem {
    let finding = error.findings.into_iter().next();
    let (message, hint) = finding.map_or_else(Default::default, |finding| (finding.message, finding.hint));
    Problem { span: Some(span), hint, ..Problem::plain(message) }
}
