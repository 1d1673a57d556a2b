//! The built-in page in a real browser, while real deploys go on under real load.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use deploy_apps::load::Traffic;
use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{App, Browser, DEADLINE, Host, Scenario, docker, eventually, none_lost};
use crate::schema::validates;

/// What the page's own document of now says.
async fn state(url: &str) -> Value {
    let text = reqwest::get(format!("{url}/api/state")).await.expect("an answer").text().await.expect("text");
    serde_json::from_str(&text).expect("JSON")
}

/// The releases that have an area in an app's chart.
async fn charted(page: &Browser, app: &str) -> Vec<u64> {
    let script = format!(
        "const areas = document.querySelectorAll('[data-app={app}] g.area');
         return [...new Set([...areas].map((area) => Number(area.dataset.release)))].sort();"
    );
    page.eval(&script).await.as_array().expect("a list").iter().filter_map(Value::as_u64).collect()
}

/// Waits until the text at `selector` is as wanted.
async fn says(page: &Browser, selector: &str, wanted: &str) {
    let what = format!("`{wanted}` at `{selector}`");
    eventually(&what, DEADLINE, async || page.text(selector).await.contains(wanted).then_some(())).await;
}

fn updates_pictures() -> bool {
    std::env::var_os("UPDATE_PICTURES").is_some()
}

/// Waits until the chart shows so many seconds of a release's traffic.
async fn charts_for(page: &Browser, seconds: u32, release: u32) {
    let script = format!(
        "const state = await (await fetch('/api/state')).json();
         return state.flow.filter((point) => point.apps['shop']?.[{release}]).length;"
    );
    let what = format!("a chart of {seconds} s");
    eventually(&what, DEADLINE * 2, async || {
        let length = page.eval(&script).await.as_u64().unwrap_or(0);
        tokio::time::sleep(Duration::from_millis(500)).await;
        (length >= u64::from(seconds)).then_some(())
    })
    .await;
}

fn save(picture: &str, file: &Path) {
    let file = fs::File::create(file).expect("a writable file");
    let mut decoder =
        Command::new("base64").arg("-d").stdin(Stdio::piped()).stdout(file).spawn().expect("the command `base64`");
    decoder.stdin.take().expect("piped").write_all(picture.as_bytes()).expect("a decoder that reads");
    assert!(decoder.wait().expect("its end").success());
}

