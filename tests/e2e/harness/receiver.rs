//! A server of the test's own that keeps what it is sent, and answers as it was told.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// What it does with a request after it has been kept.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Status(u16),
    /// Nothing, for ever.
    Silence,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Ends with the test.
pub struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Answers the first requests in turn, and all others like the last of these.
    pub async fn start(replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, replies) = (Arc::clone(&received), Arc::<[Reply]>::from(replies));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, replies) = (Arc::clone(&kept), Arc::clone(&replies));
                let service = service_fn(move |request| answer(request, Arc::clone(&kept), Arc::clone(&replies)));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::spawn(async move { drop(connection.await) });
            }
        });
        Self { address, received, task }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Without the scheme, as warnings name it.
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    kept: Arc<Mutex<Vec<Received>>>,
    replies: Arc<[Reply]>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let number = {
        let mut kept = kept.lock().expect("not poisoned");
        kept.push(Received { path: head.uri.path().to_owned(), headers: head.headers, body });
        kept.len()
    };
    match replies.get(number - 1).or(replies.last()) {
        Some(Reply::Status(status)) => {
            Ok(Response::builder().status(*status).body(Full::default()).expect("a valid answer"))
        }
        Some(Reply::Silence) | None => std::future::pending().await,
    }
}

/// An address of this machine on which nothing listens.
pub fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}
