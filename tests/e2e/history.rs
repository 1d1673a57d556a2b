//! What was done, as `history` tells it.

use regex::Regex;
use serde_json::{Value, json};

use crate::harness::{App, Host, Scenario};

async fn runs(host: &Host, args: &[&str]) -> Vec<Value> {
    let output = host.cli(&[&["history", "--format", "json"], args].concat()).run().await.succeeded();
    output.document("history")["runs"].as_array().expect("runs").clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn completed_failed_and_killed_runs_are_told_with_who_and_from_where() {
    let mut host = Scenario::new("history").app(App::new("web")).app(App::new("other")).start().await;
    let none = host.cli(&["history"]).run().await;
    assert_eq!(none.code, Some(8), "there is no proxy yet that could remember anything\n{none}");

    host.deploy(&["web", "other"]).await.succeeded();
    host.change("web", |app| app.fault("exit"));
    let failed = host.cli(&["web"]).env("GITHUB_ACTOR", "ann").env("CI_JOB_URL", "https://bot:secret@ci.example/7");
    failed.run().await.exited(1);
    host.change("web", |app| app.fault("none").env("RELEASE_MARK", "killed"));
    let killed = host.cli(&["web"]).env("DEPLOY_APPS_CRASH_AFTER", "2").run().await;
    assert_eq!(killed.code, None, "{killed}");
    host.deploy(&["web", "--lock-wait", "5s"]).await.succeeded();

    let told = runs(&host, &["web"]).await;
    let brief: Vec<(&Value, &Value, &Value)> =
        told.iter().map(|run| (&run["release"], &run["outcome"], &run["serving"])).collect();
    let (yes, no) = (json!(true), json!(false));
    assert_eq!(
        brief,
        [
            (&json!(4), &json!("completed"), &yes),
            (&json!(3), &json!("interrupted"), &no),
            (&json!(2), &json!("rolled_back"), &no),
            (&json!(1), &json!("completed"), &no),
        ]
    );
    assert_eq!((&told[2]["owner"], &told[2]["url"]), (&json!("ann"), &json!("https://ci.example/7")));
    assert!(told[0]["flipped_after_ms"].as_u64() <= told[0]["took_ms"].as_u64(), "{:#}", told[0]);
    assert_eq!(told[2]["flipped_after_ms"], Value::Null, "it never flipped");
    assert_eq!((&told[0]["from"], &told[0]["purpose"]), (&json!(1), &json!("deploy")));

    assert_eq!(runs(&host, &["web", "--limit", "2"]).await.len(), 2);
    let all = runs(&host, &[]).await;
    assert!(all.iter().any(|run| run["app"] == "other") && all.len() == 5, "{all:#?}");

    // Standard time of a zone that needs no files.
    let text = host.cli(&["history", "other"]).env("TZ", "EST5").env("GITHUB_ACTOR", "").run().await.succeeded();
    let line = text.stdout.lines().nth(1).expect("a run");
    let wanted = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d EST  +\S.* ago  deploy  r1  +\S+\+1  +completed, serves  .* on .*$";
    assert!(Regex::new(wanted).expect("a pattern").is_match(line), "{text}");

    let unknown = host.cli(&["history", "wbe"]).run().await.exited(2);
    assert_eq!(unknown.stderr, "error: unknown app `wbe`\n\nhint: did you mean `web`?\n");
}
