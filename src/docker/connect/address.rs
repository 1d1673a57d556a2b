//! The address of an engine, in the docker CLI's syntax.

use std::fmt;

/// The engine's default port, without and with TLS.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;
pub(super) const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(String),
    Tcp(TcpAddress),
    Ssh(SshAddress),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TcpAddress {
    /// A host name or an IP address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// Written as `https://`, which means TLS regardless of the variables for `tcp://`.
    pub https: bool,
}

/// The arguments for `ssh`; everything else is in the user's ssh configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SshAddress {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
    /// The engine's socket on that host, if it is not the default.
    pub socket: Option<String>,
}

impl Address {
    pub(super) fn local() -> Self {
        Self::Unix(DEFAULT_SOCKET.to_owned())
    }

    /// `tls`: whether `tcp://` means TLS, which the address does not say.
    ///
    /// # Errors
    /// What is wrong with the address, as a fragment.
    pub(super) fn parse(text: &str, tls: bool) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("not an address of an engine".to_owned());
        };
        match scheme {
            "unix" if rest.starts_with('/') => Ok(Self::Unix(rest.to_owned())),
            "unix" => Err("the path of a socket begins with `/`".to_owned()),
            "tcp" | "http" | "https" => {
                let tls = tls && scheme != "http" || scheme == "https";
                let rest = rest.trim_end_matches('/');
                if rest.contains(['/', '@']) {
                    return Err("only a host and a port are expected".to_owned());
                }
                let (host, port) = host_and_port(rest)?;
                let port = port.unwrap_or(if tls { TLS_PORT } else { PLAIN_PORT });
                Ok(Self::Tcp(TcpAddress { host, port, tls, https: scheme == "https" }))
            }
            "ssh" => ssh(rest).map(Self::Ssh),
            "npipe" => Err("named pipes are for Windows".to_owned()),
            _ => Err(format!("the scheme `{scheme}` is not known")),
        }
    }
}

/// Hides the password of an address in a message: `tcp://ann:secret@host` becomes `tcp://ann:***@host`.
pub(super) fn without_login(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    // A password may contain an unencoded `/`, so the last `@` of the text counts.
    let Some((login, place)) = rest.rsplit_once('@') else { return text.to_owned() };
    let Some((user, _)) = login.split_once(':') else { return text.to_owned() };
    let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
    format!("{scheme}{user}:***@{place}")
}

fn ssh(rest: &str) -> Result<SshAddress, String> {
    if rest.contains(['?', '#']) {
        return Err("only a user, a host, a port and a path are expected".to_owned());
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |start| rest.split_at(start));
    let (user, place) = match authority.rsplit_once('@') {
        Some((user, _)) if user.contains(':') => {
            return Err("a password in the address is not supported; use a key".to_owned());
        }
        Some((user, place)) if !user.is_empty() => (Some(user.to_owned()), place),
        Some(_) => return Err("the user before `@` is missing".to_owned()),
        None => (None, authority),
    };
    let (host, port) = host_and_port(place)?;
    // `ssh` would read it as an option.
    if host.starts_with('-') || user.as_deref().is_some_and(|user| user.starts_with('-')) {
        return Err("neither a host nor a user begins with `-`".to_owned());
    }
    let socket = (path.len() > 1).then(|| path.to_owned());
    // `ssh` reads a colon as the end of a forwarded path.
    if socket.as_deref().is_some_and(|socket| socket.contains(':')) {
        return Err("the path of a socket has no `:`".to_owned());
    }
    Ok(SshAddress { user, host, port, socket })
}

fn host_and_port(text: &str) -> Result<(String, Option<u16>), String> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']').ok_or("the `]` after the address is missing")?;
            (host, port.strip_prefix(':').or(if port.is_empty() { None } else { Some(port) }))
        }
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    if host.contains(char::is_whitespace) {
        return Err("a host has no blanks".to_owned());
    }
    match port.map(|port| (port, port.parse::<u16>())) {
        None => Ok((host.to_owned(), None)),
        Some((_, Ok(port))) if port > 0 => Ok((host.to_owned(), Some(port))),
        Some((port, _)) => Err(format!("`{port}` is not a port, 1 to 65535")),
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(tcp) => write!(f, "{tcp}"),
            Self::Ssh(ssh) => write!(f, "{ssh}"),
        }
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tcp://{}:{}", bracketed(&self.host), self.port)
    }
}

impl fmt::Display for SshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ssh://")?;
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&bracketed(&self.host))?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(self.socket.as_deref().unwrap_or_default())
    }
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(user: Option<&str>, host: &str, port: Option<u16>, socket: Option<&str>) -> Address {
        let [user, socket] = [user, socket].map(|text| text.map(str::to_owned));
        Address::Ssh(SshAddress { user, host: host.to_owned(), port, socket })
    }

    #[test]
    fn addresses_are_read_as_the_docker_command_reads_them() {
        let tcp = |host: &str, port, tls, https| Address::Tcp(TcpAddress { host: host.to_owned(), port, tls, https });
        let table = [
            ("unix:///run/d.sock", false, Address::Unix("/run/d.sock".to_owned())),
            ("tcp://10.0.0.2:2375/", false, tcp("10.0.0.2", 2375, false, false)),
            ("tcp://build", false, tcp("build", 2375, false, false)),
            ("tcp://build", true, tcp("build", 2376, true, false)),
            ("tcp://[::1]:99", true, tcp("::1", 99, true, false)),
            ("http://build:80", true, tcp("build", 80, false, false)),
            ("https://build", false, tcp("build", 2376, true, true)),
            ("ssh://far", false, ssh(None, "far", None, None)),
            ("ssh://ann@far:2222/", true, ssh(Some("ann"), "far", Some(2222), None)),
            (
                "ssh://ann@[fe80::1]/run/user/1/docker.sock",
                false,
                ssh(Some("ann"), "fe80::1", None, Some("/run/user/1/docker.sock")),
            ),
        ];
        for (text, tls, wanted) in table {
            assert_eq!(Address::parse(text, tls).as_ref(), Ok(&wanted), "{text}");
        }
        assert_eq!(ssh(Some("a"), "::1", Some(2), Some("/s")).to_string(), "ssh://a@[::1]:2/s");
    }

    #[test]
    fn a_password_is_never_shown() {
        let table = [
            ("tcp://u:pw@host:1", "tcp://u:***@host:1"),
            ("tcp://u:p/w@x@host", "tcp://u:***@host"),
            ("u:pw@host", "u:***@host"),
            ("ssh://ann@host", "ssh://ann@host"),
            ("tcp://host:1", "tcp://host:1"),
        ];
        for (text, shown) in table {
            assert_eq!(without_login(text), shown);
        }
    }

    #[test]
    fn invalid_addresses_are_explained() {
        let table = [
            ("nonsense", "not an address of an engine"),
            ("ftp://host", "the scheme `ftp` is not known"),
            ("unix://relative", "the path of a socket begins with `/`"),
            ("tcp://", "the host is missing"),
            ("tcp://host:0", "`0` is not a port, 1 to 65535"),
            ("tcp://host/path", "only a host and a port are expected"),
            ("ssh://ann:secret@host", "a password in the address is not supported; use a key"),
            ("ssh://@host", "the user before `@` is missing"),
            ("ssh://-oProxyCommand=x", "neither a host nor a user begins with `-`"),
            ("ssh://host:port", "`port` is not a port, 1 to 65535"),
            ("ssh://host?x=1", "only a user, a host, a port and a path are expected"),
        ];
        for (text, wanted) in table {
            assert_eq!(Address::parse(text, false), Err(wanted.to_owned()), "{text}");
        }
    }
}
