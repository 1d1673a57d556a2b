//! A proxy of a test's own, with its network and state, and how all of it is cleaned up.

mod made;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use deploy_apps::docker::{DockerEngine, ExecDial, connect};
use deploy_apps::model::{AppKey, AppRecord, Generation, InFlight, Peer, ProxyName, ReleaseNumber, Route};
use deploy_apps::plan::{Expect, FlipChange, Limits};
use deploy_apps::ports::{Dial, Duplex, Engine, LeaseRequest, Proxy, ProxyError};
use deploy_apps::proxy::{ControlClient, Lease};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub use made::{Setup, Variant};

use crate::backend::Backend;
use crate::durations::Stopwatch;

/// For whatever is polled; a state that is not there by then will not come.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Everything in it is named after it and goes when it is dropped, also by a panic.
pub struct World {
    pub engine: DockerEngine,
    pub control: ControlClient,
    /// Where clients reach the proxy.
    pub target: SocketAddr,
    /// Where the host, and so every backend, is reached from the proxy.
    pub gateway: Ipv4Addr,
    prefix: String,
    /// Stopped after the clean-up.
    _stopwatch: Stopwatch,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    pub async fn with(setup: Setup) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let prefix = format!("dat-lua-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let engine = connect(|name| std::env::var(name).ok()).await.expect("an engine that answers");
        made::build_images(&engine).await;
        let proxy: ProxyName = prefix.parse().expect("a valid name");
        // First of all, so that whatever fails below is cleaned up.
        let mut world = Self {
            control: ControlClient::new(&proxy, Arc::new(control_dial(&engine, &prefix))),
            target: SocketAddr::from(([127, 0, 0, 1], 9)),
            gateway: Ipv4Addr::LOCALHOST,
            engine,
            prefix,
            _stopwatch: Stopwatch::start(),
        };
        let network = world.create_network(&proxy).await;
        world.create_proxy(proxy, network, &setup).await;
        world.boot().await;
        world
    }

    /// Starts the proxy's container and waits until it answers.
    pub async fn boot(&self) {
        self.engine.start_container(&self.prefix).await.expect("a proxy that starts");
        eventually("the proxy answers", async || self.control.version().await.is_ok()).await;
    }

    /// Ends the proxy as a power cut would.
    pub async fn kill(&self) {
        docker(&["kill", &self.prefix]);
        self.engine.await_exit(&self.prefix).await.expect("an end");
    }

    /// Of the proxy's container; nothing else on the engine is called so.
    pub fn name(&self) -> &str {
        &self.prefix
    }

    pub fn network(&self) -> String {
        format!("{}-net", self.prefix)
    }

    /// The proxy's image, in which `sh` and `socat` are too.
    pub fn image() -> String {
        Variant::Usual.image()
    }

    /// Ends the proxy as `docker stop` does.
    pub async fn stop(&self) {
        self.engine.stop_container(&self.prefix, None, Some(PATIENCE)).await.expect("an end");
    }

    /// A backend that the proxy can reach.
    pub async fn backend(&self, name: &str) -> Backend {
        Backend::start(self.gateway, name).await
    }

    /// A peer at the host's side of the network.
    pub fn peer(&self, id: &str, port: u16) -> Peer {
        Peer {
            id: id.to_owned(),
            address: self.gateway,
            port: Some(port),
            release: ReleaseNumber(1),
            replica: 1,
            version: "1.0.0+1".to_owned(),
        }
    }

    /// A record of `t/<app>` with the route `<app>.test/`.
    pub fn record(&self, app: &str, peers: Vec<Peer>) -> AppRecord {
        AppRecord {
            routes: vec![Route { host: Some(format!("{app}.test")), path: "/".to_owned(), strip: false, tls: None }],
            peers,
            ..AppRecord::new(key(app), ReleaseNumber(1), "1.0.0+1".to_owned())
        }
    }

    /// A record whose peers are these backends.
    pub fn serving(&self, app: &str, backends: &[&Backend]) -> AppRecord {
        self.record(app, backends.iter().map(|backend| self.peer(&backend.name, backend.port)).collect())
    }

    pub async fn lease(&self, apps: &[&str]) -> Result<Lease, ProxyError> {
        let request = LeaseRequest {
            apps: apps.iter().map(|app| key(app)).collect(),
            owner: "tester".to_owned(),
            host: "bench".to_owned(),
            purpose: "test".to_owned(),
        };
        self.control.acquire(&request).await
    }

