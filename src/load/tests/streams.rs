//! Streams and WebSockets: proper ends and cuts.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};

use super::server::{Peer, Server};
use super::*;

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n\
                      9\r\ndata: a\n\n\r\n9\r\ndata: b\n\n\r\n";

#[tokio::test]
async fn a_terminated_stream_ended_properly() {
    let server = Server::start(|mut peer, _| async move {
        while peer.head().await.is_some() {
            peer.send(EVENTS).await;
            peer.send("0\r\n\r\n").await;
        }
    })
    .await;
    let report = run(config(server.address, 3, Traffic::sse("/events"))).await;
    let streams = report.kind(Kind::Sse).expect("streams");
    assert_eq!((streams.ok, streams.failures(), streams.ended_kindly), (3, 0, 3), "{report}");
    assert_eq!((streams.messages, server.connections()), (6, 1), "a stream's proper end keeps its connection");
}

#[tokio::test]
async fn a_stream_without_its_terminator_is_cut() {
    let cut = |reset: bool| {
        Server::start(move |mut peer, _| async move {
            peer.head().await;
            peer.send(EVENTS).await;
            if reset {
                peer.reset();
            }
        })
    };
    for reset in [false, true] {
        let result = only_cause(cut(reset).await.address, 2, Traffic::sse("/events")).await;
        assert_eq!(result, (2, Some(Cause::CutStream)), "reset: {reset}");
    }
}

#[tokio::test]
async fn a_stream_that_falls_silent_is_a_timeout() {
    let server = Server::start(|mut peer, _| async move {
        peer.head().await;
        peer.send(EVENTS).await;
        peer.outwait().await;
    })
    .await;
    assert_eq!(only_cause(server.address, 1, Traffic::sse("/events")).await, (1, Some(Cause::Timeout)));
}

#[tokio::test]
async fn a_stream_open_at_the_runs_end_is_no_failure() {
    let server = Server::start(|mut peer, _| async move {
        peer.head().await;
        peer.send(EVENTS).await;
        peer.outwait().await;
    })
    .await;
    let config = LoadConfig { long_timeout: Duration::from_secs(20), ..config(server.address, 9, Traffic::sse("/")) };
    let load = Load::start(config).await.expect("load");
    reached(&load, |now| now.messages >= 2).await;
    let report = load.stop().await;
    let streams = report.kind(Kind::Sse).expect("streams");
    assert_eq!((streams.ok, streams.failures(), streams.ended_kindly), (1, 0, 0), "{report}");
}

#[tokio::test]
async fn clients_that_leave_and_reconnect_cause_no_failure() {
    let server = Server::start(|mut peer, _| async move {
        peer.head().await;
        peer.send(EVENTS).await;
        peer.outwait().await;
    })
    .await;
    let config = config(server.address, 3, Traffic::sse("/")).keep_streams_for(Duration::from_millis(30));
    let report = run(config).await;
    let streams = report.kind(Kind::Sse).expect("streams");
    assert_eq!((streams.ok, streams.failures(), streams.ended_kindly), (3, 0, 0), "{report}");
    assert_eq!(server.connections(), 3);
}

/// How a server ends a WebSocket after two echoes.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Code(CloseCode),
    Eof,
    Reset,
}

async fn echo_twice(peer: Peer, ending: Ending) {
    let mut socket = tokio_tungstenite::accept_async(peer.stream).await.expect("a handshake");
    for _ in 0..2 {
        let message = socket.next().await.expect("a message").expect("a message");
        socket.send(message).await.expect("an echo");
    }
    match ending {
        Ending::Code(code) => {
            socket.close(Some(CloseFrame { code, reason: "drain".into() })).await.expect("a close");
            while let Some(Ok(_)) = socket.next().await {}
        }
        Ending::Eof => {}
        Ending::Reset => socket.get_ref().set_zero_linger().expect("an open socket"),
    }
}

fn websocket() -> Traffic {
    Traffic::WebSocket { path: "/ws".to_owned(), every: Duration::from_millis(5) }
}

#[tokio::test]
async fn a_websocket_closed_with_a_frame_ended_properly() {
    for code in [CloseCode::Away, CloseCode::Normal] {
        let server = Server::start(move |peer, _| echo_twice(peer, Ending::Code(code))).await;
        let report = run(config(server.address, 2, websocket())).await;
        let sockets = report.kind(Kind::WebSocket).expect("sockets");
        assert_eq!((sockets.ok, sockets.failures(), sockets.ended_kindly), (2, 0, 2), "{report}");
        assert_eq!(sockets.messages, 4);
    }
}

#[tokio::test]
async fn a_websocket_without_a_close_frame_is_cut() {
    for ending in [Ending::Eof, Ending::Reset, Ending::Code(CloseCode::Error)] {
        let server = Server::start(move |peer, _| echo_twice(peer, ending)).await;
        let result = only_cause(server.address, 2, websocket()).await;
        assert_eq!(result, (2, Some(Cause::CutStream)), "{ending:?}");
    }
}

#[tokio::test]
async fn a_websocket_without_echo_wrong_echo_or_upgrade_fails_by_its_cause() {
    let silent = Server::start(|peer, _| async move {
        let mut socket = tokio_tungstenite::accept_async(peer.stream).await.expect("a handshake");
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    assert_eq!(only_cause(silent.address, 1, websocket()).await, (1, Some(Cause::Timeout)));
    let wrong = Server::start(|peer, _| async move {
        let mut socket = tokio_tungstenite::accept_async(peer.stream).await.expect("a handshake");
        socket.send(Message::text("welcome")).await.expect("a greeting is not an echo");
        while let Some(Ok(Message::Text(text))) = socket.next().await {
            let _ = socket.send(Message::text(text.replace("client", "other"))).await;
        }
    })
    .await;
    assert_eq!(only_cause(wrong.address, 1, websocket()).await, (1, Some(Cause::BadBody)));
    let refusing = Server::start(|mut peer, _| async move {
        peer.head().await;
        peer.answer("503 Service Unavailable", "", b"").await;
        peer.outwait().await;
    })
    .await;
    assert_eq!(only_cause(refusing.address, 1, websocket()).await, (1, Some(Cause::Status(503))));
}

#[tokio::test]
async fn stop_sends_a_close_frame() {
    let (closed, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |peer, _| {
        let closed = closed.clone();
        async move {
            let mut socket = tokio_tungstenite::accept_async(peer.stream).await.expect("a handshake");
            while let Some(Ok(message)) = socket.next().await {
                if message.is_close() {
                    let _ = closed.send(());
                } else {
                    socket.send(message).await.expect("an echo");
                }
            }
        }
    })
    .await;
    let load = Load::start(config(server.address, 9, websocket())).await.expect("load");
    reached(&load, |now| now.messages >= 3).await;
    let report = load.stop().await;
    assert_eq!((report.ok, report.failures()), (1, 0), "{report}");
    assert_eq!(seen.recv().await, Some(()));
}
