//! Wrong input: the whole of what the user reads, and the exit code.

use serde_json::json;

use crate::harness::{App, DEADLINE, Host, Output, Scenario, binary, docker, eventually};

/// Runs in a folder with this compose file and compares all that is said.
async fn refused(file: &str, args: &[&str], code: i32, says: &str) {
    let host = Scenario::new("input").start().await;
    std::fs::write(host.folder().join("compose.yaml"), file).expect("a file");
    is(&host, host.deploy(args).await, code, says);
}

/// Nothing on standard output, this on standard error, with what differs from run to run put in.
#[track_caller]
pub fn is(host: &Host, output: Output, code: i32, says: &str) {
    let folder = host.folder().display().to_string();
    let said = output.stderr.replace(&folder, "FOLDER").replace(host.name(), "PROJECT");
    assert_eq!(said.trim_end(), says, "standard error\n{output}");
    assert_eq!(output.stdout, "", "{output}");
    assert_eq!(output.code, Some(code), "{output}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compose_file_that_is_not_there_is_asked_for() {
    let host = Scenario::new("input").start().await;
    std::fs::remove_file(host.folder().join("compose.yaml")).expect("removed");
    is(
        &host,
        host.deploy(&["web"]).await,
        5,
        "error: no `compose.yaml` in `FOLDER` or above it\nhint: go to the project's folder, or name the file: `-f FILE`",
    );
    is(
        &host,
        host.deploy(&["-f", "other.yaml", "web"]).await,
        5,
        "error: `other.yaml` does not exist\nhint: check its path",
    );
    is(&host, host.deploy(&["-f", ".", "web"]).await, 5, "error: `.` is a folder\nhint: name the file in it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_in_a_compose_file_is_shown_at_its_place() {
    refused(
        "services: [a, b\n",
        &["web"],
        5,
        "error: compose.yaml:1:11: not valid YAML: unclosed bracket '['\n  1 | services: [a, b\n    |           ^\n\
         hint: check indentation, quotes and colons around here",
    )
    .await;
    refused(
        "services:\n  web:\n    image: a:1\n    comand: run\n    x-deploy-apps: { port: 80 }\n",
        &["web"],
        5,
        "error: compose.yaml:4:5: unknown key `comand` in `service`\n  4 |     comand: run\n    |     ^^^^^^\n\
         hint: did you mean `command`?",
    )
    .await;
    refused("services:\n  web:\n    image: a:1\n    x-deploy-apps: { port: http }\n", &["web"], 5, "error: compose.yaml:4:28: `port` must be a whole number from 1 to 65535, not `http`\n  4 |     x-deploy-apps: { port: http }\n    |                            ^^^^").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_required_variable_that_is_not_set_is_named_with_its_reason() {
    refused(
        "services:\n  web:\n    image: a:${TAG:?the release to deploy}\n    x-deploy-apps: { port: 80 }\n",
        &["web"],
        5,
        "error: compose.yaml:3:14: required variable `TAG` is not set: the release to deploy\n  \
         3 |     image: a:${TAG:?the release to deploy}\n    |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n\
         hint: set it: `export TAG=…`, or put it into `.env`",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_routed_app_without_a_port_is_told_to_name_one() {
    refused(
        "services:\n  web:\n    image: a:1\n    x-deploy-apps: { routes: [{ host: a.test }] }\n",
        &["web"],
        5,
        "error: compose.yaml:4:22: app `web` has `routes` but no `port`\n  \
         4 |     x-deploy-apps: { routes: [{ host: a.test }] }\n    |                      ^^^^^^\n\
         hint: add the `port` that it listens on, or remove what only a routed app needs",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_apps_of_a_file_cannot_have_one_route() {
    refused(
        "services:\n  a:\n    image: a:1\n    x-deploy-apps: { port: 80, routes: [{ host: a.test }] }\n  \
         b:\n    image: a:1\n    x-deploy-apps: { port: 80, routes: [{ host: a.test }] }\n",
        &["a"],
        5,
        "error: compose.yaml:7:41: apps `a` and `b` have one route, `a.test/`; that of `a` is in line 4\n  \
         7 |     x-deploy-apps: { port: 80, routes: [{ host: a.test }] }\n    \
         |                                         ^\n\
         hint: give one of them another host or path",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_that_is_not_in_the_file_is_wrong_use_with_a_suggestion() {
    let host = Scenario::new("input").app(App::new("front")).app(App::new("back")).start().await;
    is(&host, host.deploy(&["frnt"]).await, 2, "error: unknown app `frnt`\nhint: did you mean `front`?");
    is(&host, host.deploy(&["zzz"]).await, 2, "error: unknown app `zzz`\nhint: the apps are: front back");
    is(
        &host,
        host.deploy(&[]).await,
        2,
        "error: no app is named\n\nhint: name one or more of `front`, `back`, or use `--all`",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_no_apps_is_nothing_to_deploy() {
    refused(
        "name: input\nservices:\n  db: { image: a:1 }\n",
        &["--all"],
        2,
        "error: project `input` has no apps: no service that takes part has an `x-deploy-apps` block\n\
         hint: add `x-deploy-apps: { port: 8080 }` to the service that is to be rolled, or let one take part with `--profile`",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_of_another_project_on_the_same_proxy_is_left_to_it() {
    let host = Scenario::new("route-taken").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let load = host.steady_load("web").await;
    let second = host.cli(&["web", "--project-name", &format!("{}-two", host.name())]).run().await;
    is(
        &host,
        second,
        6,
        "error: route `web.localhost/` of app `PROJECT-two/web` is taken by app `PROJECT/web`, which the same proxy serves\n\n\
         hint: give one of the two another `host` or `path` than `web.localhost/` in `x-deploy-apps.routes`",
    );
    crate::harness::none_lost(&load.stop().await);
    host.is_clean(&["web-r1-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_something_else_listens_on_is_named_and_nothing_is_left() {
    let host = Scenario::new("port-taken").app(App::new("web")).start().await;
    let taken = std::net::TcpListener::bind(host.address()).expect("the port");
    let output = host.deploy(&["web"]).await.exited(1);
    let port = host.address().port();
    output.says(&format!("port {port} of the host is in use")).says(&format!("sudo ss -ltnp 'sport = :{port}'"));
    let left = docker(&["ps", "-a", "--filter", &format!("name=^{}-", host.name()), "--format", "{{.Names}}"]);
    assert_eq!(left, "", "not even the proxy's container is left");
    drop(taken);
    host.deploy(&["web"]).await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_is_not_to_be_had_is_named() {
    let app = App::new("web")
        .set("/build", json!(null))
        .set("/image", json!("e2e-nothing:1"))
        .set("/pull_policy", json!("never"));
    let host = Scenario::new("no-image").app(App::new("good")).app(app).start().await;
    // Else the proxy's start would be a line of what is said.
    host.deploy(&["good"]).await.succeeded();
    is(
        &host,
        host.deploy(&["web"]).await,
        1,
        "error: image `e2e-nothing:1` of service `web` is not on the engine\n\n\
         hint: `docker pull e2e-nothing:1`, or set `pull_policy: missing`",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_ends_the_wait_for_a_compose_file() {
    let host = Scenario::new("input").start().await;
    let mut command = std::process::Command::new(binary());
    command.args(["-f", "-", "web"]).current_dir(host.folder());
    command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().expect("started");
    let status = format!("/proc/{}/status", child.id());
    // The bit of SIGTERM among the signals that it handles.
    let listens = async || {
        let text = std::fs::read_to_string(&status).ok()?;
        let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
        (u64::from_str_radix(mask, 16).ok()? & 0x4000 != 0).then_some(())
    };
    eventually("it listens to signals", DEADLINE, listens).await;
    let killed = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
    assert!(killed.expect("kill").success());
    let ended = async || child.try_wait().expect("a child");
    let code = eventually("it ends", DEADLINE, ended).await.code();
    assert_eq!(code, Some(143));
}
