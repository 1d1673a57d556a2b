//! What containers write, and commands that run beside theirs.

use std::collections::BTreeSet;
use std::process::Stdio;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

use crate::harness::{App, DEADLINE, Host, Scenario, binary, docker, eventually};

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_merged_in_the_order_of_time_with_their_names() {
    let host = Scenario::new("logs").app(App::new("web").replicas(2)).app(App::new("b")).start().await;
    host.deploy(&["--all"]).await.succeeded();
    let output = host.cli(&["logs"]).run().await.succeeded();
    let version = host.record("web").await.expect("a record").version;
    let other = host.record("b").await.expect("a record").version;
    assert_eq!(
        sorted(&output.stdout),
        [
            format!("b r1-1   | b {other} (r1, replica 1) runs with FAULT=none on port 8080"),
            format!("web r1-1 | web {version} (r1, replica 1) runs with FAULT=none on port 8080"),
            format!("web r1-2 | web {version} (r1, replica 2) runs with FAULT=none on port 8080"),
        ]
    );

    let json = host.cli(&["logs", "web", "b", "--format", "json"]).run().await.succeeded();
    let lines: Vec<Value> = json.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    lines.iter().for_each(|line| crate::schema::validates("logs", line));
    let times: Vec<&str> = lines.iter().filter_map(|line| line["at"].as_str()).collect();
    assert!(times.is_sorted() && times.len() == 3, "{times:?}");

    assert_eq!(host.cli(&["logs", "--tail", "0"]).run().await.succeeded().stdout, "");
    assert!(!host.cli(&["logs", "proxy"]).run().await.succeeded().stderr.is_empty(), "nginx's own words");
    host.cli(&["logs", "--since", "1h", "b"]).run().await.succeeded().says("b r1-1 | b ");
    assert_eq!(host.cli(&["logs", "--since", "2200-01-01T00:00:00Z"]).run().await.succeeded().stdout, "");
    host.cli(&["logs", "--tail", "many"]).run().await.exited(2).says("a number of lines, or `all`");
    let gone = host.cli(&["logs", "web", "--release", "r7"]).run().await.exited(6);
    assert_eq!(
        gone.stderr,
        "error: there is no container of `web` in r7 whose log could be read\n\n\
         hint: `deploy-apps status` shows what there is; the log of a replica goes with its container\n"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_followed_log_goes_from_the_old_release_to_the_new_one() {
    let host = Scenario::new("follow").app(App::new("web").replicas(2)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut follow = host.cli(&["logs", "web", "-f", "--format", "json"]).spawn();
    let mut seen = BTreeSet::new();
    while seen.len() < 6 {
        // What was there has been told, so the deploy begins under the eyes of the follower.
        if seen.len() == 2 {
            host.deploy(&["web", "--force"]).await.succeeded();
        }
        let line: Value = serde_json::from_str(&follow.line().await).expect("JSON");
        let text = line["text"].as_str().expect("text");
        let what = ["runs", "stopped"].into_iter().find(|word| text.contains(word)).expect("a word of fault-app");
        seen.insert((line["release"].to_string(), line["replica"].to_string(), what));
    }
    let wanted = [
        ("1", "1", "runs"),
        ("1", "2", "runs"),
        ("1", "1", "stopped"),
        ("1", "2", "stopped"),
        ("2", "1", "runs"),
        ("2", "2", "runs"),
    ];
    let wanted = wanted.map(|(release, replica, what)| (release.to_owned(), replica.to_owned(), what));
    assert_eq!(seen, wanted.into());
    follow.signal(Signal::INT);
    follow.finish().await.succeeded();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_proxys_own_log_is_read_and_followed() {
    let host = Scenario::new("access-log").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let ask = async |path: &str| assert!(host.try_get("web", path).await.is_some());
    ask("/before").await;
    let logged = |text: String| text.lines().filter(|line| line.contains("\"path\":\"/before\"")).count();
    let before = async || (logged(host.cli(&["logs", "proxy"]).run().await.succeeded().stdout) == 1).then_some(());
    eventually("the line of the request", DEADLINE, before).await;
    let raw = docker(&["logs", &host.nginx()]);
    assert!(!raw.contains("/before"), "the engine has no part in it: {raw}");

    let mut follow = host.cli(&["logs", "proxy", "-f", "--tail", "1", "--format", "json"]).spawn();
    let mut paths = Vec::new();
    while paths.len() < 2 {
        let line: Value = serde_json::from_str(&follow.line().await).expect("JSON");
        crate::schema::validates("logs", &line);
        let Ok(request) = serde_json::from_str::<Value>(line["text"].as_str().expect("text")) else { continue };
        paths.push(request["path"].as_str().expect("a path").to_owned());
        if paths.len() == 1 {
            ask("/after").await;
        }
    }
    assert_eq!(paths[1], "/after");
    follow.signal(Signal::INT);
    follow.finish().await.succeeded();
    assert_eq!(host.cli(&["logs", "proxy", "--since", "2200-01-01T00:00:00Z"]).run().await.succeeded().stdout, "");

    docker(&["stop", &host.nginx(), &format!("{}-proxy", host.name())]);
    let stopped = host.cli(&["logs", "proxy"]).run().await.succeeded();
    let stopped = stopped
        .says(&format!("its requests are in files of its volume `{}-state`", host.name()))
        .says("hint: `deploy-apps doctor --fix` starts it");
    assert!(!stopped.stdout.contains("/before"), "{stopped}");
    host.deploy(&["doctor", "--fix"]).await.succeeded();
    let again = host.cli(&["logs", "proxy"]).run().await.succeeded();
    assert_eq!(logged(again.stdout), 1, "what was written before is there");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_leaves_ends_it_quietly() {
    let host = Scenario::new("head").app(App::new("web").replicas(3)).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut child = Command::new(binary())
        .args(["logs", "-f"])
        .current_dir(host.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    lines.next_line().await.expect("text").expect("a line");
    drop(lines);
    // The next line finds nobody.
    host.deploy(&["web", "--force"]).await.succeeded();
    let output = child.wait_with_output().await.expect("an end");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

/// Runs a command in `web` with this on its standard input.
async fn exec(host: &Host, args: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(binary())
        .args([&["exec", "web"], args].concat())
        .current_dir(host.folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a process");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(input.as_bytes()).await.expect("written");
    drop(stdin);
    let output = child.wait_with_output().await.expect("an end");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), stdout, stderr)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_runs_in_the_replica_that_serves_with_its_streams_and_its_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    // fault-app's image is empty but for itself; this one has a shell.
    let dockerfile = format!(
        "ARG BASE_IMAGE\nFROM {} AS app\nFROM $BASE_IMAGE\nCOPY --from=app /fault-app /fault-app\nENTRYPOINT [\"/fault-app\"]\n",
        crate::harness::FAULT_APP
    );
    std::fs::write(folder.path().join("Dockerfile"), dockerfile).expect("written");
    let app = App::built_from("web", folder.path()).replicas(2);
    let host = Scenario::new("exec").app(app).start().await;
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["web", "--force"]).await.succeeded();

    let passed = exec(&host, &["--", "sh", "-c", "cat; echo $DEPLOY_APPS_RELEASE >&2; exit 7"], "typed\n").await;
    assert_eq!(passed, (Some(7), "typed\n".to_owned(), "r2\n".to_owned()));
    let large = "0123456789abcdef".repeat(16 * 1024);
    assert_eq!(exec(&host, &["cat"], &large).await, (Some(0), large, String::new()));
    let (code, number, _) = exec(&host, &["--replica", "2", "--", "sh", "-c", "echo $DEPLOY_APPS_REPLICA"], "").await;
    assert_eq!((code, number.as_str()), (Some(0), "2\n"));
    assert_eq!(exec(&host, &["sh", "-c", "test -t 0"], "").await.0, Some(1), "no terminal, so none inside");

    let (code, stdout, stderr) = exec(&host, &["no-such-command"], "").await;
    assert!(matches!(code, Some(126 | 127)) && stdout.is_empty(), "{code:?} {stdout}");
    let replica = format!("{}-web-r2-1", host.name());
    assert_eq!(
        stderr,
        format!(
            "error: `no-such-command` cannot be run in `{replica}`: \"no-such-command\": executable file not found in $PATH\n\n\
             hint: name a command that is in the image\n"
        )
    );
    let (code, _, stderr) = exec(&host, &["--release", "r1", "--", "true"], "").await;
    assert_eq!(code, Some(6));
    assert_eq!(
        stderr,
        format!("error: no replica r1 of `web` runs\n\nhint: these run: `{replica}`, `{}-web-r2-2`\n", host.name())
    );
    host.cli(&["exec", "wbe", "--", "true"]).run().await.exited(2).says("did you mean `web`?");
    host.cli(&["exec", "web"]).run().await.exited(2);
    assert_eq!(json!(exec(&host, &["-T", "true"], "").await.0), json!(0));
}
