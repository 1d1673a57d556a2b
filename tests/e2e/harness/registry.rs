//! A registry with one image, in the test's process: it can be stopped at any time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Answers pulls of the image under every name and tag. Stopped when dropped.
pub struct Registry {
    pub address: SocketAddr,
    server: JoinHandle<()>,
}

impl Registry {
    /// Serves `image` of the engine. The engine accepts local registries without TLS.
    pub async fn of(image: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut save = Command::new("docker").args(["save", image]).stdout(Stdio::piped()).spawn().expect("docker");
        let archive = save.stdout.take().expect("piped");
        tar::Archive::new(archive).unpack(folder.path()).expect("the layout of an image");
        assert!(save.wait().expect("docker").success(), "`{image}` was not saved");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("its address");
        let server = tokio::spawn(serve(listener, Arc::new(folder)));
        Self { address, server }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, folder: Arc<TempDir>) {
    while let Ok((stream, _)) = listener.accept().await {
        let folder = Arc::clone(&folder);
        tokio::spawn(async move { drop(answer(stream, folder.path()).await) });
    }
}

/// Handles one request per connection.
async fn answer(mut stream: TcpStream, folder: &Path) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        // The engine tries TLS first, and falls back to HTTP.
        if stream.read_buf(&mut request).await? == 0 || request[0] == 0x16 {
            return stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        }
    }
    let request = String::from_utf8_lossy(&request);
    let mut words = request.split_whitespace();
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let (status, kind, body) = match path.rsplit_once('/') {
        Some((kind, name)) if kind.ends_with("/manifests") || kind.ends_with("/blobs") => {
            let digest = if name.starts_with("sha256:") { name.to_owned() } else { manifest(folder) };
            match std::fs::read(blob(folder, &digest)) {
                Ok(body) => ("200 OK", format!("{}\r\nDocker-Content-Digest: {digest}", media_type(kind, &body)), body),
                Err(_) => ("404 Not Found", "text/plain".to_owned(), Vec::new()),
            }
        }
        _ => ("200 OK", "application/json".to_owned(), b"{}".to_vec()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    if method != "HEAD" {
        stream.write_all(&body).await?;
    }
    stream.shutdown().await
}

/// The digest of the image's manifest, which all tags refer to.
fn manifest(folder: &Path) -> String {
    let index = std::fs::read(folder.join("index.json")).expect("an index; engines from 25.0 on save one");
    let index: Value = serde_json::from_slice(&index).expect("JSON");
    index["manifests"][0]["digest"].as_str().expect("a digest").to_owned()
}

fn blob(folder: &Path, digest: &str) -> PathBuf {
    folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))
}

fn media_type(kind: &str, body: &[u8]) -> String {
    let manifest = || serde_json::from_slice::<Value>(body).ok()?["mediaType"].as_str().map(str::to_owned);
    let is_manifest = kind.ends_with("/manifests");
    is_manifest.then(manifest).flatten().unwrap_or_else(|| "application/octet-stream".to_owned())
}
