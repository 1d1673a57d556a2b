//! What the tests make on the engine, and how it is cleaned up.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use deploy_apps::docker::{DockerEngine, connect};
use deploy_apps::model::{
    BuildSpec, ContainerSpec, NetworkAttachment, NewContainer, NewNetwork, OwnLabels, ProxyName, ReleaseNumber, Role,
};
use deploy_apps::ports::{Engine, Progress};
use indexmap::IndexMap;

pub const BASE: &str = "debian:trixie-slim";
const LABEL: &str = "deploy-apps.test";

/// One test's part of the engine. Everything in it is named after it and goes when it is dropped, also by a panic.
pub struct World {
    pub engine: DockerEngine,
    prefix: String,
}

impl World {
    pub async fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("dat-docker-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let engine = connect(|name| std::env::var(name).ok()).await.expect("an engine that answers");
        Self { engine, prefix }
    }

    pub fn name(&self, part: &str) -> String {
        format!("{}-{part}", self.prefix)
    }

    pub fn proxy(&self) -> ProxyName {
        self.prefix.parse().expect("a valid name")
    }

    /// A shell that runs `script` as PID 1.
    pub fn container(&self, part: &str, script: &str) -> NewContainer {
        let mut spec = ContainerSpec {
            entrypoint: Some(Vec::new()),
            command: Some(["sh", "-c", script].map(str::to_owned).to_vec()),
            ..ContainerSpec::default()
        };
        spec.labels.insert(LABEL.to_owned(), "docker".to_owned());
        let labels = OwnLabels {
            role: Role::Replica,
            proxy: self.proxy(),
            project: Some("dat".parse().expect("a valid name")),
            service: Some("app".parse().expect("a valid name")),
            release: Some(ReleaseNumber(3)),
            replica: Some(1),
            version: Some("1.0.0+3".to_owned()),
            identity: "0123".to_owned(),
            tuning: None,
        };
        NewContainer { name: self.name(part), image: BASE.to_owned(), spec, labels }
    }

    pub async fn run(&self, part: &str, script: &str) -> String {
        let container = self.container(part, script);
        self.engine.create_container(&container).await.expect("created");
        self.engine.start_container(&container.name).await.expect("started");
        container.name
    }

    pub fn network(&self, part: &str, third: u8) -> NewNetwork {
        // Far above the range where the product looks for its own pools.
        let subnet = format!("10.199.{third}.0/24").parse().expect("a subnet");
        NewNetwork {
            name: self.name(part),
            project: None,
            proxy: self.proxy(),
            subnet: Some(subnet),
            dynamic_range: None,
            gateway: None,
            settings: deploy_apps::model::NetworkSettings::default(),
        }
    }

    pub fn build(&self, folder: &Path) -> BuildSpec {
        BuildSpec {
            context: folder.to_owned(),
            dockerfile: "Dockerfile".into(),
            dockerfile_inline: None,
            args: IndexMap::new(),
            target: None,
            labels: IndexMap::from([(LABEL.to_owned(), "docker".to_owned())]),
            network: None,
            extra_hosts: Vec::new(),
            ..BuildSpec::default()
        }
    }
}

pub fn attach(network: &NewNetwork, address: Option<&str>) -> NetworkAttachment {
    NetworkAttachment {
        network: network.name.clone(),
        aliases: vec!["alias".to_owned()],
        address: address.map(|address| address.parse().expect("an address")),
        ..NetworkAttachment::default()
    }
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }
    folder
}

pub fn recording() -> (Progress, Arc<Mutex<Vec<String>>>) {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    (Arc::new(move |line| sink.lock().expect("no panic").push(line)), lines)
}

/// What the engine's own command says, for a second opinion.
pub fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker command");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

pub fn inspect(name: &str) -> serde_json::Value {
    let found: Vec<serde_json::Value> = serde_json::from_str(&docker(&["inspect", name])).expect("JSON");
    found.into_iter().next().unwrap_or_default()
}

pub fn labels(name: &str) -> BTreeMap<String, String> {
    serde_json::from_value(inspect(name)["Config"]["Labels"].clone()).expect("labels")
}

impl Drop for World {
    fn drop(&mut self) {
        let of_ours = format!("name={}-", self.prefix);
        let remove = |list: &[&str], verb: &[&str]| {
            let listed = docker(list);
            let names: Vec<&str> = listed.lines().filter(|name| name.starts_with(&self.prefix)).collect();
            if !names.is_empty() {
                docker(&[verb, &names].concat());
            }
        };
        remove(&["ps", "-a", "--filter", &of_ours, "--format", "{{.Names}}"], &["rm", "-fv"]);
        remove(&["network", "ls", "--filter", &of_ours, "--format", "{{.Name}}"], &["network", "rm"]);
        remove(&["volume", "ls", "--filter", &of_ours, "--format", "{{.Name}}"], &["volume", "rm"]);
        let listed = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
        let own: Vec<&str> = listed.lines().filter(|name| name.starts_with(&self.prefix)).collect();
        // With the names by which builds are known.
        let all = docker(&[&["image", "inspect", "--format", "{{join .RepoTags \"\\n\"}}"], &own[..]].concat());
        let built = all.lines().filter(|tag| tag.starts_with("deploy-apps/built:"));
        let going: Vec<&str> = own.iter().copied().chain(built).collect();
        if !own.is_empty() {
            docker(&[&["rmi", "-f"], &going[..]].concat());
        }
    }
}
