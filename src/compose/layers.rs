//! One tree out of all the files of a project: each is read, interpolated, completed by what it includes and what its
//! services extend, and merged over the files before it.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::collect;
use super::context::Environment;
use super::error::{ComposeErrorKind, Problem, Read};
use super::interpolate;
use super::merge;
use super::node::{Entry, Map, Node, Span, Value, clip};
use super::parse::{MOST_NODES, parse};
use super::paths;
use super::refuse;
use super::source::{self, Sources, absolute};
use super::suggest::nearest;

/// Files may include files that include the same files: without a bound ten of them could make a million.
const MOST_FILES: usize = 500;

/// Files are read by recursion, and so are services that extend each other.
const MOST_LINKS: usize = 50;

/// What includes are taken over from, besides services.
const RESOURCES: [&str; 6] = ["services", "volumes", "networks", "secrets", "configs", "models"];

/// One file that was read and is valid YAML.
#[derive(Debug)]
pub(super) struct File {
    /// `None` for the standard input.
    pub path: Option<PathBuf>,
    pub documents: Vec<Node>,
}

/// Where a file's paths start, and where its variables come from.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub folder: &'a Path,
    pub environment: &'a Environment,
}

/// The services of one file, as others may extend them.
struct Bases {
    path: PathBuf,
    folder: PathBuf,
    services: Map,
}

pub(super) struct Layers {
    pub sources: Sources,
    /// What does not stop the reading of further files.
    pub problems: Vec<Problem>,
    pub warnings: Vec<Problem>,
    /// Messages name files as the user would type them from here.
    from: PathBuf,
    interpolates: bool,
    /// Nodes of all files and of all copies made by `extends`.
    spent: usize,
    bases: HashMap<PathBuf, Rc<Bases>>,
    /// A variable without a value is told of once.
    unset: BTreeSet<String>,
}

/// Why a file has no tree.
pub(super) enum Unread {
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

    /// Takes a text in; `path` is where it came from.
    pub fn add(&mut self, path: Option<PathBuf>, text: String) -> Read<File> {
        let shown = path.as_ref().map_or_else(|| "<stdin>".to_owned(), |path| self.shown(path));
        let id = self.sources.add(shown, text);
        let documents = parse(self.sources.text(id), id)?;
        for document in &documents {
            self.spend(document.size(), document.span)?;
        }
        Ok(File { path, documents })
    }

    pub fn open(&mut self, path: &Path) -> Result<File, Unread> {
        let text = source::read(path).map_err(|(kind, what, hint)| Unread::File(kind, what, hint))?;
        self.add(Some(path.to_owned()), text).map_err(Unread::Text)
    }

