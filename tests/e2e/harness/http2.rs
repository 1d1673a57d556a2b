//! A client that multiplexes POSTs over one HTTP/2 connection and sends none twice.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use hyper::Request;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

type Sender = SendRequest<Bytes>;

pub struct Http2Client {
    address: SocketAddr,
    host: String,
    connector: TlsConnector,
    current: Mutex<(u64, Option<Sender>)>,
}

impl Http2Client {
    /// Trusts this certificate alone.
    pub fn new(address: SocketAddr, host: &str, certificate: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(certificate.as_bytes()).expect("PEM")).expect("a root");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        Self { address, host: host.to_owned(), connector, current: Mutex::new((0, None)) }
    }

    /// How many connections it has opened.
    pub async fn connections(&self) -> u64 {
        self.current.lock().await.0
    }

    async fn open(&self) -> Sender {
        let stream = TcpStream::connect(self.address).await.expect("the proxy listens");
        stream.set_nodelay(true).expect("a TCP socket");
        let name = ServerName::try_from(self.host.clone()).expect("a name");
        let stream = self.connector.connect(name, stream).await.expect("a handshake");
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (sender, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(async move {
            // What becomes of its requests, each of them says itself.
            let _ = connection.await;
        });
        sender
    }

    /// The body of the answer to a POST. What the connection does not take any more goes over the next one: it was never sent.
    pub async fn post(&self, path: &str, body: Bytes) -> Result<String, h2::Error> {
        let uri = format!("https://{}{path}", self.host);
        loop {
            let (number, sender) = {
                let mut current = self.current.lock().await;
                if current.1.is_none() {
                    *current = (current.0 + 1, Some(self.open().await));
                }
                (current.0, current.1.clone().expect("just opened"))
            };
            let request = Request::post(&uri).body(()).expect("a request");
            let begun = match sender.ready().await {
                Ok(mut sender) => sender.send_request(request, false),
                Err(error) => Err(error),
            };
            let Ok((answer, mut sent)) = begun else {
                let mut current = self.current.lock().await;
                if current.0 == number {
                    current.1 = None;
                }
                continue;
            };
            sent.send_data(body.clone(), true)?;
            let answer = answer.await?;
            let status = answer.status();
            let mut stream = answer.into_body();
            let mut text = Vec::new();
            while let Some(part) = stream.data().await {
                let part = part?;
                stream.flow_control().release_capacity(part.len())?;
                text.extend_from_slice(&part);
            }
            let text = String::from_utf8_lossy(&text);
            return Ok(format!("{} {}", status.as_u16(), text.trim()));
        }
    }
}
