//! Logs that outlive their containers: `stack/logs.yaml` files every line once, and keeps it for as long as it is told.

use serde_json::Value;

use crate::harness::{Cli, DEADLINE, Host, docker, eventually, sample};

/// A run with the file of the collector besides the sample's own.
fn with_logs(host: &Host, args: &[&str]) -> Cli {
    let root = docker(&["info", "--format", "{{.DockerRootDir}}"]);
    let files = ["-f", "compose.yaml", "-f", "stack/logs.yaml"];
    host.cli(&[&files[..], args].concat()).env("CONTAINER_LOGS", &format!("{root}/containers"))
}

/// The lines of these files that hold the text, parsed.
fn lines(store: &str, files: &str, text: &str) -> Vec<Value> {
    let found = docker(&["exec", store, "sh", "-c", &format!("grep -hF '{text}' /logs/{files} || true")]);
    found.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Asks for this path of go-app as a part of this trace.
async fn ask(host: &Host, path: &str, trace: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.get(format!("http://{}{path}", host.address())).header("host", "go-app.localhost");
    let answer = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-01")).send().await;
    assert!(answer.expect("an answer").status().is_success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_is_filed_once_found_by_its_trace_and_kept_as_long_as_set() {
    let host = sample("logs-store").await;
    with_logs(&host, &["go-app", "logs-store"]).env("KEEP_APPS_DAYS", "10").run().await.succeeded();
    let store = format!("{}-logs-store-1", host.name());
    let trace = |number: u32| format!("{:032x}", u64::from(std::process::id()) << 32 | u64::from(number));

    ask(&host, "/version", &trace(1)).await;
    let filed = |trace: String| {
        let store = store.clone();
        // The app's own line, and the proxy's of the same request.
        eventually("the lines are filed", DEADLINE, async move || {
            let (apps, access) = (lines(&store, "apps-*.log", &trace), lines(&store, "access-*.log", &trace));
            (!apps.is_empty() && !access.is_empty()).then_some((apps, access))
        })
    };
    let (apps, access) = filed(trace(1)).await;
    let of_app: Vec<_> = apps.iter().map(|line| [&line["app"], &line["release"], &line["trace_id"]]).collect();
    assert_eq!(of_app, [[&Value::from("go-app"), &Value::from("r1"), &Value::from(trace(1))]], "{apps:#?}");
    assert_eq!((access.len(), &access[0]["request_id"]), (1, &apps[0]["request_id"]), "{access:#?}");

    // What is written while the collector is away is caught up with.
    docker(&["stop", "-t", "5", &store]);
    ask(&host, "/version", &trace(2)).await;
    let old = |name: &str, days: u32| {
        let script = format!("touch -d '{days} days ago' /logs/{name}-2020-01-01.log");
        // The volume alone: the collector is to find them when it starts.
        docker(&["run", "--rm", "--volumes-from", &store, "--entrypoint", "sh", &image(&store), "-c", &script]);
    };
    old("apps", 12);
    old("access", 12);
    docker(&["start", &store]);
    let (apps, _) = filed(trace(2)).await;
    assert_eq!((apps.len(), &apps[0]["release"]), (1, &Value::from("r1")), "{apps:#?}");
    // And a release's lines are there when its containers are not.
    with_logs(&host, &["go-app", "--force"]).run().await.succeeded();
    ask(&host, "/version", &trace(3)).await;
    let (apps, _) = filed(trace(3)).await;
    assert_eq!((apps.len(), &apps[0]["release"]), (1, &Value::from("r2")), "{apps:#?}");
    for earlier in [trace(1), trace(2)] {
        assert_eq!(lines(&store, "apps-*.log", &earlier).len(), 1, "lost, or read again after a restart");
    }

    // Apps for ten days, as was set; the access log for its ninety.
    let kept = async || {
        let names = docker(&["exec", &store, "ls", "/logs"]);
        (!names.contains("apps-2020-01-01") && names.contains("access-2020-01-01")).then_some(())
    };
    eventually("what is too old is deleted, and no more", DEADLINE, kept).await;
}

fn image(container: &str) -> String {
    docker(&["inspect", "--format", "{{.Image}}", container])
}
