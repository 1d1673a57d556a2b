//! A project reconstructed from engine and proxy, for commands that run without its compose file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use indexmap::IndexMap;

use super::container::{ContainerSpec, MountSource, Role};
use super::names::{AppKey, AppName, ProjectName, ProxyName};
use super::observed::{ObservedEngine, ObservedProxy};
use super::policy::{DrainPolicy, HealthPolicy, Order, RolloutPolicy};
use super::project::{Accessory, App, ImageSource, Project, ProxySpec, PullPolicy, Service};
use super::record::AppRecord;
use super::stored::StoredRelease;
use super::tuning::{AccessLog, UpgradePolicy};

impl Project {
    /// The apps that the proxy routes or the engine runs, from their stored releases, and the accessories by name. What
    /// only the compose file has (networks, webhooks, contents of secrets) is empty.
    #[must_use]
    pub fn remembered(
        name: &ProjectName,
        proxy: &ProxyName,
        http_port: Option<u16>,
        engine: &ObservedEngine,
        state: &ObservedProxy,
        releases: &BTreeMap<AppKey, Vec<StoredRelease>>,
    ) -> Self {
        let (mut apps, mut accessories) = (BTreeSet::new(), BTreeSet::new());
        let routed = state.apps.iter().filter(|(key, known)| key.project == *name && known.record.is_some());
        apps.extend(routed.map(|(key, _)| key.app.clone()));
        for labels in engine.containers.iter().map(|container| &container.labels) {
            let (Some(service), true) = (&labels.service, labels.project.as_ref() == Some(name)) else { continue };
            match labels.role {
                Role::Replica => apps.insert(service.clone()),
                Role::Accessory => accessories.insert(service.clone()),
                Role::ReleaseCommand | Role::OneOff | Role::Proxy | Role::ProxyInstance | Role::Certificates => false,
            };
        }
        let app = |app: AppName| {
            let key = AppKey { project: name.clone(), app: app.clone() };
            let record = state.apps.get(&key).and_then(|known| known.record.as_ref());
            let kept = releases.get(&key).map_or(&[][..], Vec::as_slice);
            (app.clone(), remembered_app(app, record, kept))
        };
        let apps: IndexMap<AppName, App> = apps.into_iter().map(app).collect();
        let accessory = |service: AppName| {
            let accessory = Accessory { service: bare_service(service.clone()), container_name: None, backup: None };
            (service, accessory)
        };
        Self {
            name: name.clone(),
            folder: PathBuf::new(),
            remembered: true,
            proxy: ProxySpec {
                name: proxy.clone(),
                http_port: http_port.unwrap_or(80),
                https_port: None,
                bind: None,
                subnet: None,
                base_image: String::new(),
                logging: None,
                trusted_proxies: Vec::new(),
                proxy_protocol: false,
                memory_bytes: ProxySpec::MEMORY,
                access_log: AccessLog::default(),
                connections_per_client: None,
                acme: None,
                upgrade: UpgradePolicy::default(),
            },
            notify: Vec::new(),
            hosts: apps.values().filter(|app| app.port.is_some()).map(|app| app.service.name.clone()).collect(),
            accessories: accessories.into_iter().filter(|name| !apps.contains_key(name)).map(accessory).collect(),
            apps,
            dormant: BTreeSet::new(),
            networks: IndexMap::new(),
            volumes: Vec::new(),
            external_networks: Vec::new(),
            external_volumes: Vec::new(),
            certificates: std::collections::BTreeMap::new(),
            automatic: std::collections::BTreeSet::new(),
        }
    }
}

fn bare_service(name: AppName) -> Service {
    let image = ImageSource::Pull { reference: String::new(), policy: PullPolicy::Never };
    Service { name, image, container: ContainerSpec::default(), depends_on: Vec::new() }
}

