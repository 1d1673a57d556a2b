//! What one app shall become: what the compose file says, or a release that the proxy has kept.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::ask::{DeployOptions, Intent};
use super::images::{image_steps, kept_image_steps};
use super::refusal::PlanRefused;
use super::stage::Planned;
use crate::model::{
    App, AppKey, AppName, AppRecord, BasicAuth, MountSource, ObservedState, Order, Project, ReleaseNumber,
    ReplicaCount, ReplicaSource, Scale, StoredRelease, refill,
};

/// The desired state of one app.
pub(super) struct DesiredApp<'a> {
    /// With the container, port and health of the release that is desired.
    pub app: Cow<'a, App>,
    /// The release that it shall be; `None`: the one that the compose file makes, new or not.
    pub pinned: Option<&'a StoredRelease>,
    pub count: ReplicaCount,
    /// What `scale` has set and is to be remembered.
    pub scale: Option<Scale>,
    /// What runs once per release runs again, for a kept one.
    pub recheck: bool,
    /// Why it is desired, where that is not seen from the situation.
    pub because: Option<String>,
    pub warnings: Vec<String>,
}

impl<'a> DesiredApp<'a> {
    pub(super) fn of(
        project: &Project,
        app: &'a App,
        observed: &'a ObservedState,
        options: &DeployOptions,
        targets: &BTreeMap<AppName, &'a StoredRelease>,
    ) -> Result<Self, PlanRefused> {
        let key = project.key(&app.service.name);
        let record = observed.proxy.apps.get(&key).and_then(|known| known.record.as_ref());
        let mut goal = match &options.intent {
            Intent::Deploy => Self::deploy(app, &key, record, options),
            Intent::Scale(counts) => {
                let count = counts.get(&app.service.name).copied().unwrap_or(app.replicas);
                Self::scale(project, app, &key, observed, count)
            }
            Intent::Restart => Self::again(project, app, &key, observed, Again::Restart),
            Intent::Stop => Self::again(project, app, &key, observed, Again::Stop),
            Intent::Start => Self::again(project, app, &key, observed, Again::Start),
            Intent::Rollback { release_command, .. } => {
                let Some(stored) = targets.get(&app.service.name) else {
                    return Err(PlanRefused::NotDeployed { app: key });
                };
                Self::rollback(project, app, stored, observed, *release_command)
            }
        }?;
        if let Some(setting) = goal.app.settings.unprotected_by(&observed.proxy.features).next() {
            return Err(PlanRefused::ProxyWithoutSetting { app: key, setting });
        }
        goal.warnings.extend(app.settings.unknown_to(&observed.proxy.features).map(|name| {
            format!("`{name}` has no effect: the proxy is of an older build; `deploy-apps proxy upgrade` replaces it")
        }));
        goal.warnings.extend(record.and_then(|record| record.maintenance.as_ref()).map(|_| {
            let name = &app.service.name;
            format!("it is in maintenance: requests get 503 until `deploy-apps maintenance off {name}`")
        }));
        Ok(goal)
    }

    /// What the compose file asks for, with the number that was scaled to for as long as it holds.
    fn deploy(
        app: &'a App,
        key: &AppKey,
        record: Option<&AppRecord>,
        options: &DeployOptions,
    ) -> Result<Self, PlanRefused> {
        let (count, scale, warnings) = match options.replicas {
            Some(replicas) => {
                check_writers(key, app, replicas)?;
                let (count, scale) = ReplicaCount::scaled(replicas, app.file_replicas());
                (count, scale, Vec::new())
            }
            None => remembered(app, record),
        };
        Ok(Self { app: Cow::Borrowed(app), pinned: None, count, scale, recheck: false, because: None, warnings })
    }

    /// The serving release with another number of replicas: neither a newer image nor a newer configuration.
    fn scale(
        project: &Project,
        app: &'a App,
        key: &AppKey,
        observed: &'a ObservedState,
        replicas: u32,
    ) -> Result<Self, PlanRefused> {
        let known = observed.proxy.apps.get(key);
        let Some((known, record)) = known.and_then(|known| Some((known, known.record.as_ref()?))) else {
            return Err(PlanRefused::NotDeployed { app: key.clone() });
        };
        let release = record.release;
        let Some(stored) = kept(key, observed, release) else {
            return Err(PlanRefused::NotKept { app: key.clone(), release });
        };
        if replicas > 0 && !known.served.contains(&release) {
            return Err(PlanRefused::NeverServed { app: key.clone(), release });
        }
        let mut desired = as_stored(key, app, stored)?;
        // Also where they are reached stays as it is: a change of the compose file comes with the next deploy.
        desired.routes.clone_from(&record.routes);
        desired.settings.clone_from(&record.settings);
        check_writers(key, &desired, replicas)?;
        if replicas > 0 {
            check_resources(project, key, stored, observed)?;
        }
        let (count, scale) = ReplicaCount::scaled(replicas, app.file_replicas());
        let app = Cow::Owned(desired);
        Ok(Self { app, pinned: Some(stored), count, scale, recheck: false, because: None, warnings: Vec::new() })
    }

