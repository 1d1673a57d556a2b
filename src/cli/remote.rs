//! Special cases for an engine on another host.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use super::exit::{Exit, Failure};
use crate::compose::{Finding, Warning};
use crate::model::{EngineInfo, MountSource, Project};

/// Warnings for bind mounts of the project's folder: the engine uses the same paths on its own host.
pub fn binds(project: &Project, engine: &EngineInfo) -> Vec<Warning> {
    if engine.local {
        return Vec::new();
    }
    let apps = project.apps.values().map(|app| &app.service);
    let services = apps.chain(project.accessories.values().map(|accessory| &accessory.service));
    let ours = |source: &MountSource| match source {
        MountSource::Bind(path) if std::path::Path::new(path).starts_with(&project.folder) => Some(path.clone()),
        _ => None,
    };
    let found = services.flat_map(|service| {
        let paths = service.container.mounts.iter().filter_map(|mount| ours(&mount.source));
        paths.map(|path| (service.name.clone(), path))
    });
    let warning = |(service, path)| {
        let message =
            format!("service `{service}` mounts `{path}`, which is a path on the engine's host `{}`", engine.address);
        let hint = Some("copy what it needs into the image, or use a volume".to_owned());
        Warning(Finding { message, place: None, hint })
    };
    found.map(warning).collect()
}

/// Host and port of the proxy, as reachable from this machine.
///
/// # Errors
/// When it is not reachable from this machine.
pub fn proxy_target(project: &Project, engine: &EngineInfo) -> Result<(String, u16), Failure> {
    let port = project.proxy.http_port;
    let bind = project.proxy.bind.as_deref().and_then(|bind| bind.parse::<IpAddr>().ok());
    let bind = bind.filter(|ip| !ip.is_unspecified());
    let host = engine.host.as_deref().filter(|_| !engine.local);
    match (bind, host) {
        (Some(ip), Some(host)) if ip.is_loopback() => {
            let message = format!("the proxy listens on `{ip}` of `{host}` only, where no request from here gets to");
            Err(Failure::new(Exit::Refused, message)
                .hint("run this on that host, or let the proxy listen on another address: `x-deploy-apps.proxy.bind`"))
        }
        (Some(ip), _) => Ok((ip.to_string(), port)),
        (None, Some(host)) => Ok((host.to_owned(), port)),
        (None, None) => Ok((Ipv4Addr::LOCALHOST.to_string(), port)),
    }
}

/// The address of the proxy, as reachable from this machine.
///
/// # Errors
/// When it is not reachable from this machine, or the host's name does not resolve.
pub fn proxy_address(project: &Project, engine: &EngineInfo) -> Result<SocketAddr, Failure> {
    let (host, port) = proxy_target(project, engine)?;
    let found = (host.as_str(), port).to_socket_addrs().ok().and_then(|mut found| found.next());
    found.ok_or_else(|| {
        let message = format!("the engine's host `{host}` has no address here, so no request gets there");
        Failure::new(Exit::Refused, message).hint("run this on that host, or give its address with `--host`")
    })
}
