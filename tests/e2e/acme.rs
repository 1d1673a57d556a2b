//! HTTPS with certificates by ACME, of a real CA: got before the first flip, renewed without anybody, and never the end of what serves.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::harness::{App, DEADLINE, Host, Pebble, Scenario, TOKEN, docker, eventually};

const LONG_S: u64 = 90 * 86_400;
/// So short that it is renewed within a test.
const SHORT_S: u64 = 60;

fn automatic(app: App, host: &str) -> App {
    app.set("/x-deploy-apps/routes", json!([{ "host": host, "tls": "auto" }]))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Trusts this root alone, checks the name, and opens a connection for each request.
fn client(root: &str, host: &str, port: u16) -> reqwest::Client {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let root = reqwest::Certificate::from_pem(root.as_bytes()).expect("PEM");
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(DEADLINE);
    client.tls_certs_only([root]).resolve(host, address).build().expect("a client")
}

async fn listed(host: &Host) -> Value {
    let list = host.cli(&["certificates", "--format", "json"]).run().await.succeeded().document("certificates");
    list["certificates"][0].clone()
}

/// A host with a plain app that runs, and its port for HTTPS; the CA asks its proxy.
async fn running(test: &str, name: &str, seconds: u64, nonces: &'static str) -> Option<(Host, Pebble, u16)> {
    let port = free_port();
    let scenario = Scenario::new(test).app(App::new("web")).proxy("https_port", json!(port));
    let mut host = scenario.start().await;
    let pebble = Pebble::start(&host, seconds, nonces).await?;
    host.deploy(&["web"]).await.succeeded();
    host.change_proxy("acme", pebble.settings());
    host.change("web", |app| automatic(app, name));
    Some((host, pebble, port))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_got_before_the_first_flip_and_renewed_under_load() {
    // Of a hundred nonces thirty are rejected, as by a CA in trouble.
    let Some((host, pebble, port)) = running("acme", "shop.example", SHORT_S, "30").await else { return };
    let plan = host.deploy(&["plan", "web"]).await.exited(11);
    plan.says("order certificate of `shop.example` from").says("by HTTP within 600s");
    host.deploy(&["web"]).await.succeeded().says("certificate of shop.example stored, valid until");
    let root = pebble.root().await;
    let url = format!("https://shop.example:{port}/healthz");
    let client = client(&root, "shop.example", port);
    assert_eq!(client.get(&url).send().await.expect("an answer").status().as_u16(), 200);
    let first = listed(&host).await;
    assert_eq!((&first["source"], &first["trouble"]), (&json!("acme"), &Value::String(first_trouble(&first))));

    let (is_over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let lanes: Vec<_> = (0..4)
        .map(|_| {
            let (client, url) = (client.clone(), url.clone());
            let (is_over, count) = (Arc::clone(&is_over), Arc::clone(&count));
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    let answer = client.get(&url).send().await.expect("a handshake and an answer");
                    assert_eq!(answer.status().as_u16(), 200);
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    // Nobody asks for it.
    let renewed = async || (listed(&host).await["serial"] != first["serial"]).then_some(());
    eventually("a renewed certificate", DEADLINE * 4, renewed).await;
    let second = listed(&host).await;
    host.deploy(&["certificates", "renew", "shop.example"]).await.succeeded().says("shop.example");
    assert_ne!(listed(&host).await["serial"], second["serial"]);
    host.deploy(&["certificates", "renew", "other.example"])
        .await
        .exited(2)
        .says("has no certificate of `other.example`");
    host.deploy(&["proxy", "upgrade", "--force"]).await.succeeded();
    is_over.store(true, Ordering::SeqCst);
    for lane in lanes {
        lane.await.expect("no failed request");
    }
    assert!(count.load(Ordering::SeqCst) > 50);

    // Keys are in the volume alone, and one account is kept.
    let name = format!("{}-certificates", host.name());
    assert!(!docker(&["inspect", &name, &format!("{}-proxy", host.name())]).contains("PRIVATE KEY"));
    assert!(!docker(&["logs", &name]).contains("PRIVATE KEY"));
    let accounts = docker(&["exec", &name, "sh", "-c", "find /var/lib/deploy-apps/acme/lego -name '*.key' | wc -l"]);
    assert_eq!(accounts.trim(), "1");
    let open = "find /var/lib/deploy-apps/acme /var/lib/deploy-apps/certificates -type f -perm /077 | wc -l";
    assert_eq!(docker(&["exec", &name, "sh", "-c", open]).trim(), "0");
    host.deploy(&["remove", "web", "--yes"]).await.succeeded();
    host.deploy(&["certificates"]).await.succeeded().says("no certificate is kept");
}

/// One that lives for a minute always expires soon.
fn first_trouble(first: &Value) -> String {
    let day = first["not_after"].as_str().expect("a time").split('T').next().expect("a day").to_owned();
    format!("the certificate of `shop.example` expires on {day}, in 0 days")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_whose_certificate_cannot_be_had_is_refused_before_its_flip() {
    let Some((mut host, pebble, port)) = running("acme-refused", "wrong.example", LONG_S, "0").await else { return };
    pebble.name("wrong.example", "127.0.0.9").await;
    let before = host.record("web").await.expect("a record");
    let refused = host.deploy(&["web"]).await.exited(1);
    refused
        .says("gave no certificate of `wrong.example`")
        .says("urn:ietf:params:acme:error:connection")
        .says("hint: port 80 of this host must be open from outside for `wrong.example`");
    let after = host.record("web").await.expect("a record");
    assert_eq!((after.release, &after.routes), (before.release, &before.routes));
    assert_eq!(host.get("web", "/healthz").await.status, 200);
    host.change("web", |app| automatic(app, "blocked.example"));
    host.deploy(&["web"]).await.exited(1).says("urn:ietf:params:acme:error:rejectedIdentifier");

    // No failed order is repeated for ever: the CA is no longer asked.
    host.change("web", |app| automatic(app, "wrong.example"));
    host.deploy(&["web"]).await.exited(1);
    host.deploy(&["web"]).await.exited(1);
    host.deploy(&["web"]).await.exited(1).says("too many orders have failed within an hour");
    host.change("web", |app| automatic(app, "shop.example"));
    host.deploy(&["web"]).await.succeeded();
    let url = format!("https://shop.example:{port}/healthz");
    let answer = client(&pebble.root().await, "shop.example", port).get(url).send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_renewal_keeps_what_there_is_and_warns() {
    let Some((host, mut pebble, port)) = running("acme-down", "shop.example", LONG_S, "0").await else { return };
    host.deploy(&["web"]).await.succeeded();
    let (root, first) = (pebble.root().await, listed(&host).await);
    pebble.stop();
    host.deploy(&["certificates", "renew"])
        .await
        .exited(1)
        .says("gave no certificate of `shop.example`")
        .says("serves on");
    let url = format!("https://shop.example:{port}/healthz");
    let served = async |root: &str| client(root, "shop.example", port).get(&url).send().await.map(|_| ());
    served(&root).await.expect("the one that there was");
    assert_eq!(listed(&host).await["serial"], first["serial"]);
    host.deploy(&["certificates"]).await.succeeded().says("its renewal has failed");
    host.deploy(&["status"]).await.says("its renewal has failed");
    host.deploy(&["doctor"]).await.says("its renewal has failed").says("`deploy-apps certificates renew`");
    let metric = "deploy_apps_certificate_renewal_failures{host=\"shop.example\"} 1";
    let proxy = format!("{}-proxy", host.name());
    let scraped =
        "printf 'GET /v1/metrics HTTP/1.0\\r\\n\\r\\n' | socat -t3 - UNIX-CONNECT:/run/deploy-apps/control.sock";
    assert!(docker(&["exec", &proxy, "sh", "-c", scraped]).contains(metric));

    // A proxy that starts again has its certificate, and is told of the failure again.
    docker(&["restart", &proxy]);
    let again = async || served(&root).await.ok();
    eventually("HTTPS after a restart", DEADLINE, again).await;
    let told = async || (!listed(&host).await["renewal"].is_null()).then_some(());
    eventually("the failure", DEADLINE * 3, told).await;

    // The CA is back, and knows nobody any more: the account is registered again with its key.
    pebble.start_again().await;
    host.deploy(&["certificates", "renew"]).await.succeeded();
    served(&pebble.root().await).await.expect("a new one");
    assert!(listed(&host).await["renewal"].is_null());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wildcard_is_got_by_dns() {
    let Some((mut host, pebble, port)) = running("acme-dns", "*.shop.example", LONG_S, "0").await else { return };
    host.deploy(&["web"]).await.exited(5).says("`*.shop.example` is given only by way of DNS");
    let settings = pebble.settings_by_dns();
    let mut wrong = settings.clone();
    wrong["dns"]["secrets"] = json!({ "HTTPREQ_PASSWORD": "./ca.pem", "HTTPREQ_USERNAME": "./ca.pem" });
    host.change_proxy("acme", wrong);
    host.deploy(&["web"]).await.exited(1).says("401").says("hint: check the provider's name and its credentials");
    host.change_proxy("acme", settings);
    host.deploy(&["plan", "web"]).await.exited(11).says("by DNS within 600s");
    host.deploy(&["web"]).await.succeeded();
    let root = pebble.root().await;
    for name in ["a.shop.example", "b.shop.example"] {
        let answer = client(&root, name, port).get(format!("https://{name}:{port}/healthz")).send().await;
        assert_eq!(answer.expect("an answer").status().as_u16(), 200);
    }
    let name = format!("{}-certificates", host.name());
    assert!(!docker(&["inspect", &name]).contains(TOKEN) && !docker(&["logs", &name]).contains(TOKEN));
}