    /// The serving release, with the routes and the number of replicas that it has. A stop takes the replicas out of the
    /// record and leaves all else in it, the number that was scaled to as well; so a start knows what it brings back.
    fn again(
        project: &Project,
        app: &'a App,
        key: &AppKey,
        observed: &'a ObservedState,
        what: Again,
    ) -> Result<Self, PlanRefused> {
        let record = observed.proxy.apps.get(key).and_then(|known| known.record.as_ref());
        let Some(record) = record else { return Err(PlanRefused::NotDeployed { app: key.clone() }) };
        let serving = u32::try_from(record.peers.len()).unwrap_or(u32::MAX);
        let is_held = record.peers.is_empty() && record.hold_ms > 0;
        let known = ReplicaCount::wanted(app.file_replicas(), record.scale);
        let count = match what {
            Again::Stop => 0,
            // An interrupted stop-first run has left it between old and new.
            _ if is_held => known.count,
            Again::Restart if serving == 0 => return Err(PlanRefused::Stopped { app: key.clone() }),
            Again::Start if serving == 0 && known.count == 0 => {
                return Err(PlanRefused::ScaledToZero { app: key.clone() });
            }
            Again::Start if serving == 0 => known.count,
            Again::Restart | Again::Start => serving,
        };
        let mut goal = Self::scale(project, app, key, observed, count)?;
        goal.count = ReplicaCount { count, source: known.source };
        goal.scale = record.scale;
        goal.because = Some(format!("a {} was asked for", what.word()));
        Ok(goal)
    }

    /// An earlier release with its settings, and with the routes and the policies that the compose file has now.
    fn rollback(
        project: &Project,
        app: &'a App,
        stored: &'a StoredRelease,
        observed: &ObservedState,
        release_command: bool,
    ) -> Result<Self, PlanRefused> {
        let key = project.key(&app.service.name);
        check_resources(project, &key, stored, observed)?;
        let record = observed.proxy.apps.get(&key).and_then(|known| known.record.as_ref());
        let (count, scale, mut warnings) = remembered(app, record);
        let mut desired = as_stored(&key, app, stored)?;
        desired.rollout.clone_from(&app.rollback);
        if let Some(settings) = &stored.settings {
            desired.settings.clone_from(settings);
            let present = record.and_then(|record| record.settings.basic_auth.as_ref());
            desired.settings.basic_auth = with_users(&key, stored, app.settings.basic_auth.as_ref().or(present))?;
        }
        let has_command = stored.release.is_some() || !stored.container.hooks.pre_start.is_empty();
        if release_command && !has_command {
            warnings.push(format!("{} has no release command to run", stored.number));
        }
        if stored.port.is_none() {
            desired.routes.clear();
        } else if desired.routes.is_empty() {
            warnings.push(format!("{} has a port, but the compose file gives the app no route", stored.number));
        }
        let serving = record.map(|record| record.release);
        let because =
            (serving != Some(stored.number)).then(|| format!("a rollback to {} was asked for", stored.number));
        let app = Cow::Owned(desired);
        Ok(Self { app, pinned: Some(stored), count, scale, recheck: release_command, because, warnings })
    }

    /// The steps after which `tag` names the image of this release.
    pub(super) fn image_steps(
        &self,
        key: &AppKey,
        observed: &ObservedState,
        tag: &str,
    ) -> Result<Vec<Planned>, PlanRefused> {
        match self.pinned {
            Some(stored) => kept_image_steps(key, stored, observed),
            None => image_steps(&self.app.service, observed, tag),
        }
    }
}

/// What is asked for without a change of release or configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Again {
    Restart,
    Stop,
    Start,
}

impl Again {
    fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Stop => "stop",
            Self::Start => "start",
        }
    }
}

/// What the proxy has kept of a release.
pub(super) fn kept<'a>(key: &AppKey, observed: &'a ObservedState, release: ReleaseNumber) -> Option<&'a StoredRelease> {
    observed.releases.get(key)?.iter().find(|stored| stored.number == release)
}

