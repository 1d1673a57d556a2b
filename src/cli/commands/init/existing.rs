//! `deploy-apps init` with an existing compose file: writes the override that makes apps of its services.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::args::InitArgs;
use super::new_file::write_new;
use crate::cli::common::{CommonArgs, Format};
use crate::cli::context::load_request;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output;
use crate::compose::{self, LoadRequest, Outline};
use crate::model::{Condition, ImageSource, MountSource, Project};
use crate::scaffold::{self, Candidate, Desired, Facts, Judged, Kind, Overlay, Rolled};

/// The default file name: compose and deploy-apps both load it after the main file.
const OVERRIDE: &str = "compose.override.yaml";
/// A larger file is not a hand-written configuration.
const LARGEST: u64 = 256 * 1024;

/// An address that the override cannot change.
struct Obstacle {
    service: String,
    place: Option<String>,
    message: String,
}

/// Prints or writes the override.
pub(super) fn run(common: &CommonArgs, args: &InitArgs) -> Result<Exit, Failure> {
    let request = load_request(common)?;
    let project = compose::load(&request)?.project;
    let outline = compose::outline(&request)?;
    let shown = outline.files.iter().map(|file| shown(&request.folder, file)).collect::<Vec<_>>();
    let candidates = candidates(&project, &outline);
    let mut judged = scaffold::judge(&candidates);
    choose(args, &mut judged, &shown)?;
    let mut obstacles: Vec<Obstacle> = judged.iter().filter_map(|one| hindered(&outline, one)).collect();
    let desired =
        Desired { project: common.project_name.clone().unwrap_or_default(), port: args.port, host: args.host.clone() };
    let maker = Maker { request: &request, outline: &outline, project: &project, desired: &desired, files: &shown };
    let (kept, overlay) = maker.that_loads(judged, &mut obstacles)?;
    obstacles.extend(maker.addresses(&kept, &candidates));
    let Some(overlay) = overlay else { return Err(nothing(&project, &shown, &obstacles)) };
    let target = if args.write.is_some() { Some(write(args, &request, &overlay)?) } else { None };
    tell(common, &maker, &kept, &overlay, &obstacles, target.as_deref())?;
    Ok(Exit::Done)
}

/// The path as the user would write it.
fn shown(folder: &Path, file: &Path) -> String {
    file.strip_prefix(folder).unwrap_or(file).display().to_string()
}

/// The services that are not apps yet, with what is known of them.
fn candidates<'p>(project: &'p Project, outline: &Outline) -> Vec<Candidate<'p>> {
    let services =
        || project.apps.values().map(|app| &app.service).chain(project.accessories.values().map(|one| &one.service));
    let awaited: BTreeSet<&str> = services()
        .flat_map(|service| &service.depends_on)
        .filter(|dependency| dependency.condition == Condition::CompletedSuccessfully)
        .map(|dependency| dependency.service.as_str())
        .collect();
    let names: Vec<&str> = services().map(|service| service.name.as_str()).collect();
    let candidate = |service: &'p crate::model::Service| {
        let name = service.name.as_str();
        let build = match &service.image {
            ImageSource::Build(build) => Some(build),
            ImageSource::Pull { .. } => None,
        };
        let dockerfile = build.map(|build| match &build.dockerfile_inline {
            Some(text) => text.clone(),
            None => small(&build.context.join(&build.dockerfile)).unwrap_or_default(),
        });
        let expose = outline.texts(&["services", name, "expose"]);
        let expose = expose.iter().filter_map(|(text, _)| text.split(['/', '-']).next()?.parse().ok()).collect();
        let texts: Vec<(PathBuf, String)> = configuration(service);
        let named = |other: &&&str| {
            ***other != *name && texts.iter().any(|(_, text)| !scaffold::mentions(text, other).is_empty())
        };
        Candidate {
            service,
            is_awaited: awaited.contains(name),
            expose,
            dockerfile,
            folder: build.map(|build| build.context.clone()),
            passes_to: names.iter().filter(named).map(|name| (*name).to_owned()).collect(),
        }
    };
    project.accessories.values().map(|accessory| candidate(&accessory.service)).collect()
}

