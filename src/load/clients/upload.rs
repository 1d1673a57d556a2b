//! An upload whose body is sent over several seconds, so that some upload is always in progress when a flip happens.

use std::time::Duration;

use super::{judge, within};
use crate::load::config::Expect;
use crate::load::failure::Failure;
use crate::load::lane::Lane;
use crate::load::wire::Wire;

/// Number of chunks per upload.
const PIECES: usize = 20;

pub(super) async fn run(lane: Lane, path: &str, bytes: usize, over: Duration) {
    let mut wire = lane.wire();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: deploy-apps-load\r\n\
         Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        lane.config.host
    );
    let body = vec![b'u'; bytes];
    while let Some(begun) = lane.begin() {
        let sending = send(&mut wire, head.as_bytes(), &body, over);
        match within(lane.config.long_timeout, sending).await {
            Ok(()) => lane.succeed(begun, &wire.scratch.release),
            Err(failure) => lane.fail(begun, failure).await,
        }
        lane.pause(lane.gap).await;
    }
}

async fn send(wire: &mut Wire, head: &[u8], body: &[u8], over: Duration) -> Result<(), Failure> {
    let mut connection = wire.connection().await?;
    connection.send(head).await?;
    let mut spoken_to = false;
    for piece in body.chunks(body.len().div_ceil(PIECES).max(1)) {
        tokio::select! {
            () = tokio::time::sleep(over / PIECES as u32) => {}
            said = connection.spoken_to() => {
                said?;
                // An answer before the end of the body is a refusal or a cut. Sending more bytes would not change it.
                spoken_to = true;
                break;
            }
        }
        connection.send(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
        connection.send(piece).await?;
        connection.send(b"\r\n").await?;
    }
    if !spoken_to {
        connection.send(b"0\r\n\r\n").await?;
    }
    let answer = wire.answer(connection).await?;
    if spoken_to {
        wire.forget();
    }
    judge(answer.status, &wire.scratch.body, body, Expect::ByteCount)
}
