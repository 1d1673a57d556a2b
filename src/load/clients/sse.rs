//! A reader of server-sent events. The server may end a stream, but only with a proper terminator.

use super::{judge, within};
use crate::load::config::Expect;
use crate::load::failure::{Cause, Failure};
use crate::load::lane::Lane;
use crate::load::wire::{BodyReader, Framing, Wire};

/// How a stream ended without a failure.
enum End {
    ByServer,
    /// The client disconnected: its stream time was over, or the run ended.
    ByClient,
}

pub(super) async fn run(lane: Lane, path: &str) {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: deploy-apps-load\r\nAccept: text/event-stream\r\n\r\n",
        lane.config.host
    );
    let mut wire = lane.wire();
    while let Some(begun) = lane.begin() {
        match listen(&lane, &mut wire, request.as_bytes()).await {
            Ok(end) => lane.end_kindly(matches!(end, End::ByServer)).await,
            Err(failure) => lane.fail(begun, failure).await,
        }
        lane.pause(lane.gap).await;
    }
}

async fn listen(lane: &Lane, wire: &mut Wire, request: &[u8]) -> Result<End, Failure> {
    let opening = async {
        let mut connection = wire.connection().await?;
        connection.send(request).await?;
        let head = connection.head(lane.ledger.release_header(), &mut wire.scratch.release).await?;
        Ok((connection, head))
    };
    let (mut connection, head) = within(lane.config.timeout, opening).await?;
    judge(head.status, b"", b"", Expect::Success)?;
    lane.ledger.seen_release(&wire.scratch.release);
    if head.framing == Framing::UntilClose {
        // A proper end would look the same as a cut, so such a stream proves nothing.
        return Err(Failure::new(
            Cause::CutStream,
            "stream without framing: its end cannot be distinguished from a cut",
        ));
    }
    let mut reader = BodyReader::new(head.framing);
    let mut blank_lines = BlankLines::default();
    let mut leaving = std::pin::pin!(lane.leaving());
    loop {
        let mut events = 0;
        let silence = lane.config.long_timeout;
        let piece = connection.read(&mut reader, |piece| events += blank_lines.count(piece));
        let done = tokio::select! {
            () = &mut leaving => return Ok(End::ByClient),
            read = tokio::time::timeout(silence, piece) => match read {
                Ok(read) => read.map_err(Failure::of_open_stream)?,
                Err(_) => return Err(Failure::timed_out(silence, "no event")),
            },
        };
        lane.ledger.messages(lane.kind, events);
        if done {
            connection.answered()?;
            if !head.close {
                wire.keep(connection);
            }
            return Ok(End::ByServer);
        }
    }
}

/// Counts events by the blank line that ends each, across arbitrary read boundaries.
#[derive(Debug, Default)]
struct BlankLines {
    line_has_text: bool,
    event_has_text: bool,
}

impl BlankLines {
    fn count(&mut self, piece: &[u8]) -> u64 {
        let mut events = 0;
        for byte in piece {
            match byte {
                b'\r' => {}
                b'\n' if self.line_has_text => self.line_has_text = false,
                b'\n' => events += u64::from(std::mem::take(&mut self.event_has_text)),
                _ => (self.line_has_text, self.event_has_text) = (true, true),
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_across_pieces_and_line_ends() {
        let stream = b"retry: 5\n\n\ndata: a\ndata: b\n\nid: 1\r\ndata: c\r\n\r\ndata: half";
        for cut in 0..stream.len() {
            let mut lines = BlankLines::default();
            assert_eq!(lines.count(&stream[..cut]) + lines.count(&stream[cut..]), 3, "cut at {cut}");
        }
    }
}