/// The text of a regular file below the size limit.
fn small(file: &Path) -> Option<String> {
    let about = fs::metadata(file).ok()?;
    (about.is_file() && about.len() <= LARGEST).then(|| fs::read_to_string(file).ok())?
}

/// Configuration files that a service mounts, or that are built into a web server's image.
fn configuration(service: &crate::model::Service) -> Vec<(PathBuf, String)> {
    let is_configuration = |file: &Path| {
        let name = file.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        [".conf", ".template", ".cfg", ".toml"].iter().any(|end| name.ends_with(end)) || name.contains("caddyfile")
    };
    let mut files = Vec::new();
    let mut places: Vec<(PathBuf, u8)> = service
        .container
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountSource::Bind(path) => Some((PathBuf::from(path), 1)),
            _ => None,
        })
        .collect();
    if let ImageSource::Build(build) = &service.image {
        places.push((build.context.clone(), 1));
    }
    while let Some((place, depth)) = places.pop() {
        if place.is_dir() && files.len() < 50 {
            let inner = fs::read_dir(&place).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut inner: Vec<PathBuf> =
                inner.filter(|path| is_configuration(path) || (depth > 0 && path.is_dir())).take(200).collect();
            inner.sort();
            places.extend(
                inner
                    .into_iter()
                    .filter(|path| path.is_file() || depth > 0)
                    .map(|path| (path, depth.saturating_sub(1))),
            );
        } else if is_configuration(&place)
            && let Some(text) = small(&place)
        {
            files.push((place, text));
        }
    }
    files
}

/// `--name` selects one service; `--port` and `--host` are for one app.
fn choose(args: &InitArgs, judged: &mut [Judged], files: &[String]) -> Result<(), Failure> {
    if let Some(name) = &args.name {
        let Some(chosen) = judged.iter().position(|one| one.service == name.as_str()) else {
            let names: Vec<&str> = judged.iter().map(|one| one.service.as_str()).collect();
            let message = format!("`{}` has no service `{name}` that is not an app yet", files.join("`, `"));
            return Err(Failure::new(Exit::Usage, message).hint(format!("it has: {}", names.join(" "))));
        };
        for (index, one) in judged.iter_mut().enumerate() {
            if index != chosen && one.kind.is_rolled() {
                one.kind = Kind::Accessory;
            }
        }
        if let (Some(port), false) = (args.port, matches!(judged[chosen].kind, Kind::App(_))) {
            let from = Some("`--port`".to_owned());
            judged[chosen].kind =
                Kind::App(scaffold::Web { port, from, health: None, published: None, lost: Vec::new() });
            judged[chosen].obstacle = None;
        }
    }
    let apps: Vec<String> =
        judged.iter().filter(|one| matches!(one.kind, Kind::App(_))).map(|one| format!("`{}`", one.service)).collect();
    if (args.port.is_some() || args.host.is_some()) && apps.len() > 1 {
        let message = format!("`--port` and `--host` are for one app, but there are several: {}", apps.join(", "));
        return Err(Failure::new(Exit::Usage, message)
            .hint("choose it with `--name`, or leave them out and edit what is printed"));
    }
    Ok(())
}

fn hindered(outline: &Outline, one: &Judged) -> Option<Obstacle> {
    let (key, message) = one.obstacle.as_ref()?;
    let path = ["services", one.service.as_str(), key];
    let place = outline.place(&path).or_else(|| outline.place(&path[..2]));
    Some(Obstacle { service: one.service.clone(), place, message: message.clone() })
}

/// The inputs for generating the override repeatedly until it loads.
struct Maker<'a> {
    request: &'a LoadRequest,
    outline: &'a Outline,
    project: &'a Project,
    desired: &'a Desired,
    files: &'a [String],
}

