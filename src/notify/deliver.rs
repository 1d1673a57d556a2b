//! Sends webhooks with a few retries. A notification must not arrive twice, so only what the receiver certainly did not
//! accept is sent again: no connection, 5xx and 429.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::time::{Instant, sleep, timeout_at};

use super::summary::Summary;
use crate::model::{Webhook, WebhookFormat};
use crate::ports::innermost;

/// Pauses before the second and the third try.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(2)];
/// Limit for all tries together: a pipeline waits for this process.
const LIMIT: Duration = Duration::from_secs(10);

/// Why a try failed.
struct Vain {
    reason: String,
    /// Pause before the next try; `None` when a retry could deliver twice or would not help.
    again: Option<Duration>,
}

/// Sends to every webhook that subscribed to this outcome, concurrently. Returns a warning for each that failed.
pub async fn deliver(webhooks: &[Webhook], summary: &Summary) -> Vec<String> {
    let wanted = |hook: &&Webhook| if summary.failed() { hook.on_failure } else { hook.on_success };
    let wanted: Vec<&Webhook> = webhooks.iter().filter(wanted).collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    // A redirect could send the headers' secrets to another host.
    let client = Client::builder()
        .redirect(Policy::none())
        .user_agent(concat!("deploy-apps/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![format!("no webhook was called: {}", plain(error))],
    };
    let told = wanted.into_iter().map(|hook| {
        let client = &client;
        async move { tell(client, hook, summary).await.err() }
    });
    join_all(told).await.into_iter().flatten().collect()
}

async fn tell(client: &Client, hook: &Webhook, summary: &Summary) -> Result<(), String> {
    let body = match hook.format {
        WebhookFormat::Json => serde_json::to_vec(summary),
        WebhookFormat::Slack => serde_json::to_vec(&json!({ "text": summary.chat() })),
    };
    let body = body.map_err(|error| format!("webhook `{}` could not be called: {error}", hook.place))?;
    let deadline = Instant::now() + LIMIT;
    let mut tries = 0;
    let failed = |tries: usize, reason: &str| {
        let times = if tries == 1 { "once".to_owned() } else { format!("{tries} times") };
        Err(format!("webhook `{}` could not be called, tried {times}: {reason}", hook.place))
    };
    loop {
        tries += 1;
        let vain = match timeout_at(deadline, attempt(client, hook, body.clone())).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(vain)) => vain,
            Err(_) => return failed(tries, &format!("no answer within {LIMIT:?}")),
        };
        let pause = match (PAUSES.get(tries - 1), vain.again) {
            (Some(pause), Some(asked)) => (*pause).max(asked),
            _ => return failed(tries, &vain.reason),
        };
        if Instant::now() + pause >= deadline {
            return failed(tries, &vain.reason);
        }
        sleep(pause).await;
    }
}

async fn attempt(client: &Client, hook: &Webhook, body: Vec<u8>) -> Result<(), Vain> {
    let mut request = client.post(hook.url.reveal()).timeout(hook.timeout).header(CONTENT_TYPE, "application/json");
    for (name, value) in &hook.headers {
        request = request.header(name, value.reveal());
    }
    let response = request.body(body).send().await.map_err(|error| {
        let again = error.is_connect().then_some(Duration::ZERO);
        let reason = if error.is_timeout() { format!("no answer within {:?}", hook.timeout) } else { plain(error) };
        Vain { reason, again }
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let may_help = status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS;
    let again = may_help.then(|| Duration::from_secs(asked.unwrap_or(0)));
    Err(Vain { reason: format!("it answered {status}"), again })
}

/// The innermost error message, without the URL.
fn plain(error: reqwest::Error) -> String {
    innermost(&error.without_url())
}
