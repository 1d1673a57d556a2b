//! Detects the apps in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::clues::port_in_command;

/// Folders with dependencies or build output.
const SKIPPED: [&str; 10] =
    [".git", "node_modules", "target", "vendor", "dist", "build", ".venv", "venv", "__pycache__", ".next"];
/// Maximum depth of apps, such as `services/shop/api`.
const DEPTH: usize = 3;
/// Limits the search, so that `init` is fast in a monorepo.
const MOST_FILES: usize = 400;
const LARGEST_FILE: u64 = 256 * 1024;
/// Most likely first.
const HEALTH_PATHS: [&str; 12] = [
    "/healthz",
    "/readyz",
    "/health",
    "/ready",
    "/livez",
    "/up",
    "/api/healthz",
    "/api/health",
    "/health/",
    "/healthcheck",
    "/api/ping",
    "/ping",
];
const SOURCES: [&str; 14] =
    ["go", "js", "mjs", "cjs", "ts", "py", "rb", "rs", "java", "kt", "php", "cs", "ex", "scala"];

/// A language, detected by the file that all its projects have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Go,
    Node,
    Python,
    Rust,
    Ruby,
    Java,
    Php,
    DotNet,
    Elixir,
}

impl Language {
    const MARKS: [(&'static str, Self); 13] = [
        ("go.mod", Self::Go),
        ("package.json", Self::Node),
        ("requirements.txt", Self::Python),
        ("pyproject.toml", Self::Python),
        ("Pipfile", Self::Python),
        ("Cargo.toml", Self::Rust),
        ("Gemfile", Self::Ruby),
        ("pom.xml", Self::Java),
        ("build.gradle", Self::Java),
        ("build.gradle.kts", Self::Java),
        ("composer.json", Self::Php),
        ("mix.exs", Self::Elixir),
        ("global.json", Self::DotNet),
    ];

    pub(super) fn of(folder: &Path) -> Option<Self> {
        let mark = Self::MARKS.iter().find(|(file, _)| folder.join(file).is_file());
        mark.map(|(_, language)| *language)
    }

    /// The usual spelling of the name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Go => "Go",
            Self::Node => "Node.js",
            Self::Python => "Python",
            Self::Rust => "Rust",
            Self::Ruby => "Ruby",
            Self::Java => "Java",
            Self::Php => "PHP",
            Self::DotNet => ".NET",
            Self::Elixir => "Elixir",
        }
    }
}

/// A port with its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    pub number: u16,
    /// Such as `EXPOSE of the Dockerfile`; `None`: a guess.
    pub from: Option<&'static str>,
}

/// A folder with a Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundApp {
    pub name: String,
    /// Relative to the searched folder; empty for that folder itself.
    pub folder: PathBuf,
    pub port: Port,
    pub healthcheck: bool,
    /// A path, and the file that contains it.
    pub health: Option<(&'static str, PathBuf)>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub apps: Vec<FoundApp>,
    /// Language of the searched folder itself.
    pub language: Option<Language>,
}

/// Searches a folder and its subfolders. Unreadable entries are skipped.
#[must_use]
pub fn look(folder: &Path) -> Found {
    let mut apps = Vec::new();
    if let Some(app) = app(folder, Path::new("")) {
        apps.push(app);
    } else {
        below(folder, Path::new(""), DEPTH, &mut apps);
    }
    // Folders in different places may have the same name.
    for index in 1..apps.len() {
        while apps[..index].iter().any(|earlier| earlier.name == apps[index].name) {
            apps[index].name.push_str("-2");
        }
    }
    Found { apps, language: Language::of(folder) }
}

fn below(root: &Path, at: &Path, depth: usize, apps: &mut Vec<FoundApp>) {
    for name in folders(&root.join(at)) {
        let at = at.join(&name);
        match app(root, &at) {
            Some(app) => apps.push(app),
            None if depth > 1 => below(root, &at, depth - 1, apps),
            None => {}
        }
    }
}

/// Sorted by name, so that the same folder always gives the same file.
fn folders(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_folder = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut names: Vec<String> =
        entries.filter(is_folder).filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| !name.starts_with('.') && !SKIPPED.contains(&name.as_str()));
    names.sort();
    names
}

