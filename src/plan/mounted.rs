//! Files of the host that bind mounts lead to: which are missing, and which have changed since a release was made.

use std::collections::BTreeMap;
use std::path::Path;

use super::accessory_container::standing;
use super::refusal::PlanRefused;
use crate::model::{AppName, ContainerSpec, HostFile, Mount, ObservedState, Project, Service, StoredRelease};

/// Extensions of names that nobody gives to a folder.
const FILE_TYPES: [&str; 48] = [
    "acl",
    "cert",
    "cfg",
    "cnf",
    "conf",
    "crt",
    "css",
    "csv",
    "db",
    "env",
    "hcl",
    "htm",
    "html",
    "htpasswd",
    "ini",
    "j2",
    "js",
    "json",
    "key",
    "list",
    "lock",
    "log",
    "lua",
    "md",
    "mjs",
    "pem",
    "php",
    "pl",
    "properties",
    "py",
    "rb",
    "rules",
    "sh",
    "sock",
    "sql",
    "sqlite",
    "sqlite3",
    "tmpl",
    "toml",
    "tpl",
    "ts",
    "txt",
    "vcl",
    "xml",
    "yaml",
    "yml",
    "p12",
    "jks",
];
/// Whole names of the same kind.
const FILE_NAMES: [&str; 6] = ["Caddyfile", "Corefile", "Dockerfile", "Makefile", "Procfile", "crontab"];

/// Refuses a mount of a file that is not there. Compose makes a folder of its name, which is what nobody wants: the app
/// then finds a folder where it looks for its configuration, now and at every later start.
pub(super) fn check_mounts(project: &Project, names: &[AppName], observed: &ObservedState) -> Result<(), PlanRefused> {
    for name in names {
        let Some(service) = project.service(name) else { continue };
        // One that is there stays as it is.
        if project.accessories.contains_key(name) && standing(project, service, observed).is_some() {
            continue;
        }
        check_service(service, observed)?;
    }
    Ok(())
}

fn check_service(service: &Service, observed: &ObservedState) -> Result<(), PlanRefused> {
    for mount in &service.container.mounts {
        let Some(path) = mount.bind_source() else { continue };
        let is_missing = observed.host_files.get(path) == Some(&HostFile::Missing);
        if is_missing && (mount.options.must_exist || is_meant_as_file(path, &mount.target)) {
            return Err(PlanRefused::MountMissing {
                service: service.name.clone(),
                path: path.to_owned(),
                must_exist: mount.options.must_exist,
            });
        }
    }
    Ok(())
}

/// Both ends of the mount have the name of a file.
fn is_meant_as_file(source: &str, target: &str) -> bool {
    let is_file = |path: &str| {
        let path = Path::new(path);
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let kind = path.extension().and_then(|kind| kind.to_str()).unwrap_or_default().to_ascii_lowercase();
        FILE_TYPES.contains(&kind.as_str()) || FILE_NAMES.contains(&name) || name.starts_with(".env")
    };
    is_file(source) && is_file(target)
}

/// The digests of what the bind mounts lead to, as they are kept with a release.
pub(super) fn digests(spec: &ContainerSpec, observed: &ObservedState) -> BTreeMap<String, String> {
    let paths = spec.mounts.iter().filter_map(Mount::bind_source);
    paths.filter_map(|path| Some((path.to_owned(), digest(path, observed)?.to_owned()))).collect()
}

fn digest<'a>(path: &str, observed: &'a ObservedState) -> Option<&'a str> {
    match observed.host_files.get(path)? {
        HostFile::File(digest) => digest.as_deref(),
        HostFile::Missing | HostFile::Other => None,
    }
}

/// The mounts whose file is another one now. What is not known, then or now, has not changed.
pub(super) fn changed<'a>(
    stored: &StoredRelease,
    spec: &'a ContainerSpec,
    observed: &ObservedState,
) -> impl Iterator<Item = &'a Mount> {
    spec.mounts.iter().filter(|mount| {
        let Some(path) = mount.bind_source() else { return false };
        stored.mounted.get(path).zip(digest(path, observed)).is_some_and(|(before, now)| before != now)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_told_from_names_of_folders() {
        for (source, target) in [
            ("/srv/nginx.conf", "/etc/nginx/nginx.conf"),
            ("/srv/.env", "/app/.env"),
            ("/srv/.env.production", "/app/.env"),
            ("/srv/Caddyfile", "/etc/caddy/Caddyfile"),
            ("/srv/INIT.SQL", "/docker-entrypoint-initdb.d/init.sql"),
            ("/var/run/docker.sock", "/var/run/docker.sock"),
        ] {
            assert!(is_meant_as_file(source, target), "{source}");
        }
        for (source, target) in [
            ("/srv/conf.d", "/etc/nginx/conf.d"),
            ("/srv/data", "/var/lib/data.db"),
            ("/srv/example.com", "/var/www/example.com"),
            ("/srv/app.conf", "/etc/app"),
            ("/root/.ssh", "/root/.ssh"),
            ("/srv/v1.2", "/v1.2"),
        ] {
            assert!(!is_meant_as_file(source, target), "{source}");
        }
    }
}
