//! A keep-alive connection with hand-written requests, for tests that control when bytes are sent.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Answer, Host};

/// Timeout for the next bytes of an answer; the long waits of these tests are less than half of it.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Connection {
    stream: TcpStream,
    host: String,
    /// Received but not consumed.
    read: Vec<u8>,
}

impl Connection {
    pub async fn open(host: &Host, app: &str) -> Self {
        let stream = TcpStream::connect(host.address()).await.expect("the proxy listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, host: format!("{app}.localhost"), read: Vec::new() }
    }

    /// A connection that has already answered a POST, as in a client's pool.
    pub async fn pooled(host: &Host, app: &str) -> Self {
        let mut connection = Self::open(host, app).await;
        connection.send("POST", "/upload", b"first").await;
        assert_eq!(connection.answer().await.status, 200);
        connection
    }

    /// The stream, for protocols other than HTTP.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends a request with an optional body.
    pub async fn send(&mut self, method: &str, path: &str, body: &[u8]) {
        self.begin(method, path, body.len()).await;
        self.write(body).await;
    }

    /// Sends a request head that announces a body of `bytes`.
    pub async fn begin(&mut self, method: &str, path: &str, bytes: usize) {
        let length = if method == "GET" { String::new() } else { format!("Content-Length: {bytes}\r\n") };
        let head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n{length}\r\n", self.host);
        self.write(head.as_bytes()).await;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.expect("a connection that takes what is sent");
    }

    /// Reads one answer with a content length; the connection is then ready for the next request.
    pub async fn answer(&mut self) -> Answer {
        let head = self.until("\r\n\r\n").await;
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().expect("a length"))
        });
        let length: usize = length.unwrap_or_else(|| panic!("an answer without a length\n{head}"));
        while self.read.len() < length {
            self.fill().await.expect("a whole body");
        }
        let body = self.read.drain(..length).collect();
        Answer { status, body: String::from_utf8(body).expect("text").trim().to_owned() }
    }

    /// Reads up to and including `mark`.
    pub async fn until(&mut self, mark: &str) -> String {
        loop {
            if let Some(at) = self.read.windows(mark.len()).position(|window| window == mark.as_bytes()) {
                let text = self.read.drain(..at + mark.len()).collect();
                return String::from_utf8(text).expect("text");
            }
            let so_far = String::from_utf8_lossy(&self.read).into_owned();
            self.fill().await.unwrap_or_else(|error| panic!("no `{mark}`: {error}, after `{so_far}`"));
        }
    }

    async fn fill(&mut self) -> Result<(), String> {
        match timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await {
            Ok(Ok(0)) => Err("the connection ended".to_owned()),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("nothing for {PATIENCE:?}")),
        }
    }
}
