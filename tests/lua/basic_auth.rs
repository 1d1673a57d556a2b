//! Basic auth: who comes with which password, what of it reaches the app, and that comparing holds nobody up.

use deploy_apps::model::{AppRecord, AuthUser, BasicAuth};
use deploy_apps::ports::Proxy;
use futures_util::future::join_all;
use serde_json::json;

use crate::client::{Answer, ask};
use crate::world::{Setup, World};

/// `secret`, `b:öb` and `slow`.
const ANN: &str = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";
const BOB: &str = "$2b$05$ABCDEFGHIJKLMNOPQRSTUurThSydhibnWMhrVcZ3eaGZnl5ZhqInS";
const SLOW: &str = "$2y$12$ABCDEFGHIJKLMNOPQRSTUuYYEVryoF2quOC4yTku0wL1awKs6D7rS";

fn guarded(mut record: AppRecord, forward: bool, users: &[(&str, &str)]) -> AppRecord {
    let user = |(name, hash): &(&str, &str)| AuthUser { name: (*name).to_owned(), hash: (*hash).to_owned() };
    let users = users.iter().map(user).collect();
    record.settings.basic_auth = Some(BasicAuth::new("Staging".to_owned(), forward, users));
    record
}

fn basic(credential: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |bytes: &[u8]| -> String {
        let bits = bytes.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - bytes.len()));
        let digit = |at: usize| if at > bytes.len() { '=' } else { char::from(DIGITS[bits >> (18 - 6 * at) & 63]) };
        (0..4).map(digit).collect()
    };
    format!("Authorization: Basic {}\r\n", credential.as_bytes().chunks(3).map(group).collect::<String>())
}

async fn with(world: &World, headers: &str) -> Answer {
    ask(world.target, &format!("GET / HTTP/1.1\r\nHost: web.test\r\n{headers}Connection: close\r\n\r\n")).await
}

#[tokio::test]
async fn only_who_has_a_name_and_its_password_gets_to_the_app() {
    let world = World::start().await;
    let backend = world.backend("r1").await;
    let record = guarded(world.serving("web", &[&backend]), false, &[("ann", ANN), ("bob", BOB)]);
    world.flip(&[record.clone(), world.serving("other", &[&backend])]).await;
    // Twice: what is compared, and what is remembered of it.
    for _ in 0..4 {
        for credential in ["ann:secret", "bob:b:öb"] {
            let answer = with(&world, &basic(credential)).await;
            assert_eq!(answer.status, 200, "{credential}: {answer:?}");
            assert_eq!(answer.json()["headers"]["authorization"], json!(null), "the app gets no password");
        }
        let refused =
            ["ann:Secret", "ann:b:öb", "bob:secret", "bob:b", "ann:", ":secret", "ann", "cid:secret", "ann:secret\0"];
        for credential in refused {
            let answer = with(&world, &basic(credential)).await;
            assert_eq!(answer.status, 401, "{credential}");
            let challenge = "www-authenticate: basic realm=\"staging\", charset=\"utf-8\"";
            assert!(answer.head.to_ascii_lowercase().contains(challenge), "{answer:?}");
        }
    }
    let long = basic(&format!("ann:{}", "x".repeat(2000)));
    for headers in
        ["", "Authorization: Bearer secret\r\n", "Authorization: Basic !!!\r\n", "Authorization: Basic\r\n", &long]
    {
        assert_eq!(with(&world, headers).await.status, 401, "{headers}");
    }
    assert_eq!(world.get("other.test", "/").await.status, 200, "another app asks for nothing");
    world.drained(&["r1".to_owned()]).await;
    let known = world.control.state().await.expect("the state").apps;
    let kept = known.into_values().find_map(|app| app.record?.settings.basic_auth).expect("the setting");
    assert_eq!(kept.users.len(), 2, "a later flip has the users, too");

    world.flip(&[guarded(record, true, &[("ann", BOB)])]).await;
    assert_eq!(with(&world, &basic("ann:secret")).await.status, 401, "nothing is remembered of another list");
    let answer = with(&world, &basic("ann:b:öb")).await;
    assert!(answer.json()["headers"]["authorization"].is_string(), "{answer:?}");
    world.kill().await;
    world.boot().await;
    assert_eq!(with(&world, &basic("ann:b:öb")).await.status, 200, "it is on the disk");
    assert_eq!(with(&world, "").await.status, 401);
}

#[tokio::test]
async fn guesses_of_one_client_keep_nobody_else_out() {
    let world = World::with(Setup { trusted_proxies: "0.0.0.0/0", ..Setup::default() }).await;
    let backend = world.backend("r1").await;
    let users = [("ann", SLOW)];
    world.flip(&[guarded(world.serving("web", &[&backend]), false, &users), world.serving("other", &[&backend])]).await;
    let from = async |client: &str, credential: &str| {
        with(&world, &format!("X-Forwarded-For: {client}\r\n{}", basic(credential))).await.status
    };
    let guesses = async || {
        let guess = async |number: usize| from("198.51.100.66", &format!("ann:guess {number}")).await;
        join_all((0..60).map(guess)).await
    };
    let known = async || {
        // The same credential on several connections is compared once in each worker.
        let statuses = join_all((0..30).map(|_| from("203.0.113.9", "ann:slow"))).await;
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    };
    let neighbour = async || {
        let mut slowest = std::time::Duration::ZERO;
        for _ in 0..200 {
            let begun = std::time::Instant::now();
            assert_eq!(world.get("other.test", "/").await.status, 200);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    };
    let (statuses, (), slowest) = tokio::join!(guesses(), known(), neighbour());
    let count = |wanted: u16| statuses.iter().filter(|status| **status == wanted).count();
    println!(
        "{} guesses compared, {} refused; the neighbour's slowest answer took {slowest:?}",
        count(401),
        count(429)
    );
    assert_eq!(count(401) + count(429), 60, "{statuses:?}");
    assert!(count(429) > 0 && count(401) > 0, "{statuses:?}");
    assert_eq!(from("198.51.100.66", "ann:slow").await, 200, "who guesses no more is let in");
}

#[tokio::test]
async fn what_is_no_list_of_users_is_refused() {
    let world = World::start().await;
    let digest = "0".repeat(64);
    for (setting, wanted) in [
        (json!({ "realm": "a", "forward": false, "digest": digest, "users": [] }), "basic_auth.users"),
        (json!({ "realm": "a", "forward": false, "digest": digest }), "basic_auth.users"),
        (
            json!({ "realm": "a\"b", "forward": false, "digest": digest, "users": [{ "name": "a", "hash": ANN }] }),
            "basic_auth.realm",
        ),
        (
            json!({ "realm": "a", "forward": false, "digest": digest, "users": [{ "name": "a", "hash": "{SHA}x" }] }),
            "basic_auth.users[0].hash",
        ),
        (
            json!({ "realm": "a", "forward": false, "digest": digest, "users": [{ "name": "a:b", "hash": ANN }] }),
            "basic_auth.users[0].name",
        ),
    ] {
        let mut record = serde_json::to_value(world.record("web", Vec::new())).expect("JSON");
        record["basic_auth"] = setting;
        let body = json!({ "lease": "x", "changes": [{ "app": "t/web", "expect": 0, "record": record }] });
        let (status, answer) = world.call("POST", "/v1/flip", &body.to_string()).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!(wanted)), "{answer}");
    }
}
