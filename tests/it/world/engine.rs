//! The engine's half of the world.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use deploy_apps::model::{
    BuildSpec, ContainerState, DiskSpace, EngineInfo, Hook, HostFile, KillCause, Listening, NewContainer, NewNetwork,
    NewVolume, ObservedEngine, ProxyName, Subnet, familiar_reference,
};
use deploy_apps::ports::{
    ContainerStatus, Engine, EngineError, EngineErrorKind, ExitReport, HookReport, Progress, StopReport,
};
use tokio::time::{Instant, sleep_until};

use super::behaviour::HookEnd;
use super::client::Client;
use super::fault::{Error, Port};
use super::state::State;

pub(super) type Answer<T> = Result<T, EngineError>;

impl Client {
    async fn ask<T>(
        &self,
        what: &'static str,
        subject: &str,
        effect: impl FnOnce(&mut State) -> Answer<T>,
    ) -> Answer<T> {
        self.call(Port::Engine, what, subject, fails, async { self.world.change(effect) }).await
    }
}

fn fails(error: Error) -> EngineError {
    match error {
        Error::Engine(kind) => EngineError::new(kind, format!("injected {kind:?}")),
        _ => EngineError::new(EngineErrorKind::Unreachable, "injected: the engine does not answer"),
    }
}

pub(super) fn no_container<T>(name: &str) -> Answer<T> {
    Err(EngineError::new(EngineErrorKind::NotFound, format!("no container `{name}`")))
}

/// As long as a real one, so that the planner's shortened form is what is tested.
pub fn image_id(text: &str) -> String {
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex:0<64.64}")
}

impl Engine for Client {
    async fn info(&self) -> Answer<EngineInfo> {
        let info = EngineInfo {
            version: "26.1.5".into(),
            api: "1.45".into(),
            address: "memory".into(),
            host: None,
            local: true,
        };
        self.ask("info", "", |_| Ok(info)).await
    }

    async fn observe(&self, _proxy: &ProxyName) -> Answer<ObservedEngine> {
        self.ask("observe", "", |state| Ok(state.observe())).await
    }

    async fn source_digest(&self, build: &BuildSpec) -> Answer<String> {
        let source = build.context.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.ask("source_digest", &source, |state| {
            Ok(format!("{source}@{}", state.sources.get(&source).copied().unwrap_or_default()))
        })
        .await
    }

