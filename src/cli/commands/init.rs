//! `deploy-apps init`: writes a first compose file for the folder, or an override of the existing one.

mod args;
mod existing;
mod new_file;

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::cli::common::{CommonArgs, Format};
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::compose;
use crate::scaffold::{self, Desired, Found, FoundApp};

pub use args::InitArgs;
use new_file::write_new;

/// In the loader's order.
const FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// Inspects the current folder and writes the files.
pub fn run(common: &CommonArgs, args: &InitArgs) -> Result<Exit, Failure> {
    let folder = std::env::current_dir()
        .map_err(|error| Failure::new(Exit::Failed, format!("the current folder is not to be read: {error}")))?;
    let named = !common.files.is_empty() || std::env::var_os("COMPOSE_FILE").is_some_and(|value| !value.is_empty());
    if named || FILES.iter().any(|file| folder.join(file).exists()) {
        return existing::run(common, args);
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
    let project = common.project_name.clone().unwrap_or_else(|| scaffold::app_name(&own));
    let desired = Desired { project, port: args.port, host: args.host.clone() };
    for app in &found.apps {
        let name = app.folder.join(".dockerignore").display().to_string();
        let known = files.iter().any(|(other, _)| *other == name) || folder.join(&name).exists();
        if let (false, Some(text)) = (known, scaffold::ignored(&folder.join(&app.folder))) {
            files.push((name, text));
        }
    }
    files.push(("compose.yaml".to_owned(), scaffold::compose_file(&desired, &found.apps)));
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

/// Applies the options, which are for a single app.
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

/// File names relative to the folder, with their texts.
type Files = Vec<(String, String)>;

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
    let mut files = vec![("Dockerfile".to_owned(), made.text)];
    let port = scaffold::port_of(&files[0].1);
    if !folder.join(".dockerignore").exists() {
        files.push((".dockerignore".to_owned(), made.ignore.to_owned()));
    }
    let health = None;
    Ok((FoundApp { name: scaffold::app_name(&own), folder: PathBuf::new(), port, healthcheck: false, health }, files))
}

/// Refuses files that would not load, before they are written.
fn check(folder: &Path, files: &Files) -> Result<(), Failure> {
    let text =
        &files.iter().find(|(name, _)| name == "compose.yaml").map(|(_, text)| text).cloned().unwrap_or_default();
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
        // Only the user's options can make it invalid, and the message names them.
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
        return output::result(text.as_bytes());
    }
    for (name, _) in files {
        outln!("wrote {name}");
    }
    errln!("\nnext: read compose.yaml, then `deploy-apps {}`", apps.join(" "));
    Ok(())
}