/// The release that serves, or served before a stop, with the app as it was then; for one more container of it.
pub(super) fn serving_release<'a>(
    project: &Project,
    app: &App,
    key: &AppKey,
    observed: &'a ObservedState,
) -> Result<(&'a StoredRelease, App), PlanRefused> {
    let record = observed.proxy.apps.get(key).and_then(|known| known.record.as_ref());
    let Some(record) = record else { return Err(PlanRefused::NotDeployed { app: key.clone() }) };
    let release = record.release;
    let Some(stored) = kept(key, observed, release) else {
        return Err(PlanRefused::NotKept { app: key.clone(), release });
    };
    check_resources(project, key, stored, observed)?;
    Ok((stored, as_stored(key, app, stored)?))
}

/// The app as it was then. The values of its secrets and configs are kept nowhere, so they are those of now.
fn as_stored(key: &AppKey, app: &App, stored: &StoredRelease) -> Result<App, PlanRefused> {
    let mut desired = app.clone();
    let mut container = stored.container.clone();
    refill(&mut container.files, &app.service.container.files).map_err(|file| PlanRefused::FileGone {
        app: key.clone(),
        release: stored.number,
        file,
    })?;
    desired.service.container = container;
    desired.port = stored.port;
    desired.health = stored.health.clone();
    desired.release = stored.release.clone();
    Ok(desired)
}

/// The basic auth of the release. Its users are kept nowhere, as little as values of secrets, so they are those of now.
fn with_users(key: &AppKey, stored: &StoredRelease, now: Option<&BasicAuth>) -> Result<Option<BasicAuth>, PlanRefused> {
    let Some(auth) = stored.settings.as_ref().and_then(|settings| settings.basic_auth.clone()) else { return Ok(None) };
    let gone = || PlanRefused::FileGone {
        app: key.clone(),
        release: stored.number,
        file: "x-deploy-apps.basic_auth.users".to_owned(),
    };
    auth.refilled(now).map(Some).ok_or_else(gone)
}

/// The number of replicas without anybody asking for one now, and what to say when a remembered one no longer holds.
fn remembered(app: &App, record: Option<&AppRecord>) -> (ReplicaCount, Option<Scale>, Vec<String>) {
    let memory = record.and_then(|record| record.scale);
    let count = ReplicaCount::wanted(app.file_replicas(), memory);
    if count.source == ReplicaSource::Scaled {
        return (count, memory, Vec::new());
    }
    let said = |file: Option<u32>| file.map_or("no number".to_owned(), |count| count.to_string());
    let warning = memory.map(|scale| {
        let (then, now) = (said(scale.file), said(app.file_replicas()));
        format!(
            "it was scaled to {} while the compose file said {then}; that says {now} now, which counts again",
            scale.replicas
        )
    });
    (count, None, warning.into_iter().collect())
}

/// A stop-first app with a volume has one writer. A file that asks for several has decided otherwise.
fn check_writers(key: &AppKey, app: &App, replicas: u32) -> Result<(), PlanRefused> {
    if replicas <= 1 || app.rollout.order != Order::StopFirst || app.file_replicas().is_some_and(|count| count > 1) {
        return Ok(());
    }
    let shared = app.service.container.mounts.iter().find_map(|mount| match &mount.source {
        MountSource::Volume(name) | MountSource::Bind(name) if !mount.read_only => Some(name.clone()),
        _ => None,
    });
    match shared {
        Some(volume) => Err(PlanRefused::OneWriter { app: key.clone(), replicas, volume }),
        None => Ok(()),
    }
}

/// The engine would make a missing volume again, and empty. What the project names itself is made before.
fn check_resources(
    project: &Project,
    key: &AppKey,
    stored: &StoredRelease,
    observed: &ObservedState,
) -> Result<(), PlanRefused> {
    let gone = |kind, name: &str| PlanRefused::ResourceGone {
        app: key.clone(),
        release: stored.number,
        kind,
        name: name.to_owned(),
    };
    for network in stored.container.networks.iter().map(|attachment| &attachment.network) {
        if observed.engine.network(network).is_none() && !project.networks.contains_key(network) {
            return Err(gone("network", network));
        }
    }
    for mount in &stored.container.mounts {
        let MountSource::Volume(volume) = &mount.source else { continue };
        if !observed.engine.volumes.contains(volume) && !project.volumes.iter().any(|own| own.name == *volume) {
            return Err(gone("volume", volume));
        }
    }
    Ok(())
}
