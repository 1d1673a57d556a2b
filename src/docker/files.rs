//! Copies secrets and configs into a container before it starts, as an archive.
//!
//! Nothing is mounted from this machine, so the engine may be remote. The files stay in the container over restarts of
//! container and engine.

use std::collections::BTreeSet;

use bollard::query_parameters::UploadToContainerOptionsBuilder;

use super::DockerEngine;
use crate::model::{ContainerFile, Mount, MountSource, NewContainer};
use crate::ports::{EngineError, EngineErrorKind};

/// Whether `path` is `folder` or below it.
fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn folder_of(file: &ContainerFile) -> &str {
    match file.target.rsplit_once('/') {
        Some(("", _)) | None => "/",
        Some((folder, _)) => folder,
    }
}

/// Adds an anonymous volume for each folder that could not be written to otherwise: the engine cannot unpack into a
/// read-only root, and a tmpfs would hide the files. The volume is removed with the container.
pub(super) fn with_room(container: &NewContainer) -> Result<NewContainer, EngineError> {
    let spec = &container.spec;
    let mut rooms = BTreeSet::new();
    for file in &spec.files {
        let mounts = spec.mounts.iter().map(|mount| (mount.target.as_str(), Some(mount)));
        let covers = mounts.chain(spec.tmpfs.iter().map(|tmpfs| (tmpfs.target.as_str(), None)));
        let cover = covers.filter(|(target, _)| is_below(&file.target, target)).max_by_key(|(target, _)| target.len());
        match cover {
            Some((_, Some(mount))) if mount.source == MountSource::Anonymous && !mount.read_only => continue,
            // A shared volume would show the file to other containers, and a host folder would keep it permanently.
            Some((target, Some(_))) => {
                let reason = format!("its place `{}` lies in the mount `{target}`", file.target);
                return Err(
                    not_put(container, file, &reason).hint("give it a `target` outside of the service's `volumes`")
                );
            }
            None if !spec.read_only => continue,
            Some((_, None)) | None => {}
        }
        let folder = folder_of(file);
        if folder == "/" || cover.is_some_and(|(target, _)| target.trim_end_matches('/') == folder) {
            let reason = format!("`{folder}` cannot be a volume of its own for it");
            return Err(not_put(container, file, &reason)
                .hint("give it a `target` in a folder that holds nothing else, such as `/run/secrets/…`"));
        }
        rooms.insert(folder.to_owned());
    }
    let mut container = container.clone();
    // A nested folder uses the volume of the outer one.
    let outer: Vec<&String> =
        rooms.iter().filter(|room| !rooms.iter().any(|other| other != *room && is_below(room, other))).collect();
    container.spec.mounts.extend(outer.into_iter().map(|room| Mount {
        source: MountSource::Anonymous,
        target: room.clone(),
        ..Mount::default()
    }));
    Ok(container)
}

fn not_put(container: &NewContainer, file: &ContainerFile, reason: &str) -> EngineError {
    let message = format!("could not put `{}` into container `{}`: {reason}", file.name, container.name);
    EngineError::new(EngineErrorKind::Other, message)
}

/// Unpacks the container's files, with one call per mount.
pub(super) async fn put(engine: &DockerEngine, container: &NewContainer) -> Result<(), EngineError> {
    let spec = &container.spec;
    // The engine checks whether the named folder is writable, so the volume's folder is named.
    let root_of = |file: &ContainerFile| {
        let rooms = spec.mounts.iter().filter(|mount| mount.source == MountSource::Anonymous);
        let room = rooms.filter(|mount| is_below(&file.target, &mount.target)).max_by_key(|mount| mount.target.len());
        room.map_or("/", |mount| mount.target.trim_end_matches('/')).to_owned()
    };
    let roots: BTreeSet<String> = spec.files.iter().map(root_of).collect();
    for root in roots {
        let files: Vec<&ContainerFile> = spec.files.iter().filter(|file| root_of(file) == root).collect();
        let names: Vec<String> = files.iter().map(|file| format!("`{}`", file.name)).collect();
        let doing = format!("put {} into container `{}`", names.join(", "), container.name);
        let archive = archive(&root, &files).map_err(|(file, reason)| not_put(container, file, &reason))?;
        let path = if root.is_empty() { "/" } else { &root };
        let options = UploadToContainerOptionsBuilder::default().path(path).no_overwrite_dir_non_dir("true").build();
        let body = bollard::body_full(archive.into());
        engine.call(&doing, engine.client.upload_to_container(&container.name, Some(options), body)).await?;
    }
    Ok(())
}

fn archive<'f>(root: &str, files: &[&'f ContainerFile]) -> Result<Vec<u8>, (&'f ContainerFile, String)> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files.iter().copied() {
        let Some(bytes) = file.content.bytes() else {
            return Err((file, "its value is not known to this run".to_owned()));
        };
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid.into());
        header.set_gid(file.gid.into());
        header.set_mtime(0);
        let path = file.target.strip_prefix(root.trim_end_matches('/')).unwrap_or(&file.target).trim_start_matches('/');
        archive.append_data(&mut header, path, bytes).map_err(|error| (file, error.to_string()))?;
    }
    archive.into_inner().map_err(|error| (files[0], error.to_string()))
}
