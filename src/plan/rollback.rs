//! Which release a rollback leads to, and which it could lead to.

use std::collections::BTreeMap;

use super::app_diff::belongs;
use super::desired::kept;
use super::images::kept_image;
use super::refusal::PlanRefused;
use super::rollback_target::{NoTarget, RollbackTarget};
use crate::model::{
    AppKey, AppName, AppRecord, ContainerState, ObservedState, Project, ReleaseNumber, Role, StoredRelease,
};

/// All releases that the app can be rolled back to, highest first.
#[must_use]
pub fn rollback_targets(app: &AppKey, observed: &ObservedState) -> Vec<RollbackTarget> {
    let Some(known) = observed.proxy.apps.get(app) else { return Vec::new() };
    let serving = known.record.as_ref().map(|record| record.release);
    let kept = observed.releases.get(app).into_iter().flatten();
    kept.filter(|stored| Some(stored.number) != serving && known.served.contains(&stored.number))
        .filter(|stored| kept_image(app, stored, observed).is_some())
        .map(|stored| RollbackTarget {
            release: stored.number,
            version: stored.version.clone(),
            at: stored.at,
            owner: stored.owner.clone(),
            host: stored.host.clone(),
        })
        .collect()
}

/// The release of each app that is meant.
///
/// Of several apps one may serve its release already, since an earlier run that was cut off has come so far with it; it
/// then stays there. Without numbers such an app would go back once more, so they are asked for.
pub(super) fn targets<'a>(
    project: &Project,
    apps: &[AppName],
    observed: &'a ObservedState,
    to: &BTreeMap<AppName, ReleaseNumber>,
) -> Result<BTreeMap<AppName, &'a StoredRelease>, PlanRefused> {
    let half_back = apps.iter().find(|app| is_half_back(&project.key(app), observed));
    if let (Some(half), true) = (half_back, apps.len() > 1)
        && let Some(app) = apps.iter().find(|app| *app != half && !to.contains_key(*app))
    {
        return Err(PlanRefused::HalfBack { app: project.key(app), half: project.key(half) });
    }
    let mut found = BTreeMap::new();
    let mut serving = Vec::new();
    for app in apps {
        let key = project.key(app);
        match target(&key, observed, to.get(app).copied()) {
            Ok(stored) => {
                found.insert(app.clone(), stored);
            }
            Err(refused @ PlanRefused::NoTarget { why: NoTarget::Serves(release), .. }) => {
                serving.push((app, kept(&key, observed, release), refused));
            }
            Err(refused) => return Err(refused),
        }
    }
    let moves = !found.is_empty();
    for (app, stored, refused) in serving {
        match stored {
            Some(stored) if moves => {
                found.insert(app.clone(), stored);
            }
            _ => return Err(refused),
        }
    }
    Ok(found)
}

/// An interrupted rollback has left something of the release that it came from.
fn is_half_back(key: &AppKey, observed: &ObservedState) -> bool {
    let known = observed.proxy.apps.get(key);
    let record = known.and_then(|known| Some((known, known.record.as_ref()?)));
    record.is_some_and(|(known, record)| rolled_back_from(key, record, &known.served, observed) > record.release)
}

/// The release that is meant; without a `wanted` one, the highest that has served before the serving one.
fn target<'a>(
    key: &AppKey,
    observed: &'a ObservedState,
    wanted: Option<ReleaseNumber>,
) -> Result<&'a StoredRelease, PlanRefused> {
    let known = observed.proxy.apps.get(key);
    let Some((known, record)) = known.and_then(|known| Some((known, known.record.as_ref()?))) else {
        return Err(PlanRefused::NotDeployed { app: key.clone() });
    };
    let refused = |why| PlanRefused::NoTarget { app: key.clone(), why, targets: rollback_targets(key, observed) };
    let from = rolled_back_from(key, record, &known.served, observed);
    let before = || {
        let kept = observed.releases.get(key).into_iter().flatten();
        let served = kept.filter(|stored| known.served.contains(&stored.number)).map(|stored| stored.number);
        served.filter(|release| *release < from).max()
    };
    let release = match wanted.or_else(before) {
        Some(release) => release,
        None => return Err(refused(NoTarget::NothingBefore(from))),
    };
    let stored = kept(key, observed, release);
    let why = match stored {
        _ if release > known.last_release || release == ReleaseNumber(0) => NoTarget::Unknown(release),
        _ if !known.served.contains(&release) => NoTarget::NeverServed(release),
        _ if serves_undisturbed(key, record, release, observed) => NoTarget::Serves(release),
        None => NoTarget::NotKept(release),
        Some(stored) if kept_image(key, stored, observed).is_none() => NoTarget::NoImage(release),
        Some(stored) => return Ok(stored),
    };
    Err(refused(why))
}

/// The release before which the default target lies: the highest that serves, or that an interrupted rollback has left
/// running. So the same command, given again after a crash, leads to the same release.
fn rolled_back_from(
    key: &AppKey,
    record: &AppRecord,
    served: &[ReleaseNumber],
    observed: &ObservedState,
) -> ReleaseNumber {
    let peers = record.peers.iter().map(|peer| peer.release);
    let left = observed.engine.containers.iter().filter(|container| {
        belongs(container, key) && container.labels.role == Role::Replica && container.state != ContainerState::Created
    });
    let left = left.filter_map(|container| container.labels.release).filter(|release| served.contains(release));
    peers.chain(left).chain([record.release]).max().unwrap_or_default()
}

/// It serves alone, and nothing is left of another run that would have to be finished.
fn serves_undisturbed(key: &AppKey, record: &AppRecord, release: ReleaseNumber, observed: &ObservedState) -> bool {
    let own = observed.engine.containers.iter().filter(|container| belongs(container, key));
    let is_left = |name: &str| !record.serves(name);
    record.release == release
        && record.hold_ms == 0
        && record.peers.iter().all(|peer| peer.release == release)
        && !own.map(|container| container.name.as_str()).any(is_left)
}
