//! What a person at a terminal sees, and what their keys do.

use rustix::process::Signal;
use serde_json::json;
use vt100::Color;

use crate::harness::{App, DEADLINE, Host, Scenario, eventually, none_lost};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deploy_is_drawn_over_itself_and_ends_as_a_line_for_each_app() {
    let host = Scenario::new("terminal").app(App::new("web")).app(App::new("api")).start().await;
    for (args, releases) in [(&["web", "api"][..], "r1"), (&["web", "api", "--force"], "r1 → r2")] {
        let mut terminal = host.cli(args).on_terminal(160, 30);
        assert_eq!(terminal.ends().await, Some(0), "{}", terminal.screen().contents());
        let screen = terminal.screen().contents();
        assert!(terminal.is_redrawn, "nothing was drawn over:\n{screen}");
        for app in ["web", "api"] {
            let of_app: Vec<&str> = screen.lines().filter(|line| line.starts_with(&format!("{app} "))).collect();
            let [line] = of_app[..] else { panic!("not one line for `{app}`:\n{screen}") };
            let url = format!("✔ http://{app}.localhost:{}", host.address().port());
            assert!(line.contains(releases) && line.ends_with(&url), "{screen}");
        }
        assert_eq!(terminal.cell_of("✔").fgcolor(), Color::Idx(2), "success is green:\n{screen}");
        terminal.is_left_tidy();
        terminal.wraps_nothing();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_narrow_terminal_without_colours_gets_lines_that_fit() {
    let host = Scenario::new("terminal-narrow").app(App::new("web")).start().await;
    let mut terminal = host.cli(&["web"]).on_terminal(40, 12);
    assert_eq!(terminal.ends().await, Some(0), "{}", terminal.screen().contents());
    terminal.is_left_tidy();
    let mut plain = host.cli(&["web", "--force"]).env("NO_COLOR", "1").on_terminal(160, 30);
    assert_eq!(plain.ends().await, Some(0), "{}", plain.screen().contents());
    assert_eq!(plain.cell_of("✔").fgcolor(), Color::Default, "{}", plain.screen().contents());
    assert!(!plain.is_redrawn, "without colours it is a log:\n{}", plain.screen().contents());
}

/// A host on which r1 of `web` serves, and whose next version would need far longer than any test to become healthy.
async fn slow(test: &str) -> Host {
    let mut host = Scenario::new(test).app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| {
        app.fault("slow-start").env("FAULT_AFTER", "600").set("/x-deploy-apps/health/timeout", json!("600s"))
    });
    host
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_takes_a_deploy_back_and_leaves_the_terminal_as_it_was() {
    let host = slow("terminal-interrupt").await;
    let load = host.steady_load("web").await;
    let mut terminal = host.cli(&["web"]).on_terminal(120, 30);
    terminal.shows("healthy").await;
    terminal.interrupts().await;
    assert_eq!(terminal.ends().await, Some(130), "{}", terminal.screen().contents());
    assert!(terminal.screen().contents().contains("cancelled"), "{}", terminal.screen().contents());
    terminal.is_left_tidy();
    none_lost(&load.stop().await);
    host.is_clean(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_terminal_that_is_closed_takes_its_deploy_back_unless_that_is_told_to_live_on() {
    let host = slow("terminal-closed").await;
    let mut terminal = host.cli(&["web"]).on_terminal(120, 30);
    terminal.shows("healthy").await;
    terminal.closes().await;
    let alone = async || (host.containers().await.len() == 1).then_some(());
    eventually("the new version is taken back", DEADLINE, alone).await;
    host.is_clean(&["web-r1-1"]).await;

    // What `nohup` starts ignores the signal.
    let mut deploy = host.cli(&["web", "--format", "json"]).ignoring_hangups().spawn();
    deploy.event("replica_started").await;
    deploy.signal(Signal::HUP);
    let state = async || (host.containers().await.len() == 2).then_some(());
    eventually("it goes on", DEADLINE, state).await;
    deploy.signal(Signal::TERM);
    deploy.finish().await.exited(143);
    host.is_clean(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_asks_and_only_a_yes_is_one() {
    let host = Scenario::new("terminal-asks").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    // Enter alone is a no, and so is Ctrl-C.
    for (keys, code) in [("\n", 0), ("maybe\n", 0), ("\x03", 130)] {
        assert_eq!(asked(&host, keys).await, Some(code), "{keys:?}");
        host.runs(&["web-r1-1"]).await;
    }
    assert_eq!(asked(&host, "Yes\n").await, Some(0));
    host.runs(&[]).await;
}

/// The exit code of a removal that got this answer.
async fn asked(host: &Host, keys: &str) -> Option<i32> {
    let mut terminal = host.cli(&["remove", "web"]).on_terminal(100, 24);
    terminal.shows("Go on? [y/N]").await;
    assert!(terminal.screen().contents().contains("will be removed:"), "{}", terminal.screen().contents());
    terminal.types(keys).await;
    terminal.ends().await
}
