//! Generates a small Dockerfile, if the folder has the information that it needs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::look::Language;

/// A generated Dockerfile with notes for the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dockerfile {
    pub text: String,
    /// Content of `.dockerignore`.
    pub ignore: &'static str,
}

/// Generates a Dockerfile.
///
/// # Errors
/// What is missing in the folder, as a lowercase fragment.
pub fn dockerfile(folder: &Path, language: Language) -> Result<Dockerfile, String> {
    match language {
        Language::Go => go(folder),
        Language::Node => node(folder),
        Language::Python => python(folder),
        other => Err(format!("a Dockerfile for {} needs more than can be read off the folder", other.name())),
    }
}

/// A `.dockerignore` for a folder that has a Dockerfile but no ignore file. It excludes files that would be sent to the
/// engine at each build and create a new release without a change to the app. Files that the Dockerfile names are not
/// excluded.
#[must_use]
pub fn ignored(folder: &Path) -> Option<String> {
    let text = fs::read_to_string(folder.join("Dockerfile")).ok()?;
    // Sources may refer to build output. It is created in the image; a copy from this machine may be for another
    // platform.
    let made: &[&str] = match Language::of(folder) {
        Some(Language::Node) => &["node_modules"],
        Some(Language::Python) => &[".venv", "venv", "__pycache__"],
        Some(Language::Rust | Language::Java) => &["target"],
        Some(Language::Elixir) => &["_build", "deps"],
        Some(Language::DotNet) => &["**/bin", "**/obj"],
        _ => &[],
    };
    let all = [".git", "compose.yaml", "compose.override.yaml"].iter().chain(made);
    Some(all.filter(|name| !text.contains(**name)).fold(String::new(), |all, name| format!("{all}{name}\n")))
}

fn read(folder: &Path, file: &str) -> Result<String, String> {
    crate::local::text(&folder.join(file), 4 << 20).map_err(|error| format!("`{file}` {error}"))
}

/// Major and minor number of a version, such as `1.24` for `go 1.24.4`.
fn minor(version: &str) -> Option<String> {
    let mut parts = version.split('.').map(|part| part.parse::<u16>().ok());
    Some(format!("{}.{}", parts.next()??, parts.next()??))
}

fn go(folder: &Path) -> Result<Dockerfile, String> {
    let module = read(folder, "go.mod")?;
    let version = module.lines().find_map(|line| minor(line.strip_prefix("go ")?.trim()));
    let version = version.unwrap_or_else(|| "1".to_owned());
    let is_main = |at: &Path| {
        let files = fs::read_dir(at).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut sources = files.filter(|file| file.extension().is_some_and(|extension| extension == "go"));
        sources.any(|file| {
            crate::local::text(&file, 4 << 20).is_ok_and(|text| text.lines().any(|line| line.trim() == "package main"))
        })
    };
    let commands = fs::read_dir(folder.join("cmd")).into_iter().flatten().flatten();
    let mut packages: Vec<String> = commands
        .filter(|entry| is_main(&entry.path()))
        .map(|entry| format!("./cmd/{}", entry.file_name().to_string_lossy()))
        .collect();
    packages.sort();
    if is_main(folder) {
        packages.insert(0, ".".to_owned());
    }
    let package = match packages.as_slice() {
        [one] => one,
        [] => return Err("no `package main` is in this folder or in `cmd/`".to_owned()),
        several => return Err(format!("there is more than one program: {}", several.join(", "))),
    };
    let sums = if folder.join("go.sum").is_file() { "go.mod go.sum" } else { "go.mod" };
    let text = format!(
        "\
FROM golang:{version} AS build
WORKDIR /src
# Before the sources: an edit leaves the downloaded modules in the build cache.
COPY {sums} ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/app {package}

FROM scratch
# For requests that the app makes over TLS.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /out/app /app
USER 65532:65532
ENV PORT=8080
EXPOSE 8080
CMD [\"/app\"]
"
    );
    Ok(Dockerfile { text, ignore: ".git\n" })
}

fn node(folder: &Path) -> Result<Dockerfile, String> {
    let package: Value = serde_json::from_str(&read(folder, "package.json")?)
        .map_err(|error| format!("`package.json` is not valid JSON: {error}"))?;
    let started = package["scripts"]["start"].as_str().and_then(|script| {
        // npm does not forward signals, so node is started directly. That is not possible for a more complex script.
        let words: Vec<&str> = script.split_whitespace().collect();
        let plain =
            words.first() == Some(&"node") && words.len() > 1 && !script.contains(['&', '|', ';', '$', '\'', '"', '>']);
        plain.then(|| words.into_iter().map(str::to_owned).collect::<Vec<_>>())
    });
    let main = package["main"].as_str().map(str::to_owned).into_iter();
    let files = main.chain(["server.js", "index.js", "app.js", "main.js"].map(str::to_owned));
    let program =
        || files.into_iter().find(|file| folder.join(file).is_file()).map(|file| vec!["node".to_owned(), file]);
    let command = started
        .or_else(program)
        .ok_or("`package.json` has neither a `start` script of the form `node FILE` nor a `main` that exists")?;
    let (files, install) = if folder.join("package-lock.json").is_file() {
        ("package.json package-lock.json", "npm ci --omit=dev")
    } else if ["yarn.lock", "pnpm-lock.yaml", "bun.lock"].iter().any(|lock| folder.join(lock).is_file()) {
        return Err("its packages are locked by another tool than npm".to_owned());
    } else {
        ("package.json", "npm install --omit=dev")
    };
    let command = serde_json::to_string(&command).unwrap_or_default();
    let text = format!(
        "\
FROM node:22-slim
WORKDIR /app
# Before the sources: an edit leaves the installed packages in the build cache.
COPY {files} ./
RUN {install}
COPY . .
ENV NODE_ENV=production PORT=3000
USER node
EXPOSE 3000
# Not `npm start`: npm does not pass the stop signal on.
CMD {command}
"
    );
    Ok(Dockerfile { text, ignore: "node_modules\n.git\n" })
}

fn python(folder: &Path) -> Result<Dockerfile, String> {
    if !folder.join("requirements.txt").is_file() {
        return Err("there is no `requirements.txt`".to_owned());
    }
    let requirements = read(folder, "requirements.txt")?.to_ascii_lowercase();
    let has = |package: &str| {
        requirements.lines().any(|line| {
            let name: String = line.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
            name == package
        })
    };
    let program = ["main.py", "app.py", "server.py", "wsgi.py"].into_iter().find(|file| folder.join(file).is_file());
    let program = program.ok_or("none of `main.py`, `app.py`, `server.py` and `wsgi.py` is there")?;
    let module = program.trim_end_matches(".py");
    let text = read(folder, program)?;
    let has_app = text.lines().any(|line| line.starts_with("app ") || line.starts_with("app="));
    let command = if has_app && has("uvicorn") {
        format!("[\"uvicorn\", \"{module}:app\", \"--host\", \"0.0.0.0\", \"--port\", \"8000\"]")
    } else if has_app && has("gunicorn") {
        format!("[\"gunicorn\", \"--bind\", \"0.0.0.0:8000\", \"{module}:app\"]")
    } else {
        format!("[\"python\", \"{program}\"]")
    };
    let text = format!(
        "\
FROM python:3.13-slim
WORKDIR /app
# Before the sources: an edit leaves the installed packages in the build cache.
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY . .
ENV PYTHONUNBUFFERED=1 PORT=8000
USER 65532:65532
EXPOSE 8000
CMD {command}
"
    );
    Ok(Dockerfile { text, ignore: ".git\n.venv\nvenv\n__pycache__\n" })
}
