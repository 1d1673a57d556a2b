//! Streams and WebSockets across a flip: theirs is the time that their users want, up to a limit of their own.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{App, Connection, DEADLINE, Host, Scenario, sum};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_and_a_websocket_stay_on_the_old_version_until_their_clients_leave() {
    let host = Scenario::new("streams").app(App::new("web")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut events = listen(&host).await;
    let mut socket = dial(&host).await;
    echo(&mut socket, "before").await;

    let mut deploy = host.cli(&["web", "--force", "--format", "json"]).spawn();
    deploy.event("flipped").await;
    // Both old clients are still served by the old version, which a new client no longer meets.
    for _ in 0..5 {
        assert!(events.until("\n\n").await.contains(r#""release":"r1""#));
        echo(&mut socket, "after").await;
    }
    assert!(host.get("web", "/").await.body.contains("(r2,"));
    let mut new = listen(&host).await;
    assert!(new.until("\n\n").await.contains(r#""release":"r2""#));
    drop(events);
    deploy.event_where("drain_progressed", |event| event["left"] == json!({ "requests": 0, "websockets": 1 })).await;
    echo(&mut socket, "last").await;
    socket.close(None).await.expect("a close that is answered");

    let output = deploy.finish().await.succeeded();
    let drained = output.events("drained");
    assert_eq!((sum(&drained, "/waited/requests"), sum(&drained, "/waited/websockets")), (1, 1), "{output}");
    assert_eq!((sum(&drained, "/cut/requests"), sum(&drained, "/cut/websockets")), (0, 0), "{output}");
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_outstays_the_drain_limit_is_counted_as_cut_and_closed_kindly_by_the_app() {
    let host = Scenario::new("limits").app(App::new("web").drain("1s", "2s")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut events = listen(&host).await;
    let mut socket = dial(&host).await;
    echo(&mut socket, "before").await;

    let output = host.deploy(&["web", "--force"]).await.succeeded();
    let output = output.says("cut 1 request and 1 websocket at the limit");
    while !events.until("\n\n").await.contains("event: stopping") {}
    let end = events.until("0\r\n\r\n").await;
    assert!(!end.contains("data"), "the stream ends in order, with nothing after its last event: {end}\n{output}");
    let closed = timeout(DEADLINE, socket.next()).await.expect("a close frame");
    match closed {
        Some(Ok(Message::Close(Some(frame)))) => {
            assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Away, "r1 is stopping"));
        }
        other => panic!("not a close frame: {other:?}"),
    }
    host.runs(&["web-r2-1"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn websockets_have_a_limit_of_their_own_that_requests_do_not_wait_for() {
    let host = Scenario::new("own-limit").app(App::new("web").drain("60s", "1s")).start().await;
    host.deploy(&["web"]).await.succeeded();
    let mut socket = dial(&host).await;
    echo(&mut socket, "before").await;
    let mut request = Connection::open(&host, "web").await;
    request.send("GET", "/sleep?for=4s", b"").await;

    let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
    let answer = request.answer().await;
    assert!(answer.status == 200 && answer.body.contains("(r1,"), "{answer:?}");
    let drained = output.events("drained");
    assert_eq!((sum(&drained, "/cut/requests"), sum(&drained, "/cut/websockets")), (0, 1), "{output}");
}

/// An open stream of events, ten a second, of which the first has arrived.
async fn listen(host: &Host) -> Connection {
    let mut events = Connection::open(host, "web").await;
    events.send("GET", "/events?every=100ms", b"").await;
    let head = events.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    events.until("\n\n").await;
    events
}

async fn dial(host: &Host) -> WebSocketStream<TcpStream> {
    let stream = Connection::open(host, "web").await.into_stream();
    let (socket, _) = tokio_tungstenite::client_async("ws://web.localhost/ws", stream).await.expect("an upgrade");
    socket
}

async fn echo(socket: &mut WebSocketStream<TcpStream>, text: &str) {
    socket.send(Message::text(text)).await.expect("an open WebSocket");
    let echoed = timeout(Duration::from_secs(60), socket.next()).await.expect("an echo");
    assert_eq!(echoed.expect("an open WebSocket").expect("a message"), Message::text(text));
}
