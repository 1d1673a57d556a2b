//! A replica's stand-in on the host: a real HTTP/1.1 server that records what reaches it and answers as its path says.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

const HANGING_UP: Duration = Duration::from_millis(150);

pub struct Backend {
    /// Also the peer's id.
    pub name: String,
    pub port: u16,
    pub seen: Arc<Seen>,
    /// Ends with its connections when the backend is dropped.
    serving: JoinSet<()>,
}

/// What has reached a backend, and what it waits for.
pub struct Seen {
    name: String,
    /// Each as `METHOD /path`.
    arrivals: Mutex<Vec<String>>,
    is_retired: AtomicBool,
    late: AtomicU64,
    /// Bytes of bodies, counted as they arrive.
    pub body_bytes: AtomicU64,
    /// A permit lets one waiting answer or event go.
    pub go: Semaphore,
    /// An idle connection is closed after this many milliseconds; 0 is never.
    pub idle_limit_ms: AtomicU64,
}

/// One request's head.
struct Head {
    method: String,
    target: String,
    headers: BTreeMap<String, String>,
}

impl Backend {
    pub async fn start(address: Ipv4Addr, name: &str) -> Self {
        Self::start_at(address, 0, name).await
    }

    /// On a given port, to come back as one that was away.
    pub async fn start_at(address: Ipv4Addr, port: u16, name: &str) -> Self {
        let listener = TcpListener::bind((address, port)).await.expect("a port on the network's gateway");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::new(Seen {
            name: name.to_owned(),
            arrivals: Mutex::new(Vec::new()),
            is_retired: AtomicBool::new(false),
            late: AtomicU64::new(0),
            body_bytes: AtomicU64::new(0),
            go: Semaphore::new(0),
            idle_limit_ms: AtomicU64::new(0),
        });
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&seen);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.expect("a connection");
                stream.set_nodelay(true).expect("an open socket");
                let seen = Arc::clone(&shared);
                connections.spawn(async move {
                    // The proxy may close whenever it likes; what a test expects it looks up in `seen`.
                    let _ = serve(BufReader::new(stream), &seen).await;
                });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { name: name.to_owned(), port, seen, serving }
    }

    /// Closes its port, so that whoever connects from now on is refused.
    pub async fn stop(mut self) {
        self.serving.shutdown().await;
    }

    /// From now on no request may arrive.
    pub fn retire(&self) {
        self.seen.is_retired.store(true, Ordering::SeqCst);
    }

    /// Requests that arrived after it was retired.
    pub fn late(&self) -> u64 {
        self.seen.late.load(Ordering::SeqCst)
    }

    pub fn arrivals(&self) -> Vec<String> {
        self.seen.arrivals.lock().expect("no panic").clone()
    }

    /// Lets everything go that waits now or later.
    pub fn release_all(&self) {
        self.seen.go.add_permits(10_000);
    }
}

async fn serve(mut stream: BufReader<TcpStream>, seen: &Seen) -> std::io::Result<()> {
    loop {
        let limit = match seen.idle_limit_ms.load(Ordering::Relaxed) {
            0 => Duration::from_secs(3600),
            limit => Duration::from_millis(limit),
        };
        let Ok(head) = tokio::time::timeout(limit, read_head(&mut stream)).await else {
            // A busy server: it has decided to hang up, but what arrives until it does is lost none the less.
            tokio::time::sleep(HANGING_UP).await;
            return Ok(());
        };
        let Some(head) = head? else { return Ok(()) };
        if seen.is_retired.load(Ordering::SeqCst) {
            seen.late.fetch_add(1, Ordering::SeqCst);
        }
        seen.arrivals.lock().expect("no panic").push(format!("{} {}", head.method, head.target));
        answer(&mut stream, &head, seen).await?;
    }
}

