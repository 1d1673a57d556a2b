//! From a test's wish to a folder with a compose file in it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use deploy_apps::model::ProxyName;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{App, Host, images};

/// Each scenario runs some containers and some load; more at once would only slow each other down.
const AT_ONCE: usize = 4;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Below the range that the kernel gives to clients, so that no client of another test has taken the port meanwhile.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// What a compose file is generated from.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(super) name: ProxyName,
    pub(super) port: u16,
    pub(super) apps: Vec<App>,
    others: Map<String, Value>,
}

impl Scenario {
    /// `test` says in a few words whose containers these are.
    pub fn new(test: &str) -> Self {
        let name = format!("e2e-{test}-{:06x}", random() & 0xff_ffff);
        Self { name: name.parse().expect("a short name"), port: free_port(), apps: Vec::new(), others: Map::new() }
    }

    pub fn app(mut self, app: App) -> Self {
        self.apps.push(app);
        self
    }

    /// A top-level section such as `volumes`.
    pub fn section(mut self, key: &str, value: Value) -> Self {
        self.others.insert(key.to_owned(), value);
        self
    }

    /// Waits for its turn, makes sure that the images are there, and writes the folder. Nothing is deployed yet.
    pub async fn start(self) -> Host {
        let turn: SemaphorePermit<'static> = TURNS.acquire().await.expect("never closed");
        let folder = tempfile::Builder::new().prefix(self.name.as_str()).tempdir().expect("a folder");
        let host = Host::new(self, folder, turn).await;
        host.write();
        images::prepare(&host.engine).await;
        host
    }

    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// JSON is YAML, so nothing needs to be quoted by hand.
    pub(super) fn compose(&self) -> String {
        let services: Map<String, Value> =
            self.apps.iter().map(|app| (app.name.clone(), app.service.clone())).collect();
        let mut file = json!({
            "name": self.name,
            "x-deploy-apps": { "proxy": { "name": self.name, "http_port": self.port, "bind": "127.0.0.1" } },
            "services": services,
        });
        file.as_object_mut().expect("an object").extend(self.others.clone());
        serde_json::to_string_pretty(&file).expect("plain values")
    }
}

fn free_port() -> u16 {
    let count = u64::from(PORTS.end - PORTS.start);
    std::iter::repeat_with(|| PORTS.start + u16::try_from(random() % count).expect("below the range's size"))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .expect("an endless iterator")
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