/// The release that serves, or the newest stored one, with the current routes.
fn remembered_app(name: AppName, record: Option<&AppRecord>, kept: &[StoredRelease]) -> App {
    let serving = record.and_then(|record| kept.iter().find(|stored| stored.number == record.release));
    let stored = serving.or(kept.first());
    let policy = stored.and_then(|stored| stored.policy.clone());
    let container = stored.map(|stored| stored.container.clone()).unwrap_or_default();
    let rollout = policy.as_ref().map_or_else(|| careful(&container), |policy| policy.rollout.clone());
    let serves = record.map_or(0, |record| u32::try_from(record.peers.len()).unwrap_or(u32::MAX));
    // A number set by `scale` is valid while the number in the compose file is unchanged.
    let file = match (record.and_then(|record| record.scale), &policy) {
        (Some(scale), _) => scale.file,
        (None, Some(policy)) => policy.replicas,
        (None, None) => Some(serves).filter(|count| *count > 1),
    };
    App {
        version: stored.map(|stored| stored.version.clone()).unwrap_or_default(),
        port: stored.and_then(|stored| stored.port),
        routes: record.map(|record| record.routes.clone()).unwrap_or_default(),
        replicas: file.unwrap_or(1),
        replicas_stated: file.is_some(),
        health: stored.map_or_else(HealthPolicy::default, |stored| stored.health.clone()),
        drain: policy.as_ref().map_or_else(DrainPolicy::default, |policy| policy.drain.clone()),
        rollback: policy.map_or_else(|| rollout.clone(), |policy| policy.rollback),
        rollout,
        settings: record.map(|record| record.settings.clone()).unwrap_or_default(),
        release: stored.and_then(|stored| stored.release.clone()),
        canary: None,
        replaces: None,
        service: Service { container, ..bare_service(name) },
    }
}

/// For a release stored by an older build without its policy: an app that writes to a volume must not get a second
/// writer.
fn careful(container: &ContainerSpec) -> RolloutPolicy {
    let writes = container
        .mounts
        .iter()
        .any(|mount| !mount.read_only && matches!(mount.source, MountSource::Volume(_) | MountSource::Bind(_)));
    let order = if writes { Order::StopFirst } else { Order::StartFirst };
    RolloutPolicy { order, ..RolloutPolicy::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::container::Mount;
    use crate::model::observed::ObservedApp;
    use crate::model::scale::Scale;
    use crate::model::stored::StoredPolicy;

    fn record(scale: Option<Scale>) -> AppRecord {
        serde_json::from_value(serde_json::json!({
            "project": "shop", "app": "web", "release": 3, "version": "1.0+3", "routes": [], "balance": "round_robin",
            "hold_ms": 0, "scale": scale, "peers": []
        }))
        .unwrap()
    }

    fn stored(number: u32, policy: Option<StoredPolicy>, container: ContainerSpec) -> StoredRelease {
        let document = serde_json::json!({
            "release": number, "version": format!("1.0+{number}"), "identity": "i", "image": "d", "port": 8080,
            "health": HealthPolicy::default(), "container": container, "policy": policy,
        });
        serde_json::from_value(document).unwrap()
    }

    fn project(record: AppRecord, kept: Vec<StoredRelease>) -> Project {
        let key = record.key();
        let known = ObservedApp { record: Some(record), ..ObservedApp::default() };
        let state = ObservedProxy { apps: [(key.clone(), known)].into(), ..ObservedProxy::default() };
        let proxy = ProxyName::default();
        Project::remembered(
            &key.project,
            &proxy,
            Some(8080),
            &ObservedEngine::default(),
            &state,
            &[(key.clone(), kept)].into(),
        )
    }

    #[test]
    fn an_app_is_the_release_that_serves() {
        let policy = StoredPolicy {
            replicas: Some(2),
            drain: DrainPolicy::default(),
            rollout: RolloutPolicy { order: Order::StopFirst, ..RolloutPolicy::default() },
            rollback: RolloutPolicy::default(),
        };
        let releases =
            vec![stored(4, None, ContainerSpec::default()), stored(3, Some(policy), ContainerSpec::default())];
        let project = project(record(None), releases);
        let app = &project.apps[0];
        assert_eq!((app.version.as_str(), app.port, app.file_replicas()), ("1.0+3", Some(8080), Some(2)));
        assert_eq!((app.rollout.order, app.rollback.order), (Order::StopFirst, Order::StartFirst));
        assert!(project.remembered && project.hosts.contains(&app.service.name));
    }

    #[test]
    fn a_scaled_number_stays_valid() {
        let scale = Scale { replicas: 4, file: Some(2) };
        let project = project(record(Some(scale)), Vec::new());
        assert_eq!(project.apps[0].file_replicas(), Some(2));
    }

    #[test]
    fn a_writer_without_a_stored_policy_is_stopped_first() {
        let mount = Mount { source: MountSource::Volume("data".to_owned()), ..Mount::default() };
        let writer = ContainerSpec { mounts: vec![mount], ..ContainerSpec::default() };
        assert_eq!(project(record(None), vec![stored(3, None, writer)]).apps[0].rollout.order, Order::StopFirst);
        let reader = project(record(None), vec![stored(3, None, ContainerSpec::default())]);
        assert_eq!(reader.apps[0].rollout.order, Order::StartFirst);
    }
}
