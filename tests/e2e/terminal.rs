//! What a person at a terminal sees, and what their keys do.

use serde_json::json;
use vt100::Color;

use crate::harness::{App, Host, Scenario, none_lost};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ctrl_c_takes_a_deploy_back_and_leaves_the_terminal_as_it_was() {
    let mut host = Scenario::new("terminal-interrupt").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| {
        app.fault("slow-start").env("FAULT_AFTER", "600").set("/x-deploy-apps/health/timeout", json!("600s"))
    });
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
