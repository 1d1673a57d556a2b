//! Who may ask: pages of this machine that were opened by its own names, and nobody else.

use std::net::Ipv4Addr;

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};

/// Nothing from elsewhere is loaded, run or asked, and no other page may show this one in a frame.
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

/// Whether the browser was sent here by a name of this machine. A foreign site whose name was made to lead here (DNS
/// rebinding) would else be let in by the browser's same-origin rule. Any port will do: an ssh tunnel may have its own,
/// and no foreign site gets a name of this machine by it.
pub(super) fn is_own(headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let Ok(host) = host.to_str() else { return false };
    let (name, port) = match host.rsplit_once(':') {
        // The last group of an address without a port looks like one.
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
    fn only_names_of_this_machine_are_let_in() {
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
