//! Compares where an app listens with where it is probed.

use std::net::{IpAddr, SocketAddr};

/// The listening sockets of all processes in a container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listening {
    pub sockets: Vec<SocketAddr>,
    /// Whether the probed port speaks TLS.
    pub speaks_tls: bool,
}

impl Listening {
    /// Why it cannot be reached at `port`, and a fix; `None` when these sockets do not explain it.
    #[must_use]
    pub fn fault(&self, port: u16) -> Option<(String, String)> {
        if self.speaks_tls {
            let hint = "name the port of plain HTTP: TLS ends in front of the apps, at the proxy or before it";
            return Some((format!("it speaks TLS on port {port}"), hint.to_owned()));
        }
        let here: Vec<&SocketAddr> = self.sockets.iter().filter(|socket| socket.port() == port).collect();
        if here.iter().any(|socket| !socket.ip().is_loopback()) {
            // A socket bound to a specific IPv6 address refuses IPv4 connections.
            let only_ipv6 = here.iter().all(|socket| socket.is_ipv6() && !socket.ip().is_unspecified());
            return only_ipv6.then(|| (format!("it listens on {} only", list(&here)), everywhere()));
        }
        if !here.is_empty() {
            return Some((format!("it listens on {} only", list(&here)), everywhere()));
        }
        let all: Vec<&SocketAddr> = self.sockets.iter().collect();
        let outside: Vec<&SocketAddr> = all.iter().copied().filter(|socket| !socket.ip().is_loopback()).collect();
        Some(match (outside.first(), all.is_empty()) {
            (Some(first), _) => (
                format!("it listens on {}, not {port}", ports(&outside)),
                format!("write `port: {}`, or let the app listen on {port}", first.port()),
            ),
            (None, false) => {
                let hint = format!("let it listen on `0.0.0.0:{port}`, or on `0.0.0.0` and name its port in `port`");
                (format!("it listens on {} only, not on port {port}", list(&all)), hint)
            }
            (None, true) => {
                let hint =
                    "its log says how far it came; an app that starts slowly needs a longer `health: { timeout: … }`";
                ("it listens on no port yet".to_owned(), hint.to_owned())
            }
        })
    }
}

fn everywhere() -> String {
    "let it listen on `0.0.0.0`, often by `HOST=0.0.0.0` or `--host 0.0.0.0`: the proxy comes from outside its container"
        .to_owned()
}

fn list(sockets: &[&SocketAddr]) -> String {
    sockets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

fn ports(sockets: &[&SocketAddr]) -> String {
    let mut ports: Vec<u16> = sockets.iter().map(|socket| socket.port()).collect();
    ports.sort_unstable();
    ports.dedup();
    let word = if ports.len() == 1 { "port" } else { "ports" };
    format!("{word} {}", ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// The listening sockets in `/proc/net/tcp` and `/proc/net/tcp6`, without the engine's DNS server.
#[must_use]
pub fn parse_sockets(text: &str) -> Vec<SocketAddr> {
    let mut sockets: Vec<SocketAddr> = text.lines().filter_map(socket).collect();
    sockets.sort_unstable();
    sockets.dedup();
    sockets
}

fn socket(line: &str) -> Option<SocketAddr> {
    const LISTEN: &str = "0A";
    const ENGINE_DNS: [u8; 4] = [127, 0, 0, 11];
    let mut words = line.split_whitespace().skip(1);
    let (address, port) = words.next()?.split_once(':')?;
    if words.nth(1)? != LISTEN {
        return None;
    }
    // Each 32-bit word is in the machine's byte order (little-endian).
    let mut bytes = Vec::new();
    for at in (0..address.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(address.get(at..at + 8)?, 16).ok()?.to_le_bytes());
    }
    let ip = match <[u8; 4]>::try_from(bytes.as_slice()) {
        Ok(bytes) => IpAddr::from(bytes),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?).to_canonical(),
    };
    let socket = SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?);
    (ip != IpAddr::from(ENGINE_DNS)).then_some(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(sockets: &[&str], port: u16) -> Option<String> {
        let sockets = sockets.iter().map(|socket| socket.parse().expect("an address")).collect();
        Listening { sockets, speaks_tls: false }.fault(port).map(|(why, _)| why)
    }

    #[test]
    fn kernel_tables_are_parsed() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
                    0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n   \
                    1: 0B00007F:9C41 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0\n   \
                    2: 0500F20A:1F90 0100F20A:C001 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0\n   \
                    0: 00000000000000000000000000000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 0\n   \
                    1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000 0\n";
        let found: Vec<String> = parse_sockets(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:3000", "[::]:8080", "[::1]:80"]);
    }

    #[test]
    fn faults_name_the_addresses() {
        let only = "it listens on 127.0.0.1:3000 only";
        assert_eq!(fault(&["127.0.0.1:3000"], 3000).as_deref(), Some(only));
        assert_eq!(fault(&["[::1]:3000"], 3000).as_deref(), Some("it listens on [::1]:3000 only"));
        assert_eq!(
            fault(&["0.0.0.0:3000", "127.0.0.1:9000"], 8080).as_deref(),
            Some("it listens on port 3000, not 8080")
        );
        assert_eq!(
            fault(&["127.0.0.1:3000"], 8080).as_deref(),
            Some("it listens on 127.0.0.1:3000 only, not on port 8080")
        );
        assert_eq!(fault(&["0.0.0.0:80", "[::]:443"], 8080).as_deref(), Some("it listens on ports 80, 443, not 8080"));
        assert_eq!(fault(&[], 8080).as_deref(), Some("it listens on no port yet"));
        assert_eq!(fault(&["0.0.0.0:8080"], 8080), None, "then something else is wrong");
        assert_eq!(fault(&["[::]:8080", "127.0.0.1:8080"], 8080), None);
        assert_eq!(fault(&["[fd00::2]:8080"], 8080).as_deref(), Some("it listens on [fd00::2]:8080 only"));
        let tls = Listening { sockets: Vec::new(), speaks_tls: true };
        assert_eq!(tls.fault(8443).expect("a fault").0, "it speaks TLS on port 8443");
    }
}
