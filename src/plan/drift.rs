//! What a deploy would change about an app, in words: where the compose file and its sources say other than what serves.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::mounted::changed;
use super::proxy::address_pool;
use super::replicas::effective_spec;
use super::routes::RoutesAfter;
use crate::model::{
    App, AppName, AppRecord, ContainerFile, ContainerSpec, ImageSource, ObservedState, Project, ReleaseNumber,
    ReplicaCount, ResolvedImage, Route, identity,
};

/// One difference between the desired state and what serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Drift {
    /// Nothing serves; the next deploy is the first.
    NotDeployed,
    /// What the image is built from has changed.
    Source,
    /// The image's reference leads to another image than the one that serves.
    Image,
    /// The image is not on the engine, so what it holds is not known.
    ImageMissing {
        reference: String,
    },
    /// As compose names them, variables as `environment.NAME`. Empty: something, but it is not known what.
    Configuration {
        keys: Vec<String>,
    },
    /// A file that is bind-mounted is another one since the release was made. `replaces`: a deploy makes a new release of
    /// it; one that the app itself may write is only told.
    MountedFile {
        path: String,
        replaces: bool,
    },
    Routes {
        added: Vec<String>,
        removed: Vec<String>,
    },
    Replicas {
        serving: u32,
        wanted: u32,
    },
    /// An interrupted run has left several releases serving.
    Mixed {
        releases: Vec<ReleaseNumber>,
    },
    /// A deploy would not be planned.
    Refused {
        reason: String,
    },
    /// How the proxy treats its requests; `kind` is the setting's own name.
    #[serde(untagged)]
    Setting {
        kind: &'static str,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDeployed => f.write_str("not deployed yet"),
            Self::Source => f.write_str("the source has changed"),
            Self::Image => f.write_str("the image has changed"),
            Self::ImageMissing { reference } => {
                write!(f, "image `{reference}` is not on the engine, a deploy pulls it")
            }
            Self::Configuration { keys } if keys.is_empty() => f.write_str("the configuration has changed"),
            Self::Configuration { keys } => write!(f, "changed: {}", ticked(keys)),
            Self::MountedFile { path, replaces: true } => write!(f, "mounted file `{path}` has changed"),
            Self::MountedFile { path, .. } => {
                write!(f, "mounted file `{path}` has changed, maybe by the app itself; `--force` replaces")
            }
            Self::Routes { added, removed } => {
                let parts = [("new", added), ("no longer wanted", removed)];
                let parts = parts.iter().filter(|(_, routes)| !routes.is_empty());
                let parts: Vec<_> = parts.map(|(what, routes)| format!("{what} {}", ticked(routes))).collect();
                write!(f, "routes: {}", parts.join(", "))
            }
            Self::Setting { kind } => write!(f, "changed: `x-deploy-apps.{kind}`"),
            Self::Replicas { serving, wanted } => write!(f, "{wanted} replicas wanted, {serving} serve"),
            Self::Mixed { releases } => {
                let releases: Vec<_> = releases.iter().map(ToString::to_string).collect();
                write!(f, "{} serve beside each other since an interrupted run", releases.join(" and "))
            }
            Self::Refused { reason } => write!(f, "a deploy would be refused: {reason}"),
        }
    }
}

