//! That a line of the log leads to the request's trace, and is JSON whatever client and app have sent.

use deploy_apps::model::Route;
use serde_json::Value;

use crate::client::ask;
use crate::world::{World, eventually};

const CLIENTS: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OF_APP: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

#[tokio::test]
async fn the_log_has_the_clients_trace_or_the_one_that_the_app_began() {
    let world = World::start().await;
    let backend = world.backend("web").await;
    let mut record = world.serving("web", &[&backend]);
    record.routes = vec![Route { host: None, path: "/".to_owned(), strip: false }];
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
    let logged = async || {
        let text = world.logs().await;
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["request_id"].is_string()).collect::<Vec<_>>()
    };
    eventually("a line of JSON for each request", async || logged().await.len() == cases.len()).await;
    for line in logged().await {
        let (id, .., wanted) = cases.into_iter().find(|(id, ..)| line["request_id"] == *id).expect("a request of ours");
        assert_eq!(line["traceparent"], wanted, "{id}");
    }
}
