//! HTTPS: which certificate a name gets, what becomes of an unknown one, and that a change loses no handshake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use deploy_apps::model::{AppRecord, Route, RouteTls};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::{PATIENCE, Setup, World};

struct Made {
    chain: String,
    key: String,
}

/// Signed by itself, so that a client that trusts it takes it and no other.
fn made(names: &[&str]) -> Made {
    let names = names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let key = KeyPair::generate().expect("a key");
    let certificate = CertificateParams::new(names).expect("names").self_signed(&key).expect("a certificate");
    Made { chain: certificate.pem(), key: key.serialize_pem() }
}

async fn world() -> World {
    World::with(Setup { https_port: Some(443), ..Setup::default() }).await
}

async fn store(world: &World, host: &str, expect: Option<&str>, one: &Made) -> (u16, Value) {
    let body = json!({
        "host": host, "project": "t", "expect": expect, "source": "file", "chain": one.chain, "key": one.key,
    });
    world.call("POST", "/v1/certificates", &body.to_string()).await
}

async fn stored(world: &World, host: &str, expect: Option<&str>, one: &Made) -> String {
    let (status, answer) = store(world, host, expect, one).await;
    assert_eq!(status, 200, "{answer}");
    answer["id"].as_str().expect("an id").to_owned()
}

fn secure(mut record: AppRecord, host: &str, redirect: bool, hsts: Option<u64>) -> AppRecord {
    let tls = Some(RouteTls { redirect, hsts });
    record.routes = vec![Route { host: Some(host.to_owned()), path: "/".to_owned(), strip: false, tls }];
    record
}

