//! Finds the engine, and agrees with it on an API version.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::sync::Arc;
use std::time::Duration;

use bollard::Docker;
use tokio::net::{TcpStream, UnixStream};

use super::api::{NEWEST, negotiate, versioned};
use super::{CALL_LIMIT, Credentials, DockerEngine, bounded, errors};
use crate::model::EngineInfo;
use crate::ports::{EngineError, EngineErrorKind};

const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// Where the engine listens.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Unix(String),
    /// `host:port`, plain HTTP.
    Tcp(String),
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Connects to the engine that the environment names: `DOCKER_HOST`, else the local socket.
///
/// # Errors
/// When there is no engine, when it may not be used, or when it is too old.
pub async fn connect(env: impl Fn(&str) -> Option<String>) -> Result<DockerEngine, EngineError> {
    let credentials = Credentials::load(&env);
    let host = choose_host(&env, &credentials)?;
    reach(&host).await?;
    let client = client_for(&host)?;
    let doing = format!("ask the engine at `{host}` for its version");
    let version = bounded(&doing, CONNECT_LIMIT, async {
        client.version().await.map_err(|error| errors::explain(&doing, &error))
    })
    .await?;
    let engine = version.version.unwrap_or_default();
    let api = negotiate(&engine, version.api_version.as_deref(), version.min_api_version.as_deref())?;
    let local = match &host {
        Host::Unix(_) => true,
        Host::Tcp(address) => is_loopback(address),
    };
    Ok(DockerEngine {
        client: client.with_request_modifier(move |request| versioned(request, api)),
        api,
        info: Arc::new(EngineInfo { version: engine, api: api.to_string(), address: host.to_string(), local }),
        credentials: Arc::new(credentials),
        classic_builder: env("DEPLOY_APPS_BUILDER").is_some_and(|builder| builder == "classic"),
    })
}

fn choose_host(env: &impl Fn(&str) -> Option<String>, credentials: &Credentials) -> Result<Host, EngineError> {
    let set = |name| env(name).filter(|value| !value.is_empty());
    if let Some(text) = set("DOCKER_HOST") {
        return parse_host(&text, set("DOCKER_TLS_VERIFY").is_some());
    }
    // The docker command would go to the context's engine: silently deploying to another one would be worse than refusing.
    match set("DOCKER_CONTEXT").or_else(|| credentials.current_context.clone()) {
        Some(context) if context != "default" => Err(EngineError::new(
            EngineErrorKind::Unreachable,
            format!("the docker context `{context}` is selected, and contexts are not supported yet"),
        )
        .hint("set DOCKER_HOST to the engine's address, or run `docker context use default`")),
        _ => parse_host(DEFAULT_HOST, false),
    }
}

fn parse_host(text: &str, tls: bool) -> Result<Host, EngineError> {
    let refuse = |why: &str| EngineError::new(EngineErrorKind::Unreachable, format!("DOCKER_HOST is `{text}`: {why}"));
    let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
    let address = || {
        let address = rest.trim_end_matches('/');
        if address.contains(':') { address.to_owned() } else { format!("{address}:2375") }
    };
    match scheme {
        "unix" => Ok(Host::Unix(rest.to_owned())),
        "tcp" | "http" if !tls && !rest.is_empty() => Ok(Host::Tcp(address())),
        "tcp" | "https" => Err(refuse("engines behind TLS are not supported yet")
            .hint("forward its socket, `ssh -NL /tmp/engine.sock:/var/run/docker.sock HOST`, and set DOCKER_HOST=unix:///tmp/engine.sock")),
        "ssh" => Err(refuse("engines over ssh are not supported yet")
            .hint("forward its socket, `ssh -NL /tmp/engine.sock:/var/run/docker.sock HOST`, and set DOCKER_HOST=unix:///tmp/engine.sock")),
        _ => Err(refuse("not an address of an engine").hint("write `unix:///path/of.sock` or `tcp://host:port`")),
    }
}

/// Connects once by hand: the system's own reason is clearer than what the HTTP client makes of it.
async fn reach(host: &Host) -> Result<(), EngineError> {
    let attempt = async {
        match host {
            Host::Unix(path) => UnixStream::connect(path).await.map(drop),
            Host::Tcp(address) => TcpStream::connect(address).await.map(drop),
        }
    };
    match tokio::time::timeout(CONNECT_LIMIT, attempt).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(no_way_to(host, &error)),
        Err(_) => Err(no_way_to(host, &io::ErrorKind::TimedOut.into())),
    }
}

fn no_way_to(host: &Host, error: &io::Error) -> EngineError {
    let hint = match host {
        Host::Unix(_) => "`./deploy-apps --setup` installs and starts it",
        Host::Tcp(_) => "check DOCKER_HOST and whether the engine listens there",
    };
    let unreachable = |why: &str| {
        EngineError::new(EngineErrorKind::Unreachable, format!("no container engine at `{host}`: {why}")).hint(hint)
    };
    match error.kind() {
        io::ErrorKind::PermissionDenied => EngineError::new(
            EngineErrorKind::PermissionDenied,
            format!("the container engine's socket `{host}` may not be used by this user"),
        )
        .hint("`sudo usermod -aG docker $USER`, then log in again; or run with sudo"),
        io::ErrorKind::NotFound => unreachable("there is no such socket"),
        io::ErrorKind::ConnectionRefused => unreachable("nothing listens there"),
        io::ErrorKind::TimedOut => unreachable(&format!("no answer within {CONNECT_LIMIT:?}")),
        _ => unreachable(&error.to_string()),
    }
}

fn client_for(host: &Host) -> Result<Docker, EngineError> {
    let unused = NEWEST.into();
    let limit = CALL_LIMIT.as_secs();
    match host {
        Host::Unix(path) => Docker::connect_with_unix(path, limit, &unused),
        Host::Tcp(address) => Docker::connect_with_http(&format!("tcp://{address}"), limit, &unused),
    }
    .map_err(|error| errors::explain(&format!("use `{host}`"), &error))
}

fn is_loopback(address: &str) -> bool {
    address.to_socket_addrs().is_ok_and(|mut found| found.all(|address| address.ip().is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_read_as_the_docker_command_reads_them() {
        assert_eq!(parse_host("unix:///run/d.sock", false).unwrap(), Host::Unix("/run/d.sock".to_owned()));
        assert_eq!(parse_host("tcp://10.0.0.2:2375/", false).unwrap(), Host::Tcp("10.0.0.2:2375".to_owned()));
        assert_eq!(parse_host("tcp://build", false).unwrap(), Host::Tcp("build:2375".to_owned()));
        for (text, tls) in
            [("ssh://host", false), ("https://host", false), ("tcp://host:2376", true), ("nonsense", false)]
        {
            let error = parse_host(text, tls).unwrap_err();
            assert!(error.message.contains(text) && error.hint.is_some(), "{error:?}");
        }
    }

    #[test]
    fn a_foreign_context_is_refused_and_docker_host_wins_over_it() {
        let context = |name: &str| (name == "DOCKER_CONTEXT").then(|| "far".to_owned());
        assert!(choose_host(&context, &Credentials::default()).unwrap_err().message.contains("`far`"));
        let both = |name: &str| match name {
            "DOCKER_HOST" => Some("unix:///a".to_owned()),
            "DOCKER_CONTEXT" => Some("far".to_owned()),
            _ => None,
        };
        assert_eq!(choose_host(&both, &Credentials::default()).unwrap(), Host::Unix("/a".to_owned()));
    }
}
