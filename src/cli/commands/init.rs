//! `deploy-apps init`: a first compose file for the folder, or the blocks that an existing one lacks.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::json;

use crate::cli::args::{CommonArgs, Format};
use crate::cli::context::load_request;
use crate::cli::exit::{Exit, Failure};
use crate::cli::say;
use crate::compose;
use crate::model::{Accessory, AppName, ImageSource, Project};
use crate::scaffold::{self, Found, FoundApp, Port, Wish};

/// As the loader looks for them.
const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

#[derive(Debug, Clone, Args)]
#[command(after_help = "\
Examples:
  deploy-apps init                          write compose.yaml for the Dockerfile here, or for those below
  deploy-apps init --print                  only show it
  deploy-apps init --dockerfile             write a Dockerfile as well (Go, Node.js, Python)
  deploy-apps init --host shop.example.com --port 3000

A compose file that is there is never changed: then the blocks that its services lack are printed.")]
pub struct InitArgs {
    /// The app's name; else the folder's
    #[arg(long, value_name = "NAME")]
    pub name: Option<AppName>,
    /// Where the app listens inside its container; else EXPOSE of the Dockerfile
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub port: Option<u16>,
    /// The host name that users will ask for; else <name>.localhost
    #[arg(long, value_name = "HOST")]
    pub host: Option<String>,
    /// Write a Dockerfile where there is none
    #[arg(long)]
    pub dockerfile: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub print: bool,
}

/// Looks at the current folder and writes.
pub fn run(common: &CommonArgs, args: &InitArgs) -> Result<Exit, Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Failed, format!("the current folder is not to be read: {error}")))?;
    if let Some(file) = FILES.iter().find(|file| folder.join(file).exists()) {
        return existing(common, args, file);
    }
    let mut files = Vec::new();
    let mut found = scaffold::look(&folder);
    if found.apps.is_empty() {
        let (app, made) = with_dockerfile(&folder, args, &found)?;
        files.extend(made);
        found.apps.push(app);
    }
    fit(args, &mut found)?;
    let own = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let wish = Wish { project: scaffold::app_name(&own), port: args.port, host: args.host.clone() };
    files.push(("compose.yaml", scaffold::compose_file(&wish, &found.apps)));
    check(&folder, &files)?;
    if !args.print {
        for (name, text) in &files {
            write_new(&folder.join(name), text)?;
        }
    }
    let apps: Vec<&str> = found.apps.iter().map(|app| app.name.as_str()).collect();
    tell(common, args, &apps, &files)?;
    Ok(Exit::Done)
}

/// What the user says is for one app.
fn fit(args: &InitArgs, found: &mut Found) -> Result<(), Failure> {
    let single = args.name.is_some() || args.port.is_some() || args.host.is_some();
    if single && found.apps.len() > 1 {
        let names: Vec<String> = found.apps.iter().map(|app| format!("`{}`", app.name)).collect();
        let message =
            format!("`--name`, `--port` and `--host` are for one app, but there are several: {}", names.join(", "));
        return Err(Failure::new(Exit::Usage, message)
            .hint("run it in the app's own folder, or leave them out and edit the file"));
    }
    if let Some(name) = &args.name {
        found.apps.iter_mut().for_each(|app| app.name = name.to_string());
    }
    Ok(())
}

type Files = Vec<(&'static str, String)>;

fn with_dockerfile(folder: &Path, args: &InitArgs, found: &Found) -> Result<(FoundApp, Files), Failure> {
    let none = format!("no Dockerfile is in `{}` or in a folder below", folder.display());
    let Some(language) = found.language else {
        let hint = "go to the app's folder, or write a Dockerfile first: it says how the app is built and started";
        return Err(Failure::new(Exit::Usage, none).hint(hint));
    };
    let made = scaffold::dockerfile(folder, language);
    let made = match (made, args.dockerfile) {
        (Ok(made), true) => made,
        (Ok(_), false) => {
            let hint = format!("`deploy-apps init --dockerfile` writes one for {}", language.name());
            return Err(Failure::new(Exit::Usage, none).hint(hint));
        }
        (Err(reason), asked) => {
            let message = if asked { format!("no Dockerfile is written: {reason}") } else { none };
            let hint = format!("write a Dockerfile for this {} app first, then run it again", language.name());
            return Err(Failure::new(Exit::Usage, message).hint(hint));
        }
    };
    let own = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut files = vec![("Dockerfile", made.text)];
    let port = scaffold::port_of(&files[0].1);
    if !folder.join(".dockerignore").exists() {
        files.push((".dockerignore", made.ignore.to_owned()));
    }
    let health = None;
    Ok((FoundApp { name: scaffold::app_name(&own), folder: PathBuf::new(), port, healthcheck: false, health }, files))
}

/// A file that would not load is not written.
fn check(folder: &Path, files: &Files) -> Result<(), Failure> {
    let text =
        &files.iter().find(|(name, _)| *name == "compose.yaml").map(|(_, text)| text).cloned().unwrap_or_default();
    let scratch =
        tempfile::tempdir().map_err(|error| Failure::new(Exit::Failed, format!("no temporary folder: {error}")))?;
    let file = scratch.path().join("compose.yaml");
    std::fs::write(&file, text).map_err(|error| Failure::new(Exit::Failed, format!("no temporary file: {error}")))?;
    let request = compose::LoadRequest {
        files: vec![file],
        folder: folder.to_owned(),
        project_folder: Some(folder.to_owned()),
        ..compose::LoadRequest::default()
    };
    match compose::load(&request) {
        Ok(_) => Ok(()),
        // Only the user's own words can make it wrong, and they are in the message.
        Err(error) => {
            let finding = error.findings.first();
            let message = finding.map(|finding| finding.message.clone()).unwrap_or_default();
            let failure = Failure::new(Exit::Usage, format!("this would make no valid compose file: {message}"));
            Err(match finding.and_then(|finding| finding.hint.clone()) {
                Some(hint) => failure.hint(hint),
                None => failure,
            })
        }
    }
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    // `create_new`: between the look and the write somebody else may have made one.
    let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| Failure::new(Exit::Failed, format!("`{}` cannot be written: {error}", path.display())))
}

