//! Selects the engine, connects to it, and negotiates the API version.

mod address;
mod certificate;
mod choice;
mod contexts;
mod link;
mod ssh;
mod ssh_trouble;
mod tls;

use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use bollard::models::SystemVersion;
use jiff::Timestamp;
use rustls::pki_types::ServerName;
use tokio::net::UnixStream;
use tokio_rustls::TlsConnector;

use super::api::{NEWEST, negotiate, versioned};
use super::credentials::Credentials;
use super::errors;
use super::{CALL_LIMIT, DockerEngine, bounded};
use crate::model::EngineInfo;
use crate::ports::{EngineError, EngineErrorKind};
use address::{Address, TcpAddress};
use choice::Endpoint;
use ssh::Ssh;
use tls::TlsPlan;

pub use certificate::CertificateInfo;
pub use choice::EngineChoice;
pub(super) use link::Link;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const FIRST_ANSWER_LIMIT: Duration = Duration::from_secs(30);

/// Connects to the engine named by the environment: `DOCKER_HOST`, a docker context, or the local socket.
///
/// # Errors
/// When there is no engine, access is denied, or it is too old.
pub async fn connect(env: impl Fn(&str) -> Option<String>) -> Result<DockerEngine, EngineError> {
    connect_to(&EngineChoice::default(), env).await
}

/// Connects to the engine of `choice`, or to the one named by the environment.
///
/// # Errors
/// Like [`connect`].
pub async fn connect_to(
    choice: &EngineChoice,
    env: impl Fn(&str) -> Option<String>,
) -> Result<DockerEngine, EngineError> {
    let credentials = Credentials::load(&env)?;
    let Endpoint { address, tls } = choice::choose(choice, &env, &credentials)?;
    let name = address.to_string();
    let mut certificates = Vec::new();
    let (client, link, host) = match address {
        Address::Unix(path) => {
            reach(&path).await?;
            let client = Docker::connect_with_unix(&path, CALL_LIMIT.as_secs(), &NEWEST.into())
                .map_err(|error| errors::explain(&format!("use `{name}`"), &error))?;
            (client, None, None)
        }
        Address::Tcp(tcp) => {
            let host = tcp.host.clone();
            let link = Link::new(over_tcp(tcp, tls, &mut certificates)?);
            (link.client()?, Some(link), Some(host))
        }
        Address::Ssh(ssh) => {
            let link = Link::new(link::Way::Ssh(Ssh::new(ssh.clone())));
            (link.client()?, Some(link), Some(ssh::real_host(&ssh).await))
        }
    };
    let version = match &link {
        None => ask_version(&client, &name).await?,
        // For the first call a timeout means that the engine is not reachable: nothing can have happened yet.
        Some(link) => first_answer(link, &client, &name).await.map_err(|error| match error.kind {
            EngineErrorKind::TimedOut => EngineError { kind: EngineErrorKind::Unreachable, ..error },
            _ => error,
        })?,
    };
    let engine = version.version.unwrap_or_default();
    let api = negotiate(&engine, version.api_version.as_deref(), version.min_api_version.as_deref())?;
    let local = host.as_deref().is_none_or(is_loopback);
    let client = client.with_request_modifier(move |request| versioned(request, api));
    Ok(DockerEngine {
        watch: link.as_ref().map(|link| Arc::new(link.establish(client.clone()))),
        link,
        client,
        api,
        info: Arc::new(EngineInfo { version: engine, api: api.to_string(), address: name, host, local }),
        certificates: certificates.into(),
        credentials: Arc::new(credentials),
        classic_builder: env("DEPLOY_APPS_BUILDER").is_some_and(|builder| builder == "classic"),
    })
}

fn over_tcp(
    tcp: TcpAddress,
    tls: Option<TlsPlan>,
    certificates: &mut Vec<CertificateInfo>,
) -> Result<link::Way, EngineError> {
    let Some(plan) = tls else { return Ok(link::Way::Tcp(tcp)) };
    let prepared = plan.prepare(Timestamp::now())?;
    *certificates = prepared.certificates;
    let name = ServerName::try_from(tcp.host.clone()).map_err(|_| {
        EngineError::new(EngineErrorKind::Unreachable, format!("no certificate can be for the host `{}`", tcp.host))
    })?;
    Ok(link::Way::Tls { address: tcp, name, connector: TlsConnector::from(prepared.config), plan })
}

async fn ask_version(client: &Docker, name: &str) -> Result<SystemVersion, EngineError> {
    let doing = format!("ask the engine at `{name}` for its version");
    bounded(&doing, CONNECT_LIMIT, async { client.version().await.map_err(|error| errors::explain(&doing, &error)) })
        .await
}

