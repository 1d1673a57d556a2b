//! The resources of one row: a project, a proxy and a folder, and their cleanup.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use deploy_apps::compose::{self, LoadRequest};
use deploy_apps::docker::{DockerEngine, SocketDial};
use deploy_apps::model::{AppName, ObservedApp, Project, ProxyName};
use deploy_apps::ports::Proxy;
use deploy_apps::proxy::{CONTROL_SOCKET, ControlClient};
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use super::{Bench, Result};

/// Far above any command of a benchmark; a hung one ends its row.
const LIMIT: Duration = Duration::from_secs(600);

/// Everything on the engine is named `bench-<row>-<random>…` and removed on drop.
pub struct Host {
    pub name: ProxyName,
    pub engine: DockerEngine,
    pub proxy: ControlClient,
    folder: TempDir,
}

impl Host {
    /// Deploys `services` for the first time, which also starts the proxy.
    pub async fn start(bench: &Bench, row: &str, services: Map<String, Value>) -> Result<Self> {
        let random = RandomState::new().build_hasher().finish() & 0xff_ffff;
        let name: ProxyName = format!("bench-{row}-{random:06x}").parse()?;
        let folder = tempfile::Builder::new().prefix(name.as_str()).tempdir()?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        // JSON is valid YAML, so nothing needs manual quoting.
        let file = json!({
            "name": name,
            "x-deploy-apps": { "proxy": { "name": name, "http_port": port, "bind": "127.0.0.1" } },
            "services": services,
        });
        std::fs::write(folder.path().join("compose.yaml"), file.to_string())?;
        let dial = SocketDial::new(bench.engine.clone(), name.container(), CONTROL_SOCKET);
        let proxy = ControlClient::new(&name, Arc::new(dial));
        let host = Self { name, engine: bench.engine.clone(), proxy, folder };
        host.deploy(&["--all"]).await?;
        Ok(host)
    }

    pub fn project(&self) -> Result<Project> {
        let folder = self.folder.path().to_owned();
        Ok(compose::load(&LoadRequest { folder, ..LoadRequest::default() })?.project)
    }

    /// Runs `deploy-apps` until it succeeds and returns the duration, including the start of the process.
    pub async fn deploy(&self, args: &[&str]) -> Result<Duration> {
        let begun = Instant::now();
        let ended = self.spawn(args)?.succeed().await;
        let took = begun.elapsed();
        ended.map_err(|error| format!("`deploy-apps {}` {error}", args.join(" ")))?;
        Ok(took)
    }

    pub fn spawn(&self, args: &[&str]) -> Result<Running> {
        self.spawn_with(args, &[])
    }

    /// With variables that the compose file may read.
    pub fn spawn_with(&self, args: &[&str], env: &[(&str, &str)]) -> Result<Running> {
        let mut command = Command::new(binary());
        command.args(args).args(["--format", "json"]).current_dir(self.folder.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        // Variables that would change the run.
        for name in ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "DEPLOY_APPS_CRASH_AFTER"] {
            command.env_remove(name);
        }
        command.envs(env.iter().copied());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        Ok(Running { child, lines: BufReader::new(stdout).lines(), failed: None })
    }

    /// The proxy's state of an app.
    pub async fn known(&self, app: &str) -> Result<ObservedApp> {
        let key = format!("{}/{app}", self.name).parse()?;
        self.proxy.state().await?.apps.remove(&key).ok_or_else(|| format!("the proxy does not know `{app}`").into())
    }

    /// The proxy's address on its network, which avoids the engine's port forwarding on both sides of a ratio.
    pub async fn proxy_address(&self) -> Result<SocketAddr> {
        Ok((address_of(&self.name.container()).await?, 80).into())
    }

    pub fn apps(&self) -> Result<Vec<AppName>> {
        Ok(self.project()?.apps.keys().cloned().collect())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        remove_all(self.name.as_str());
    }
}

/// Removes everything on the engine whose name starts with `name`.
pub fn remove_all(name: &str) {
    let remove = |list: &[&str], remove: &[&str]| {
        let found = docker_now(list);
        let found: Vec<&str> = found.split_whitespace().collect();
        if !found.is_empty() {
            docker_now(&[remove, found.as_slice()].concat());
        }
    };
    remove(&["ps", "-aq", "--filter", &format!("name=^/?{name}-")], &["rm", "-fv"]);
    remove(&["network", "ls", "-q", "--filter", &format!("name=^{name}")], &["network", "rm"]);
    remove(&["volume", "ls", "-q", "--filter", &format!("name=^{name}")], &["volume", "rm"]);
    // Each release has tagged its image, and each build has named it.
    let ours = format!("deploy-apps/{name}-*");
    let images = docker_now(&["images", "--format", "{{.Repository}}:{{.Tag}}", &ours]);
    let images: Vec<&str> = images.split_whitespace().collect();
    if !images.is_empty() {
        let all = docker_now(&[&["image", "inspect", "--format", "{{join .RepoTags \" \"}}"], &images[..]].concat());
        let built = all.split_whitespace().filter(|tag| tag.starts_with("deploy-apps/built:"));
        docker_now(&[&["rmi"], &images[..], &built.collect::<Vec<_>>()[..]].concat());
    }
}