fn tell(common: &CommonArgs, args: &InitArgs, apps: &[&str], files: &Files) -> Result<(), Failure> {
    if common.format == Some(Format::Json) {
        let files: Vec<_> = files.iter().map(|(name, text)| json!({ "path": name, "text": text })).collect();
        outln!("{}", json!({ "v": 1, "apps": apps, "written": !args.print, "files": files, "blocks": [] }));
        return Ok(());
    }
    if args.print {
        let text = match files.as_slice() {
            [(_, text)] => text.clone(),
            several => several.iter().map(|(name, text)| format!("# --- {name}\n{text}")).collect(),
        };
        return say::result(text.as_bytes());
    }
    for (name, _) in files {
        outln!("wrote {name}");
    }
    errln!("\nnext: read compose.yaml, then `deploy-apps {}`", apps.join(" "));
    Ok(())
}

/// The blocks that services of an existing file lack.
fn existing(common: &CommonArgs, args: &InitArgs, file: &str) -> Result<Exit, Failure> {
    let loaded = compose::load(&load_request(common)?)?;
    let candidates: Vec<(&AppName, FoundApp)> = candidates(&loaded.project);
    if candidates.is_empty() {
        let apps: Vec<&str> = loaded.project.apps.keys().map(AppName::as_str).collect();
        let message = format!("`{file}` exists, and no service in it waits to become an app");
        let hint = match apps.as_slice() {
            [] => "add `x-deploy-apps: { port: 8080 }` to the service that is to be rolled".to_owned(),
            apps => format!("it has these apps: `deploy-apps {}` deploys them", apps.join(" ")),
        };
        return Err(Failure::new(Exit::Usage, message).hint(hint));
    }
    let wish = Wish { project: String::new(), port: args.port, host: args.host.clone() };
    let blocks = candidates.iter().map(|(name, app)| (name.as_str(), scaffold::service_block(&wish, app)));
    if common.format == Some(Format::Json) {
        let blocks: Vec<_> = blocks.map(|(service, text)| json!({ "service": service, "text": text })).collect();
        let apps: Vec<&str> = loaded.project.apps.keys().map(AppName::as_str).collect();
        outln!("{}", json!({ "v": 1, "apps": apps, "written": false, "files": [], "blocks": blocks }));
        return Ok(Exit::Done);
    }
    errln!("`{file}` exists and is left as it is. To make a service an app, add its block:\n");
    for (index, (service, text)) in blocks.enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        out!("{gap}  {service}:\n{text}");
    }
    Ok(Exit::Done)
}

/// What is built here, and what publishes a port: a database that only others use is no app.
fn candidates(project: &Project) -> Vec<(&AppName, FoundApp)> {
    let candidate = |(name, accessory): (&'_ AppName, &Accessory)| {
        let (service, container) = (&accessory.service, &accessory.service.container);
        let published = container.ports.first().map(|port| port.container_port);
        let built = match &service.image {
            ImageSource::Build(build) => {
                Some(std::fs::read_to_string(build.context.join(&build.dockerfile)).unwrap_or_default())
            }
            ImageSource::Pull { .. } => None,
        };
        if built.is_none() && published.is_none() {
            return None;
        }
        let port = match (published, built) {
            (Some(number), _) => Port { number, from: Some("`ports` (which the proxy makes needless)") },
            (None, built) => scaffold::port_of(&built.unwrap_or_default()),
        };
        let healthcheck = container.healthcheck.is_some();
        Some(FoundApp {
            name: scaffold::app_name(name.as_str()),
            folder: PathBuf::new(),
            port,
            healthcheck,
            health: None,
        })
    };
    project.accessories.iter().filter_map(|entry| Some((entry.0, candidate(entry)?))).collect()
}
