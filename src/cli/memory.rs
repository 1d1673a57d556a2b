//! Projects without their compose file, reconstructed from the engine's labels and the proxies' state.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::engine::control_client;
use super::exit::{Exit, Failure};
use crate::docker::DockerEngine;
use crate::model::{AppKey, ObservedProxy, Project, ProjectName, ProxyName, Role};
use crate::ports::{Engine as _, InspectEngine as _, Proxy as _, Resident};

/// A hung proxy must not prevent the others from being listed.
const PROXY_PATIENCE: Duration = Duration::from_secs(5);

/// All of our containers and proxies on an engine, for all projects.
pub(super) struct Memory {
    pub residents: Vec<Resident>,
    /// The state of each proxy that answers.
    states: BTreeMap<ProxyName, ObservedProxy>,
}

impl Memory {
    /// Lists the engine's containers, then reads the routes of each running proxy.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn of(engine: &DockerEngine) -> Result<Self, Failure> {
        let residents = engine.residents().await?;
        let running = residents.iter().filter(|resident| resident.labels.role == Role::Proxy && resident.running);
        let proxies: BTreeSet<&ProxyName> = running.map(|resident| &resident.labels.proxy).collect();
        let asked = proxies.into_iter().map(|name| async move {
            let state = timeout(PROXY_PATIENCE, control_client(engine, name).state()).await.ok()?.ok()?;
            Some((name.clone(), state))
        });
        let states = join_all(asked).await.into_iter().flatten().collect();
        Ok(Self { residents, states })
    }

    /// Every project that has a container or a route, with its proxies.
    pub fn projects(&self) -> BTreeMap<ProjectName, BTreeSet<ProxyName>> {
        let labels = self.residents.iter().map(|resident| &resident.labels);
        let contained = labels.filter_map(|labels| Some((labels.project.clone()?, labels.proxy.clone())));
        let routed = self.known(|known| known.record.is_some());
        let mut projects: BTreeMap<ProjectName, BTreeSet<ProxyName>> = BTreeMap::new();
        for (project, proxy) in contained.chain(routed) {
            projects.entry(project).or_default().insert(proxy);
        }
        projects
    }

    fn known(
        &self,
        wanted: impl Fn(&crate::model::ObservedApp) -> bool,
    ) -> impl Iterator<Item = (ProjectName, ProxyName)> {
        self.states.iter().flat_map(move |(proxy, state)| {
            let keys = state.apps.iter().filter(|(_, known)| wanted(known)).map(|(key, _)| key.project.clone());
            keys.map(|project| (project, proxy.clone())).collect::<Vec<_>>()
        })
    }

    /// The proxy of a project: the one that serves it, or else one that has its history.
    fn home(&self, project: &ProjectName) -> Result<ProxyName, Failure> {
        let present = self.projects();
        let remembered =
            || self.known(|_| true).filter(|(known, _)| known == project).map(|(_, proxy)| proxy).collect();
        let homes: BTreeSet<ProxyName> = present.get(project).cloned().unwrap_or_else(remembered);
        match &homes.iter().collect::<Vec<_>>()[..] {
            [home] => Ok((*home).clone()),
            [] => Err(self.unknown(project)),
            several => {
                let names: Vec<String> = several.iter().map(|name| format!("`{name}`")).collect();
                let message = format!("project `{project}` is on several proxies: {}", names.join(", "));
                Err(Failure::new(Exit::Usage, message).hint("name the compose file, which says the proxy: `-f FILE`"))
            }
        }
    }

    /// The error for an unknown project name.
    pub fn unknown(&self, project: &ProjectName) -> Failure {
        let names: Vec<String> = self.projects().keys().map(|name| format!("`{name}`")).collect();
        Failure::new(Exit::Usage, format!("unknown project `{project}`")).hint(match names.is_empty() {
            true => "no project is deployed on this engine".to_owned(),
            false => format!("these exist: {}; `deploy-apps ls` shows them", names.join(", ")),
        })
    }
}

/// The project of this name as found on the engine.
///
/// # Errors
/// When the engine does not answer or has no such project.
pub(super) async fn project(engine: &DockerEngine, name: &ProjectName) -> Result<Project, Failure> {
    let memory = Memory::of(engine).await?;
    let home = memory.home(name)?;
    let observed = engine.observe(&home).await?;
    let nothing = ObservedProxy::default();
    let state = memory.states.get(&home).unwrap_or(&nothing);
    let keys: Vec<AppKey> = state.apps.keys().filter(|key| key.project == *name).cloned().collect();
    // Without the stored releases the engine's labels remain. Commands that need more report that themselves.
    let releases = match state.keeps_releases() && !keys.is_empty() {
        true => control_client(engine, &home).releases(&keys).await.unwrap_or_default(),
        false => BTreeMap::new(),
    };
    let proxy = memory.residents.iter().find(|other| other.labels.role == Role::Proxy && other.labels.proxy == home);
    let port = proxy.and_then(|proxy| proxy.ports.first().copied());
    Ok(Project::remembered(name, &home, port, &observed, state, &releases))
}
