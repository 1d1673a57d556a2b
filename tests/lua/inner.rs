//! Headers by which an app would order nginx about.

use crate::raw::Raw;
use crate::world::{Setup, Variant, World};

const ORDERS: &str = "X-Accel-Redirect: /other\r\nX-Accel-Limit-Rate: 1\r\nX-Accel-Buffering: no\r\nX-Accel-Expires: 60\r\nX-Accel-Charset: koi8-r\r\n";

#[tokio::test]
async fn an_app_cannot_redirect_inside_nginx() {
    let world = World::start().await;
    let body = "the app's own".repeat(1000);
    let length = body.len();
    let backend =
        Raw::saying(world.gateway, format!("HTTP/1.1 200 OK\r\n{ORDERS}Content-Length: {length}\r\n\r\n{body}")).await;
    world.flip(&[world.record("app", vec![world.peer("r1", backend.port)])]).await;
    for _ in 0..8 {
        let answer = world.get("app.test", "/").await;
        assert_eq!((answer.status, &answer.body), (200, &body), "{}", answer.head);
        let head = answer.head.to_ascii_lowercase();
        assert!(head.contains("x-accel-buffering: no"), "a proxy in front wants to know: {head}");
        assert!(!head.contains("x-accel-redirect"), "a proxy in front would obey: {head}");
    }
    world.drained(&["r1".to_owned()]).await;
}

#[tokio::test]
async fn a_request_that_goes_round_again_is_counted_once() {
    let world = World::with(Setup { variant: Variant::Obedient, ..Setup::default() }).await;
    let backend =
        Raw::saying(world.gateway, "HTTP/1.1 200 OK\r\nX-Accel-Redirect: /again\r\nContent-Length: 0\r\n\r\n").await;
    world.flip(&[world.record("app", vec![world.peer("r1", backend.port)])]).await;
    // nginx ends such a circle after ten rounds.
    assert_eq!(world.get("app.test", "/").await.status, 500);
    world.drained(&["r1".to_owned()]).await;
}