/// Trusts these alone. The same one resumes its sessions.
fn client(trusted: &[&Made], protocols: &[&str]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    for one in trusted {
        roots.add(CertificateDer::from_pem_slice(one.chain.as_bytes()).expect("PEM")).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

fn secure_port(world: &World) -> SocketAddr {
    SocketAddr::new(world.target.ip(), 443)
}

async fn shake(world: &World, client: &TlsConnector, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(secure_port(world)).await?;
    let name = ServerName::try_from(name.to_owned()).expect("a name");
    tokio::time::timeout(PATIENCE, client.connect(name, stream)).await.expect("a handshake in time")
}

/// The whole answer over a connection for `name` to a request for `host`.
async fn ask(world: &World, client: &TlsConnector, name: &str, host: &str) -> String {
    let mut stream = shake(world, client, name).await.expect("a handshake");
    let request = format!("GET /a?b HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("a sent request");
    let mut text = Vec::new();
    // nginx may end a connection without TLS's own word for it.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut text)).await.expect("an end in time");
    String::from_utf8_lossy(&text).into_owned()
}

fn seen(answer: &str) -> Value {
    let body = answer.split_once("\r\n\r\n").expect("a head").1;
    serde_json::from_str::<Value>(body).unwrap_or_else(|_| panic!("no report: {answer}"))["headers"].clone()
}

#[tokio::test]
async fn each_name_gets_its_own_certificate_and_an_unknown_one_none() {
    let world = world().await;
    let backend = world.backend("b1").await;
    let (shop, wild, exact) = (made(&["shop.test"]), made(&["*.wild.test"]), made(&["own.wild.test"]));
    stored(&world, "shop.test", None, &shop).await;
    stored(&world, "*.wild.test", None, &wild).await;
    stored(&world, "own.wild.test", None, &exact).await;
    for (name, one) in [("shop.test", &shop), ("a.wild.test", &wild), ("own.wild.test", &exact)] {
        assert!(shake(&world, &client(&[one], &[]), name).await.is_ok(), "{name}");
    }
    let all = client(&[&shop, &wild, &exact], &[]);
    for name in ["other.test", "a.b.wild.test", "wild.test", "127.0.0.1"] {
        let error = shake(&world, &all, name).await.expect_err("no certificate for it").to_string();
        assert!(error.contains("HandshakeFailure"), "{name}: {error}");
    }

    world.flip(&[secure(world.serving("app", &[&backend]), "shop.test", true, Some(60))]).await;
    let answer = ask(&world, &all, "shop.test", "shop.test").await;
    assert!(answer.contains("Strict-Transport-Security: max-age=60\r\n"), "{answer}");
    let headers = seen(&answer);
    assert_eq!((&headers["x-forwarded-proto"], &headers["x-forwarded-port"]), (&json!("https"), &json!("443")));
}

#[tokio::test]
async fn plain_http_is_sent_to_https_unless_told_otherwise() {
    let world =
        World::with(Setup { https_port: Some(8443), trusted_proxies: "10.198.0.0/16", ..Setup::default() }).await;
    let backend = world.backend("b1").await;
    let records = [
        secure(world.serving("app", &[&backend]), "shop.test", true, None),
        secure(world.serving("open", &[&backend]), "open.test", false, Some(60)),
        world.serving("plain", &[&backend]),
    ];
    world.flip(&records).await;
    let answer = world.get("Shop.test:80", "/a%20b?c=d").await;
    assert_eq!(answer.status, 308, "{answer:?}");
    assert!(answer.head.contains("Location: https://shop.test:8443/a%20b?c=d\r\n"), "{answer:?}");
    let open = world.get("open.test", "/").await;
    assert_eq!((open.backend().as_str(), open.head.contains("Strict-Transport")), ("b1", false));
    assert_eq!(world.get("plain.test", "/").await.backend(), "b1");
    // Whoever has come to a trusted proxy by HTTPS is where it should be.
    let request = "GET / HTTP/1.1\r\nHost: shop.test\r\nX-Forwarded-Proto: https\r\nConnection: close\r\n\r\n";
    assert_eq!(crate::client::ask(world.target, request).await.backend(), "b1");
    assert_eq!(backend.arrivals().len(), 3, "the redirect has reached no replica");
}

#[tokio::test]
async fn a_connection_serves_only_hosts_of_its_certificate() {
    let world = world().await;
    let backend = world.backend("b1").await;
    let (shop, other) = (made(&["shop.test"]), made(&["other.test"]));
    let wild = made(&["*.wild.test"]);
    for (host, one) in [("shop.test", &shop), ("other.test", &other), ("*.wild.test", &wild)] {
        stored(&world, host, None, one).await;
    }
    let mut everything = world.serving("app", &[&backend]);
    everything.routes = vec![Route { host: None, path: "/".to_owned(), strip: false, tls: None }];
    world.flip(&[everything]).await;
    let all = client(&[&shop, &other, &wild], &[]);
    for (name, host, status) in [
        ("shop.test", "shop.test", "200"),
        ("shop.test", "SHOP.test:443", "200"),
        ("shop.test", "other.test", "421"),
        ("shop.test", "nobody.test", "421"),
        ("shop.test", "a.wild.test", "421"),
        // Browsers put hosts of one certificate into one connection.
        ("a.wild.test", "b.wild.test", "200"),
    ] {
        let answer = ask(&world, &all, name, host).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host} over {name}: {answer}");
    }
}

#[tokio::test]
async fn a_certificate_is_replaced_under_load_without_a_failed_handshake() {
    let world = Arc::new(world().await);
    let backend = world.backend("b1").await;
    world.flip(&[secure(world.serving("app", &[&backend]), "shop.test", true, None)]).await;
    let certificates: Vec<Made> = (0..6).map(|_| made(&["shop.test"])).collect();
    let mut id = stored(&world, "shop.test", None, &certificates[0]).await;
    let (is_over, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let trusted: Vec<&Made> = certificates.iter().collect();
    let lanes: Vec<_> = (0..4)
        .map(|_| {
            let (world, is_over, count) = (Arc::clone(&world), Arc::clone(&is_over), Arc::clone(&count));
            let all = client(&trusted, &[]);
            tokio::spawn(async move {
                while !is_over.load(Ordering::SeqCst) {
                    let answer = ask(&world, &all, "shop.test", "shop.test").await;
                    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                    count.fetch_add(1, Ordering::SeqCst);
                }
            })
        })
        .collect();
    for next in &certificates[1..] {
        let before = count.load(Ordering::SeqCst);
        crate::world::eventually("some requests", async || count.load(Ordering::SeqCst) > before + 20).await;
        id = stored(&world, "shop.test", Some(&id), next).await;
    }
    // Acknowledged means that every handshake from now on gets it.
    for _ in 0..8 {
        assert!(shake(&world, &client(&[&certificates[5]], &[]), "shop.test").await.is_ok());
        assert!(shake(&world, &client(&[&certificates[4]], &[]), "shop.test").await.is_err(), "the one before");
    }
    is_over.store(true, Ordering::SeqCst);
    for lane in lanes {
        lane.await.expect("no failed handshake");
    }
}

#[tokio::test]
async fn a_change_names_the_one_that_it_replaces() {
    let world = world().await;
    let (one, other) = (made(&["shop.test"]), made(&["shop.test", "b.test"]));
    let first = stored(&world, "shop.test", None, &one).await;
    assert_eq!(stored(&world, "shop.test", None, &one).await, first, "as after an answer that was lost");
    let (status, refusal) = store(&world, "shop.test", None, &other).await;
    assert_eq!((status, &refusal["error"]["code"]), (409, &json!("certificate_moved")));
    for (host, one, field) in [
        ("x.test", &one, "chain"),
        ("shop.test", &Made { chain: one.chain.clone(), key: other.key.clone() }, "chain"),
        ("shop.test", &Made { chain: "x".to_owned(), key: one.key.clone() }, "chain"),
        ("shop.test", &Made { chain: one.chain.clone(), key: "x".to_owned() }, "key"),
        ("shop..test", &one, "host"),
    ] {
        let (status, refusal) = store(&world, host, Some(&first), one).await;
        let found = (status, &refusal["error"]["code"], &refusal["error"]["field"]);
        assert_eq!(found, (422, &json!("invalid_certificate"), &json!(field)), "{refusal}");
        assert!(!refusal.to_string().contains("PRIVATE"), "{refusal}");
    }
    // What is served of another project is not to be had.
    let backend = world.backend("b1").await;
    let mut foreign = secure(world.serving("app", &[&backend]), "b.test", false, None);
    foreign.project = "u".parse().expect("a name");
    world.flip(&[foreign]).await;
    let (status, refusal) = store(&world, "b.test", None, &other).await;
    assert_eq!((status, &refusal["error"]["code"]), (409, &json!("host_taken")));

    let second = stored(&world, "shop.test", Some(&first), &other).await;
    let body = json!({ "host": "shop.test", "project": "t", "expect": second, "chain": null, "key": null });
    assert_eq!(world.call("POST", "/v1/certificates", &body.to_string()).await, (200, json!({ "id": null })));
    assert!(shake(&world, &client(&[&one, &other], &[]), "shop.test").await.is_err());
    assert_eq!(world.call("GET", "/v1/certificates", "").await, (200, json!({ "certificates": [] })));
    assert_eq!(world.exec("ls /var/lib/deploy-apps/certificates").await, "");
}

#[tokio::test]
async fn certificates_outlive_the_proxy_and_nobody_else_reads_them() {
    let world = world().await;
    let one = made(&["shop.test", "*.shop.test"]);
    stored(&world, "*.shop.test", None, &one).await;
    stored(&world, "shop.test", None, &one).await;
    let (_, told) = world.call("GET", "/v1/certificates", "").await;
    let hosts: Vec<&str> =
        told["certificates"].as_array().expect("a list").iter().filter_map(|one| one["host"].as_str()).collect();
    assert_eq!(hosts, ["*.shop.test", "shop.test"]);
    assert_eq!(told["certificates"][0]["names"], json!(["shop.test", "*.shop.test"]));
    let (_, state) = world.call("GET", "/v1/state", "").await;
    assert_eq!(state["certificates"], told["certificates"]);
    for text in [told.to_string(), state.to_string(), world.logs().await] {
        assert!(!text.contains("PRIVATE KEY"), "{text}");
    }
    world.kill().await;
    world.boot().await;
    assert!(shake(&world, &client(&[&one], &[]), "a.shop.test").await.is_ok());
    let modes = world.exec("stat -c %a:%n /var/lib/deploy-apps/certificates /var/lib/deploy-apps/certificates/*").await;
    let folder = "/var/lib/deploy-apps/certificates";
    assert_eq!(modes, format!("700:{folder}\n600:{folder}/+.shop.test.json\n600:{folder}/shop.test.json"));

    // What a disk has damaged is told, and the others serve.
    world.exec("echo broken > /var/lib/deploy-apps/certificates/shop.test.json").await;
    world.kill().await;
    world.boot().await;
    assert!(shake(&world, &client(&[&one], &[]), "shop.test").await.is_err());
    assert!(shake(&world, &client(&[&one], &[]), "a.shop.test").await.is_ok());
    let (_, told) = world.call("GET", "/v1/certificates", "").await;
    assert_eq!(told["certificates"][1], json!({ "host": "shop.test", "id": null, "error": "its file is damaged" }));
    stored(&world, "shop.test", None, &one).await;
    assert!(shake(&world, &client(&[&one], &[]), "shop.test").await.is_ok());
}

#[tokio::test]
async fn http_2_is_chosen_where_the_client_can() {
    let world = world().await;
    let one = made(&["shop.test"]);
    stored(&world, "shop.test", None, &one).await;
    for (offered, chosen) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let stream = shake(&world, &client(&[&one], offered), "shop.test").await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(chosen.as_bytes()));
    }
}

#[tokio::test]
async fn a_session_is_resumed_by_any_worker() {
    let world = World::with(Setup { https_port: Some(443), workers: 4, ..Setup::default() }).await;
    let backend = world.backend("b1").await;
    let one = made(&["shop.test"]);
    stored(&world, "shop.test", None, &one).await;
    world.flip(&[secure(world.serving("app", &[&backend]), "shop.test", true, None)]).await;
    let same = client(&[&one], &[]);
    ask(&world, &same, "shop.test", "shop.test").await;
    for _ in 0..12 {
        let mut stream = shake(&world, &same, "shop.test").await.expect("a handshake");
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(rustls::HandshakeKind::Resumed));
        // The ticket for the next one comes after the handshake.
        stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n").await.expect("sent");
        let _ = stream.read_to_end(&mut Vec::new()).await;
    }
}

#[tokio::test]
async fn a_connection_with_a_proxy_line_may_speak_tls() {
    let setup =
        Setup { https_port: Some(443), trusted_proxies: "10.198.0.0/16", proxy_protocol: true, ..Setup::default() };
    let world = World::with(setup).await;
    let backend = world.backend("b1").await;
    let one = made(&["shop.test"]);
    stored(&world, "shop.test", None, &one).await;
    world.flip(&[secure(world.serving("app", &[&backend]), "shop.test", true, None)]).await;
    let mut stream = TcpStream::connect(SocketAddr::new(world.target.ip(), 8443)).await.expect("a connection");
    stream.write_all(b"PROXY TCP4 203.0.113.9 192.0.2.1 4711 443\r\n").await.expect("a sent line");
    let name = ServerName::try_from("shop.test").expect("a name");
    let mut stream = client(&[&one], &[]).connect(name, stream).await.expect("a handshake");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n").await.expect("a sent request");
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text).await;
    let headers = seen(&String::from_utf8_lossy(&text));
    assert_eq!((&headers["x-forwarded-for"], &headers["x-forwarded-proto"]), (&json!("203.0.113.9"), &json!("https")));
}