/// Both kinds of light at a size that shows much; written into the docs when that is asked for.
async fn pictures(page: &Browser, name: &str) {
    if updates_pictures() {
        charts_for(page, 5, 2).await;
    }
    let mut taken = Vec::new();
    for scheme in ["light", "dark"] {
        page.look_like(1000, 1090, scheme).await;
        // Drawn again for the new width, with the next figures.
        let at = page.text("#apps .facts").await;
        eventually("the next second", DEADLINE, async || (page.text("#apps .facts").await != at).then_some(())).await;
        let ground = page.eval("return getComputedStyle(document.body).backgroundColor").await;
        // In the docs it has a name that says something.
        page.eval(&format!("for (const id of ['project', 'engine']) {{ const it = document.getElementById(id); it.textContent = it.textContent.replaceAll('{name}', 'demo'); }}")).await;
        let picture = page.picture().await;
        assert!(picture.len() > 40_000, "a {scheme} picture with something on it, not {} characters", picture.len());
        if updates_pictures() {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("docs/pictures/dashboard-{scheme}.png"));
            save(&picture, &file);
        }
        taken.push((ground, picture));
    }
    assert!(taken[0].0 != taken[1].0 && taken[0].1 != taken[1].1, "light and dark look different");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_traffic_crossing_over_from_one_release_to_the_next() {
    let apps = ["shop", "search"].map(|name| App::new(name).replicas(2));
    let mut host = apps.into_iter().fold(Scenario::new("dashboard"), Scenario::app).start().await;
    fs::write(host.folder().join("VERSION"), "1.4.0\n").expect("a writable folder");
    let mut dashboard = host.cli(&["dashboard", "--port", "0"]).spawn();
    let url = dashboard.line().await;
    let page = Browser::start().await;
    page.look_like(1000, 1090, "light").await;
    page.open(&url).await;
    says(&page, "#connection", "live").await;
    says(&page, "#apps .empty", "Nothing is deployed yet").await;
    says(&page, "#history", "Nothing has been deployed yet").await;

    host.deploy(&["shop", "search"]).await.succeeded();
    for app in ["shop", "search"] {
        says(&page, &format!("[data-app={app}] > header"), "✓ serving\nr1").await;
    }
    says(&page, "#history", "✓ completed").await;
    assert!(!page.text("#apps").await.contains("Nothing is deployed"));

    // Some of it stays open for long, so that the old release is seen draining.
    let quiet = Duration::from_millis(30);
    let load = |app: &str| {
        let config = host.load(app).send_every(8, quiet, Traffic::get("/")).send(3, Traffic::sleeper("/sleep?for=10s"));
        host.start(config.send(2, Traffic::websocket("/ws")).keep_streams_for(Duration::from_secs(12)))
    };
    let loads = [load("shop").await, load("search").await];
    eventually("the first release in the chart", DEADLINE, async || {
        (charted(&page, "shop").await == [1]).then_some(())
    })
    .await;
    says(&page, "[data-app=shop] .replicas", "WebSocket").await;
    if updates_pictures() {
        charts_for(&page, 40, 1).await;
    }

    fs::write(host.folder().join("VERSION"), "1.5.0\n").expect("a writable folder");
    host.change("shop", |app| app.env("GREETING", "new"));
    let run = host.cli(&["shop"]).env("GITHUB_ACTOR", "ann").spawn();
    says(&page, "[data-app=shop] .lease", "deploy by ann on").await;
    assert!(page.text("#summary").await.contains("shop"), "the app that is deployed stands in the summary");
    // The old one has been flipped out, is still busy, and the new one has the traffic.
    eventually("both releases at once", DEADLINE, async || {
        let parts = page
            .eval("return [...document.querySelectorAll('[data-app=shop] .replicas li')].map((li) => li.dataset.part)");
        let parts = parts.await.to_string();
        (charted(&page, "shop").await == [1, 2] && parts.contains("draining") && parts.contains("serving"))
            .then_some(())
    })
    .await;
    says(&page, "[data-app=shop] .chart svg", "flip to r2").await;
    pictures(&page, host.name()).await;
    run.finish().await.succeeded();

    // Then only the new one is left.
    says(&page, "[data-app=shop] > header", "r2 1.5.0+2").await;
    eventually("the old replicas are gone", DEADLINE, async || {
        let replicas = page.text("[data-app=shop] .replicas").await;
        (replicas.contains("r2") && !replicas.contains("r1")).then_some(())
    })
    .await;
    eventually("the newest second is the new release's alone", DEADLINE, async || {
        let now = page.eval("return document.querySelector('[data-app=shop] .chart input').ariaValueText").await;
        let now = now.as_str().unwrap_or_default().to_owned();
        (now.contains("r2 ") && !now.contains("r1 ")).then_some(())
    })
    .await;
    assert_eq!(charted(&page, "search").await, [1], "the neighbour was not touched");
    says(&page, "[data-app=shop] .answers", "r1").await;
    says(&page, "#history tbody tr:first-child", "ann on").await;
    for load in loads {
        none_lost(&load.stop().await);
    }

    let document = state(&url).await;
    validates("dashboard-state", &document);
    validates("status", &document["status"]);
    validates("history", &document["history"]);
    assert!(document["flow"].as_array().expect("a list").len() > 5, "the chart is kept for the next page");

    it_comes_back(&host, &page, &url).await;
    let asked = page.requested().await;
    assert!(asked.iter().any(|asked| asked.ends_with("/api/events")), "{asked:?}");
    assert!(asked.iter().all(|asked| asked.starts_with(&url)), "off this machine: {asked:?}");
    assert_eq!(page.complaints().await, [""; 0], "the page's console");

    let reader = Browser::without_scripts().await;
    reader.open(&url).await;
    says(&reader, "pre", "r2-1").await;
    says(&reader, "pre", "deploy").await;

    // The dashboard goes, and another one comes back at the same place.
    dashboard.signal(Signal::INT);
    dashboard.finish().await.succeeded();
    says(&page, "#connection", "connection lost").await;
    says(&page, "#notices", "The dashboard does not answer").await;
    let port = url.rsplit(':').next().expect("a port");
    let mut again = host.cli(&["dashboard", "--port", port, "--format", "json"]).spawn();
    validates("dashboard", &serde_json::from_str(&again.line().await).expect("a document"));
    says(&page, "#connection", "live").await;
    let second = host.cli(&["dashboard", "--port", port]).run().await.exited(1);
    assert!(second.stderr.starts_with(&format!("error: port `{port}` of this machine is taken\n\nhint: ")), "{second}");
}

/// The proxy goes and comes back, and the page says both.
async fn it_comes_back(host: &Host, page: &Browser, url: &str) {
    let proxy = format!("{}-proxy", host.name());
    docker(&["stop", "-t", "1", &proxy]);
    says(page, "#notices [data-what=proxy]", "The proxy does not answer").await;
    says(page, "[data-app=shop] > header", "not known").await;
    validates("dashboard-state", &state(url).await);
    docker(&["start", &proxy]);
    says(page, "[data-app=shop] > header", "serving").await;
    eventually("no notice is left", DEADLINE, async || page.text("#notices").await.is_empty().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_pages_of_this_machine_are_let_in() {
    let host = Scenario::new("dash-guard").app(App::new("web")).start().await;
    let mut dashboard = host.cli(&["dashboard", "--port", "0"]).spawn();
    let url = dashboard.line().await;
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let ask = async |path: &str, name: &str| {
        let request = client.get(format!("{url}{path}")).header("host", name).send();
        request.await.expect("an answer")
    };
    for path in ["/", "/api/state", "/api/events", "/plain", "/page.js"] {
        assert_eq!(ask(path, "evil.example").await.status(), 403, "{path}: a name that was made to lead here");
    }
    let page = ask("/", "localhost").await;
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.starts_with("default-src 'self';") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert_eq!(
        (&page.headers()["x-content-type-options"], page.headers().get("access-control-allow-origin")),
        (&"nosniff".parse().expect("a value"), None)
    );
    assert_eq!(ask("/nothing", "localhost").await.status(), 404);
    assert_eq!(client.post(format!("{url}/api/state")).send().await.expect("an answer").status(), 405);
    let port = url.rsplit(':').next().expect("a port").to_owned();
    let outside = docker(&["network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}"]);
    let reached = tokio::net::TcpStream::connect(format!("{outside}:{port}")).await;
    assert!(reached.is_err(), "`{outside}` is an address of this machine that others reach");
    dashboard.signal(Signal::TERM);
    dashboard.finish().await.succeeded();
}
