//! That a line of the log leads to the request's trace, and is JSON whatever client and app have sent.

use deploy_apps::model::Route;
use serde_json::{Value, json};

use crate::client::ask;
use crate::control::closed_port;
use crate::world::{Setup, World, eventually};

const CLIENTS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OF_APP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn the_log_has_the_clients_trace_or_the_one_that_the_app_began() {
    let world = World::start().await;
    let backend = world.backend("web").await;
    let mut record = world.serving("web", &[&backend]);
    record.routes = vec![Route { host: None, path: "/".to_owned(), strip: false, tls: None }];
    world.flip(&[record]).await;

    let cases = [
        ("both", Some(CLIENTS), OF_APP, CLIENTS),
        ("of-the-app", None, OF_APP, OF_APP),
        ("malformed-by-client", Some("00-1-2-01"), OF_APP, OF_APP),
        ("malformed-by-app", None, "\",\"status\":200,\"x\":\"", ""),
        ("none", None, "", ""),
    ];
    for (id, client, app, _) in cases {
        let header = client.map(|text| format!("traceparent: {text}\r\n")).unwrap_or_default();
        let head = format!("Host: web\r\nX-Request-ID: {id}\r\n{header}Connection: close");
        let answer = ask(world.target, &format!("GET /traced?{app} HTTP/1.1\r\n{head}\r\n\r\n")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        // The answer is the app's affair.
        assert!(answer.head.contains(&format!("Traceresponse: {app}")), "{answer:?}");
    }
    for line in lines(&world, cases.len()).await {
        let (id, .., wanted) = cases.into_iter().find(|(id, ..)| line["request_id"] == *id).expect("a request of ours");
        assert_eq!(line["traceparent"], wanted, "{id}");
    }
}

#[tokio::test]
async fn each_line_has_how_the_request_ended_and_who_answered() {
    // Of one worker, so that the lines come in the requests' order.
    let world = World::with(Setup { workers: 1, ..Setup::default() }).await;
    let backend = world.backend("web").await;
    let mut dead = world.record("dead", vec![world.peer("dead-r1", closed_port(&world))]);
    dead.routes = vec![Route { host: Some("dead.test".to_owned()), path: "/".to_owned(), strip: false, tls: None }];
    let mut stripped = world.serving("web", &[&backend]);
    stripped.routes.push(Route { host: None, path: "/web".to_owned(), strip: true, tls: None });
    world.flip(&[stripped, dead]).await;

    let request = |host: &str, path: &str| format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let cases = [
        (request("web.test", "/a%20b?secret"), 200, json!("t/web"), json!(1)),
        (request("web.test", "/a%20b?secret"), 200, json!("t/web"), json!(1)),
        (request("elsewhere", "/web/x"), 200, json!("t/web"), json!(1)),
        (request("elsewhere", "/"), 404, Value::Null, Value::Null),
        (request("dead.test", "/"), 502, json!("t/dead"), Value::Null),
        ("nonsense\r\n\r\n".to_owned(), 400, Value::Null, Value::Null),
    ];
    for (text, status, ..) in &cases {
        assert_eq!(ask(world.target, text).await.status, *status, "{text}");
    }
    for (line, (text, status, app, replica)) in lines(&world, cases.len()).await.iter().zip(&cases) {
        assert_eq!((&line["status"], &line["app"]), (&json!(status), app), "{text}: {line}");
        assert_eq!((&line["replica"], line["retries"].is_u64()), (replica, true), "{text}: {line}");
    }
}

/// The log's lines, when there are so many.
async fn lines(world: &World, count: usize) -> Vec<Value> {
    let logged = async || {
        let text = world.logs().await;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["request_id"].is_string()).collect::<Vec<_>>()
    };
    eventually("a line of JSON for each request", async || logged().await.len() == count).await;
    logged().await
}

#[tokio::test]
async fn the_error_log_has_no_query() {
    let world = World::start().await;
    let mut dead = world.record("dead", vec![world.peer("r1", closed_port(&world))]);
    dead.routes = vec![Route { host: None, path: "/".to_owned(), strip: false, tls: None }];
    world.flip(&[dead]).await;
    for (target, referrer) in [
        ("/plain?token=SECRET", "http://b.test/?token=SECRET and=SECRET\", host: SECRET"),
        ("/quoted?{\"token\":\"SECRET\",\"more\":\"SECRET\"}", "http://b.test/no-query"),
        ("/twice?a=SECRET?b=SECRET", ""),
        ("/marks????????SECRET\"", ""),
        ("/end", ""),
    ] {
        let head = format!("GET {target} HTTP/1.1\r\nHost: dead.test\r\nReferer: {referrer}\r\nConnection: close");
        assert_eq!(ask(world.target, &format!("{head}\r\n\r\n")).await.status, 502, "{target}");
    }
    eventually("the log has the last of them", async || world.logs().await.contains("\"GET /end HTTP/1.1\"")).await;
    let log = world.logs().await;
    assert!(log.contains("connect() failed") && log.contains("\"GET /plain? HTTP/1.1\", upstream: "), "{log}");
    assert!(!log.contains("SECRET"), "{log}");

    // What came last is told before the proxy ends.
    assert_eq!(world.get("dead.test", "/very-last?SECRET").await.status, 502);
    world.stop().await;
    let log = world.logs().await;
    assert!(log.contains("\"GET /very-last? HTTP/1.1\"") && !log.contains("SECRET"), "{log}");
}
