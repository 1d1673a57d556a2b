//! From a test's desired to a folder with a compose file in it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use deploy_apps::model::ProxyName;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{App, FarHost, Host, OwnEngine, images, sweep};

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
    proxy: Map<String, Value>,
    pub(super) place: Option<Place>,
}

/// An engine other than the shared one.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The variables that lead to it.
    pub env: Vec<(String, String)>,
    pub address: Ipv4Addr,
}

impl Scenario {
    /// `test` says in a few words whose containers these are.
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

    /// Deploys to this engine instead of the shared one.
    pub fn on(mut self, engine: &OwnEngine) -> Self {
        let env = vec![("DOCKER_HOST".to_owned(), engine.host())];
        self.place = Some(Place { env, address: engine.address });
        self
    }

    /// Deploys to the second host, by TLS unless a run says otherwise.
    pub fn far(mut self, host: &FarHost) -> Self {
        self.place = Some(Place { env: host.tls(), address: host.address });
        self
    }

    /// Waits for its turn, makes sure that the images are there, and writes the folder. Nothing is deployed yet.
    pub async fn start(self) -> Host {
        let turn: SemaphorePermit<'static> = TURNS.acquire().await.expect("never closed");
        sweep::sweep();
        let folder = tempfile::Builder::new().prefix(self.name.as_str()).tempdir().expect("a folder");
        // Boxed, like the images below: a test's own future would else be too large for its stack.
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

    /// JSON is YAML, so nothing needs to be quoted by hand.
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

/// A port that no test of this process has been given before. One that is merely free now may be another test's own, whose
/// proxy does not listen yet or is just being replaced.
pub(super) fn free_port() -> u16 {
    // Halved, so that counting on never wraps around, where the turn would begin at another place.
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
