//! A WebSocket that sends a text at an interval and expects the echo. The server may end it with a close frame only.

use std::io;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, frame::coding::CloseCode};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::within;
use crate::load::failure::{Cause, Failure};
use crate::load::lane::Lane;

/// How long to wait for the server's close frame after ours.
const GOODBYE: Duration = Duration::from_secs(2);
const TOKEN: &str = "deploy-apps-load";

enum End {
    ByServer,
    ByClient,
}

pub(super) async fn run(lane: Lane, path: &str, every: Duration) {
    while let Some(begun) = lane.begin() {
        let conversation = async {
            let mut socket = within(lane.config.timeout, open(&lane, path)).await?;
            converse(&lane, &mut socket, every).await
        };
        match conversation.await {
            Ok(end) => lane.end_kindly(matches!(end, End::ByServer)).await,
            Err(failure) => lane.fail(begun, failure).await,
        }
        lane.pause(lane.gap).await;
    }
}

async fn open(lane: &Lane, path: &str) -> Result<WebSocketStream<TcpStream>, Failure> {
    let url = format!("ws://{}{path}", lane.config.host);
    let request = url.into_client_request().map_err(|error| Failure::new(Cause::BadAnswer, error.to_string()))?;
    lane.ledger.opened();
    let stream = TcpStream::connect(lane.config.target).await.map_err(|error| Failure::of_connect(&error))?;
    stream.set_nodelay(true).map_err(|error| Failure::of_connect(&error))?;
    let opened = tokio_tungstenite::client_async(request, stream).await;
    let (socket, answer) = opened.map_err(|error| failure_of(error, "opening the WebSocket"))?;
    if let Some(release) = answer.headers().get(lane.ledger.release_header()) {
        lane.ledger.seen_release(release.to_str().unwrap_or_default());
    }
    Ok(socket)
}

async fn converse(lane: &Lane, socket: &mut WebSocketStream<TcpStream>, every: Duration) -> Result<End, Failure> {
    let mut ticks = tokio::time::interval(every.max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut awaited: Option<(String, Instant)> = None;
    let mut sequence = 0_u64;
    let mut leaving = std::pin::pin!(lane.leaving());
    loop {
        tokio::select! {
            () = &mut leaving => {
                say_goodbye(socket).await;
                return Ok(End::ByClient);
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => {
                    if awaited.as_ref().is_some_and(|(wanted, _)| text.as_str() == wanted) {
                        awaited = None;
                        lane.ledger.messages(lane.kind, 1);
                    } else if text.starts_with(TOKEN) {
                        return Err(Failure::new(Cause::BadBody, format!("echo of another text: `{text}`")));
                    }
                }
                Some(Ok(Message::Close(frame))) => {
                    // The server waits for our half of the close before it closes the connection.
                    say_goodbye(socket).await;
                    return closed(frame);
                }
                // The library answers pings. Messages that the server sends first are ignored.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(failure_of(error, "the WebSocket was open").of_open_stream()),
                None => return Err(Failure::new(Cause::CutStream, "connection ended without a close frame")),
            },
            now = ticks.tick() => match &awaited {
                Some((_, sent)) if now.duration_since(*sent) > lane.config.timeout => {
                    return Err(Failure::timed_out(lane.config.timeout, "no echo"));
                }
                Some(_) => {}
                None => {
                    let text = format!("{TOKEN} client {:08} message {sequence:012}", lane.client);
                    sequence += 1;
                    awaited = Some((text.clone(), now));
                    match socket.send(Message::text(text)).await {
                        // The server is closing too: its close frame is still unread.
                        Ok(()) | Err(Error::ConnectionClosed | Error::Protocol(ProtocolError::SendAfterClosing)) => {}
                        Err(error) => return Err(failure_of(error, "sending a message").of_open_stream()),
                    }
                }
            },
        }
    }
}

/// A close code for a shutdown in order (normal, going away) is a proper end. Any other code is an error that the
/// server reports.
fn closed(frame: Option<CloseFrame>) -> Result<End, Failure> {
    match frame {
        None => Ok(End::ByServer),
        Some(frame) if matches!(frame.code, CloseCode::Normal | CloseCode::Away | CloseCode::Restart) => {
            Ok(End::ByServer)
        }
        Some(frame) => Err(Failure::new(Cause::CutStream, format!("closed with {}: {}", frame.code, frame.reason))),
    }
}

async fn say_goodbye(socket: &mut WebSocketStream<TcpStream>) {
    let goodbye = async {
        // The run is over: a server that disconnects without the answering close frame is not a failure.
        let _ = socket.close(None).await;
        while let Some(Ok(_)) = socket.next().await {}
    };
    let _ = tokio::time::timeout(GOODBYE, goodbye).await;
}

fn failure_of(error: Error, doing: &str) -> Failure {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Failure::new(Cause::Eof, format!("connection ended while {doing}"))
        }
        Error::Io(error) => Failure::of_stream(&error, doing),
        Error::Http(answer) => {
            Failure::new(Cause::Status(answer.status().as_u16()), format!("no upgrade while {doing}"))
        }
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete)
        | Error::ConnectionClosed => Failure::new(Cause::Eof, format!("connection ended while {doing}")),
        error => Failure::new(Cause::BadAnswer, format!("{error} while {doing}")),
    }
}
