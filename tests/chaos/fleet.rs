//! Three apps of two replicas on an engine of their own, the load on them, and what may serve.

use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use deploy_apps::load::{Expect, Load, Report, Traffic};

use serde_json::json;

use crate::api::{Api, Way};
use crate::harness::{App, Cli, DEADLINE, Host, Output, OwnEngine, Scenario, eventually};
use crate::schedule::APPS;

/// Of the engine's disk: images, some releases that are kept for a rollback, and what a build may waste.
const MEGABYTES: u32 = 1500;
/// Between two requests of a client: enough to meet every moment of a deploy, with something left for the deploy.
const GAP: Duration = Duration::from_millis(10);
/// Clients of streams come and go, as users do; a drain waits for them.
const STREAM: Duration = Duration::from_millis(1500);
/// A lease without heartbeats lives for 15 s; whoever waits longer waits for nothing.
pub const LOCK_WAIT: [&str; 2] = ["--lock-wait", "60s"];
/// How many clients each app has, and so how many requests are open at most.
pub const CLIENTS: u64 = 10;

pub struct Fleet {
    pub host: Host,
    /// Dropped after the host, which it carries.
    pub engine: OwnEngine,
    pub api: Api,
    pub apps: [Served; APPS.len()],
    /// What the commands of this step have said, for the reader of a failure.
    said: Mutex<Vec<String>>,
}

/// What is known of an app without asking.
#[derive(Debug, Clone)]
pub struct Served {
    /// The version that the compose file wants.
    pub mark: String,
    /// The versions that may serve right now.
    pub may_serve: Vec<String>,
    pub replicas: usize,
}

/// A version that behaves, but for one thing: it dies of its stop signal, with all that it has open. An app that finishes
/// its requests first would hide a drain that ends too early.
pub fn version(app: usize, mark: &str) -> App {
    App::new(APPS[app]).replicas(2).env("RELEASE_MARK", mark).set("/stop_signal", json!("SIGKILL"))
}

impl Fleet {
    /// `None` where there can be no engine of its own.
    pub async fn start() -> Option<Self> {
        let engine = Box::pin(OwnEngine::start("chaos", MEGABYTES, &["--live-restore"])).await?;
        let scenario =
            (0..APPS.len()).fold(Scenario::new("chaos"), |scenario, app| scenario.app(version(app, "first")));
        let host = scenario.on(&engine).start().await;
        let api = Api::of(PathBuf::from(engine.host().trim_start_matches("unix://")));
        let first = || Served { mark: "first".to_owned(), may_serve: vec!["first".to_owned()], replicas: 2 };
        let apps = [first(), first(), first()];
        let fleet = Self { host, engine, api, apps, said: Mutex::default() };
        fleet.run(&APPS).await.succeeded();
        Some(fleet)
    }

    /// A command that reaches the engine through the socket in between.
    pub fn cli(&self, args: &[&str]) -> Cli {
        self.host.cli(args).env("DOCKER_HOST", &self.api.address())
    }

    /// The containers in which the proxy's nginx runs, or has run: more than one while it is replaced.
    pub fn nginx(&self) -> Vec<String> {
        let prefix = format!("{}-proxy-", self.host.name());
        let all = self.engine.docker(&["ps", "-a", "--format", "{{.Names}}"]);
        all.lines().filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect()
    }

    pub async fn run(&self, args: &[&str]) -> Output {
        self.heard(args, self.cli(args).run().await)
    }

    pub fn heard(&self, args: &[&str], output: Output) -> Output {
        self.said
            .lock()
            .expect("no panic while it is held")
            .push(format!("$ deploy-apps {}\n{output}", args.join(" ")));
        output
    }

    /// Writes a version into the compose file. Until a command is through with it, the one before may serve as well.
    pub fn wants(&mut self, app: usize, mark: &str, change: impl FnOnce(App) -> App) {
        self.host.change(APPS[app], |_| change(version(app, mark)));
        mark.clone_into(&mut self.apps[app].mark);
        self.apps[app].may_serve.push(mark.to_owned());
    }

    /// What a finished deploy says with its code: the new version, the old one, or nothing that is known.
    pub fn settle(&mut self, app: usize, code: Option<i32>) {
        let served = &mut self.apps[app];
        match code {
            Some(0 | 3) => served.may_serve = vec![served.mark.clone()],
            Some(1) => served.may_serve.retain(|mark| *mark != served.mark),
            _ => {}
        }
    }

    /// The next plain deploy: what the file says serves, and the command has nothing to complain about.
    pub async fn converge(&mut self) {
        self.run(&[&APPS[..], &LOCK_WAIT].concat()).await.succeeded();
        for served in &mut self.apps {
            served.may_serve = vec![served.mark.clone()];
        }
    }

    /// Clients of every kind on every app, which have all begun when it returns.
    pub async fn load(&self) -> Vec<Load> {
        self.said.lock().expect("no panic while it is held").clear();
        self.api.set(Way::Open);
        let mut loads = Vec::new();
        for app in APPS {
            let mut config = self
                .host
                .load(app)
                .send_every(2, GAP, Traffic::get("/"))
                .send_every(2, GAP, Traffic::post("/upload", Expect::ByteCount))
                .send(2, Traffic::pooled_post("/upload", Expect::ByteCount, Duration::from_secs(1)))
                .send(1, Traffic::sleeper("/sleep?for=1s"))
                .send(1, Traffic::upload("/upload", 64 << 10, Duration::from_secs(1)))
                .send(1, Traffic::sse("/events?every=100ms"))
                .send(1, Traffic::websocket("/ws"))
                .keep_streams_for(STREAM)
                .bounded(Duration::from_secs(900), u64::MAX);
            config.long_timeout = Duration::from_secs(20);
            assert_eq!(config.groups.iter().map(|group| group.clients as u64).sum::<u64>(), CLIENTS);
            loads.push(self.host.start(config).await);
        }
        let flows = async || loads.iter().all(|load| load.progress().requests > 20).then_some(());
        eventually("the load flows", DEADLINE, flows).await;
        loads
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let said = self.said.get_mut().map(|said| said.join("\n")).unwrap_or_default();
            let listed = self.engine.docker(&["ps", "-a", "--format", "{{.Names}}\t{{.Status}}"]);
            let log = self.engine.docker(&["logs", "--tail", "60", &self.nginx().pop().unwrap_or_default()]);
            let log: Vec<&str> = log.lines().filter(|line| !line.starts_with('{')).collect();
            eprintln!("--- commands of this step\n{said}\n--- containers\n{listed}\n--- proxy\n{}", log.join("\n"));
        }
    }
}

pub async fn stop(loads: Vec<Load>) -> Vec<Report> {
    let mut reports = Vec::new();
    for load in loads {
        reports.push(load.stop().await);
    }
    reports
}