/// The first call over a link, which is where most connection problems appear.
async fn first_answer(link: &Arc<Link>, client: &Docker, name: &str) -> Result<SystemVersion, EngineError> {
    let doing = format!("ask the engine at `{name}` for its version");
    // A login takes time; an engine slower than this counts as not reachable.
    let error = match tokio::time::timeout(FIRST_ANSWER_LIMIT, client.version()).await {
        Ok(Ok(version)) => return Ok(version),
        Ok(Err(error)) => error,
        Err(_) => return Err(errors::timed_out(&doing, FIRST_ANSWER_LIMIT)),
    };
    // Our own error is more specific than the HTTP client's error around it.
    if let Some(ours) = errors::cause::<EngineError>(&error) {
        return Err(ours.clone());
    }
    match &link.way {
        link::Way::Tls { plan, .. } => match errors::cause::<rustls::Error>(&error) {
            Some(cause) => Err(plan.explain(name, cause)),
            None => Err(errors::explain(&doing, &error)),
        },
        link::Way::Tcp(_) if error.to_string().contains("HTTP request to an HTTPS server") => {
            let message = format!("the engine at `{name}` speaks TLS, and was spoken to without");
            Err(EngineError::new(EngineErrorKind::Unreachable, message)
                .hint("set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem"))
        }
        link::Way::Tcp(_) => Err(errors::explain(&doing, &error)),
        link::Way::Ssh(ssh) => {
            ssh.look_for_another_way().await?;
            match ask_version(client, name).await {
                Ok(version) => Ok(version),
                Err(error) => Err(match ssh.last_words().await {
                    Some(words) => words,
                    None if is_no_answer(&error.message) => ssh.noisy(),
                    None => error,
                }),
            }
        }
    }
}

/// Whether the HTTP client read something that does not come from the engine: after its request was sent, or before.
fn is_no_answer(message: &str) -> bool {
    message.contains("invalid HTTP version") || message.contains("received unexpected message from connection")
}

/// Connects directly: the system's error is clearer than that of the HTTP client.
async fn reach(path: &str) -> Result<(), EngineError> {
    let name = format!("unix://{path}");
    match tokio::time::timeout(CONNECT_LIMIT, UnixStream::connect(path)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(no_way_to(&name, &error)),
        Err(_) => Err(no_way_to(&name, &io::ErrorKind::TimedOut.into())),
    }
}

fn no_way_to(name: &str, error: &io::Error) -> EngineError {
    let hint = match name.split_once("://") {
        Some(("unix", _)) => "`./deploy-apps --setup` installs and starts it",
        _ => "check the address, and whether the engine listens there",
    };
    let unreachable = |why: &str| {
        EngineError::new(EngineErrorKind::Unreachable, format!("no container engine at `{name}`: {why}")).hint(hint)
    };
    match error.kind() {
        io::ErrorKind::PermissionDenied => EngineError::new(
            EngineErrorKind::PermissionDenied,
            format!("the container engine's socket `{name}` may not be used by this user"),
        )
        .hint("`sudo usermod -aG docker $USER`, then log in again; or run with sudo"),
        io::ErrorKind::NotFound => unreachable("there is no such socket"),
        io::ErrorKind::ConnectionRefused => unreachable("nothing listens there"),
        io::ErrorKind::TimedOut => unreachable(&format!("no answer within {CONNECT_LIMIT:?}")),
        _ if error.to_string().contains("failed to lookup address") => unreachable("there is no host of that name"),
        _ => unreachable(&error.to_string()),
    }
}

fn is_loopback(host: &str) -> bool {
    (host, 0).to_socket_addrs().is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()))
}

#[cfg(test)]
mod tests {
    use http_body_util::Empty;
    use hyper::body::Bytes;
    use hyper::client::conn::http1::handshake;
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// What the HTTP client says of a login that prints text, before or after the request arrives there.
    async fn said_of_noise(is_early: bool) -> String {
        let (ours, mut theirs) = tokio::io::duplex(1024);
        if is_early {
            theirs.write_all(b"This service allows one command only.\n").await.unwrap();
        }
        let (mut sender, connection) = handshake(TokioIo::new(ours)).await.unwrap();
        let connection = tokio::spawn(connection);
        if is_early {
            let problem = connection.await.unwrap().unwrap_err();
            return problem.to_string();
        }
        let answer = tokio::spawn(async move { sender.send_request(hyper::Request::new(Empty::<Bytes>::new())).await });
        theirs.read_u8().await.unwrap();
        theirs.write_all(b"This service allows one command only.\n").await.unwrap();
        answer.await.unwrap().unwrap_err().to_string()
    }

    #[tokio::test]
    async fn text_of_a_login_is_no_answer_whenever_it_arrives() {
        for is_early in [false, true] {
            let said = said_of_noise(is_early).await;
            assert!(is_no_answer(&said), "{said}");
        }
        assert!(!is_no_answer("connection reset by peer"));
    }
}
