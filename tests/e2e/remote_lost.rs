//! The connection to the engine breaks, freezes or comes back in the middle of a deploy: no request is lost, no run
//! hangs, and the next run finishes.

use std::time::{Duration, Instant};

use deploy_apps::load::Traffic;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{App, Cable, End, FarHost, Host, Output, Running, Scenario, Wire, none_lost};

/// Far above the 15 s after which a link is given up, and far below what hanging would be.
const ENDS_WITHIN: Duration = Duration::from_secs(90);

type Vars = Vec<(String, String)>;

/// A deployed app, and both ways to its engine through cables that can be cut.
struct Cables {
    host: Host,
    tls: Wire,
    ssh: Wire,
}

impl Cables {
    /// Its replicas take two seconds to start: time enough for a test to do something before they are healthy.
    async fn new(test: &str) -> Self {
        let far = FarHost::shared().await;
        let app = App::new("web").replicas(2).fault("slow-start").env("FAULT_AFTER", "2");
        let host = Scenario::new(test).app(app).far(far).start().await;
        host.deploy(&["web"]).await.succeeded();
        let [tls, ssh] = [2376, 22].map(|port| Wire::to(End::Address((far.address, port).into())));
        Self { host, tls: tls.await, ssh: ssh.await }
    }

    async fn ways(&self) -> [(&Wire, Vars); 2] {
        let far = FarHost::shared().await;
        let by_tls = far.tls_through(&self.tls.place(), "client");
        [(&self.tls, by_tls), (&self.ssh, far.ssh_through(&format!("deploy@{}", self.ssh.place())))]
    }

    fn spawn(&self, vars: &Vars) -> Running {
        let cli = self.host.cli(&["web", "--force", "--format", "json", "--lock-wait", "20s"]);
        cli.envs(vars).env("TMPDIR", &self.host.folder().to_string_lossy()).spawn()
    }

    /// A run over a whole cable comes to its end, and nothing else is there.
    async fn next_run_finishes(&self, broken: &Output) {
        let next = self.host.deploy(&["web", "--force", "--lock-wait", "20s"]).await;
        assert_eq!(next.code, Some(0), "the run after a lost connection\n{broken}\n{next}");
        let record = self.host.record("web").await.expect("a record");
        assert_eq!(record.peers.len(), 2, "{broken}\n{next}");
        assert!(record.peers.iter().all(|peer| peer.release == record.release), "one release: {:?}", record.peers);
        let prefix = self.host.name().len() + 1;
        let names: Vec<&str> = record.peers.iter().map(|peer| &peer.id[prefix..]).collect();
        self.host.is_clean(&names).await;
    }
}

/// Cuts the cable at an event, and for good as far as this run knows.
async fn cut_at(cables: &Cables, wire: &Wire, vars: &Vars, event: &str, state: Cable, codes: &[i32]) {
    let mut running = cables.spawn(vars);
    running.event(event).await;
    wire.set(state);
    let begun = Instant::now();
    let broken = running.finish().await;
    let took = begun.elapsed();
    println!("{state:?} at {event} over {}: exit code {:?} after {took:?}", vars[0].1, broken.code);
    assert!(took < ENDS_WITHIN, "{took:?} is as good as hanging\n{broken}");
    assert!(broken.code.is_some_and(|code| codes.contains(&code)), "{state:?} at {event}\n{broken}");
    wire.set(Cable::Flows);
    cables.next_run_finishes(&broken).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_before_the_flip_is_told_and_the_next_run_finishes() {
    let cables = Cables::new("far-cut").await;
    let load = cables.host.steady_load("web").await;
    for (wire, vars) in cables.ways().await {
        cut_at(&cables, wire, &vars, "replica_started", Cable::Cut, &[7]).await;
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_is_cut_after_the_flip_leaves_the_rest_to_the_next_run() {
    let cables = Cables::new("far-cut-late").await;
    // Something to drain, so that the run is not over when the cable is cut.
    let load = cables.host.steady("web").send(2, Traffic::sleeper("/sleep?for=4s"));
    let load = cables.host.start(load).await;
    for (wire, vars) in cables.ways().await {
        cut_at(&cables, wire, &vars, "flipped", Cable::Cut, &[3]).await;
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_freezes_is_noticed_and_given_up() {
    let cables = Cables::new("far-frozen").await;
    let load = cables.host.steady_load("web").await;
    for (wire, vars) in cables.ways().await {
        cut_at(&cables, wire, &vars, "replica_started", Cable::Frozen, &[7]).await;
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_link_comes_back_goes_on_or_is_undone() {
    let cables = Cables::new("far-back").await;
    let load = cables.host.steady_load("web").await;
    for (wire, vars) in cables.ways().await {
        for event in ["plan_made", "replica_started", "flipped"] {
            let mut running = cables.spawn(&vars);
            running.event(event).await;
            wire.set(Cable::Cut);
            tokio::time::sleep(Duration::from_secs(1)).await;
            wire.set(Cable::Flows);
            let ended = running.finish().await;
            println!("back after {event} over {}: exit code {:?}", vars[0].1, ended.code);
            assert!(matches!(ended.code, Some(0 | 1 | 3)), "cut for a second at {event}\n{ended}");
            cables.next_run_finishes(&ended).await;
        }
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ssh_process_that_dies_is_started_again() {
    let cables = Cables::new("far-ssh-dies").await;
    let load = cables.host.steady_load("web").await;
    let far = FarHost::shared().await;
    let mut running = cables.spawn(&far.ssh("deploy"));
    running.event("replica_started").await;
    let mark = cables.host.folder().to_string_lossy().into_owned();
    for pid in far.ssh_processes() {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        if String::from_utf8_lossy(&environment).contains(&mark) {
            let pid = Pid::from_raw(pid.try_into().expect("a process")).expect("a process");
            kill_process(pid, Signal::KILL).expect("our own process");
        }
    }
    let ended = running.finish().await.succeeded();
    none_lost(&load.stop().await);
    cables.next_run_finishes(&ended).await;
}
