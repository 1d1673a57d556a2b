//! Whether a world is as before a run, or as after one.

use std::collections::BTreeSet;

use deploy_apps::event::Outcome;
use deploy_apps::model::{AppKey, Role};
use tokio::time::Instant;

use crate::scenes::Scene;
use crate::session::Report;
use crate::world::{Picture, World};

/// One app's part of a world, without the numbers that a second attempt changes.
#[derive(Debug, PartialEq)]
struct Shape {
    routes: Vec<String>,
    hold_ms: u64,
    peers: usize,
    well: usize,
    /// Containers that are no peers.
    others: usize,
    tags: usize,
}

pub fn tag_prefix(key: &AppKey) -> String {
    format!("deploy-apps/{}-{}:", key.project, key.app)
}

fn shape(world: &World, key: &AppKey) -> Shape {
    let state = world.state();
    let now = Instant::now();
    let record = state.record(key);
    let peers: Vec<&str> = record.iter().flat_map(|record| &record.peers).map(|peer| peer.id.as_str()).collect();
    let own = state.containers.values().filter(|container| container.key().as_ref() == Some(key));
    Shape {
        routes: record.iter().flat_map(|record| &record.routes).map(ToString::to_string).collect(),
        hold_ms: record.map_or(0, |record| record.hold_ms),
        well: peers.iter().filter(|peer| state.containers.get(**peer).is_some_and(|peer| peer.healthy(now))).count(),
        peers: peers.len(),
        others: own.filter(|container| !peers.contains(&container.new.name.as_str())).count(),
        tags: state.tags.keys().filter(|tag| tag.starts_with(&tag_prefix(key))).count(),
    }
}

/// What differs from the end of an undisturbed run; with `images`, the tags are counted too.
pub fn differs_from_after(world: &World, after: &World, key: &AppKey, images: bool) -> Option<String> {
    let (mut found, wanted) = (shape(world, key), shape(after, key));
    if !images {
        found.tags = wanted.tags;
    }
    (found != wanted).then(|| format!("`{key}` is {found:?}, not {wanted:?}"))
}

/// What differs from before the run, apart from what the run has said to leave behind.
///
/// What an earlier run had left may be gone: that is what the next run is for.
pub fn differs_from_before(world: &World, before: &Picture, key: &AppKey, left: &[&str]) -> Vec<String> {
    let now = world.picture();
    let mut differences = Vec::new();
    if now.records.get(key) != before.records.get(key) && !serves_again(world, before, key) {
        differences.push(format!("the record of `{key}` is {:?}", now.records.get(key)));
    }
    let served = before.records.get(key);
    let served: BTreeSet<&str> = served.iter().flat_map(|record| &record.peers).map(|peer| peer.id.as_str()).collect();
    for peer in served {
        if now.containers.get(peer) != before.containers.get(peer) {
            differences.push(format!("`{peer}` runs: {:?}", now.containers.get(peer)));
        }
    }
    let of_app = |name: &str| {
        let state = world.state();
        state.containers.get(name).and_then(|container| container.key()).as_ref() == Some(key)
    };
    let named = |name: &str| left.iter().any(|what| what.contains(&format!("`{name}`")));
    let new = now.containers.keys().filter(|name| !before.containers.contains_key(*name) && of_app(name));
    differences.extend(new.filter(|name| !named(name)).map(|name| format!("`{name}` is left and nobody said so")));
    let tags = now.tags.keys().filter(|tag| tag.starts_with(&tag_prefix(key)) && !before.tags.contains_key(*tag));
    differences.extend(tags.filter(|tag| !named(tag)).map(|tag| format!("tag `{tag}` is left and nobody said so")));
    let gone = before.tags.keys().filter(|tag| tag.starts_with(&tag_prefix(key)) && !now.tags.contains_key(*tag));
    differences.extend(gone.map(|tag| format!("tag `{tag}` is gone")));
    differences
}

/// A killed stop-first run had left an app without peers; an undo of the next run brings back what served.
fn serves_again(world: &World, before: &Picture, key: &AppKey) -> bool {
    let now = shape(world, key);
    let held = before.records.get(key).is_some_and(|record| record.peers.is_empty() && record.hold_ms > 0);
    held && now.peers > 0 && now.well == now.peers && now.hold_ms == 0
}

/// After a run that one fault has disturbed: each app is as before or as after, and says which.
#[track_caller]
pub fn judge(scene: &Scene, world: &World, before: &Picture, after: &World, report: &Report, context: &str) {
    let context = format!("{}: {context}", scene.name);
    world.assert_lawful(&format!("{context}\n{}", report.story()));
    let left = report.left_behind();
    for name in &scene.desired.apps {
        let key = scene.desired.project.key(name);
        let outcome = match report.result.as_ref().expect("a run that was not killed") {
            Ok(results) => results.iter().find(|result| result.app == key).map(|result| result.outcome),
            Err(_) => Some(Outcome::RolledBack),
        };
        let Some(outcome) = outcome else { panic!("{context}: no outcome for `{key}`\n{}", report.story()) };
        let as_before = differs_from_before(world, before, &key, &left);
        let as_after = differs_from_after(world, after, &key, true);
        let problem = match outcome {
            Outcome::UpToDate | Outcome::Completed => as_after,
            Outcome::CompletedWithLeftovers => flipped_with_leftovers(world, after, &key, &left),
            Outcome::Cancelled if as_before.is_empty() => None,
            Outcome::Cancelled => flipped_with_leftovers(world, after, &key, &left),
            Outcome::RolledBack | Outcome::Aborted | Outcome::Disconnected => {
                (!as_before.is_empty()).then(|| as_before.join("\n"))
            }
            Outcome::Unstable => Some("unstable after a single fault".to_owned()),
            Outcome::Stuck => Some("stuck after a single fault".to_owned()),
        };
        if let Some(problem) = problem {
            panic!("{context}: {outcome:?}, but {problem}\n{}", report.story());
        }
    }
}

/// The desired is served; whatever else is there was named.
fn flipped_with_leftovers(world: &World, after: &World, key: &AppKey, left: &[&str]) -> Option<String> {
    let (found, wanted) = (shape(world, key), shape(after, key));
    let served = |shape: &Shape| (shape.routes.clone(), shape.hold_ms, shape.peers, shape.well);
    if served(&found) != served(&wanted) {
        return Some(format!("`{key}` is {found:?}, not {wanted:?}"));
    }
    let state = world.state();
    let record = state.record(key);
    let extra = state.containers.values().filter(|container| container.key().as_ref() == Some(key));
    let extra = extra.filter(|container| record.is_none_or(|record| !record.serves(&container.new.name)));
    let mut unnamed =
        extra.map(|container| &container.new.name).filter(|name| !left.iter().any(|what| what.contains(*name)));
    unnamed.next().map(|name| format!("`{name}` is left and nobody said so"))
}

/// Whether any container of a run is left that serves nothing: after a crash and the next deploy there is none.
pub fn stray(world: &World) -> Vec<String> {
    let state = world.state();
    let containers = state.containers.values().filter(|container| {
        matches!(container.new.labels.role, Role::Replica | Role::ReleaseCommand)
            && state.server_of(&container.new.name).is_none()
    });
    containers.map(|container| container.new.name.clone()).collect()
}
