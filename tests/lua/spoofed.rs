//! What clients claim about where a request came from.

use crate::client::ask;
use crate::world::World;

/// Every header in which some server, cloud or framework looks for a client's address, its scheme, host or path.
const CLAIMS: &[&str] = &[
    "Forwarded",
    "X-Forwarded",
    "Forwarded-For",
    "X-Forwarded-By",
    "X-Forwarded-Client-Cert",
    "X-Forwarded-Method",
    "X-Forwarded-Path",
    "X-Forwarded-Port",
    "X-Forwarded-Protocol",
    "X-Forwarded-Scheme",
    "X-Forwarded-Server",
    "X-Forwarded-Ssl",
    "X-Forwarded-Uri",
    "X-Original-Forwarded-For",
    "X-Original-Host",
    "X-Original-Method",
    "X-Original-URI",
    "X-Original-URL",
    "X-Rewrite-URL",
    "X-Host",
    "X-HTTP-Host-Override",
    "X-Scheme",
    "X-Url-Scheme",
    "Front-End-Https",
    "CF-Connecting-IP",
    "CF-Connecting-IPv6",
    "CF-Visitor",
    "Client-IP",
    "Fastly-Client-IP",
    "Fly-Client-IP",
    "True-Client-IP",
    "X-Azure-ClientIP",
    "X-Client-IP",
    "X-Cluster-Client-IP",
    "X-Envoy-External-Address",
    "X-Originating-IP",
    "X-Remote-Addr",
    "X-Remote-IP",
    "X-Accel-Mapping",
    "X-Sendfile-Type",
    "Proxy",
    "X_Forwarded_For",
    "X_Real_IP",
];

#[tokio::test]
async fn no_claim_of_a_client_reaches_the_app() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    world.flip(&[world.serving("app", &[&backend])]).await;
    let claims: String = CLAIMS
        .iter()
        .flat_map(|name| [(*name).to_owned(), name.to_uppercase()])
        .map(|name| format!("{name}: claimed\r\n"))
        .collect();
    let request = format!("GET / HTTP/1.1\r\nHost: app.test\r\n{claims}X-Own: kept\r\nConnection: close\r\n\r\n");
    let answer = ask(world.target, &request).await;
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("claimed"), "{}", answer.body);
    assert_eq!(answer.json()["headers"]["x-own"], "kept");
}
