//! A socket between the command and its engine: it passes everything on, slows it down, holds it back or cuts it.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::sleep;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Open,
    /// Each piece comes so much later.
    Slow(Duration),
    /// Connections stay, and nothing comes through.
    Paused,
    /// Every connection ends, and so does every new one.
    Cut,
}

pub struct Api {
    folder: TempDir,
    way: watch::Sender<Way>,
}

impl Api {
    /// In front of the engine's own socket.
    pub fn of(engine: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("chaos-api-").tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("sock")).expect("a socket");
        let (way, seen) = watch::channel(Way::Open);
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, engine.clone(), seen.clone()));
            }
        });
        Self { folder, way }
    }

    pub fn set(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// For `DOCKER_HOST`.
    pub fn address(&self) -> String {
        format!("unix://{}", self.folder.path().join("sock").display())
    }
}

async fn carry(near: UnixStream, engine: PathBuf, way: watch::Receiver<Way>) {
    let mut until_cut = way.clone();
    let both = async {
        let far = UnixStream::connect(engine).await.ok()?;
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::join!(copy(near_in, far_out, way.clone()), copy(far_in, near_out, way));
        Some(())
    };
    tokio::select! {
        _ = both => {}
        _ = until_cut.wait_for(|way| *way == Way::Cut) => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut way: watch::Receiver<Way>) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let now = *way.borrow();
        if let Way::Slow(delay) = now {
            sleep(delay).await;
        }
        if way.wait_for(|way| *way != Way::Paused).await.is_err() || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
    // The other direction goes on: the end of a command's input is not the end of its output.
    drop(to.shutdown().await);
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    /// An engine that says back what it is told, and a connection to it through the socket.
    async fn echo() -> (TempDir, Api, UnixStream) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("engine");
        let listener = UnixListener::bind(&path).expect("a socket");
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        let api = Api::of(path);
        let stream = connect(&api).await;
        (folder, api, stream)
    }

    async fn connect(api: &Api) -> UnixStream {
        UnixStream::connect(api.address().trim_start_matches("unix://")).await.expect("it listens")
    }

    async fn says_back(stream: &mut UnixStream, text: &str) -> bool {
        let mut back = vec![0; text.len()];
        stream.write_all(text.as_bytes()).await.is_ok()
            && timeout(SOON, stream.read_exact(&mut back)).await.expect("an answer or an end").is_ok()
            && back == text.as_bytes()
    }

    #[tokio::test]
    async fn what_is_paused_comes_when_the_way_is_open_again() {
        let (_folder, api, mut stream) = echo().await;
        assert!(says_back(&mut stream, "open").await);
        api.set(Way::Paused);
        stream.write_all(b"held").await.expect("a connection that stays");
        let mut back = [0; 4];
        assert!(timeout(Duration::from_millis(50), stream.read_exact(&mut back)).await.is_err(), "it is held back");
        api.set(Way::Slow(Duration::from_millis(1)));
        timeout(SOON, stream.read_exact(&mut back)).await.expect("an answer").expect("the whole of it");
        assert_eq!(&back, b"held");
    }

    #[tokio::test]
    async fn what_is_cut_ends_and_what_comes_after_it_is_new() {
        let (_folder, api, mut stream) = echo().await;
        api.set(Way::Cut);
        assert!(!says_back(&mut stream, "cut").await);
        api.set(Way::Open);
        assert!(says_back(&mut connect(&api).await, "again").await);
    }
}