impl Maker<'_> {
    /// The override with as many apps as possible, and the services that cannot be apps.
    fn that_loads(
        &self,
        mut judged: Vec<Judged>,
        obstacles: &mut Vec<Obstacle>,
    ) -> Result<(Vec<Judged>, Option<Overlay>), Failure> {
        let rolled: Vec<usize> = (0..judged.len()).filter(|index| judged[*index].kind.is_rolled()).collect();
        if rolled.is_empty() {
            return Ok((judged, None));
        }
        if let Ok(overlay) = self.attempt(&judged) {
            return Ok((judged, Some(overlay)));
        }
        // Add them one by one: a service that fails together with the others stays unchanged.
        let wanted: Vec<Kind> = judged.iter().map(|one| one.kind.clone()).collect();
        for index in &rolled {
            judged[*index].kind = Kind::Accessory;
        }
        let mut last = None;
        for index in rolled {
            judged[index].kind = wanted[index].clone();
            match self.attempt(&judged) {
                Ok(overlay) => last = Some(overlay),
                Err(found) => {
                    judged[index].kind = Kind::Accessory;
                    judged[index].because = "it cannot be an app as the file is".to_owned();
                    let service = judged[index].service.clone();
                    obstacles.extend(found.into_iter().map(|finding| Obstacle {
                        service: service.clone(),
                        place: finding.place.map(|place| format!("{}:{}", place.file, place.line)),
                        message: match finding.hint {
                            Some(hint) => format!("{}; {hint}", finding.message),
                            None => finding.message,
                        },
                    }));
                }
            }
        }
        Ok((judged, last))
    }

    /// Generates the override and loads it together with the files.
    fn attempt(&self, judged: &[Judged]) -> Result<Overlay, Vec<compose::Finding>> {
        let rolled: Vec<Rolled<'_>> = judged
            .iter()
            .map(|one| Rolled { judged: one, facts: self.facts(one, judged) })
            .filter(|one| one.judged.kind.is_rolled() || !one.facts.environment.is_empty())
            .collect();
        let stays = |name: &str| !judged.iter().any(|one| one.service == name && one.kind.is_rolled());
        let taken: Vec<u16> = self
            .project
            .accessories
            .iter()
            .filter(|(name, _)| stays(name.as_str()))
            .flat_map(|(_, accessory)| accessory.service.container.ports.iter().filter_map(|port| port.host_port))
            .collect();
        let has_proxy = self.outline.has(&["x-deploy-apps", "proxy"]);
        let overlay = scaffold::overlay(self.desired, &self.files.join(" and "), &rolled, has_proxy, &taken);
        let request = LoadRequest { overlay: Some(overlay.text.clone()), ..self.request.clone() };
        match compose::load(&request) {
            Ok(_) => Ok(overlay),
            Err(error) => Err(error.findings),
        }
    }

    fn facts(&self, one: &Judged, judged: &[Judged]) -> Facts {
        let name = one.service.as_str();
        let mut facts = Facts::default();
        let Some(service) = self
            .project
            .accessories
            .values()
            .map(|accessory| &accessory.service)
            .find(|service| service.name.as_str() == name)
        else {
            return facts;
        };
        for other in judged.iter().filter(|other| other.service != one.service) {
            let Kind::App(web) = &other.kind else { continue };
            for (variable, value) in &service.container.environment {
                // The value may contain a password, which must not be copied to another file.
                let plain = !value.contains(['@', '?']) && value.len() < 500;
                if plain
                    && scaffold::mentions(value, &other.service)
                        .iter()
                        .any(|mention| mention.port == Some(web.port) && web.port != 80)
                {
                    facts.rewrites(variable, value, &other.service, web.port);
                }
            }
        }
        if !one.kind.is_rolled() {
            return facts;
        }
        let has = |path: &[&str]| self.outline.has(&[&["services", name], path].concat());
        facts.ports = has(&["ports"]);
        facts.container_name = has(&["container_name"]);
        facts.network_mode = has(&["network_mode"]);
        facts.mac_address = has(&["mac_address"]);
        facts.order = has(&["deploy", "update_config", "order"]);
        facts.job =
            self.outline.texts(&["services", name, "deploy", "mode"]).iter().any(|(mode, _)| mode.ends_with("-job"));
        for network in self.outline.keys(&["services", name, "networks"]) {
            let own = ["ipv4_address", "ipv6_address", "link_local_ips", "mac_address"];
            let keys = self.outline.keys(&["services", name, "networks", network]);
            let keys: Vec<String> = keys.into_iter().filter(|key| own.contains(key)).map(str::to_owned).collect();
            if !keys.is_empty() {
                facts.addresses.insert(network.to_owned(), keys);
            }
        }
        let shares = |source: &MountSource| matches!(source, MountSource::Volume(_) | MountSource::Bind(_));
        let writes = service.container.mounts.iter().any(|mount| !mount.read_only && shares(&mount.source))
            || service.container.volumes_from.iter().any(|other| !other.ends_with(":ro"));
        facts.writes = writes.then(|| {
            let place = |key| self.outline.place(&["services", name, key]).filter(|_| has(&[key]));
            place("volumes").or_else(|| place("volumes_from")).unwrap_or_else(|| "in the compose file".to_owned())
        });
        facts
    }

    /// Addresses with an app's own port, which the proxy does not listen on, in places that an override cannot change.
    fn addresses(&self, judged: &[Judged], candidates: &[Candidate<'_>]) -> Vec<Obstacle> {
        let mut obstacles = Vec::new();
        for app in judged {
            let Kind::App(web) = &app.kind else { continue };
            if web.port == 80 {
                continue;
            }
            for candidate in candidates.iter().filter(|other| other.service.name.as_str() != app.service) {
                let name = candidate.service.name.as_str();
                let instead = format!("; the app is reached through the proxy now: `http://{}`", app.service);
                for (file, text) in configuration(candidate.service) {
                    for mention in
                        scaffold::mentions(&text, &app.service).iter().filter(|mention| mention.port == Some(web.port))
                    {
                        let place = Some(format!("{}:{}", shown(&self.request.folder, &file), mention.line));
                        let message = format!("asks `{}:{}`{instead}", app.service, web.port);
                        obstacles.push(Obstacle { service: name.to_owned(), place, message });
                    }
                }
                for key in ["environment", "command", "entrypoint"] {
                    for (value, place) in self.outline.texts(&["services", name, key]) {
                        let rewritten = key == "environment" && !value.contains(['@', '?']) && value.len() < 500;
                        let asks = scaffold::mentions(&value, &app.service)
                            .iter()
                            .any(|mention| mention.port == Some(web.port));
                        if asks && !rewritten {
                            let message = format!("`{key}` asks `{}:{}`{instead}", app.service, web.port);
                            obstacles.push(Obstacle { service: name.to_owned(), place: Some(place), message });
                        }
                    }
                }
            }
        }
        obstacles
    }
}

