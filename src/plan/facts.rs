//! What a plan stands on, in words: so that whoever finds another plan can be told what has changed.

use std::fmt;

use indexmap::IndexMap;
use sha2::{Digest, Sha256};

use super::app_diff::belongs;
use crate::model::{
    App, AppName, ContainerState, ImageSource, ObservedApp, ObservedState, Project, ProxyName, PullPolicy,
    ResolvedImage,
};

/// What it is about → how it is, as text for people. Holds no value of an environment.
pub type Facts = IndexMap<String, String>;

/// A fact that is no longer what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedFact {
    pub subject: String,
    pub before: String,
    pub now: String,
}

impl fmt::Display for ChangedFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} → {}", self.subject, self.before, self.now)
    }
}

/// The subject of the fact about the proxy's container.
#[must_use]
pub fn proxy_subject(proxy: &ProxyName) -> String {
    format!("the proxy `{proxy}`")
}

/// Everything about `apps` that decides what their plan is.
#[must_use]
pub fn facts(project: &Project, apps: &[AppName], observed: &ObservedState) -> Facts {
    let mut facts = Facts::new();
    let proxy = observed.engine.container(&project.proxy.name.container());
    let state = proxy.map_or_else(|| "absent".to_owned(), |proxy| words(proxy.state));
    facts.insert(proxy_subject(&project.proxy.name), state);
    for name in apps {
        let Some(app) = project.apps.get(name) else { continue };
        let key = project.key(name);
        let known = observed.proxy.apps.get(&key);
        facts.insert(format!("what serves `{name}`"), known.map_or_else(|| "nothing".to_owned(), serving));
        let used = known.map_or_else(|| "none".to_owned(), |known| known.last_release.to_string());
        facts.insert(format!("the last release of `{name}`"), used);
        let image = observed.images.get(name).map_or_else(|| "unknown".to_owned(), image);
        facts.insert(format!("the image of `{name}`"), image);
        facts.insert(format!("the version of `{name}`"), app.version.clone());
        let routes: Vec<String> = app.routes.iter().map(ToString::to_string).collect();
        facts.insert(format!("the desired routes of `{name}`"), list(routes));
        facts.insert(format!("the desired replicas of `{name}`"), app.replicas.to_string());
        facts.insert(format!("the configuration of `{name}`"), configuration(app));
        let own = observed.engine.containers.iter().filter(|container| belongs(container, &key));
        let own = own.map(|container| format!("{} {}", container.name, words(container.state))).collect();
        facts.insert(format!("the containers of `{name}`"), list(own));
    }
    for container in &observed.engine.containers {
        let labels = &container.labels;
        let service = labels.service.as_ref().filter(|name| project.accessories.contains_key(*name));
        if let Some(name) = service.filter(|_| labels.project.as_ref() == Some(&project.name)) {
            facts.insert(format!("accessory `{name}`"), words(container.state));
        }
    }
    facts
}

/// Each fact that differs.
#[must_use]
pub fn changed_facts(before: &Facts, now: &Facts) -> Vec<ChangedFact> {
    let gone = before.keys().filter(|subject| !now.contains_key(*subject));
    let value = |facts: &Facts, subject: &String| facts.get(subject).map_or("absent", String::as_str).to_owned();
    now.keys()
        .chain(gone)
        .filter(|subject| before.get(*subject) != now.get(*subject))
        .map(|subject| ChangedFact {
            subject: subject.clone(),
            before: value(before, subject),
            now: value(now, subject),
        })
        .collect()
}

fn serving(known: &ObservedApp) -> String {
    let Some(record) = &known.record else { return "nothing".to_owned() };
    let peers = list(record.peers.iter().map(|peer| peer.id.clone()).collect());
    format!("{} (generation {}) by {peers}", record.release, known.generation)
}

fn image(image: &ResolvedImage) -> String {
    match image {
        ResolvedImage::Source { digest, built } => {
            let built = if built.is_some() { "built" } else { "not built" };
            format!("source {}, {built}", short(digest))
        }
        ResolvedImage::Image { id } => short(id).to_owned(),
    }
}

/// Only a part of a hash: enough to see a change by.
fn configuration(app: &App) -> String {
    let mut app = app.clone();
    // The image, the version, the routes and the scale have facts of their own.
    app.service.image = ImageSource::Pull { reference: String::new(), policy: PullPolicy::default() };
    app.version.clear();
    app.routes.clear();
    app.replicas = 0;
    let text = serde_json::to_string(&app).unwrap_or_default();
    Sha256::digest(text).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

fn short(id: &str) -> &str {
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    id.get(..12).unwrap_or(id)
}

fn list(mut items: Vec<String>) -> String {
    items.sort();
    if items.is_empty() { "none".to_owned() } else { items.join(", ") }
}

fn words(state: ContainerState) -> String {
    match state {
        ContainerState::Created => "created".to_owned(),
        ContainerState::Running => "running".to_owned(),
        ContainerState::Paused => "paused".to_owned(),
        ContainerState::Restarting => "restarting".to_owned(),
        ContainerState::Exited { code, .. } => format!("exited with {code}"),
        ContainerState::Dead => "dead".to_owned(),
    }
}
