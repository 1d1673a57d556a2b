//! A healthy host, and hosts that were broken for real.

use rustix::process::{Pid, Signal};
use serde_json::Value;

use crate::harness::{
    App, DEADLINE, FAULT_APP, Host, Output, OwnEngine, Scenario, children_of, docker, eventually, none_lost,
};
use crate::schema::validates;

async fn examined(host: &Host, args: &[&str]) -> (Output, Value) {
    let output = host.cli(&[&["doctor", "--format", "json"], args].concat()).run().await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"));
    validates("doctor", &document);
    (output, document)
}

/// The findings of this level, as `check: message`.
fn of_level(host: &Host, document: &Value, level: &str) -> Vec<String> {
    let findings = document["findings"].as_array().expect("findings").iter();
    let texts = findings.filter(|finding| finding["level"] == level).map(|finding| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", text("check"), text("message").replace(host.name(), "PROJECT"))
    });
    // What the machine itself is short of is no business of these tests.
    texts
        .filter(|text| !text.starts_with("limits") && !text.starts_with("images") && !text.starts_with("disk"))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_healthy_host_has_no_problem() {
    // Without a restart policy a replica would stay down after a reboot, and the doctor would say so.
    let host = Scenario::new("doctor-well").app(App::new("web").replicas(2)).start().await;
    let (before, document) = examined(&host, &[]).await;
    before.succeeded();
    let warnings = of_level(&host, &document, "warning");
    assert!(warnings.contains(&"proxy: there is no proxy `PROJECT` on this engine".to_owned()), "{document:#}");
    host.deploy(&["web"]).await.succeeded();
    let (output, document) = examined(&host, &[]).await;
    output.succeeded();
    assert_eq!(of_level(&host, &document, "problem"), [""; 0], "{document:#}");
    let fine = of_level(&host, &document, "ok");
    assert!(fine.contains(&"clock: this machine and the engine agree".to_owned()), "{document:#}");
    assert!(fine.iter().any(|text| text.starts_with("proxy: `PROJECT-proxy` runs with nginx ")), "{document:#}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_broken_is_found_and_what_needs_no_decision_is_fixed() {
    let mut host =
        Scenario::new("doctor-unhealthy").app(App::new("web").replicas(2)).app(App::new("api")).start().await;
    host.deploy(&["web", "api"]).await.succeeded();
    let load = host.steady_load("api").await;
    // A replica that somebody has stopped, one that somebody has removed, and what a killed deploy has left.
    docker(&["stop", "-t", "1", &format!("{}-web-r1-1", host.name())]);
    docker(&["rm", "-f", &format!("{}-web-r1-2", host.name())]);
    host.change("api", |app| app.env("RELEASE_MARK", "2"));
    let killed = host.cli(&["api"]).env("DEPLOY_APPS_CRASH_AFTER", "start `").run().await;
    assert_eq!(killed.code, None, "{killed}");

    let (output, document) = examined(&host, &[]).await;
    output.exited(1);
    assert_eq!(
        of_level(&host, &document, "problem"),
        [
            "replicas: `PROJECT-web-r1-1` is routed to and not running",
            "replicas: `PROJECT-web-r1-2` of `PROJECT/web` is routed to and does not exist",
        ],
        "{document:#}"
    );
    let warnings = of_level(&host, &document, "warning");
    assert!(
        warnings.contains(&"leftovers: `PROJECT-api-r2-1` is left of an interrupted run".to_owned()),
        "{document:#}"
    );

    let (output, document) = examined(&host, &["--fix"]).await;
    output.exited(1);
    let fixed = document["fixed"].to_string().replace(host.name(), "PROJECT");
    for step in ["start `PROJECT-web-r1-1`", "stop `PROJECT-api-r2-1`", "remove `PROJECT-api-r2-1`"] {
        assert!(fixed.contains(step), "{step}: {document:#}");
    }
    assert_eq!(
        of_level(&host, &document, "problem"),
        ["replicas: `PROJECT-web-r1-2` of `PROJECT/web` is routed to and does not exist"],
        "only a deploy can make another"
    );
    assert_eq!(host.get("web", "/healthz").await.status, 200);
    host.deploy(&["web", "api"]).await.succeeded();
    examined(&host, &[]).await.0.succeeded();
    none_lost(&load.stop().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_that_was_stopped_is_started_again() {
    let host = Scenario::new("doctor-proxy").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let name = format!("{}-proxy", host.name());
    docker(&["stop", "-t", "2", &name]);
    // The engine's list comes a moment after the end of the stop.
    let ended = || docker(&["ps", "-aq", "--filter", "status=exited", "--filter", &format!("name=^/?{name}$")]);
    eventually("the engine lists it as ended", DEADLINE, async || (!ended().is_empty()).then_some(())).await;
    let (output, document) = examined(&host, &[]).await;
    output.exited(1);
    assert_eq!(
        of_level(&host, &document, "problem"),
        ["proxy: `PROJECT-proxy` is not running, so nothing is served"],
        "{document:#}"
    );
    let (output, document) = examined(&host, &["--fix"]).await;
    output.succeeded();
    assert_eq!(document["fixed"][0], format!("start `{}-proxy`", host.name()), "{document:#}");
    assert_eq!(host.get("web", "/healthz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_file_or_an_engine_that_is_the_finding() {
    let host = Scenario::new("doctor-bare").app(App::new("web")).start().await;
    let nowhere = host.cli(&["doctor"]).env("DOCKER_HOST", "unix:///nowhere.sock").run().await.exited(1);
    assert!(
        nowhere
            .stdout
            .contains("problem  engine   no container engine at `unix:///nowhere.sock`: there is no such socket;"),
        "{nowhere}"
    );
    std::fs::write(host.folder().join("compose.yaml"), "services: [\n").expect("written");
    let (output, document) = examined(&host, &[]).await;
    output.exited(1);
    assert!(of_level(&host, &document, "problem")[0].starts_with("compose: compose.yaml:"), "{document:#}");
    std::fs::remove_file(host.folder().join("compose.yaml")).expect("removed");
    let (output, document) = examined(&host, &[]).await;
    let warnings = of_level(&host, &document, "warning");
    assert!(warnings[0].starts_with("compose: no `compose.yaml` in `"), "{output}");
}

/// An engine that is killed while it starts a container takes it for one that never ran; whoever removes it then leaves its
/// process behind, which no list has.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_the_engine_has_forgotten_is_named_with_what_ends_it() {
    let Some(mut engine) = Box::pin(OwnEngine::start("forgotten", 600, &["--live-restore"])).await else { return };
    let host = Scenario::new("forgotten").app(App::new("web")).on(&engine).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut shim = None;
    for attempt in 1..=20 {
        let id = engine.docker(&["create", "--name", &format!("ghost-{attempt}"), "--network", "none", FAULT_APP]);
        let (address, started) = (engine.host(), id.clone());
        let start = tokio::task::spawn_blocking(move || docker(&["-H", &address, "start", &started]));
        let shim_of = |engine: &OwnEngine| engine.shims().into_iter().find(|(_, container)| *container == id);
        let begun = async || shim_of(&engine).filter(|(pid, _)| !children_of(*pid).is_empty());
        eventually("its process is there", DEADLINE, begun).await;
        engine.end(Signal::KILL);
        start.await.expect("the docker command");
        engine.boot_as_it_is().await;
        // Had the start been noted down already, its process goes with it.
        engine.docker(&["rm", "-f", &id]);
        shim = shim_of(&engine).filter(|(pid, _)| !children_of(*pid).is_empty());
        if shim.is_some() {
            break;
        }
    }
    let (shim, container) = shim.expect("an engine that forgets one of twenty");
    let pid = children_of(shim)[0];
    // A start that is still under way looks the same for a while.
    let named = eventually("the doctor names it", DEADLINE, async || {
        let (output, document) = examined(&host, &[]).await;
        output.succeeded();
        of_level(&host, &document, "warning").into_iter().find(|text| text.starts_with("processes"))
    });
    let text = named.await;
    assert!(text.starts_with(&format!("processes: process {pid} (`")), "{text}");
    assert!(text.ends_with(&format!("is in container {}, which the engine has forgotten", &container[..12])), "{text}");
    let (output, _) = examined(&host, &[]).await;
    output.says(&format!("`sudo kill -KILL {pid}` ends it"));
    rustix::process::kill_process(Pid::from_raw(pid as i32).expect("a number"), Signal::KILL).expect("a process");
    eventually("it is named no more", DEADLINE, async || {
        let (_, document) = examined(&host, &[]).await;
        (!of_level(&host, &document, "warning").iter().any(|text| text.starts_with("processes"))).then_some(())
    })
    .await;
}
