//! Apps and projects that are taken away while others go on.

use serde_json::json;

use crate::harness::{App, Host, Scenario, docker, none_lost, sum};
use crate::input_file::is;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removed_app_finishes_its_requests_and_no_neighbour_feels_it() {
    let host = Scenario::new("remove").app(App::new("web").replicas(2)).app(App::new("api")).start().await;
    host.deploy(&["web", "api"]).await.succeeded();
    let load = host.steady_load("api").await;
    let address = host.address();
    let long = tokio::spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(format!("http://{address}/sleep?for=15s")).header("host", "web.localhost");
        request.send().await.expect("an answer").status().as_u16()
    });
    host.in_flight("web", |open| open.requests == 1).await;

    let output = host.cli(&["remove", "web", "--yes", "--format", "json"]).run().await.succeeded();
    assert_eq!(long.await.expect("its end"), 200, "the open request was finished\n{output}");
    assert_eq!(sum(&output.events("drained"), "/waited/requests"), 1, "{output}");
    assert_eq!(sum(&output.events("drained"), "/cut/requests"), 0, "{output}");
    assert_eq!(host.get("web", "/").await.status, 404, "its routes are the proxy's again");
    assert_eq!(host.record("web").await, None);
    host.is_clean(&["api-r1-1"]).await;
    none_lost(&load.stop().await);

    // Its image stayed, and so did its numbers.
    assert!(host.image_tags("web").await.contains("r1"));
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["api-r1-1", "web-r2-1", "web-r2-2"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_the_compose_file_no_longer_has_is_removed_by_its_name() {
    let volume = json!({ "files": {} });
    let with_volume = App::new("web").set("/volumes", json!(["files:/files"])).stop_first();
    let mut host =
        Scenario::new("remove-gone").app(with_volume).app(App::new("api")).section("volumes", volume).start().await;
    host.deploy(&["web", "api"]).await.succeeded();
    host.forget("web");
    let all = ["remove", "web", "--yes", "--volumes", "--images"];
    let output = host.deploy(&all).await.succeeded();
    let said = output.stdout.trim_end();
    // Between the two stands how long the flip took.
    assert!(
        said.starts_with("web  r1  0+1   flipped ") && said.ends_with(" · nothing to drain   ✔ removed"),
        "{output}"
    );
    host.is_clean(&["api-r1-1"]).await;
    assert!(host.image_tags("web").await.is_empty());
    let volumes = docker(&["volume", "ls", "-q", "--filter", &format!("name={}_files", host.name())]);
    assert_eq!(volumes, "", "its volume was made for it");

    // Gone is gone: the second time there is nothing to do.
    let again = host.deploy(&all).await.succeeded();
    assert_eq!((again.stdout.as_str(), again.stderr.as_str()), ("", "app `web` is not deployed\n"));
    host.deploy(&["api", "--force"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_that_is_killed_after_any_step_is_finished_by_the_next() {
    let host = Scenario::new("remove-crash").app(App::new("web").replicas(2)).app(App::new("api")).start().await;
    host.deploy(&["api"]).await.succeeded();
    let load = host.steady_load("api").await;
    let mut steps = 0;
    loop {
        host.deploy(&["web", "--lock-wait", "5s"]).await.succeeded();
        let remove = ["remove", "web", "--yes", "--lock-wait", "5s"];
        let killed = host.cli(&remove).env("DEPLOY_APPS_CRASH_AFTER", &(steps + 1).to_string()).run().await;
        if killed.code.is_some() {
            killed.succeeded();
            break;
        }
        host.deploy(&remove).await.succeeded();
        host.is_clean(&["api-r1-1"]).await;
        assert_eq!(host.get("web", "/").await.status, 404, "{killed}");
        steps += 1;
    }
    assert_eq!(steps, 2 + 6, "flip, confirm, and 3 for each replica");
    none_lost(&load.stop().await);
}

/// Containers and networks of the project, without those of its proxy.
fn left_of(host: &Host) -> String {
    let names = |list: &[&str]| docker(&[list, &["--filter", &format!("name={}", host.name())]].concat());
    let all = [names(&["ps", "-a", "--format", "{{.Names}}"]), names(&["network", "ls", "--format", "{{.Name}}"])];
    let all = all.join("\n").replace(host.name(), "PROJECT");
    let mut lines: Vec<&str> = all.lines().filter(|line| !line.is_empty()).collect();
    lines.sort_unstable();
    lines.join(" ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_project_goes_down_and_the_proxy_stays_for_the_other_one() {
    let web = App::new("web").set("/depends_on", json!(["cache"])).set("/volumes", json!(["files:/files"]));
    let web = web.set("/networks", json!(["back"])).stop_first();
    let cache = App::new("cache").set("/x-deploy-apps", json!(null)).set("/networks", json!(["back"]));
    let host = Scenario::new("down").app(web).app(cache).app(App::new("wiki"));
    let host = host.section("networks", json!({ "back": {} })).section("volumes", json!({ "files": {} })).start().await;
    // The same file under another name is another project on the same proxy.
    let other = format!("{}-two", host.name());
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["-p", &other, "wiki"]).await.succeeded();
    let load = host.steady_load("wiki").await;
    let neighbour = "PROJECT PROJECT-proxy PROJECT-proxy-1 PROJECT-two-wiki-r1-1 PROJECT-two_back PROJECT-two_default";
    let data = async || {
        let listed = docker(&["volume", "ls", "-q", "--filter", &format!("name={}_files", host.name())]);
        !listed.is_empty()
    };
    assert!(data().await && left_of(&host).contains("PROJECT-cache-1"), "{}", left_of(&host));

    let output = host.deploy(&["down", "--proxy", "--yes"]).await;
    is(
        &host,
        output,
        6,
        "error: the proxy `PROJECT` serves other projects too: `PROJECT-two/wiki`\n\n\
         hint: leave out `--proxy`, or take those projects down first",
    );
    host.deploy(&["down", "--yes"]).await.succeeded();
    assert_eq!(left_of(&host), neighbour);
    assert!(data().await, "data stays unless it is asked for");
    host.deploy(&["down", "--yes", "--volumes"]).await.succeeded();
    assert!(!data().await);
    none_lost(&load.stop().await);

    host.deploy(&["-p", &other, "down", "--yes", "--proxy"]).await.succeeded();
    assert_eq!(left_of(&host), "");
    let again = host.deploy(&["-p", &other, "down", "--yes", "--proxy"]).await.succeeded();
    assert_eq!(again.stderr, format!("nothing of project `{other}` is deployed\n"), "{again}");
    // The state volume keeps the numbers, so the next deploy on this host goes on with them.
    host.deploy(&["web"]).await.succeeded();
    host.is_clean(&["cache-1", "web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_without_a_yes() {
    let host = Scenario::new("remove-input").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    for args in [&["remove", "web"][..], &["down"]] {
        is(
            &host,
            host.deploy(args).await,
            2,
            "error: it is not confirmed, and there is no terminal to ask on\n\n\
             hint: `--yes` skips the question, `--dry-run` shows what would be removed",
        );
    }
    let dry = host.deploy(&["remove", "web", "--dry-run"]).await.succeeded();
    assert!(dry.stdout.contains("] flip `") && dry.stdout.contains("web-r1-1`"), "{dry}");
    is(
        &host,
        host.deploy(&["remove", "wbe", "--yes"]).await,
        2,
        "error: app `wbe` is neither in the compose file nor on the host\n\nhint: deployed are `web`",
    );
    is(
        &host,
        host.deploy(&["remove", "web/1", "--yes"]).await,
        2,
        "error: invalid service name `web/1`: letters, digits, `-`, `_` and `.`, starting with a letter or digit, at \
         most 60 characters",
    );
    host.is_clean(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_removal_waits_for_a_deploy_or_says_who_deploys() {
    let mut host = Scenario::new("remove-lease").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.change("web", |app| app.fault("slow-start").env("FAULT_AFTER", "4"));
    let mut busy = host.cli(&["web", "--format", "json"]).spawn();
    busy.event("replica_started").await;
    let held = host.deploy(&["remove", "web", "--yes"]).await;
    held.exited(9).says("is being deployed by");
    host.deploy(&["remove", "web", "--yes", "--lock-wait", "60s"]).await.succeeded();
    busy.finish().await.succeeded();
    assert_eq!(host.get("web", "/").await.status, 404);
    host.is_clean(&[]).await;
}
