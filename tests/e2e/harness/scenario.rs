//! Describes a test's system, and writes it to a folder with a compose file.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use deploy_apps::model::ProxyName;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{App, FarHost, Host, OwnEngine, images, sweep};

/// Each scenario runs several containers and load; more at once would slow each other down.
const AT_ONCE: usize = 4;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Below the kernel's range for clients, so that no client of another test occupies the port.
const PORTS: std::ops::Range<u16> = 20_000..30_000;

/// The content of the compose file.
#[derive(Debug, Clone)]
pub struct Scenario {
    pub(super) name: ProxyName,
    pub(super) port: u16,
    pub(super) apps: Vec<App>,
    others: Map<String, Value>,
    proxy: Map<String, Value>,
    pub(super) place: Option<Place>,
}

/// An engine other than the shared one.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The variables to connect to it.
    pub env: Vec<(String, String)>,
    pub address: Ipv4Addr,
}

impl Scenario {
    /// `test`: a short description, used in names of containers.
    pub fn new(test: &str) -> Self {
        Self {
            name: sweep::name(test).parse().expect("a short name"),
            port: free_port(),
            apps: Vec::new(),
            others: Map::new(),
            proxy: Map::new(),
            place: None,
        }
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

    /// A setting of the proxy.
    pub fn proxy(mut self, key: &str, value: Value) -> Self {
        self.proxy.insert(key.to_owned(), value);
        self
    }

    /// Uses this engine instead of the shared one.
    pub fn on(mut self, engine: &OwnEngine) -> Self {
        let env = vec![("DOCKER_HOST".to_owned(), engine.host())];
        self.place = Some(Place { env, address: engine.address });
        self
    }

    /// Uses the second host, with TLS by default.
    pub fn far(mut self, host: &FarHost) -> Self {
        self.place = Some(Place { env: host.tls(), address: host.address });
        self
    }

    /// Waits for a free slot, ensures that the images exist, and writes the folder. Nothing is deployed yet.
    pub async fn start(self) -> Host {
        let turn: SemaphorePermit<'static> = TURNS.acquire().await.expect("never closed");
        sweep::sweep();
        let folder = tempfile::Builder::new().prefix(self.name.as_str()).tempdir().expect("a folder");
        // Boxed, like the images below: a test's future would otherwise be too large for its stack.
        let host = Box::pin(Host::new(self, folder, turn)).await;
        host.write();
        if host.is_shared() {
            Box::pin(images::prepare(&host.engine)).await;
        }
        host
    }

    fn ip(&self) -> Ipv4Addr {
        self.place.as_ref().map_or(Ipv4Addr::LOCALHOST, |place| place.address)
    }

    pub(super) fn address(&self) -> SocketAddr {
        (self.ip(), self.port).into()
    }

    /// JSON is valid YAML, so nothing needs manual quoting.
    pub(super) fn compose(&self) -> String {
        let services: Map<String, Value> =
            self.apps.iter().map(|app| (app.name.clone(), app.service.clone())).collect();
        let mut file = json!({
            "name": self.name,
            "x-deploy-apps": { "proxy": { "name": self.name, "http_port": self.port, "bind": self.ip() } },
            "services": services,
        });
        file["x-deploy-apps"]["proxy"].as_object_mut().expect("an object").extend(self.proxy.clone());
        file.as_object_mut().expect("an object").extend(self.others.clone());
        serde_json::to_string_pretty(&file).expect("plain values")
    }
}

/// A port that no test of this process has used before. A port that is merely free now may belong to another test whose
/// proxy does not listen yet or is being replaced.
pub(super) fn free_port() -> u16 {
    // Halved, so that incrementing never wraps around.
    static GIVEN: LazyLock<AtomicU64> = LazyLock::new(|| AtomicU64::new(random() >> 1));
    let count = u64::from(PORTS.end - PORTS.start);
    std::iter::repeat_with(|| GIVEN.fetch_add(1, Ordering::Relaxed) % count)
        .map(|place| PORTS.start + u16::try_from(place).expect("below the range's size"))
        .find(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok())
        .expect("an endless iterator")
}

pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