fn line(obstacle: &Obstacle) -> String {
    let place = obstacle.place.as_ref().map(|place| format!("{place}: ")).unwrap_or_default();
    format!("{place}`{}` {}", obstacle.service, obstacle.message)
}

fn nothing(project: &Project, files: &[String], obstacles: &[Obstacle]) -> Failure {
    let apps: Vec<&str> = project.apps.keys().map(crate::model::AppName::as_str).collect();
    let mut message = format!("`{}` exists, and no service in it waits to become an app", files.join("`, `"));
    for obstacle in obstacles {
        message.push_str("\n  ");
        message.push_str(&line(obstacle));
    }
    let hint = match apps.as_slice() {
        [] => "add `x-deploy-apps: { port: 8080 }` to the service that is to be rolled".to_owned(),
        apps => format!("it has these apps: `deploy-apps {}` deploys them", apps.join(" ")),
    };
    Failure::new(Exit::Usage, message).hint(hint)
}

/// Writes the override to a new file.
fn write(args: &InitArgs, request: &LoadRequest, overlay: &Overlay) -> Result<PathBuf, Failure> {
    let name = args.write.as_deref().unwrap_or(Path::new(OVERRIDE));
    let folder = &request.folder;
    let path = folder.join(name);
    let others = ["compose.override.yml", OVERRIDE, "docker-compose.override.yml", "docker-compose.override.yaml"];
    let other = others.iter().find(|other| folder.join(other).exists());
    if let (true, Some(other)) = (name == Path::new(OVERRIDE), other) {
        let message = format!("`{other}` is there already, and of two overrides one would be left out");
        return Err(Failure::new(Exit::Usage, message)
            .hint("`deploy-apps init --write=compose.deploy.yaml` writes another file, to be named with `-f`"));
    }
    write_new(&path, &overlay.text)?;
    Ok(path)
}