    /// A file that another one names at `span`.
    fn open_named(&mut self, path: &Path, span: Span, what: &str) -> Read<File> {
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

    /// The files, merged in their order. `trail` are the files that include these.
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
                    Some(base) => merge::files(base, document)?,
                });
            }
        }
        let span = Span { line: 1, column: 1, ..Span::default() };
        model.ok_or_else(|| Problem::at(span, "the file is empty").hint(super::NEEDS_SERVICES))
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

    /// `include`: other projects' resources are taken over as they are.
    fn include(&mut self, document: &mut Node, scope: Scope<'_>, trail: &[PathBuf]) -> Read<()> {
        let Some(root) = document.as_map_mut() else { return Ok(()) };
        let Some(entry) = root.remove("include") else { return Ok(()) };
        for item in collect::list(&entry)? {
            let wish = self.include_wish(item, scope)?;
            let mut environment = scope.environment.clone();
            environment.add_files(&wish.env_files).map_err(|error| named(error, wish.span))?;
            if trail.len() > MOST_LINKS {
                let message = format!("files include each other more than {MOST_LINKS} levels deep");
                return Err(Problem::at(wish.span, message).hint("include fewer levels"));
            }
            let mut files = Vec::new();
            for (path, span) in &wish.paths {
                if let Some(begin) = trail.iter().position(|file| file == path) {
                    let circle: Vec<String> =
                        trail[begin..].iter().chain([path]).map(|file| format!("`{}`", self.shown(file))).collect();
                    let message = format!("files include each other in a circle: {}", circle.join(" → "));
                    return Err(Problem::at(*span, message).hint("remove one of these includes"));
                }
                files.push(self.open_named(path, *span, "included file")?);
            }
            let mut included = self.model(files, Scope { folder: &wish.folder, environment: &environment }, trail)?;
            merge::tidy(&mut included);
            paths::resolve(&mut included, &wish.folder);
            pass_on_variables(&mut included, &environment);
            import(root, included, &self.sources)?;
        }
        Ok(())
    }

    fn include_wish(&mut self, item: &Node, scope: Scope<'_>) -> Read<Include> {
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
            // Compose's way to say: none, not even the `.env` that lies there.
            Some(files) => {
                files.into_iter().map(|(file, _)| file).filter(|file| file != Path::new("/dev/null")).collect()
            }
            None => Some(folder.join(".env")).filter(|file| file.is_file()).into_iter().collect(),
        };
        Ok(Include { paths, folder, env_files, span: item.span })
    }

    /// `extends`, in every service of a document.
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

    /// `service` over the one that it extends, which may extend others in turn; `chain` are those that lead here.
    fn extended(
        &mut self,
        name: &str,
        mut service: Node,
        place: &Rc<Bases>,
        environment: &Environment,
        chain: &mut Vec<Link>,
    ) -> Read<Node> {
        let wish = service.as_map_mut().and_then(|map| map.remove("extends")).filter(|entry| !entry.value.is_null());
        let Some(wish) = wish else { return Ok(service) };
        let link = Link { file: place.path.clone(), service: name.to_owned(), span: wish.key_span };
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
            return Err(Problem::at(wish.key_span, message).hint("extend fewer levels"));
        }
        chain.push(link);
        let (base_name, span, file) = self.extends_wish(&wish)?;
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
        merge::tidy(&mut base);
        // A base with nothing in it is no reason to fail; the service itself says what it needs.
        if base.is_null() { Ok(service) } else { merge::services(base, service) }
    }

    /// The service that is extended, where it is named, and the file that it is in.
    fn extends_wish(&mut self, entry: &Entry) -> Read<(String, Span, Option<Node>)> {
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

    /// The services of another file. Its own includes play no part, and its paths are absolute from here on.
    fn bases(&mut self, path: &Path, span: Span, environment: &Environment) -> Read<Rc<Bases>> {
        if let Some(known) = self.bases.get(path) {
            return Ok(Rc::clone(known));
        }
        let file = self.open_named(path, span, "extended file")?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        let mut model: Option<Node> = None;
        for mut document in file.documents {
            self.put_in_variables(&mut document, environment);
            paths::resolve(&mut document, &folder);
            model = Some(match model {
                None => document,
                Some(base) => merge::files(base, document)?,
            });
        }
        let services = model.as_ref().and_then(|root| root.as_map()?.value("services")?.as_map()).cloned();
        let bases = Rc::new(Bases { path: path.to_owned(), folder, services: services.unwrap_or_default() });
        self.bases.insert(path.to_owned(), Rc::clone(&bases));
        Ok(bases)
    }
}

/// One step of a chain of `extends`.
struct Link {
    file: PathBuf,
    service: String,
    span: Span,
}

struct Include {
    paths: Vec<(PathBuf, Span)>,
    folder: PathBuf,
    env_files: Vec<PathBuf>,
    span: Span,
}

/// A file of this machine; compose can also fetch one.
fn local(node: &Node) -> Read<String> {
    let text = super::scalar::text("path", node)?;
    if paths::is_remote(&text) || text.starts_with("oci:") {
        return Err(Problem::at(node.span, format!("`{}` is not a file", clip(&text)))
            .hint("fetch it first, and name the file; remote files are not read"));
    }
    Ok(text)
}

/// An env file has no line in a compose file; what names it has.
fn named(error: super::ComposeError, span: Span) -> Problem {
    let finding = error.findings.into_iter().next();
    let (message, hint) = finding.map_or_else(Default::default, |finding| (finding.message, finding.hint));
    Problem { span: Some(span), hint, ..Problem::plain(message) }
}

/// Variables without a value are looked up where the file's own `.env` is known, and only there.
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

/// Adds the included resources; one that is there already must be the very same.
fn import(root: &mut Map, included: Node, sources: &Sources) -> Read<()> {
    let Value::Map(included) = included.value else { return Ok(()) };
    for section in included.entries.into_iter().filter(|entry| RESOURCES.contains(&entry.key.as_str())) {
        let Value::Map(resources) = section.value.value else { continue };
        if root.get(&section.key).is_none_or(|own| own.value.is_null()) {
            root.set(&section.key, Node::new(section.key_span, Value::Map(Map::default())));
        }
        let Some(own) = root.get_mut(&section.key).and_then(|entry| entry.value.as_map_mut()) else { continue };
        for resource in resources.entries {
            match own.get(&resource.key) {
                None => own.entries.push(resource),
                Some(known) if known.value.means(&resource.value) => {}
                Some(known) => {
                    let place = format!("{}:{}", sources.shown(resource.key_span.file), resource.key_span.line);
                    let kind = section.key.trim_end_matches('s');
                    let message = format!("{kind} `{}` is also in the included `{place}`", clip(&known.key));
                    let hint = "rename one of them; to change what is included, merge a file of yours over it: \
                                `include: [{ path: [theirs.yaml, yours.yaml] }]`";
                    return Err(Problem::at(known.key_span, message).hint(hint));
                }
            }
        }
    }
    Ok(())
}
