//! The control protocol: whatever a proxy answers, a call ends with a result or a reason, and so does a lease.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use deploy_apps::model::{AppKey, InFlight, ReleaseNumber};
use deploy_apps::ports::{Dial, Dialing, Duplex, InspectProxy, LeaseRequest, Probe, Proxy, ProxyError};
use deploy_apps::proxy::ControlClient;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{sleep, timeout};

/// What the client asks before any call; answered well, or nothing else would ever be read.
const VERSION: &str = r#"{"api":1,"build":"b"}"#;
/// Far above every deadline of the client. The clock is a virtual one: this costs nothing.
const LIMIT: Duration = Duration::from_secs(600);

/// The first byte is the call. The rest is what the proxy answers: a body, or with an odd byte the very bytes.
pub fn control(data: &[u8]) {
    let Some((call, answer)) = data.split_first() else { return };
    let results = [0, 1].map(|_| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(asked(call / 2, call % 2 == 1, answer))
    });
    assert_eq!(results[0], results[1], "one answer is understood in two ways");
}

async fn asked(call: u8, raw: bool, answer: &[u8]) -> String {
    let mut bytes = answer.to_vec();
    if !raw {
        let (status, body) = answer.split_first().unwrap_or((&0, &[]));
        let status = [200, 200, 400, 409, 500][usize::from(status % 5)];
        bytes = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        bytes.extend(body);
    }
    let client = ControlClient::new(&"proxy".parse().expect("a name"), Arc::new(Answers(Arc::new(bytes))));
    timeout(LIMIT, ask(&client, call)).await.expect("an end of the call")
}

/// The result as text.
async fn ask(client: &ControlClient, call: u8) -> String {
    let app: AppKey = "sample/web".parse().expect("a key");
    let project = &app.project.clone();
    let address = [10, 0, 0, 1].into();
    match call % 10 {
        0 => told(client.state().await),
        1 => told(client.overview(project).await),
        2 => told(client.totals(project).await),
        3 => told(client.releases(std::slice::from_ref(&app)).await),
        4 => told(client.history(&app, 5).await),
        5 => {
            let (path, host, timeout) = ("/".to_owned(), "web".to_owned(), Duration::from_secs(1));
            told(client.probe(&Probe { address, port: 80, path, host, timeout }).await)
        }
        6 => told(client.in_flight(&["web-1".to_owned()], Some(InFlight::default()), Duration::from_secs(1)).await),
        7 => told(client.record(&app, ReleaseNumber(1), "started", serde_json::Map::new()).await),
        8 => told(client.histories(std::slice::from_ref(&app), 5).await),
        _ => {
            let [owner, host, purpose] = ["ann", "laptop", "deploy"].map(str::to_owned);
            match client.acquire(&LeaseRequest { apps: vec![app], owner, host, purpose }).await {
                // It is kept for a while, in which it beats, or until it is lost.
                Ok(lease) => {
                    tokio::select! {
                        () = client.lost(&lease) => "lost".to_owned(),
                        () = sleep(Duration::from_secs(60)) => "held".to_owned(),
                    }
                }
                Err(error) => told::<()>(Err(error)),
            }
        }
    }
}

fn told<T: Debug>(result: Result<T, ProxyError>) -> String {
    if let Err(error) = &result {
        assert!(!error.to_string().is_empty());
    }
    format!("{result:?}")
}

/// A proxy that answers every call alike, except for its version.
struct Answers(Arc<Vec<u8>>);

impl Dial for Answers {
    fn dial(&self) -> Dialing<'_> {
        let (client, proxy) = duplex(1 << 16);
        tokio::spawn(serve(proxy, Arc::clone(&self.0)));
        Box::pin(async { Ok(Box::new(client) as Box<dyn Duplex>) })
    }
}

async fn serve(mut stream: DuplexStream, answer: Arc<Vec<u8>>) {
    let mut request = Vec::new();
    while let Ok(1..) = stream.read_buf(&mut request).await {
        let Some(end) = request.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        // A millisecond for each answer: without any time, a client that asks again and again would never see the end.
        sleep(Duration::from_millis(1)).await;
        let version = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{VERSION}", VERSION.len());
        let is_version = request[..end].starts_with(b"GET /version ");
        let answer = if is_version { version.as_bytes() } else { &answer };
        if stream.write_all(answer).await.is_err() {
            return;
        }
        // Bodies are small, so they have come with their heads.
        request.clear();
    }
}