    async fn build_image(&self, build: &BuildSpec, tag: &str, digest: &str, progress: Progress) -> Answer<String> {
        let work = async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            progress("built".to_owned());
            let id = image_id(digest);
            self.world.change(|state| {
                state.built.insert(id.clone(), digest.to_owned());
                for tag in build.tags.iter().map(String::as_str).chain([tag]) {
                    state.tags.insert(familiar_reference(tag), id.clone());
                }
            });
            Ok(id)
        };
        self.call(Port::Engine, "build_image", tag, fails, work).await
    }

    async fn pull_image(&self, reference: &str, _: Progress) -> Answer<String> {
        self.ask("pull_image", reference, |state| {
            let id =
                state.registry.get(reference).cloned().ok_or_else(|| {
                    EngineError::new(EngineErrorKind::ImageNotFound, format!("no image `{reference}`"))
                })?;
            state.tags.insert(reference.to_owned(), id.clone());
            Ok(id)
        })
        .await
    }

    async fn image_id(&self, reference: &str) -> Answer<Option<String>> {
        self.ask("image_id", reference, |state| Ok(state.image(reference))).await
    }

    async fn tag_image(&self, image: &str, tag: &str) -> Answer<()> {
        self.ask("tag_image", tag, |state| {
            let id = state
                .image(image)
                .ok_or_else(|| EngineError::new(EngineErrorKind::ImageNotFound, format!("no image `{image}`")))?;
            state.tags.insert(tag.to_owned(), id);
            Ok(())
        })
        .await
    }

    async fn untag_image(&self, tag: &str) -> Answer<()> {
        self.ask("untag_image", tag, |state| state.untag(tag)).await
    }

    async fn create_network(&self, network: &NewNetwork) -> Answer<()> {
        self.ask("create_network", &network.name, |state| {
            let own = (state.networks.len() as u8, 16);
            let subnet = network.subnet.or(Subnet::new(Ipv4Addr::new(172, own.0 + 17, 0, 0), own.1));
            match state.networks.contains_key(&network.name) {
                true => Err(EngineError::new(EngineErrorKind::Conflict, "the network exists")),
                false => {
                    state.networks.insert(network.name.clone(), subnet.into_iter().collect());
                    state.owners.extend(network.project.clone().map(|project| (network.name.clone(), project)));
                    Ok(())
                }
            }
        })
        .await
    }

    async fn create_volume(&self, volume: &NewVolume) -> Answer<()> {
        self.ask("create_volume", &volume.name, |state| {
            state.volumes.insert(volume.name.clone());
            state.owners.extend(volume.project().map(|project| (volume.name.clone(), project)));
            Ok(())
        })
        .await
    }

    async fn remove_network(&self, name: &str) -> Answer<()> {
        self.ask("remove_network", name, |state| {
            let mut networks = state.containers.values().flat_map(|container| &container.new.spec.networks);
            if networks.any(|network| network.network == name) {
                return Err(EngineError::new(EngineErrorKind::Conflict, format!("network `{name}` is in use")));
            }
            state.networks.remove(name);
            Ok(())
        })
        .await
    }

    async fn remove_volume(&self, name: &str) -> Answer<()> {
        self.ask("remove_volume", name, |state| {
            if state.containers.values().any(|container| container.volumes().any(|volume| volume == name)) {
                return Err(EngineError::new(EngineErrorKind::Conflict, format!("volume `{name}` is in use")));
            }
            state.volumes.remove(name);
            Ok(())
        })
        .await
    }

    async fn remove_dangling(&self) -> Answer<()> {
        self.ask("remove_dangling", "", |state| {
            let State { tags, built, containers, .. } = state;
            let used = |id: &String| containers.values().any(|container| container.image_id == *id);
            built.retain(|id, _| used(id) || tags.values().any(|tagged| tagged == id));
            Ok(())
        })
        .await
    }

    async fn disk(&self, _: &ProxyName) -> Answer<Option<DiskSpace>> {
        self.ask("disk", "", |state| Ok(state.disk.clone())).await
    }

    async fn image_bytes(&self) -> Answer<u64> {
        self.ask("image_bytes", "", |state| Ok(state.built.len() as u64 * 1_000_000)).await
    }

    async fn create_container(&self, container: &NewContainer) -> Answer<()> {
        self.ask("create_container", &container.name, |state| state.create(container)).await
    }

    async fn start_container(&self, name: &str) -> Answer<()> {
        self.ask("start_container", name, |state| state.start(name)).await
    }

    async fn last_check(&self, _name: &str) -> Answer<Vec<String>> {
        Ok(Vec::new())
    }

    async fn container_status(&self, name: &str) -> Answer<Option<ContainerStatus>> {
        self.ask("container_status", name, |state| {
            let now = Instant::now();
            Ok(state.containers.get_mut(name).map(|container| {
                container.asked |= container.runs(now);
                let restarts = container.restarts(now);
                ContainerStatus {
                    state: container.state(now),
                    health: container.health(now),
                    restarts,
                    first_check_within: None,
                }
            }))
        })
        .await
    }

    async fn run_hook(&self, name: &str, hook: &Hook) -> Answer<Option<HookReport>> {
        let run = async {
            let behaviour = {
                let mut state = self.world.state();
                let now = Instant::now();
                let Some(container) = state.containers.get(name).filter(|container| container.runs(now)) else {
                    return Ok(None);
                };
                let behaviour = container.behaviour.clone();
                if let [_, verb, host, project, ..] = hook.command.as_slice()
                    && verb == "order"
                {
                    return Ok(Some(state.order_certificate(host, project)));
                }
                let command = hook.shown();
                state.judge_hook(name, &command);
                state.hooked.push((name.to_owned(), command));
                behaviour
            };
            match behaviour.hook {
                HookEnd::Code(code) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    Ok(Some(HookReport { code, output: vec!["the hook's last words".to_owned()] }))
                }
                HookEnd::Never => pending().await,
            }
        };
        self.call(Port::Engine, "run_hook", name, fails, run).await
    }

    async fn await_exit(&self, name: &str) -> Answer<ExitReport> {
        let exit = async {
            loop {
                let changed = self.world.changed.notified();
                let end = {
                    let mut state = self.world.state();
                    let now = Instant::now();
                    let Some(container) = state.containers.get_mut(name) else { return no_container(name) };
                    // Whoever watches a container sees that it stays up.
                    container.asked |= container.runs(now);
                    if let ContainerState::Exited { code, oom_killed } = container.state(now) {
                        return Ok(ExitReport { code, oom_killed });
                    }
                    container.ends
                };
                let end = async {
                    match end {
                        Some((end, _)) => sleep_until(end).await,
                        None => pending().await,
                    }
                };
                tokio::select! { () = changed => {} () = end => {} }
            }
        };
        self.call(Port::Engine, "await_exit", name, fails, exit).await
    }

    async fn stop_container(&self, name: &str, _: Option<&str>, grace: Option<Duration>) -> Answer<StopReport> {
        let stop = async {
            let (end, killed) = self.world.change(|state| state.stop(name, grace));
            sleep_until(end).await;
            self.world.changed.notify_waiters();
            Ok(StopReport { killed, cause: killed.then_some(KillCause::Unhandled) })
        };
        self.call(Port::Engine, "stop_container", name, fails, stop).await
    }

    async fn remove_container(&self, name: &str) -> Answer<()> {
        self.ask("remove_container", name, |state| {
            state.judge_end(name, &format!("remove `{name}`"));
            let backends = state.backends();
            state.containers.remove(name);
            state.open.retain(|open| open.peer != name);
            state.judge_backends(&backends, &format!("remove `{name}`"));
            Ok(())
        })
        .await
    }

    async fn host_files(&self, _: &BTreeSet<String>) -> Answer<BTreeMap<String, HostFile>> {
        self.ask("host_files", "", |state| Ok(state.host_files.clone())).await
    }

    async fn listening(&self, name: &str, _: SocketAddrV4) -> Answer<Option<Listening>> {
        self.ask("listening", name, |state| {
            let port = state.containers.get(name).and_then(|container| container.behaviour.port);
            let sockets = port.map(|port| (Ipv4Addr::UNSPECIFIED, port).into()).into_iter().collect();
            Ok(port.map(|_| Listening { sockets, speaks_tls: false }))
        })
        .await
    }

    async fn log_tail(&self, name: &str, _: usize) -> Answer<Vec<String>> {
        self.ask("log_tail", name, |_| Ok(vec![format!("the last words of `{name}`")])).await
    }
}
