//! Redeploys under load that never pauses.

use std::time::Duration;

use deploy_apps::load::{Expect, Phase, Traffic};

use crate::harness::{App, Scenario, none_lost};

/// Of each of the two apps, so that there are 50 flips.
const REDEPLOYS: u32 = 25;
const GAP: Duration = Duration::from_millis(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_flips_of_two_apps_lose_no_request() {
    let host =
        Scenario::new("fifty").app(App::new("front").replicas(2)).app(App::new("back").replicas(2)).start().await;
    host.deploy(&["front", "back"]).await.succeeded();
    let mut loads = Vec::new();
    for app in ["front", "back"] {
        let config = host
            .load(app)
            .send_every(8, GAP, Traffic::get("/"))
            .send_every(8, GAP, Traffic::post("/upload", Expect::ByteCount))
            .send(4, Traffic::pooled_post("/upload", Expect::ByteCount, Duration::from_secs(3)));
        loads.push(host.start(config).await);
    }
    for _ in 0..REDEPLOYS {
        loads.iter().for_each(|load| load.set_phase(Phase::Deploying));
        host.deploy(&["front", "back", "--force"]).await.succeeded();
        loads.iter().for_each(|load| load.set_phase(Phase::Steady));
    }
    for load in loads {
        let report = load.stop().await;
        none_lost(&report);
        eprintln!("{}", report.table());
    }
    let last = REDEPLOYS + 1;
    let name = |app: &str, replica: u32| format!("{app}-r{last}-{replica}");
    let names = [name("front", 1), name("front", 2), name("back", 1), name("back", 2)];
    host.runs(&names.each_ref().map(String::as_str)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_proxies_may_be_set_up_at_the_same_moment() {
    let one = Scenario::new("one-of-two").app(App::new("web")).start().await;
    let other = Scenario::new("other-of-two").app(App::new("web")).start().await;
    // Both look for a free subnet, and find the same one.
    let (first, second) = tokio::join!(one.deploy(&["web"]), other.deploy(&["web"]));
    first.succeeded();
    second.succeeded();
    for host in [&one, &other] {
        assert_eq!(host.get("web", "/").await.status, 200);
        host.runs(&["web-r1-1"]).await;
    }
}
