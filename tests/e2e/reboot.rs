//! Law 11: whatever restarts, in whatever order, every route works again with no command run, and no app ever gets
//! another app's traffic.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use deploy_apps::load::Traffic;
use rustix::process::Signal;

use crate::harness::{
    App, FAULT_APP, Host, OwnEngine, RESTART, Scenario, docker, eventually, none_lost, of_sample, sample_in,
};

const APPS: [&str; 2] = ["front", "back"];

/// Two apps that say their own name.
async fn two_apps(scenario: Scenario) -> Host {
    let app = |name: &str| App::new(name).replicas(2).env("RELEASE_MARK", name);
    let host = scenario.app(app("front")).app(app("back")).start().await;
    host.deploy(&APPS).await.succeeded();
    host
}

/// Waits until both apps answer again. No answer in between may come from the other app.
async fn back_again(host: &Host) {
    for app in APPS {
        let answers = async || match host.try_get(app, "/mark").await {
            Some(answer) if answer.status == 200 => {
                assert_eq!(answer.body, app, "the answer of another app");
                Some(())
            }
            _ => None,
        };
        // Twice in a row for each of the two replicas.
        for _ in 0..4 {
            eventually(&format!("`{app}` answers again"), RESTART, answers).await;
        }
    }
}

/// Where each container is, which the proxy's record must go on saying.
async fn addresses(host: &Host) -> BTreeMap<String, Ipv4Addr> {
    let containers = host.containers().await;
    let known = containers.iter().filter_map(|container| Some((container.name.clone(), container.address?)));
    let known: BTreeMap<_, _> = known.collect();
    for app in APPS {
        for peer in host.record(app).await.expect("a record").peers {
            assert_eq!(known.get(&peer.id), Some(&peer.address), "the address of `{}`", peer.id);
        }
    }
    known
}

/// A deploy after it all finds a proxy that counts right and a lease that is free.
async fn deploys_as_ever(host: &Host, release: u32) {
    let load = host.steady_load("front").await;
    host.deploy(&["front", "back", "--force", "--lock-wait", "5s"]).await.succeeded();
    none_lost(&load.stop().await);
    let names = APPS.map(|app| [1, 2].map(|replica| format!("{app}-r{release}-{replica}"))).concat();
    host.is_clean(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_engine_ends_in_any_way_every_route_is_back_with_no_command_run() {
    let Some(mut engine) = OwnEngine::start("reboot", 1500, &[]).await else { return };
    let host = two_apps(Scenario::new("reboot").on(&engine)).await;
    let before = addresses(&host).await;
    let ways: [fn(&mut OwnEngine); 2] = [|engine| engine.end(Signal::TERM), OwnEngine::cut_power];
    for end in ways {
        end(&mut engine);
        engine.boot().await;
        back_again(&host).await;
        assert_eq!(addresses(&host).await, before);
    }
    deploys_as_ever(&host, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn containers_that_start_again_in_any_order_keep_their_addresses_and_routes() {
    let host = two_apps(Scenario::new("order")).await;
    let before = addresses(&host).await;
    let proxy = format!("{}-proxy", host.name());
    let replicas: Vec<&str> = before.keys().map(String::as_str).collect();
    let backwards: Vec<&str> = replicas.iter().rev().copied().collect();
    let orders =
        [[&[&*proxy], &*backwards].concat(), [&*backwards, &[&*proxy]].concat(), [&*replicas, &[&*proxy]].concat()];
    for (round, order) in orders.iter().enumerate() {
        docker(&[&["stop", "-t", "2", &*proxy], &*replicas].concat());
        // Comes while their addresses are not in use, and must get none of them.
        let stranger = format!("{}-stranger-{round}", host.name());
        docker(&["run", "-d", "--name", &stranger, "--network", host.name(), FAULT_APP]);
        for name in order {
            docker(&["start", name]);
        }
        back_again(&host).await;
        assert_eq!(addresses(&host).await, before, "started in the order {order:?}");
    }
    deploys_as_ever(&host, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_replicas_one_after_the_other_costs_no_get() {
    let host = two_apps(Scenario::new("restart")).await;
    // Only GETs: nobody has drained the replica, so a POST may meet the close of a kept connection, and nobody may repeat it.
    let load = host.start(host.load("front").send_every(8, Duration::from_millis(5), Traffic::get("/"))).await;
    for replica in [1, 2] {
        let name = format!("{}-front-r1-{replica}", host.name());
        // The signal is the app's chance to finish what it has; the proxy asks the other replica meanwhile.
        docker(&["restart", "-t", "10", &name]);
        let log = async || docker(&["logs", "--since", "1m", &name]).matches("runs with").nth(1).map(drop);
        eventually("it runs again", RESTART, log).await;
        let answers = async || (host.get("front", "/mark").await.status == 200).then_some(());
        eventually("it answers", RESTART, answers).await;
    }
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_power_is_cut_the_sample_is_back_with_all_that_it_had_counted() {
    let apps = ["go-app", "counter-service", "visitors"];
    let Some(mut engine) = OwnEngine::start("reboot-sample", 3000, &[]).await else { return };
    let host = sample_in(Scenario::new("reboot-sample").on(&engine)).await;
    let images = of_sample(host.folder(), &[&apps[..], &["redis", "postgres"]].concat()).await;
    engine.load(&images.iter().map(String::as_str).collect::<Vec<_>>());
    host.deploy(&apps).await.succeeded();
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    for _ in 0..3 {
        let page = host.get("visitors", "/").await;
        assert_eq!(page.status, 200, "{page:?}");
        let count = client.post(format!("http://{}/count", host.address())).header("host", "counter-service.localhost");
        assert_eq!(count.send().await.expect("an answer").status(), 200);
    }

    engine.cut_power();
    engine.boot().await;
    // An app may be up before its database is; it then says so, and finds it later.
    for (app, path, wanted) in [
        ("go-app", "/", "Hi from go-app"),
        ("counter-service", "/count", "\"count\":3,"),
        ("visitors", "/figures", "\"visitors\":3,"),
    ] {
        let answers = async || {
            let answer = host.try_get(app, path).await.filter(|answer| answer.status == 200)?;
            assert!(answer.body.contains(wanted), "{app} has lost what it had: {answer:?}");
            Some(())
        };
        eventually(&format!("`{app}` answers again"), RESTART, answers).await;
    }
    // Nothing is left to do for a run.
    let again = host.deploy(&apps).await.succeeded();
    assert!(!again.stdout.contains('✔'), "{again}");
}
