//! No file needs itself: neither the files of a folder of `src/` nor the proxy's Lua modules import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Folders in which files still import each other in circles. One that is untied leaves the list; none comes back.
const TIED: [&str; 6] = ["dashboard", "diagnosis", "docker", "load", "proxy", "report"];

/// Which file imports which.
type Graph = BTreeMap<String, BTreeSet<String>>;

/// A circle of the graph, from a node back to it; the first in the order of the names.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    graph.keys().find_map(|start| walk(graph, start, &mut Vec::new(), &mut done))
}

fn walk<'g>(
    graph: &'g Graph,
    node: &'g str,
    path: &mut Vec<&'g str>,
    done: &mut BTreeSet<&'g str>,
) -> Option<Vec<String>> {
    if let Some(at) = path.iter().position(|passed| *passed == node) {
        return Some(path[at..].iter().chain(&[node]).map(|&name| name.to_owned()).collect());
    }
    if done.contains(node) {
        return None;
    }
    path.push(node);
    let found = graph.get(node).into_iter().flatten().find_map(|next| walk(graph, next, path, done));
    path.pop();
    done.insert(node);
    found
}

/// Every file below `root` with this extension.
fn files(root: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|of_file| of_file == extension) {
            found.push(path);
        }
    }
    found
}

/// The module of each file below `root`: `plan::way` of `plan/way.rs`, `plan` of `plan/mod.rs`.
fn module(root: &Path, file: &Path) -> String {
    let path = file.strip_prefix(root).expect("a file below the root").with_extension("");
    let parts: Vec<_> = path.iter().map(|part| part.to_string_lossy()).collect();
    match parts.split_last() {
        Some((last, folders)) if last == "mod" => folders.join("::"),
        _ => parts.join("::"),
    }
}

/// Without comments, and without the tests within the file: those may use whatever they test.
fn code(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let starts_tests = line == "#[cfg(test)]" && lines.peek().is_some_and(|next| next.ends_with(" {"));
        if starts_tests {
            lines.by_ref().find(|line| *line == "}");
        } else if !line.trim_start().starts_with("//") {
            kept.push(line);
        }
    }
    kept.join("\n")
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn paths(tree: &str) -> Vec<String> {
    let Some((before, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().to_owned()];
    };
    let inner = &rest[..rest.rfind('}').unwrap_or(rest.len())];
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&inner[start..]);
    let below = parts.into_iter().filter(|part| !part.trim().is_empty()).flat_map(|part| paths(part.trim()));
    below.map(|path| format!("{}{path}", before.trim())).collect()
}

/// The module that a path leads into, seen from the module `from`; nothing for what is not of this crate.
fn target(path: &str, from: &str, modules: &BTreeSet<String>) -> Option<String> {
    let mut base: Vec<&str> = from.split("::").collect();
    let mut parts = path.split("::").peekable();
    match parts.peek() {
        Some(&"crate") => {
            base.clear();
            parts.next();
        }
        Some(&"self") => {
            parts.next();
        }
        Some(&"super") => {
            while parts.next_if_eq(&"super").is_some() {
                base.pop();
            }
        }
        Some(first) if modules.contains(&format!("{from}::{first}")) => {}
        _ => return None,
    }
    for part in parts {
        base.push(part);
        if !modules.contains(&base.join("::")) {
            base.pop();
            break;
        }
    }
    Some(base.join("::")).filter(|module| !module.is_empty())
}

/// What the code of one module imports from others, by `use` or by a path.
fn imports(text: &str, from: &str, modules: &BTreeSet<String>) -> BTreeSet<String> {
    let (mut found, mut rest) = (Vec::new(), String::new());
    for statement in code(text).split_inclusive(';') {
        let used = statement.rfind("use ").filter(|at| {
            let line = statement[..*at].rsplit('\n').next().unwrap_or_default().trim_start();
            line.is_empty() || line.starts_with("pub") && !line.contains("fn")
        });
        match used {
            Some(at) => {
                found.extend(paths(statement[at + 4..].trim_end_matches(';')));
                rest.push_str(&statement[..at]);
            }
            None => rest.push_str(statement),
        }
    }
    // `pub(in crate::folder)` says who may look, and imports nothing.
    let mut pieces = rest.split("pub(in ");
    let before = pieces.next().unwrap_or_default().to_owned();
    let rest = pieces.fold(before, |text, piece| text + piece.split_once(')').map_or("", |(_, after)| after));
    for word in rest.split(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        if word.contains("::") {
            found.push(word.trim_matches(':').to_owned());
        }
    }
    let targets = found.iter().filter(|path| !path.is_empty()).filter_map(|path| target(path, from, modules));
    targets.filter(|module| module != from).collect()
}

