//! Request-response clients on a keep-alive connection: GET, POST, the pooled POST and the sleeper.

use std::time::Duration;

use super::{judge, within};
use crate::load::config::Expect;
use crate::load::failure::Failure;
use crate::load::lane::Lane;
use crate::load::wire::Wire;

/// How long a client waits before its next request.
pub(super) enum Pace {
    Every(Duration),
    Random { up_to: Duration },
}

/// Shortest idle time of a pooled connection. A shorter pause would not exercise idle connections.
const SHORTEST_IDLE: Duration = Duration::from_millis(50);
const SEQUENCE_DIGITS: usize = 12;

/// A serialized request. Only its sequence number changes between sends.
pub(super) struct Template {
    bytes: Vec<u8>,
    body_at: usize,
    /// Offset of the sequence number; `None` for a request without a body.
    sequence_at: Option<usize>,
    expect: Expect,
}

impl Template {
    pub(super) fn get(host: &str, path: &str) -> Self {
        let bytes = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: deploy-apps-load\r\n\r\n").into_bytes();
        Self { body_at: bytes.len(), bytes, sequence_at: None, expect: Expect::Success }
    }

    pub(super) fn post(host: &str, path: &str, body_bytes: usize, client: usize, expect: Expect) -> Self {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: deploy-apps-load\r\n\
             Content-Type: text/plain\r\nContent-Length: {body_bytes}\r\n\r\n"
        );
        let body = format!("client {client:08} request ");
        let sequence_at = head.len() + body.len();
        let mut bytes = (head.clone() + &body).into_bytes();
        bytes.resize(head.len() + body_bytes, b'.');
        Self { bytes, body_at: head.len(), sequence_at: Some(sequence_at), expect }
    }

    fn number(&mut self, sequence: u64) {
        if let Some(at) = self.sequence_at {
            let mut left = sequence;
            for digit in self.bytes[at..at + SEQUENCE_DIGITS].iter_mut().rev() {
                *digit = b'0' + (left % 10) as u8;
                left /= 10;
            }
        }
    }
}

pub(super) async fn run(lane: Lane, mut template: Template, pace: Pace, limit: Duration) {
    let mut wire = lane.wire();
    let mut dice = lane.dice();
    for sequence in 0.. {
        let Some(begun) = lane.begin() else { return };
        template.number(sequence);
        match within(limit, send(&mut wire, &template)).await {
            Ok(()) => lane.succeed(begun, &wire.scratch.release),
            Err(failure) => lane.fail(begun, failure).await,
        }
        lane.pause(match pace {
            Pace::Every(gap) => gap,
            Pace::Random { up_to } => dice.up_to(up_to).max(SHORTEST_IDLE),
        })
        .await;
    }
}

async fn send(wire: &mut Wire, template: &Template) -> Result<(), Failure> {
    let answer = wire.exchange(&template.bytes).await?;
    judge(answer.status, &wire.scratch.body, &template.bytes[template.body_at..], template.expect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_changes_its_number_and_nothing_else() {
        let mut template = Template::post("app", "/", 64, 3, Expect::Echo);
        let length = template.bytes.len();
        template.number(1_234_567_890_123);
        let text = String::from_utf8(template.bytes.clone()).expect("ascii");
        let body = text.split_once("\r\n\r\n").expect("a head").1;
        assert!(body.starts_with("client 00000003 request 234567890123...."), "{text}");
        assert_eq!((template.bytes.len(), length - template.body_at), (length, 64));
    }
}
