//! Every error code of the contract, and answers that are none.

use super::super::testing::error;
use super::*;

async fn flip_refused(answer: fn() -> Reply) -> ProxyError {
    flip(&granting(move |_| answer())).await.expect_err("refused")
}

#[tokio::test]
async fn a_moved_generation_tells_both_numbers() {
    let refused =
        flip_refused(|| error(409, "generation_moved", json!({"app": "sample/go-app", "expected": 41, "found": 42})))
            .await;
    assert_eq!(refused, ProxyError::GenerationMoved { app: key("sample/go-app"), expected: 41, found: 42 });
}

#[tokio::test]
async fn a_route_conflict_names_the_other_app() {
    let details = json!({"app": "sample/go-app", "other_app": "shop/web", "host": null, "path": "/go-app"});
    let proxy = granting(move |_| error(409, "route_conflict", details.clone()));
    let expected =
        ProxyError::RouteConflict { app: key("sample/go-app"), other: key("shop/web"), route: "*/go-app".to_owned() };
    assert_eq!(flip(&proxy).await, Err(expected));
}

#[tokio::test]
async fn the_other_refusals_of_a_flip_keep_their_meaning() {
    let lost = flip_refused(|| error(410, "lease_lost", json!({"app": "sample/go-app"}))).await;
    assert_eq!(lost, ProxyError::LeaseLost { app: "sample/go-app".to_owned() });

    let full = flip_refused(|| error(507, "persist_failed", json!({}))).await;
    assert_eq!(full, ProxyError::PersistFailed { message: "about `persist_failed`".to_owned() });

    let invalid =
        flip_refused(|| error(422, "invalid_record", json!({"app": "sample/go-app", "field": "peers"}))).await;
    assert_eq!(invalid.to_string(), "the proxy refused the call: about `invalid_record` (`invalid_record`)");
}

#[tokio::test]
async fn an_unknown_code_or_missing_details_are_told_as_they_are() {
    let unknown = flip_refused(|| error(418, "out_of_tea", json!({}))).await;
    assert!(matches!(unknown, ProxyError::Refused { code, .. } if code == "out_of_tea"));
    let bare = flip_refused(|| error(409, "generation_moved", json!({}))).await;
    assert!(matches!(bare, ProxyError::Refused { code, .. } if code == "generation_moved"));
}

#[tokio::test]
async fn a_held_lease_tells_who_where_why_and_since_when() {
    let details =
        json!({"app": "sample/go-app", "owner": "ben", "host": "ci-3", "purpose": "deploy", "age_ms": 12_500});
    let proxy = ProxyInMemory::new(move |_| error(409, "lease_held", details.clone()));
    let held = proxy.client().acquire(&lease_request()).await.err();
    let expected = ProxyError::LeaseHeld {
        app: key("sample/go-app"),
        owner: "ben".to_owned(),
        host: "ci-3".to_owned(),
        purpose: "deploy".to_owned(),
        age: Duration::from_millis(12_500),
    };
    assert_eq!(held, Some(expected));
}

#[tokio::test]
async fn an_answer_that_is_not_understood_names_the_call_and_the_fault() {
    let proxy = ProxyInMemory::new(|_| Reply::Json(200, json!({"generation": "many"})));
    let malformed = proxy.client().state().await.expect_err("malformed");
    let text = malformed.to_string();
    let beginning = "the answer of the proxy `deploy-apps` to `GET /v1/state` is not understood: invalid type: string";
    assert!(text.starts_with(beginning), "{text}");
}

#[tokio::test]
async fn a_page_of_nginx_itself_is_shown_as_what_it_is() {
    let proxy = ProxyInMemory::new(|_| Reply::Text(502, "<html>\r\n<h1>502 Bad Gateway</h1>"));
    let malformed = proxy.client().state().await.expect_err("malformed");
    assert!(malformed.to_string().ends_with("status 502 with `<html><h1>502 Bad Gateway</h1>`"), "{malformed}");
}

#[tokio::test]
async fn another_api_is_refused_before_any_call_but_its_version_can_be_read() {
    let proxy = ProxyInMemory::new(|_| Reply::Close).with_api(2);
    let client = proxy.client();
    let wrong = ProxyError::WrongVersion { proxy: "deploy-apps".to_owned(), found: 2, wanted: 1 };
    assert_eq!(client.state().await, Err(wrong.clone()));
    assert_eq!(client.acquire(&lease_request()).await.err(), Some(wrong));
    assert_eq!(client.version().await.map(|version| version.api), Ok(2));
    assert_eq!(proxy.calls(), Vec::<String>::new());
}

#[tokio::test]
async fn a_proxy_that_no_longer_knows_the_call_is_of_another_api() {
    let proxy = ProxyInMemory::new(|_| error(404, "unknown_call", json!({"api": 3})));
    let wrong = ProxyError::WrongVersion { proxy: "deploy-apps".to_owned(), found: 3, wanted: 1 };
    assert_eq!(proxy.client().state().await, Err(wrong));
}