/// The crate's files; the roots join everything, and tests may.
fn rust() -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let is_test = |module: &str| module.split("::").any(|part| part == "tests");
    let sources: BTreeMap<String, String> = files(&root, "rs")
        .into_iter()
        .map(|file| (module(&root, &file), fs::read_to_string(&file).expect("a readable file")))
        .filter(|(module, _)| !["lib", "main"].contains(&module.as_str()) && !is_test(module))
        .collect();
    let modules: BTreeSet<String> = sources.keys().cloned().collect();
    sources.iter().map(|(module, text)| (module.clone(), imports(text, module, &modules))).collect()
}

/// The proxy's modules. Whatever names one in quotes loads it at some time: `require`, a thread, the table of calls.
fn lua() -> Graph {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("nginx/lua");
    let sources: BTreeMap<String, String> = files(&root, "lua")
        .into_iter()
        .map(|file| (module(&root, &file).replace("::", "."), fs::read_to_string(&file).expect("a readable file")))
        .collect();
    let loads = |(module, text): (&String, &String)| {
        let quoted = text.split('"').skip(1).step_by(2).filter(|name| sources.contains_key(*name) && name != module);
        // A word alone, such as `workers`, may be anything: a module of the folder itself is only ever required.
        let required = |name: &&str| {
            name.contains('.')
                || ["require ", "require(", "require( "].iter().any(|call| text.contains(&format!("{call}\"{name}\"")))
        };
        (module.clone(), quoted.filter(required).map(str::to_owned).collect())
    };
    sources.iter().map(loads).collect()
}

fn graph(edges: &[(&str, &str)]) -> Graph {
    let mut graph = Graph::new();
    for (from, to) in edges {
        graph.entry((*from).to_owned()).or_default().insert((*to).to_owned());
    }
    graph
}

/// The files of one top-level folder.
fn folder(graph: &Graph, name: &str) -> Graph {
    let is_in = |module: &String| module.split("::").next() == Some(name);
    let own = graph.iter().filter(|(module, _)| is_in(module));
    own.map(|(module, imports)| (module.clone(), imports.iter().filter(|to| is_in(to)).cloned().collect())).collect()
}

#[test]
fn no_file_of_the_crate_imports_itself_by_way_of_others() {
    let graph = rust();
    let names: BTreeSet<&str> = graph.keys().filter_map(|module| module.split("::").next()).collect();
    let circles: BTreeMap<&str, String> =
        names.into_iter().filter_map(|name| Some((name, circle(&folder(&graph, name))?.join(" -> ")))).collect();
    let tied: Vec<&str> = circles.keys().copied().collect();
    assert_eq!(tied, TIED, "move what both sides need into a file of its own: {circles:#?}");
}

#[test]
fn no_lua_module_requires_itself_by_way_of_others() {
    let graph = lua();
    assert!(graph["control.api"].contains("control.flip") && graph["boot"].contains("state.store"), "{graph:?}");
    assert_eq!(
        circle(&graph).map(|circle| circle.join(" -> ")),
        None,
        "move what both sides need into a file of its own"
    );
}

#[test]
fn a_circle_is_found_and_named() {
    let found = circle(&graph(&[("a", "b"), ("b", "c"), ("c", "d"), ("c", "b"), ("x", "a")]));
    assert_eq!(found, Some(["b", "c", "b"].map(str::to_owned).to_vec()));
    assert_eq!(circle(&graph(&[("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")])), None);
}

#[test]
fn an_import_leads_to_the_file_that_it_names() {
    let modules: BTreeSet<String> =
        ["plan", "plan::way", "plan::step", "model", "model::names"].map(str::to_owned).into();
    let text = "use super::step::{Gate, Step};\nuse crate::model::{AppName, names::{Generation}};\n\n\
        pub(in crate::plan) fn f() -> super::Plan { way::go() }\n// crate::nothing::x\n\n\
        #[cfg(test)]\nmod tests {\n    use crate::other::X;\n}\n";
    let found = imports(text, "plan::way", &modules);
    assert_eq!(found, ["model", "model::names", "plan", "plan::step"].map(str::to_owned).into());
    assert_eq!(imports("pub use way::go;", "plan", &modules), ["plan::way".to_owned()].into());
}
