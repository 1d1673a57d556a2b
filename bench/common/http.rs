//! Single hand-written requests on new connections, without retries.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Result;

const PATIENCE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(30);

/// The body of a 200 answer.
pub async fn get(address: SocketAddr, host: &str, path: &str) -> Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = timeout(PATIENCE, asked).await??;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    if head.starts_with("HTTP/1.1 200 ") { Ok(body.to_owned()) } else { Err(head.to_owned().into()) }
}

/// An upload whose last byte is held back, so that its end can be timed.
pub struct OpenRequest(TcpStream);

impl OpenRequest {
    pub async fn begin(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(b"POST /upload HTTP/1.1\r\nHost: web.localhost\r\nContent-Length: 4\r\n\r\nabc").await?;
        Ok(Self(stream))
    }

    /// Completes the request and returns when its answer arrived.
    pub async fn end(mut self) -> Result<SystemTime> {
        self.0.write_all(b"d").await?;
        let mut answer = Vec::new();
        let read = async {
            while !answer.ends_with(b"}\n") {
                if self.0.read_buf(&mut answer).await? == 0 {
                    break;
                }
            }
            Ok::<_, std::io::Error>(())
        };
        timeout(LIMIT, read).await??;
        let ended = SystemTime::now();
        if answer.starts_with(b"HTTP/1.1 200 ") {
            Ok(ended)
        } else {
            Err("the old replica's last request failed".into())
        }
    }
}
