//! A server in the test that records requests and sends predefined answers.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

use super::far_host::certificate_authority;

/// The answer to a recorded request.
#[derive(Debug, Clone, Copy)]
pub enum Reply {
    Status(u16),
    /// No answer.
    Silence,
}

/// A received request.
#[derive(Debug, Clone)]
pub struct Received {
    pub path: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

/// Stopped at the end of the test.
pub struct Receiver {
    address: SocketAddr,
    /// The CA file for its certificate, with TLS.
    authority: Option<NamedTempFile>,
    received: Arc<Mutex<Vec<Received>>>,
    _task: AbortOnDropHandle<()>,
}

impl Receiver {
    /// The first requests get the replies in order, all others the last one.
    pub async fn start(replies: &[Reply]) -> Self {
        Self::over(None, replies).await
    }

    /// The same with TLS as `localhost`, with a certificate of an unknown CA.
    pub async fn start_tls(replies: &[Reply]) -> Self {
        let (authority, authority_key) = certificate_authority("e2e receiver");
        let file = NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), authority.pem()).expect("a writable file");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        let certificate = params.signed_by(&key, &authority, &authority_key).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions of TLS").with_no_client_auth();
        let config = config.with_single_cert(vec![certificate.into()], key).expect("a pair");
        let receiver = Self::over(Some(TlsAcceptor::from(Arc::new(config))), replies).await;
        Self { authority: Some(file), ..receiver }
    }

    async fn over(tls: Option<TlsAcceptor>, replies: &[Reply]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, replies) = (Arc::clone(&received), Arc::<[Reply]>::from(replies));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, replies, tls) = (Arc::clone(&kept), Arc::clone(&replies), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        // A client that does not trust the certificate closes the connection.
                        Some(tls) => drop(serve(tls.accept(stream).await?, kept, replies).await),
                        None => drop(serve(stream, kept, replies).await),
                    }
                    Ok::<(), std::io::Error>(())
                });
            }
        });
        Self { address, authority: None, received, _task: AbortOnDropHandle::new(task) }
    }

    pub fn url(&self, path: &str) -> String {
        match self.authority {
            Some(_) => format!("https://localhost:{}{path}", self.address.port()),
            None => format!("http://{}{path}", self.address),
        }
    }

    /// For `SSL_CERT_FILE`.
    pub fn authority(&self) -> &str {
        self.authority.as_ref().and_then(|file| file.path().to_str()).expect("a receiver that speaks TLS")
    }

    /// Without the scheme, like in warnings.
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().expect("not poisoned").clone()
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    kept: Arc<Mutex<Vec<Received>>>,
    replies: Arc<[Reply]>,
) -> hyper::Result<()> {
    let service = service_fn(move |request| answer(request, Arc::clone(&kept), Arc::clone(&replies)));
    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await
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

/// A local address without a listener.
pub fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound")
}
