//! Clients that say exactly what a test wants said.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{PATIENCE, World};

/// A complete answer on a connection that was closed after it.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The backend's own report of what reached it.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not a backend's report: {self:?}"))
    }

    pub fn backend(&self) -> String {
        self.json()["backend"].as_str().expect("a name").to_owned()
    }
}

/// Sends `request`, which must ask for the connection's close, and reads to the end.
pub async fn ask(target: SocketAddr, request: &str) -> Answer {
    let asking = async {
        let mut stream = TcpStream::connect(target).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("a sent request");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("an answer without reset");
        parse(&bytes)
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("no answer in time to:\n{request}"))
}

fn parse(bytes: &[u8]) -> Answer {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer but `{text}`"));
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let body =
        if head.to_ascii_lowercase().contains("transfer-encoding: chunked") { unchunk(body) } else { body.to_owned() };
    Answer { status, head: head.to_owned(), body }
}

fn unchunk(mut rest: &str) -> String {
    let mut body = String::new();
    while let Some((size, data)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        body.push_str(&data[..size]);
        rest = &data[size + 2..];
    }
    body
}

impl World {
    pub async fn get(&self, host: &str, path: &str) -> Answer {
        ask(self.target, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).await
    }

    pub async fn post(&self, host: &str, path: &str, body: &str) -> Answer {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nConnection: close");
        ask(self.target, &format!("{head}\r\n\r\n{body}")).await
    }

    /// Opens a request and leaves it open.
    pub async fn open(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.target).await.expect("a connection");
        stream.set_nodelay(true).expect("an open socket");
        stream.write_all(request.as_bytes()).await.expect("a sent request");
        stream
    }
}

/// Reads until `wanted` has arrived, and gives everything up to there.
pub async fn read_until(stream: &mut TcpStream, wanted: &str) -> String {
    let mut text = Vec::new();
    let reading = async {
        while !String::from_utf8_lossy(&text).contains(wanted) {
            let read = stream.read_buf(&mut text).await.expect("bytes");
            assert!(read > 0, "ended before `{wanted}`");
        }
    };
    let arrived = tokio::time::timeout(PATIENCE, reading).await.is_ok();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(arrived, "`{wanted}` did not arrive, only `{text}`");
    text
}