fn app(root: &Path, at: &Path) -> Option<FoundApp> {
    let folder = root.join(at);
    let text = crate::local::text(&folder.join("Dockerfile"), 4 << 20).ok()?;
    let own = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Some(FoundApp {
        name: app_name(&own),
        port: port_of(&text),
        healthcheck: instructions(&text)
            .any(|(word, rest)| word == "HEALTHCHECK" && !rest.eq_ignore_ascii_case("none")),
        health: health_path(&folder),
        folder: at.to_owned(),
    })
}

/// Converts a folder's name to a valid name for a service and a host.
#[must_use]
pub fn app_name(folder: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = folder.chars().map(fit).take(40).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "app".to_owned() } else { name.to_owned() }
}

/// The instructions of a Dockerfile: keyword in upper case, and the rest.
pub(super) fn instructions(text: &str) -> impl Iterator<Item = (String, String)> {
    let joined = text.replace("\\\r\n", " ").replace("\\\n", " ");
    let lines: Vec<(String, String)> = joined
        .lines()
        .filter_map(|line| line.trim().split_once(char::is_whitespace))
        .map(|(word, rest)| (word.to_ascii_uppercase(), rest.trim().to_owned()))
        .collect();
    lines.into_iter()
}

/// The port that the last stage of a Dockerfile exposes.
#[must_use]
pub fn port_of(dockerfile: &str) -> Port {
    let (mut exposed, mut variable, mut command) = (None, None, None);
    for (word, rest) in instructions(dockerfile) {
        match word.as_str() {
            "FROM" => (exposed, variable, command) = (None, None, None),
            "CMD" | "ENTRYPOINT" => command = port_in_command(&rest).or(command),
            "EXPOSE" => {
                let ports = rest.split_whitespace().filter(|port| !port.ends_with("/udp"));
                let first = ports.filter_map(|port| port.split('/').next()?.parse().ok()).next();
                exposed = exposed.or(first);
            }
            "ENV" => {
                let value = rest.split_whitespace().find_map(|pair| pair.strip_prefix("PORT="));
                let value = value.or_else(|| rest.strip_prefix("PORT "));
                variable = value.and_then(|value| value.trim_matches('"').parse().ok()).or(variable);
            }
            _ => {}
        }
    }
    match (exposed, command, variable) {
        (Some(number), ..) => Port { number, from: Some("EXPOSE of the Dockerfile") },
        (None, Some(number), _) => Port { number, from: Some("CMD of the Dockerfile") },
        (None, None, Some(number)) => Port { number, from: Some("PORT in the Dockerfile") },
        (None, None, None) => Port { number: 8080, from: None },
    }
}

/// A string in the sources that looks like the health path.
pub(super) fn health_path(folder: &Path) -> Option<(&'static str, PathBuf)> {
    let mut files = Vec::new();
    sources(folder, Path::new(""), DEPTH, &mut files);
    let mut best: Option<(usize, PathBuf)> = None;
    for file in files {
        let Ok(text) = fs::read_to_string(folder.join(&file)) else { continue };
        let named = |path: &str| {
            ["\"", "'", "`"].iter().any(|quote| {
                // Patterns in Go may have the method before the path.
                text.contains(&format!("{quote}{path}{quote}")) || text.contains(&format!("{quote}GET {path}{quote}"))
            })
        };
        let Some(rank) = HEALTH_PATHS.iter().position(|path| named(path)) else { continue };
        if best.as_ref().is_none_or(|(known, _)| rank < *known) {
            best = Some((rank, file));
        }
    }
    best.map(|(rank, file)| (HEALTH_PATHS[rank], file))
}

fn sources(root: &Path, at: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root.join(at)).into_iter().flatten().flatten();
    let mut names: Vec<PathBuf> = entries.map(|entry| at.join(entry.file_name())).collect();
    names.sort();
    for path in names {
        let is_test = path.file_stem().is_some_and(|stem| stem.to_string_lossy().contains("test"));
        let is_source = path.extension().is_some_and(|extension| SOURCES.iter().any(|known| extension == *known));
        let small = fs::metadata(root.join(&path)).is_ok_and(|meta| meta.is_file() && meta.len() <= LARGEST_FILE);
        if is_source && !is_test && small && files.len() < MOST_FILES {
            files.push(path);
        }
    }
    if depth > 0 {
        folders(&root.join(at)).into_iter().for_each(|name| sources(root, &at.join(name), depth - 1, files));
    }
}
