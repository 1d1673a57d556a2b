//! The proxy is replaced, again and again, and no client loses or is refused anything.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use deploy_apps::load::{Expect, Traffic};
use serde_json::json;

use crate::harness::{App, Connection, Host, Http2Client, Scenario, docker, none_lost};
use crate::https;

const UPGRADES: u32 = 3;
/// Clients that are idle are sent away after 75 s.
const RETIRING: Duration = Duration::from_secs(120);

async fn upgraded(host: &Host, number: u32) {
    host.deploy(&["proxy", "upgrade", "--force"]).await.succeeded().says("serving after");
    let ours = format!("name=^/?{}-proxy", host.name());
    let mut names: Vec<String> =
        docker(&["ps", "-a", "--filter", &ours, "--format", "{{.Names}}"]).lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, [format!("{}-proxy", host.name()), format!("{}-proxy-{number}", host.name())]);
}

/// The requests of all releases of `web` that were answered with success, as a scraper sees them.
fn counted(host: &Host) -> u64 {
    let ask = r"printf 'GET /metrics HTTP/1.0\r\n\r\n' | socat - TCP:127.0.0.1:9180";
    let text = docker(&["exec", &format!("{}-proxy", host.name()), "sh", "-c", ask]);
    let prefix = format!("deploy_apps_requests_total{{app=\"{}/web\"", host.name());
    let ours = text.lines().filter(|line| line.starts_with(&prefix) && line.contains("status=\"2xx\""));
    ours.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_with_deploys_before_between_and_after_lose_nothing() {
    let host = Scenario::new("handover").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.load("web").send_every(12, Duration::from_millis(5), Traffic::post("/upload", Expect::ByteCount));
    let load = host.start(load.send_every(3, Duration::from_millis(20), Traffic::get("/sleep?for=4s"))).await;
    for round in 1..=UPGRADES {
        upgraded(&host, round + 1).await;
        host.deploy(&["web", "--force"]).await.succeeded();
    }
    let report = load.stop().await;
    none_lost(&report);
    host.is_clean(&["web-r4-1", "web-r4-2"]).await;
    // Whoever answered it, each request is counted once by the one that serves.
    crate::harness::eventually("every request is counted", RETIRING, async || {
        let counted = counted(&host);
        assert!(counted <= report.ok, "{counted} of {}", report.ok);
        (counted == report.ok).then_some(())
    })
    .await;
}

/// Multiplexed: while the client reads that it is to come back on a new connection, other requests are under way on the old one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrades_lose_no_request_over_http_2() {
    const CLIENTS: u64 = 3;
    let port = https::free_port();
    let app = https::secure(App::new("web").replicas(2));
    let host = Scenario::new("handover-h2").app(app).proxy("https_port", json!(port)).start().await;
    let certificate = https::made("web.localhost", 2090);
    https::write(&host, &certificate);
    host.deploy(&["web"]).await.succeeded();
    let (is_over, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let address = ([127, 0, 0, 1], port).into();
    let clients: Vec<_> =
        (0..CLIENTS).map(|_| Arc::new(Http2Client::new(address, "web.localhost", &certificate.pem))).collect();
    let lanes: Vec<_> = clients
        .iter()
        .flat_map(|client| std::iter::repeat_n(client, 8))
        .map(|client| {
            let (client, is_over, answered) = (Arc::clone(client), Arc::clone(&is_over), Arc::clone(&answered));
            tokio::spawn(async move {
                let mut lost = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    match client.post("/upload", Bytes::from_static(&[b'x'; 700])).await {
                        Ok(answer) if answer.starts_with("200 ") && answer.contains("700") => {
                            answered.fetch_add(1, Ordering::SeqCst);
                        }
                        other => lost.push(format!("{other:?}")),
                    }
                }
                lost
            })
        })
        .collect();
    for round in 1..=UPGRADES {
        upgraded(&host, round + 1).await;
    }
    is_over.store(true, Ordering::SeqCst);
    let mut lost = Vec::new();
    for lane in lanes {
        lost.extend(lane.await.expect("a lane that ends"));
    }
    let answered = answered.load(Ordering::SeqCst);
    assert!(lost.is_empty(), "{} lost beside {answered}: {:?}", lost.len(), lost.first());
    assert!(answered > 500, "{answered}");
    for client in clients {
        assert_eq!(client.connections().await, u64::from(UPGRADES) + 1, "one connection for each nginx");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_waits_for_what_a_retiring_proxy_has_open() {
    let host = Scenario::new("handover-drain").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut open = Connection::open(&host, "web").await;
    open.send("GET", "/sleep?for=20s", b"").await;
    host.in_flight("web", |open| open.requests == 1).await;
    let upgrade = host.cli(&["proxy", "upgrade", "--force"]).spawn();
    // The new one takes over within a second or so; the other has a request open for much longer.
    crate::harness::eventually("another nginx serves", crate::harness::DEADLINE, async || {
        (serving(&host) == "2.sock").then_some(())
    })
    .await;
    host.in_flight("web", |open| open.requests == 1).await;
    let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
    assert_eq!(crate::harness::sum(&output.events("drained"), "/waited/requests"), 1, "{output}");
    let answer = open.answer().await;
    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("(r1,"), "the old version finishes it: {answer:?}");
    upgrade.finish().await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_as_asked_for_is_left_alone() {
    let host = Scenario::new("handover-none").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["proxy", "upgrade"]).await.succeeded().says("already").says("--force");
}

/// Whoever has the name of the serving nginx on the state volume.
fn serving(host: &Host) -> String {
    let link = "/var/lib/deploy-apps/run/control.sock";
    docker(&["exec", &format!("{}-proxy", host.name()), "readlink", link]).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upgrade_may_be_killed_after_any_step() {
    const MOST_STEPS: u32 = 20;
    let host = Scenario::new("handover-kill").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    let mut steps = 0;
    for step in 1..=MOST_STEPS {
        let upgrade = host.cli(&["proxy", "upgrade", "--force"]).env("DEPLOY_APPS_CRASH_AFTER", &step.to_string());
        let killed = upgrade.run().await;
        if killed.code.is_some() {
            killed.succeeded();
            break;
        }
        steps = step;
        host.deploy(&["web", "--force", "--lock-wait", "5s"]).await.succeeded();
        host.deploy(&["proxy", "upgrade"]).await.succeeded().says("already");
        let ours = format!("name=^/?{}-proxy-", host.name());
        crate::harness::eventually("one nginx is left", RETIRING, async || {
            host.deploy(&["proxy", "upgrade"]).await.succeeded();
            let left = docker(&["ps", "-a", "--filter", &ours, "--format", "{{.Names}}"]);
            (left.lines().count() == 1).then_some(())
        })
        .await;
    }
    // The image is there: create, start, hand over; then stop and remove the one of before.
    assert!((3..MOST_STEPS).contains(&steps), "{steps} steps");
    none_lost(&load.stop().await);
}

/// Until it is removed, the one of before is no trouble that anybody would have to look at.
async fn ended_and_healthy(host: &Host) {
    let first = format!("{}-proxy-1", host.name());
    crate::harness::eventually("the engine has started it again, and it is healthy", RETIRING, async || {
        let checked = docker(&["exec", &first, "sh", "-c", "/etc/nginx/healthcheck.sh && cat /proc/1/cmdline"]);
        checked.contains("wait").then_some(())
    })
    .await;
    let status = host.deploy(&["status"]).await.succeeded();
    assert!(!status.to_string().contains("restarted"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_upgrade_auto_a_deploy_replaces_the_proxy_and_the_next_removes_what_is_left() {
    let scenario = Scenario::new("handover-auto").app(App::new("web")).proxy("upgrade", json!("auto"));
    let mut host = scenario.start().await;
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["plan", "web"]).await.succeeded();
    let load = host.steady_load("web").await;
    // The nginx's own setting: without `auto` this deploy would be refused.
    host.change_proxy("trusted_proxies", json!(["host"]));
    host.deploy(&["plan", "web"]).await.exited(11).says("hand over to").says("`upgrade: auto`");
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(serving(&host), "2.sock");
    host.deploy(&["plan", "web"]).await.succeeded();
    ended_and_healthy(&host).await;
    let first = format!("{}-proxy-1", host.name());
    crate::harness::eventually("the one of before is removed by a deploy", RETIRING, async || {
        host.deploy(&["web"]).await.succeeded();
        docker(&["ps", "-aq", "--filter", &format!("name=^/?{first}$")]).trim().is_empty().then_some(())
    })
    .await;
    host.change_proxy("connections_per_client", json!(1000));
    host.deploy(&["web"]).await.succeeded();
    assert_eq!(serving(&host), "3.sock");
    none_lost(&load.stop().await);
    // This one needs a gap, and nobody is surprised by one.
    host.change_proxy("bind", json!("0.0.0.0"));
    host.deploy(&["web"]).await.exited(6).says("connections are refused for about a second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drain_test_replaces_the_proxy_under_every_kind_of_client() {
    let host = Scenario::new("handover-drain-test").app(App::new("web").replicas(2)).start().await;
    let args = "drain-test web --deploys 2 --proxy-upgrades 2 --clients 8 --long-clients 3 --post-path /upload --sleep-path /sleep?for=3s \
                --websocket-path /ws --events-path /events --upload-path /upload --stream-for 4s --steady 1s --format json";
    let args: Vec<&str> = args.split_whitespace().collect();
    let output = host.cli(&args).run().await.succeeded();
    let document = output.document("drain-test");
    assert_eq!(document["proxy_upgrades"], 2);
    let kinds = document["apps"][0]["report"]["kinds"].as_array().expect("kinds").clone();
    for kind in ["get", "post", "sleeper", "upload", "sse", "websocket"] {
        let ok = kinds.iter().find(|one| one["kind"] == kind).and_then(|one| one["ok"].as_u64());
        assert!(ok.is_some_and(|ok| ok > 0), "{kind}: {kinds:?}");
    }
    assert_eq!(serving(&host), "3.sock");
    let ours = format!("name=^/?{}-proxy-", host.name());
    let left = docker(&["ps", "-a", "--filter", &ours, "--format", "{{.Names}}"]);
    assert_eq!(left.trim(), format!("{}-proxy-3", host.name()), "those of before have ended and are removed");
}
