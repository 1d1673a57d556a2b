//! The client kinds, one file for each way of using a connection.

mod exchange;
mod sse;
mod upload;
mod websocket;

use std::time::Duration;

use super::config::{Expect, Traffic};
use super::failure::{Cause, Failure};
use super::lane::Lane;
use super::wire::byte_count_in;
use exchange::{Pace, Template};

/// Sends requests until the run ends.
pub(super) async fn run(lane: Lane, traffic: Traffic) {
    let host = lane.config.host.clone();
    let (short, long) = (lane.config.timeout, lane.config.long_timeout);
    let gap = Pace::Every(lane.gap);
    lane.pause(lane.first_after).await;
    match traffic {
        Traffic::Get { path } => exchange::run(lane, Template::get(&host, &path), gap, short).await,
        Traffic::Sleeper { path } => exchange::run(lane, Template::get(&host, &path), gap, long).await,
        Traffic::Post { path, body_bytes, expect } => {
            let template = Template::post(&host, &path, body_bytes, lane.client, expect);
            exchange::run(lane, template, gap, short).await;
        }
        Traffic::PooledPost { path, body_bytes, expect, idle_up_to } => {
            let template = Template::post(&host, &path, body_bytes, lane.client, expect);
            exchange::run(lane, template, Pace::Random { up_to: idle_up_to }, short).await;
        }
        Traffic::Upload { path, bytes, over } => upload::run(lane, &path, bytes, over).await,
        Traffic::Sse { path } => sse::run(lane, &path).await,
        Traffic::WebSocket { path, every } => websocket::run(lane, &path, every).await,
    }
}

/// Checks a complete answer to a request whose body was `sent`.
fn judge(status: u16, answer: &[u8], sent: &[u8], expect: Expect) -> Result<(), Failure> {
    if !(200..300).contains(&status) {
        return Err(Failure::new(Cause::Status(status), excerpt(answer)));
    }
    match expect {
        Expect::Success => Ok(()),
        Expect::Echo if answer == sent => Ok(()),
        Expect::Echo => {
            Err(Failure::new(Cause::BadBody, format!("sent `{}`, got `{}`", excerpt(sent), excerpt(answer))))
        }
        Expect::ByteCount => match byte_count_in(answer) {
            Some(count) if count == sent.len() as u64 => Ok(()),
            _ => Err(Failure::new(Cause::BadBody, format!("sent {} bytes, got `{}`", sent.len(), excerpt(answer)))),
        },
    }
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(120)]).trim().replace(['\r', '\n'], " ")
}

/// Runs one request with a timeout.
async fn within<T>(limit: Duration, request: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, request).await {
        Ok(result) => result,
        Err(_) => Err(Failure::timed_out(limit, "no complete answer")),
    }
}
