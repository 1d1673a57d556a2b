//! Many WebSockets on what is replaced, and some on a neighbour.

use futures_util::future::join_all;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::harness::{App, Connection, DEADLINE, Host, Scenario, sum};

const MANY: usize = 1000;
const NEIGHBOURS: usize = 50;
/// How many leave at a time.
const GROUP: usize = 200;

type Socket = WebSocketStream<TcpStream>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stay_until_they_leave_or_their_limit_comes_and_no_others_notice() {
    let web = App::new("web").replicas(2).drain("60s", "600s");
    let mut host = Scenario::new("thousand").app(web).app(App::new("other")).start().await;
    host.deploy(&["web", "other"]).await.succeeded();
    let mut neighbours = dial(&host, "other", NEIGHBOURS).await;
    let mut sockets = dial(&host, "web", MANY).await;

    let mut deploy = host.cli(&["web", "--force", "--format", "json"]).spawn();
    deploy.event("flipped").await;
    echo(&mut sockets).await;
    echo(&mut neighbours).await;
    while !sockets.is_empty() {
        close(sockets.split_off(sockets.len() - GROUP)).await;
        // Those that are left are none the wiser, and are still counted one by one.
        echo(&mut sockets).await;
        host.in_flight("web", |open| open.websockets == sockets.len() as u64).await;
    }
    let output = deploy.finish().await.succeeded();
    let drained = output.events("drained");
    assert_eq!((sum(&drained, "/waited/websockets"), sum(&drained, "/cut/websockets")), (MANY as u64, 0), "{output}");

    // The same with a limit that nobody leaves before.
    host.change("web", |app| app.drain("60s", "1s"));
    let sockets = dial(&host, "web", MANY).await;
    let output = host.deploy(&["web", "--force", "--format", "json"]).await.succeeded();
    let drained = output.events("drained");
    assert_eq!(sum(&drained, "/cut/websockets"), MANY as u64, "{output}");
    for code in join_all(sockets.into_iter().map(closed_with)).await {
        assert_eq!(code, CloseCode::Away, "closed by the app with a frame, not by a cut");
    }

    echo(&mut neighbours).await;
    let open = host.in_flight("other", |open| open.websockets == NEIGHBOURS as u64).await;
    assert_eq!(json!(open.requests), 0);
    close(neighbours).await;
    host.is_clean(&["web-r3-1", "web-r3-2", "other-r1-1"]).await;
}

async fn dial(host: &Host, app: &str, count: usize) -> Vec<Socket> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        let stream = Connection::open(host, app).await.into_stream();
        let (socket, _) =
            tokio_tungstenite::client_async(format!("ws://{app}.localhost/ws"), stream).await.expect("an upgrade");
        sockets.push(socket);
    }
    sockets
}

/// A word there and back on each of them.
async fn echo(sockets: &mut [Socket]) {
    join_all(sockets.iter_mut().enumerate().map(async |(at, socket)| {
        let word = Message::text(format!("word {at}"));
        socket.send(word.clone()).await.expect("an open WebSocket");
        let echoed = timeout(DEADLINE, socket.next()).await.expect("an echo");
        assert_eq!(echoed.expect("an open WebSocket").expect("a message"), word);
    }))
    .await;
}

async fn close(sockets: Vec<Socket>) {
    join_all(sockets.into_iter().map(async |mut socket| socket.close(None).await.expect("a close"))).await;
}

async fn closed_with(mut socket: Socket) -> CloseCode {
    match timeout(DEADLINE, socket.next()).await.expect("a close frame") {
        Some(Ok(Message::Close(Some(frame)))) => frame.code,
        other => panic!("not a close frame: {other:?}"),
    }
}