    /// Flips to `records` under a lease of its own, whatever generation they replace.
    pub async fn flip(&self, records: &[AppRecord]) -> Generation {
        let names: Vec<_> = records.iter().map(|record| record.key().to_string()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let lease = self.lease(&names).await.expect("a free lease");
        let known = self.control.state().await.expect("the state").apps;
        let present = |record: &AppRecord| known.get(&record.key()).filter(|app| app.record.is_some());
        let expected: Vec<_> =
            records.iter().map(|record| present(record).map_or(Generation(0), |app| app.generation)).collect();
        let changes: Vec<_> = records.iter().map(change).collect();
        self.control.flip(&lease, &changes, &expected).await.expect("an acknowledged flip")
    }

    /// Waits until the peers have nothing open.
    pub async fn drained(&self, peers: &[String]) {
        let mut known = None;
        eventually("the peers are drained", async || {
            let found = self.control.in_flight(peers, known, Duration::from_secs(2)).await.expect("counts");
            known = Some(found);
            found.is_zero()
        })
        .await;
    }

    pub async fn in_flight(&self, peers: &[&str]) -> InFlight {
        let peers: Vec<_> = peers.iter().map(|peer| (*peer).to_owned()).collect();
        self.control.in_flight(&peers, None, Duration::ZERO).await.expect("counts")
    }

    /// What a script in the proxy's container writes to stdout.
    pub async fn exec(&self, script: &str) -> String {
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let mut stream = ExecDial::new(self.engine.clone(), &self.prefix, command).dial().await.expect("an exec");
        let mut text = String::new();
        // A script without output ends without a word, which the dial takes for a failure.
        let _ = stream.read_to_string(&mut text).await;
        text.trim().to_owned()
    }

    /// A control channel on which a test speaks HTTP itself.
    pub async fn raw_control(&self) -> Box<dyn Duplex> {
        control_dial(&self.engine, &self.prefix).dial().await.expect("a channel")
    }

    /// One control call in the wire's own words: the status and the JSON answer.
    pub async fn call(&self, method: &str, path: &str, body: &str) -> (u16, serde_json::Value) {
        let mut channel = self.raw_control().await;
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: proxy\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
        channel.write_all(request.as_bytes()).await.expect("a sent call");
        channel.flush().await.expect("a sent call");
        let mut answer = String::new();
        channel.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }

    /// What a scraper gets at this path.
    pub async fn scrape(&self, path: &str) -> crate::client::Answer {
        let request = format!("GET {path} HTTP/1.1\r\nHost: metrics\r\nConnection: close\r\n\r\n");
        crate::client::ask(SocketAddr::new(self.target.ip(), 9180), &request).await
    }

    /// The value of a metric, summed over its labels.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.scrape("/metrics").await;
        let sample = |line: &str| {
            let rest = line.strip_prefix(name)?;
            rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next()?.parse::<f64>().ok())?
        };
        text.body.lines().filter_map(sample).sum()
    }

    pub async fn logs(&self) -> String {
        self.engine.log_tail(&self.prefix, 2000).await.expect("a log").join("\n")
    }
}

fn control_dial(engine: &DockerEngine, container: &str) -> ExecDial {
    let command = ["socat", "-", "UNIX-CONNECT:/run/deploy-apps/control.sock"].map(str::to_owned).to_vec();
    ExecDial::new(engine.clone(), container, command)
}

/// `t/<app>`, or the key itself.
pub fn key(app: &str) -> AppKey {
    let text = if app.contains('/') { app.to_owned() } else { format!("t/{app}") };
    text.parse().expect("an app's key")
}

pub fn change(record: &AppRecord) -> FlipChange {
    FlipChange {
        app: record.key(),
        expect: Expect::OwnLast,
        record: Some(record.clone()),
        before: None,
        limits: Limits { requests: PATIENCE, websockets: PATIENCE },
    }
}

/// Polls until `state` holds.
pub async fn eventually(what: &str, mut state: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !state().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, polling).await.is_ok(), "not within {PATIENCE:?}: {what}");
}

fn docker(args: &[&str]) -> String {
    let output = Command::new("docker").args(args).output().expect("the docker command");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = Command::new("docker").args(["logs", "--tail", "60", &self.prefix]).output();
            let log = log.map(|log| [log.stdout, log.stderr].concat()).unwrap_or_default();
            eprintln!("the proxy's last lines:\n{}", String::from_utf8_lossy(&log));
        }
        docker(&["rm", "-fv", &self.prefix]);
        docker(&["network", "rm", &format!("{}-net", self.prefix)]);
        docker(&["volume", "rm", "-f", &format!("{}-state", self.prefix)]);
    }
}
