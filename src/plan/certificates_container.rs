//! The container that gets certificates by ACME: made from the proxy's image, with the proxy's state volume. It renews them with nobody
//! there, so it stays when a deploy is undone.

use indexmap::IndexMap;

use super::ends::stop_and_remove;
use super::proxy_containers::nginx_container;
use super::proxy_image::ProxyImage;
use super::stage::{Planned, Stage, numbered};
use super::step::Step;
use crate::model::{
    AcmeSpec, AppName, ContainerFile, ContainerSpec, ContainerState, Healthcheck, LogLimit, Mount, MountSource,
    NetworkAttachment, NewContainer, ObservedEngine, OwnLabels, Project, ProxyName, ProxySpec, Resources, Restart,
    Role, Tmpfs, identity,
};

const RUN: &str = "/etc/nginx/certificates/run.sh";
/// The image's user, who is not root.
const TMPFS: &str = "size=16m,uid=10001,gid=10001,mode=0700";
const LOG: LogLimit = LogLimit { files: 2, file_bytes: 5_000_000 };
/// lego takes some 60 MB while it orders.
const MEMORY: i64 = 256 << 20;
/// An order that is cut off is made again later.
const STOP_GRACE: std::time::Duration = std::time::Duration::from_secs(5);

/// The steps after which it runs, as the file says, for those of the apps that need it. Empty when it does.
pub(super) fn certificates_container(
    project: &Project,
    apps: &[AppName],
    observed: &ObservedEngine,
    image: &str,
) -> Vec<Stage> {
    let routes = apps.iter().filter_map(|app| project.apps.get(app)).flat_map(|app| &app.routes);
    let mut hosts = routes.filter_map(|route| route.host.as_ref());
    let Some(acme) = project.proxy.acme.as_ref().filter(|_| hosts.any(|host| project.automatic.contains(host))) else {
        return Vec::new();
    };
    let steps = bring_up(&project.proxy.name, acme, observed, image);
    if steps.is_empty() { Vec::new() } else { vec![Stage::line(steps)] }
}

/// The steps that replace it where it is there, and the proxy is of another build by now.
#[must_use]
pub fn plan_certificates_upgrade(spec: &ProxySpec, observed: &ObservedEngine, image: &ProxyImage) -> Vec<Stage> {
    let Some(acme) = spec.acme.as_ref().filter(|_| observed.container(&spec.name.certificates()).is_some()) else {
        return Vec::new();
    };
    numbered(vec![Stage::line(bring_up(&spec.name, acme, observed, &image.tag()))])
}

/// The steps that take it away with the proxy.
pub(super) fn ending(proxy: &ProxyName, observed: &ObservedEngine, because: &str) -> Vec<Planned> {
    let container = observed.container(&proxy.certificates());
    container.map(|container| stop_and_remove(container, Some(STOP_GRACE), because)).unwrap_or_default()
}

fn bring_up(proxy: &ProxyName, acme: &AcmeSpec, observed: &ObservedEngine, fallback: &str) -> Vec<Planned> {
    // The image of the proxy that runs: both know the same files on the volume.
    let version = nginx_container(proxy, observed).and_then(|container| container.labels.version.clone());
    let image = version.as_ref().map_or_else(|| fallback.to_owned(), |version| format!("deploy-apps/proxy:{version}"));
    let wanted = container(proxy, acme, &image, version);
    let name = wanted.name.clone();
    let start = |because: &str| Planned::new(Step::StartContainer { name: name.clone() }, because);
    let made = |because: &str| {
        let create = Planned::new(Step::CreateContainer(Box::new(wanted.clone())), because);
        vec![create, start("it renews certificates without anybody")]
    };
    let Some(present) = observed.container(&name) else {
        return made("no container gets certificates yet");
    };
    let is_same = present.labels.identity == wanted.labels.identity && present.labels.version == wanted.labels.version;
    match present.state {
        ContainerState::Running | ContainerState::Restarting if is_same => Vec::new(),
        ContainerState::Created | ContainerState::Exited { .. } if is_same => {
            vec![start("the container that gets certificates is not running")]
        }
        _ => {
            let because = "the container that gets certificates is of other settings, or of another build";
            let mut steps = stop_and_remove(present, Some(STOP_GRACE), because);
            steps.extend(made(because));
            steps
        }
    }
}

fn container(proxy: &ProxyName, acme: &AcmeSpec, image: &str, version: Option<String>) -> NewContainer {
    let mut spec = ContainerSpec {
        entrypoint: Some(vec![RUN.to_owned()]),
        environment: environment(acme),
        files: files(acme).cloned().collect(),
        read_only: true,
        cap_drop: vec!["ALL".to_owned()],
        security_opt: vec!["no-new-privileges:true".to_owned()],
        tmpfs: vec![Tmpfs { target: "/tmp".to_owned(), options: TMPFS.to_owned() }],
        mounts: vec![Mount {
            source: MountSource::Volume(proxy.volume()),
            target: "/var/lib/deploy-apps".to_owned(),
            ..Mount::default()
        }],
        networks: vec![NetworkAttachment { network: proxy.network(), ..NetworkAttachment::default() }],
        restart: Restart::UnlessStopped,
        stop_signal: Some("SIGTERM".to_owned()),
        stop_grace: Some(STOP_GRACE),
        // The image's is nginx's.
        healthcheck: Some(Healthcheck::Disabled),
        ..ContainerSpec::default()
    };
    let identity = identity("certificates", &spec);
    spec.log_limit = Some(LOG);
    spec.resources = Resources { memory_bytes: Some(MEMORY), ..Resources::default() };
    let labels = OwnLabels {
        role: Role::Certificates,
        proxy: proxy.clone(),
        project: None,
        service: None,
        release: None,
        replica: None,
        version,
        identity,
        tuning: None,
    };
    NewContainer { name: proxy.certificates(), image: image.to_owned(), spec, labels }
}

fn files(acme: &AcmeSpec) -> impl Iterator<Item = &ContainerFile> {
    acme.ca.iter().chain(acme.dns.iter().flat_map(|dns| &dns.secrets))
}

/// What `nginx/certificates/` and lego read.
fn environment(acme: &AcmeSpec) -> IndexMap<String, String> {
    let mut found = IndexMap::from([
        ("ACME_EMAIL".to_owned(), acme.email.clone()),
        ("ACME_SERVER".to_owned(), acme.server.clone()),
    ]);
    if let Some(ca) = &acme.ca {
        found.insert("LEGO_CA_CERTIFICATES".to_owned(), ca.target.clone());
    }
    if let Some(dns) = &acme.dns {
        found.extend(dns.environment.clone());
        let file = |secret: &ContainerFile| (format!("{}_FILE", secret.name), secret.target.clone());
        found.extend(dns.secrets.iter().map(file));
        found.insert("ACME_DNS_PROVIDER".to_owned(), dns.provider.clone());
        if !dns.resolvers.is_empty() {
            found.insert("ACME_DNS_RESOLVERS".to_owned(), dns.resolvers.join(","));
        }
        if !dns.propagation_check {
            found.insert("ACME_DNS_PROPAGATION_CHECK".to_owned(), "off".to_owned());
        }
    }
    found
}
