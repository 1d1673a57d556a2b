//! HTTPS with certificates of one's own: deployed with the app, replaced under load, and gone with it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use serde_json::json;

use crate::harness::{App, DEADLINE, Host, Scenario, eventually};

pub(crate) struct Made {
    pub(crate) pem: String,
    key: String,
}

pub(crate) fn made(name: &str, until: i32) -> Made {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(until, 1, 1));
    let key = KeyPair::generate().expect("a key");
    Made { pem: params.self_signed(&key).expect("a certificate").pem(), key: key.serialize_pem() }
}

/// Into the files that the compose file names.
pub(crate) fn write(host: &Host, one: &Made) {
    std::fs::write(host.folder().join("web.pem"), &one.pem).expect("a writable folder");
    std::fs::write(host.folder().join("web.key"), &one.key).expect("a writable folder");
}

pub(crate) fn secure(app: App) -> App {
    let tls = json!({ "certificate": "./web.pem", "key": "./web.key", "hsts": "30d" });
    app.set("/x-deploy-apps/routes", json!([{ "host": "web.localhost", "tls": tls }]))
}

/// Trusts these alone, checks the name, and opens a connection for each request.
fn client(port: u16, trusted: &[&Made]) -> reqwest::Client {
    let address: SocketAddr = ([127, 0, 0, 1], port).into();
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).timeout(DEADLINE);
    let roots = trusted.iter().map(|one| reqwest::Certificate::from_pem(one.pem.as_bytes()).expect("PEM"));
    let client = client.tls_certs_only(roots).redirect(reqwest::redirect::Policy::none());
    client.resolve("web.localhost", address).build().expect("a client")
}

pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_app_is_served_over_https_and_its_certificate_replaced_under_load() {
    let port = free_port();
    let scenario = Scenario::new("https").app(secure(App::new("web"))).proxy("https_port", json!(port));
    let mut host = scenario.start().await;
    let (one, two) = (made("web.localhost", 2090), made("web.localhost", 2091));
    write(&host, &made("other.localhost", 2090));
    host.deploy(&["web"]).await.exited(5).says("is for `other.localhost`");
    write(&host, &made("web.localhost", 2021));
    host.deploy(&["web"]).await.exited(5).says("has expired on 2021-01-01");
    write(&host, &one);
    host.deploy(&["web"])
        .await
        .succeeded()
        .says("certificate of web.localhost stored, valid until 2090-01-01")
        .says(&format!("https://web.localhost:{port}"));
    let url = format!("https://web.localhost:{port}/healthz");
    let answer = client(port, &[&one]).get(&url).send().await.expect("an answer");
    assert_eq!(answer.headers()["strict-transport-security"], "max-age=2592000");
    assert_eq!(answer.status().as_u16(), 200);
    assert!(client(port, &[&two]).get(&url).send().await.is_err(), "another authority");
    let plain = client(host.address().port(), &[]).get(format!("http://web.localhost:{}/a?b", host.address().port()));
    let plain = plain.send().await.expect("an answer");
    let location = plain.headers()["location"].to_str().expect("text").to_owned();
    assert_eq!((plain.status().as_u16(), location), (308, format!("https://web.localhost:{port}/a?b")));
    host.deploy(&["web"]).await.succeeded().says("up to date");

    let (is_over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let lanes: Vec<_> = (0..4)
        .map(|_| {
            let (client, url) = (client(port, &[&one, &two]), url.clone());
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
    write(&host, &two);
    host.deploy(&["plan", "web"]).await.exited(11).says("store certificate of `web.localhost`, valid until 2091-01-01");
    host.deploy(&["web"]).await.succeeded().says("certificate of web.localhost stored, valid until 2091-01-01");
    assert!(client(port, &[&two]).get(&url).send().await.is_ok());
    assert!(client(port, &[&one]).get(&url).send().await.is_err(), "the one before");
    host.runs(&["web-r1-1"]).await;
    // A release more, and back: the certificate stays the newest.
    host.change("web", |app| app.env("VERSION", "2"));
    host.deploy(&["web"]).await.succeeded();
    host.deploy(&["rollback", "web"]).await.succeeded();
    assert!(client(port, &[&two]).get(&url).send().await.is_ok());
    is_over.store(true, Ordering::SeqCst);
    for lane in lanes {
        lane.await.expect("no failed request");
    }
    assert!(count.load(Ordering::SeqCst) > 50);

    let listed = host.cli(&["certificates", "--format", "json"]).run().await.succeeded().document("certificates");
    let listed = &listed["certificates"][0];
    assert_eq!(
        (&listed["host"], &listed["source"], &listed["trouble"]),
        (&json!("web.localhost"), &json!("file"), &json!(null))
    );
    host.deploy(&["certificates"]).await.succeeded().says("2091-01-01");
    let container = std::process::Command::new("docker").args(["inspect", &format!("{}-proxy", host.name())]).output();
    let container = String::from_utf8(container.expect("the docker command").stdout).expect("text");
    assert!(!container.contains("PRIVATE KEY"));
    host.deploy(&["remove", "web", "--yes"]).await.succeeded();
    host.deploy(&["certificates"]).await.succeeded().says("no certificate is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_running_proxy_gets_its_port_for_https_by_an_upgrade() {
    let mut host = Scenario::new("https-later").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let (port, one) = (free_port(), made("web.localhost", 2090));
    host.change_proxy("https_port", json!(port));
    host.change("web", secure);
    write(&host, &one);
    host.deploy(&["web"]).await.exited(6).says("runs with other settings").says("`deploy-apps proxy upgrade`");
    host.deploy(&["proxy", "upgrade"]).await.succeeded();
    host.deploy(&["web"]).await.succeeded();
    let url = format!("https://web.localhost:{port}/healthz");
    let served = async || client(port, &[&one]).get(&url).send().await.ok().map(drop);
    eventually("HTTPS", DEADLINE, served).await;
}