async fn answer(stream: &mut BufReader<TcpStream>, head: &Head, seen: &Seen) -> std::io::Result<()> {
    let (path, query) = head.target.split_once('?').unwrap_or((&head.target, ""));
    match path {
        "/echo" => {
            let body = read_body(stream, head, seen, true).await?;
            respond(stream, "200 OK", &body).await
        }
        "/slow" => {
            read_body(stream, head, seen, false).await?;
            tokio::time::sleep(Duration::from_millis(query.parse().unwrap_or(5))).await;
            respond(stream, "200 OK", b"slow").await
        }
        "/hold" => {
            read_body(stream, head, seen, false).await?;
            seen.go.acquire().await.expect("an open semaphore").forget();
            respond(stream, "200 OK", b"held").await
        }
        // Takes the request and dies with it.
        "/die" => {
            read_body(stream, head, seen, false).await?;
            Err(std::io::ErrorKind::ConnectionAborted.into())
        }
        "/events" => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
                .await?;
            for event in ["first", "last"] {
                stream.write_all(format!("{:x}\r\ndata: {event}\n\n\r\n", event.len() + 8).as_bytes()).await?;
                seen.go.acquire().await.expect("an open semaphore").forget();
            }
            stream.write_all(b"0\r\n\r\n").await
        }
        "/ws" => {
            let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
            stream.write_all(switch).await?;
            let mut bytes = [0; 1024];
            loop {
                match stream.read(&mut bytes).await? {
                    0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                    read => stream.write_all(&bytes[..read]).await?,
                }
            }
        }
        // An app that has begun a trace, or says so.
        "/traced" => {
            let head = format!("HTTP/1.1 200 OK\r\nTraceresponse: {query}\r\nContent-Length: 0\r\n\r\n");
            stream.write_all(head.as_bytes()).await
        }
        _ => {
            let bytes = read_body(stream, head, seen, false).await?.len();
            let said = json!({ "backend": seen.name, "method": head.method, "target": head.target,
                               "headers": head.headers, "bytes": bytes });
            respond(stream, "200 OK", said.to_string().as_bytes()).await
        }
    }
}

async fn respond(stream: &mut BufReader<TcpStream>, status: &str, body: &[u8]) -> std::io::Result<()> {
    let head = format!("HTTP/1.1 {status}\r\nServer: backend\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await
}

async fn read_head(stream: &mut BufReader<TcpStream>) -> std::io::Result<Option<Head>> {
    let mut line = String::new();
    if stream.read_line(&mut line).await? == 0 {
        return Ok(None);
    }
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let known: &mut String = headers.entry(name.to_ascii_lowercase()).or_default();
        // A header that comes twice has a line for each.
        *known = if known.is_empty() { value.to_owned() } else { format!("{known}\n{value}") };
    }
    Ok(Some(Head { method, target, headers }))
}

/// Reads a body in either framing; its bytes are kept only on demand, its length always.
async fn read_body(
    stream: &mut BufReader<TcpStream>,
    head: &Head,
    seen: &Seen,
    keep: bool,
) -> std::io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = head.headers.get("content-length") {
        take(stream, length.parse().expect("a length"), seen, keep, &mut body).await?;
    } else if head.headers.get("transfer-encoding").is_some_and(|value| value == "chunked") {
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a chunk's size");
            take(stream, size, seen, keep, &mut body).await?;
            stream.read_line(&mut line).await?;
            if size == 0 {
                break;
            }
        }
    }
    Ok(body)
}

async fn take(
    stream: &mut BufReader<TcpStream>,
    mut left: usize,
    seen: &Seen,
    keep: bool,
    body: &mut Vec<u8>,
) -> std::io::Result<()> {
    let mut piece = vec![0; left.min(64 << 10)];
    while left > 0 {
        let wanted = left.min(piece.len());
        let read = stream.read(&mut piece[..wanted]).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        seen.body_bytes.fetch_add(read as u64, Ordering::SeqCst);
        if keep {
            body.extend_from_slice(&piece[..read]);
        }
        left -= read;
    }
    Ok(())
}