fn tell(
    common: &CommonArgs,
    maker: &Maker<'_>,
    judged: &[Judged],
    overlay: &Overlay,
    obstacles: &[Obstacle],
    written: Option<&Path>,
) -> Result<(), Failure> {
    let name = written.map_or(OVERRIDE.to_owned(), |path| shown(&maker.request.folder, path));
    let rolled: Vec<&str> = judged.iter().filter(|one| one.kind.is_rolled()).map(|one| one.service.as_str()).collect();
    if common.format == Some(Format::Json) {
        let services: Vec<_> = judged
            .iter()
            .map(|one| json!({ "service": one.service, "kind": one.kind.name(), "because": one.because, "url": overlay.urls.get(&one.service) }))
            .collect();
        let obstacles: Vec<_> = obstacles
            .iter()
            .map(|one| json!({ "service": one.service, "place": one.place, "message": one.message }))
            .collect();
        let apps: Vec<&str> = maker.project.apps.keys().map(crate::model::AppName::as_str).chain(rolled).collect();
        let files = [json!({ "path": name, "text": overlay.text })];
        outln!(
            "{}",
            json!({ "v": 1, "apps": apps, "written": written.is_some(), "files": files, "blocks": [], "services": services, "obstacles": obstacles })
        );
        return Ok(());
    }
    match written {
        Some(_) => outln!("wrote {name}"),
        None => output::result(overlay.text.as_bytes())?,
    }
    errln!("");
    let width = judged.iter().map(|one| one.service.len()).max().unwrap_or_default();
    for one in judged {
        let url = overlay.urls.get(&one.service).map(|url| format!(", {url}")).unwrap_or_default();
        errln!("{:width$}  {:9}  {}{url}", one.service, one.kind.name(), one.because);
    }
    if !obstacles.is_empty() {
        errln!("\nwhat no override changes:");
        obstacles.iter().for_each(|obstacle| errln!("  {}", line(obstacle)));
    }
    // The default override is loaded automatically, but not if files are named explicitly.
    let found = maker.request.files.is_empty() && written.is_none_or(|path| path.ends_with(OVERRIDE));
    let files = if found {
        String::new()
    } else {
        maker.files.iter().chain([&name]).fold(String::new(), |all, file| format!("{all}-f {file} "))
    };
    let save = if written.is_some() {
        String::new()
    } else {
        format!("`deploy-apps {}init --write` writes it to {name}, then ", options(common))
    };
    errln!("\nnext: {save}`deploy-apps {files}plan {}`, and the same without `plan`", rolled.join(" "));
    Ok(())
}

/// The options for files and project, to repeat them in a command.
fn options(common: &CommonArgs) -> String {
    let files = common.files.iter().fold(String::new(), |all, file| format!("{all}-f {} ", file.display()));
    common.project_name.iter().fold(files, |all, name| format!("{all}-p {name} "))
}