fn ticked(words: &[String]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// Everything that differs; empty when a deploy would find nothing to do but replace what is missing or unhealthy.
#[must_use]
pub fn drift(project: &Project, name: &AppName, observed: &ObservedState) -> Vec<Drift> {
    let Some(app) = project.apps.get(name) else { return Vec::new() };
    let key = project.key(name);
    let record = observed.proxy.apps.get(&key).and_then(|known| known.record.as_ref());
    let refusal = RoutesAfter::new(project, observed, std::slice::from_ref(name)).check(name, &app.routes).err();
    let refused = refusal.map(|refused| Drift::Refused { reason: refused.to_string() });
    let Some(record) = record else { return [Some(Drift::NotDeployed), refused].into_iter().flatten().collect() };
    let spec = match address_pool(&project.proxy, &observed.engine) {
        Ok(pool) => effective_spec(project, app, pool),
        Err(refused) => return vec![Drift::Refused { reason: refused.to_string() }],
    };
    let mut found = release_drift(project, app, &spec, record, observed);
    if let (ImageSource::Pull { reference, .. }, None) = (&app.service.image, observed.images.get(name)) {
        found.push(Drift::ImageMissing { reference: reference.clone() });
    }
    found.extend(routes_drift(&app.routes, &record.routes));
    let settings = app.settings.known_to(&observed.proxy.features);
    found.extend(settings.changed(&record.settings).map(|kind| Drift::Setting { kind }));
    let wanted = ReplicaCount::wanted(app.file_replicas(), record.scale).count;
    let serving = u32::try_from(record.peers.len()).unwrap_or(u32::MAX);
    found.extend((wanted != serving).then_some(Drift::Replicas { serving, wanted }));
    let releases: BTreeSet<ReleaseNumber> = record.peers.iter().map(|peer| peer.release).collect();
    found.extend((releases.len() > 1).then(|| Drift::Mixed { releases: releases.into_iter().collect() }));
    found.extend(refused);
    found
}

/// Why a new release is made, in words; empty when that is not known.
pub(super) fn release_reason(
    project: &Project,
    app: &App,
    spec: &ContainerSpec,
    record: &AppRecord,
    observed: &ObservedState,
) -> String {
    let found = release_drift(project, app, spec, record, observed);
    let found = found.iter().filter(|drift| !matches!(drift, Drift::MountedFile { replaces: false, .. }));
    found.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Image and configuration, against what the proxy keeps of the release that serves, else against its containers.
fn release_drift(
    project: &Project,
    app: &App,
    spec: &ContainerSpec,
    record: &AppRecord,
    observed: &ObservedState,
) -> Vec<Drift> {
    let image = observed.images.get(&app.service.name);
    let changed_image = match image {
        Some(ResolvedImage::Source { .. }) => Drift::Source,
        Some(ResolvedImage::Image { .. }) | None => Drift::Image,
    };
    let kept = observed.releases.get(&project.key(&app.service.name));
    let kept = kept.and_then(|kept| kept.iter().find(|release| release.number == record.release));
    if let Some(kept) = kept {
        let other_image = image.is_some_and(|image| image.identity() != kept.image);
        // Kept is what the file said of the app. The plan adds what comes from elsewhere, such as the names of the
        // project's other apps: a change of that has no key of this app's.
        let mut keys = changed_keys(&kept.container, &app.service.container);
        keys.extend((kept.port != app.port).then(|| "x-deploy-apps.port".to_owned()));
        let is_other = identity(&kept.image, spec) != kept.identity;
        if keys.is_empty() && is_other {
            keys.extend(changed_values(&app.service.container));
        }
        let differs = !keys.is_empty() || is_other;
        let configuration = differs.then_some(Drift::Configuration { keys });
        let files = changed(kept, spec, observed).filter_map(|mount| {
            let path = mount.bind_source()?.to_owned();
            Some(Drift::MountedFile { path, replaces: mount.read_only })
        });
        return other_image.then_some(changed_image).into_iter().chain(configuration).chain(files).collect();
    }
    let serving = observed.engine.containers.iter().find(|container| record.serves(&container.name));
    let (Some(image), Some(serving)) = (image, serving) else { return Vec::new() };
    if serving.labels.identity == identity(image.identity(), spec) {
        return Vec::new();
    }
    let source = observed.engine.images.iter().find(|other| other.id == serving.image_id);
    // An image that was built here may be run by its reference as well as from its source.
    let source = source.and_then(|source| source.source.as_deref());
    let is_same = source == Some(image.identity()) || serving.image_id == image.identity();
    if is_same { vec![Drift::Configuration { keys: Vec::new() }] } else { vec![changed_image] }
}

fn routes_drift(wanted: &[Route], serving: &[Route]) -> Option<Drift> {
    let other = |these: &[Route], those: &[Route]| -> Vec<String> {
        these.iter().filter(|route| !those.contains(route)).map(ToString::to_string).collect()
    };
    let (added, removed) = (other(wanted, serving), other(serving, wanted));
    // Their order alone says nothing: the proxy looks for the longest.
    (!added.is_empty() || !removed.is_empty()).then_some(Drift::Routes { added, removed })
}

/// What differs, by the names that compose has for it. Values are never told: they may be secrets.
fn changed_keys(before: &ContainerSpec, after: &ContainerSpec) -> Vec<String> {
    let fields = |spec: &ContainerSpec| match serde_json::to_value(spec) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let (before, after) = (fields(before), fields(after));
    let mut keys = Vec::new();
    for name in different(&before, &after) {
        match (name.as_str(), before.get(&name), after.get(&name)) {
            ("environment" | "labels" | "sysctls", Some(Value::Object(old)), Some(Value::Object(new))) => {
                let inner = different(old, new);
                // The same variables in another order make another container, too.
                if inner.is_empty() {
                    keys.push(name.clone());
                }
                keys.extend(inner.into_iter().map(|inner| format!("{name}.{inner}")));
            }
            _ => keys.push(in_compose(&name).to_owned()),
        }
    }
    keys
}

/// Where all keys are as they were, it is the value of a secret or config: it is kept nowhere, so of several it is not
/// known which.
fn changed_values(spec: &ContainerSpec) -> Option<String> {
    let name = |file: &ContainerFile| {
        let section = if file.target.starts_with("/run/secrets/") { "secrets" } else { "configs" };
        format!("{section}.{}", file.name)
    };
    let names: Vec<String> = spec.files.iter().map(name).collect();
    (!names.is_empty()).then(|| names.join(" or "))
}

fn different(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    names.into_iter().filter(|name| before.get(*name) != after.get(*name)).cloned().collect()
}

fn in_compose(field: &str) -> &str {
    match field {
        "mounts" => "volumes",
        "resources" => "deploy.resources",
        "stop_grace" => "stop_grace_period",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_the_names_of_compose_and_no_values() {
        let mut before = ContainerSpec { stop_signal: Some("SIGINT".to_owned()), ..ContainerSpec::default() };
        before.environment.insert("A".to_owned(), "hunter2".to_owned());
        before.environment.insert("B".to_owned(), "same".to_owned());
        let mut after = ContainerSpec { read_only: true, ..before.clone() };
        after.stop_grace = Some(std::time::Duration::from_secs(3));
        after.environment.insert("A".to_owned(), "other".to_owned());
        after.environment.insert("C".to_owned(), "new".to_owned());
        assert_eq!(changed_keys(&before, &after), ["environment.A", "environment.C", "read_only", "stop_grace_period"]);
        assert!(changed_keys(&before, &before).is_empty());
    }

    #[test]
    fn a_changed_secret_is_named() {
        let file = |name: &str, target: &str| ContainerFile {
            name: name.to_owned(),
            target: target.to_owned(),
            ..Default::default()
        };
        let mut spec = ContainerSpec { files: vec![file("key", "/run/secrets/key")], ..ContainerSpec::default() };
        assert_eq!(changed_values(&spec).as_deref(), Some("secrets.key"));
        spec.files.push(file("motd", "/etc/motd"));
        assert_eq!(changed_values(&spec).as_deref(), Some("secrets.key or configs.motd"));
        assert_eq!(changed_values(&ContainerSpec::default()), None);
    }

    #[test]
    fn routes_in_another_order_are_the_same() {
        let route = |path: &str| Route { host: None, path: path.to_owned(), strip: false, tls: None };
        let (a, b, c) = (route("/a"), route("/b"), route("/c"));
        assert_eq!(routes_drift(&[a.clone(), b.clone()], &[b.clone(), a.clone()]), None);
        let drift = routes_drift(&[a.clone(), c], &[a, b]).unwrap();
        assert_eq!(drift.to_string(), "routes: new `*/c`, no longer wanted `*/b`");
    }
}
