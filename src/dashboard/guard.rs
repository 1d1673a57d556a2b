//! Access control: only requests by a name of this machine.

use std::net::Ipv4Addr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The page loads and runs only its own files, and no other page may show it in a frame.
const HEADERS: [(HeaderName, &str); 6] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (header::CACHE_CONTROL, "no-store"),
];

pub(super) fn secure(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Whether the `Host` header is a name of this machine. Without this check, a foreign site whose name resolves to this
/// machine (DNS rebinding) would pass the browser's same-origin rule. Any port is allowed: an ssh tunnel may use
/// another one, and a foreign site cannot have one of these names.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let (name, port) = match host.rsplit_once(':') {
        // The last group of an IPv6 address without a port looks like a port.
        Some((name, port)) if !host.ends_with(']') => (name, Some(port)),
        _ => (host, None),
    };
    if port.is_some_and(|port| port.parse::<u16>().is_err()) {
        return false;
    }
    name.eq_ignore_ascii_case("localhost")
        || name == "[::1]"
        || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_as(hosts: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, HeaderValue::from_str(host).expect("a header's value"));
        }
        is_own(&headers)
    }

    #[test]
    fn only_local_host_names_are_allowed() {
        for own in ["localhost:7880", "LOCALHOST", "127.0.0.1:7880", "127.0.0.1", "[::1]:7880", "[::1]", "localhost:9"]
        {
            assert!(asked_as(&[own]), "{own}");
        }
        let foreign = [
            "evil.example:7880",
            "localhost.evil.example:7880",
            "127.0.0.1.evil.example",
            "localhost:7880:7880",
            "localhost:",
            "10.0.0.1:7880",
            "0.0.0.0:7880",
            "[::2]:7880",
            "",
        ];
        for foreign in foreign {
            assert!(!asked_as(&[foreign]), "{foreign}");
        }
        assert!(!asked_as(&[]) && !asked_as(&["localhost", "evil.example"]), "none, or two of them");
    }
}
