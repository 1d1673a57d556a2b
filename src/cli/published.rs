//! Checks the proxy's published port as a client would: a port whose forwarding the engine has lost looks fine to all
//! other checks.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::remote;
use crate::compose::{Finding, Warning};
use crate::model::{EngineInfo, PortAnswer, Project};

/// Without `Host` nginx answers it immediately, and no app is involved.
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nUser-Agent: deploy-apps\r\nConnection: close\r\n\r\n";
/// The PROXY protocol's header for a connection without a client address.
const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
/// A working port answers within a millisecond. Longer than the first retransmission of a lost packet.
const PATIENCE: Duration = Duration::from_secs(2);
/// The port of a new proxy may be ready slightly later than its control socket.
const PAUSE: Duration = Duration::from_millis(250);

/// Connects to the port, and retries once if there is no answer.
pub async fn ask(project: &Project, engine: &EngineInfo) -> PortAnswer {
    let (host, port) = match remote::proxy_target(project, engine) {
        Ok(target) => target,
        Err(failure) => return PortAnswer::NotAsked { why: failure.message },
    };
    let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let request = if project.proxy.proxy_protocol { [UNKNOWN, REQUEST].concat() } else { REQUEST.to_vec() };
    let mut answer = once(&host, port, &request).await;
    if answer.is_err() {
        tokio::time::sleep(PAUSE).await;
        answer = once(&host, port, &request).await;
    }
    match answer {
        Ok(()) => PortAnswer::Answers { address },
        // From another machine, a firewall may be the reason.
        Err(Silence::Unreached(why)) if !engine.local => {
            PortAnswer::NotAsked { why: format!("`{address}` is not reached from here: {why}") }
        }
        Err(Silence::Unreached(why) | Silence::Mute(why)) => PortAnswer::Silent { address, why },
    }
}

enum Silence {
    /// The connection failed.
    Unreached(String),
    /// The connection was accepted, but there was no answer.
    Mute(String),
}

async fn once(host: &str, port: u16, request: &[u8]) -> Result<(), Silence> {
    let mut stream = match timeout(PATIENCE, TcpStream::connect((host, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            return Err(Silence::Unreached("connection refused".to_owned()));
        }
        Ok(Err(error)) => return Err(Silence::Unreached(error.to_string())),
        Err(_) => return Err(Silence::Unreached(format!("no connection within {PATIENCE:?}"))),
    };
    let mut head = [0; 5];
    let asked = async {
        stream.write_all(request).await?;
        stream.read_exact(&mut head).await
    };
    match timeout(PATIENCE, asked).await {
        Ok(Ok(_)) if &head == b"HTTP/" => Ok(()),
        Ok(Ok(_)) => Err(Silence::Mute("what answers there does not speak HTTP".to_owned())),
        Ok(Err(_)) => Err(Silence::Mute("the connection was closed without an answer".to_owned())),
        Err(_) => Err(Silence::Mute(format!("no answer within {PATIENCE:?}"))),
    }
}

/// The warning at the end of a deploy; none if the port answers or was not checked.
pub fn warning(project: &Project, answer: &PortAnswer) -> Option<Warning> {
    let message = answer.trouble()?;
    let hint = Some(PortAnswer::remedy(&project.proxy.name));
    Some(Warning(Finding { message, place: None, hint }))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn served(answer: &'static [u8]) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 16];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer).await;
            }
        });
        port
    }

    #[tokio::test]
    async fn an_answer_is_distinguished_from_silence() {
        let asked = async |port| once("127.0.0.1", port, REQUEST).await;
        assert!(asked(served(b"HTTP/1.1 400 Bad Request\r\n\r\n").await).await.is_ok());
        assert!(matches!(asked(served(b"SSH-2.0-x\r\n").await).await, Err(Silence::Mute(why)) if why.contains("HTTP")));
        assert!(matches!(asked(served(b"").await).await, Err(Silence::Mute(why)) if why.contains("closed")));
        let closed =
            TcpListener::bind(("127.0.0.1", 0)).await.expect("a port").local_addr().expect("an address").port();
        assert!(matches!(asked(closed).await, Err(Silence::Unreached(why)) if why == "connection refused"));
    }

    #[tokio::test]
    async fn the_check_has_a_timeout() {
        // A listener that never accepts, like a forwarder without file descriptors: the kernel completes the
        // connection, and no answer comes.
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        assert!(
            matches!(once("127.0.0.1", port, REQUEST).await, Err(Silence::Mute(why)) if why == "no answer within 2s")
        );
    }
}