/// A running deploy. Dropping it kills it.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    /// The error of the first failed step; later ones often follow from it.
    failed: Option<String>,
}

impl Running {
    /// Waits for the next event of this name that satisfies `is_meant`; returns when its line arrived.
    pub async fn event(&mut self, name: &str, is_meant: impl Fn(&Value) -> bool) -> Result<SystemTime> {
        let found = async {
            while let Some(line) = self.lines.next_line().await? {
                let arrived = SystemTime::now();
                let event: Value = serde_json::from_str(&line)?;
                if event["event"] == name && is_meant(&event) {
                    return Ok(arrived);
                }
            }
            Err(format!("the deploy ended without the event `{name}`").into())
        };
        timeout(LIMIT, found).await.unwrap_or_else(|_| Err(format!("no event `{name}` within {LIMIT:?}").into()))
    }

    /// Its exit code.
    pub async fn finish(mut self) -> Result<i32> {
        self.end().await
    }

    /// Waits for the end, which is an error unless everything succeeded.
    pub async fn succeed(mut self) -> Result {
        match (self.end().await?, self.failed) {
            (0, _) => Ok(()),
            (code, Some(error)) => Err(format!("ended with {code}: {error}").into()),
            (code, None) => Err(format!("ended with {code}").into()),
        }
    }

    async fn end(&mut self) -> Result<i32> {
        let end = async {
            while let Some(line) = self.lines.next_line().await? {
                // Some commands print no events.
                let event: Value = serde_json::from_str(&line).unwrap_or_default();
                if event["event"] == "step_failed" && self.failed.is_none() {
                    self.failed = event["error"].as_str().map(str::to_owned);
                }
            }
            Ok::<_, std::io::Error>(self.child.wait().await?.code().unwrap_or(-1))
        };
        Ok(timeout(LIMIT, end).await.map_err(|_| format!("the deploy did not end within {LIMIT:?}"))??)
    }
}

/// A service that runs the app of the end-to-end tests.
pub fn app(bench: &Bench, replicas: u32) -> Value {
    json!({
        "image": bench.images.app,
        "pull_policy": "never",
        "stop_grace_period": "10s",
        "deploy": { "replicas": replicas },
        "x-deploy-apps": { "port": 8080, "health": { "path": "/healthz" } },
    })
}

pub fn services(entries: impl IntoIterator<Item = (impl Into<String>, Value)>) -> Map<String, Value> {
    entries.into_iter().map(|(name, service)| (name.into(), service)).collect()
}

/// The release binary: of this build, unless the environment names another one.
pub fn binary() -> std::ffi::OsString {
    std::env::var_os("DEPLOY_APPS_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_deploy-apps").into())
}

pub async fn address_of(container: &str) -> Result<IpAddr> {
    let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
    Ok(docker(&["inspect", "--format", format, container]).await?.parse()?)
}

/// The time of the engine's first `event` for a container whose name starts with `prefix`. The first one, because a
/// container that exits is restarted by its restart policy.
pub async fn first_event(event: &str, prefix: &str, since: SystemTime) -> Result<SystemTime> {
    let clock = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map(|time| time.as_secs_f64());
    let (since, until) = (format!("{:.3}", clock(since)?), format!("{:.3}", clock(SystemTime::now())? + 0.001));
    let filter = format!("event={event}");
    let format = "{{.TimeNano}} {{.Actor.Attributes.name}}";
    let args = ["events", "--since", &since, "--until", &until, "--filter", "type=container", "--filter", &filter];
    let told = docker(&[args.as_slice(), &["--format", format]].concat()).await?;
    let meant = told.lines().filter_map(|line| line.split_once(' ')).find(|(_, name)| name.starts_with(prefix));
    let (nanos, _) = meant.ok_or_else(|| format!("the engine has no event `{event}` of `{prefix}`"))?;
    Ok(SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos.parse()?))
}

/// Runs the docker CLI.
pub async fn docker(args: &[&str]) -> Result<String> {
    let output = timeout(LIMIT, Command::new("docker").args(args).kill_on_drop(true).output()).await??;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    Err(format!("`docker {}` failed: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim()).into())
}

/// The same for synchronous code. Objects that are already removed are not an error.
pub fn docker_now(args: &[&str]) -> String {
    let output = std::process::Command::new("docker").args(args).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}
