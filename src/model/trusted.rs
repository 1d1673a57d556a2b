//! Trusted proxies: addresses whose information about a client the proxy accepts, IPv4 and IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::Serialize;

/// One entry of `trusted_proxies`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub enum TrustedProxy {
    /// The engine's host: processes there that connect to the published port.
    Host,
    Range {
        address: IpAddr,
        prefix: u8,
    },
}

/// Why a text is not a valid entry of `trusted_proxies`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InvalidRange {
    Malformed,
    /// Host bits are set; the value is the network that contains the address.
    HostBits(String),
}

impl TrustedProxy {
    /// Loopback, private and unique local networks, which are not reachable from the internet.
    pub const PRIVATE: [&'static str; 6] =
        ["127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7"];

    /// Whether it contains every address.
    #[must_use]
    pub fn is_everybody(self) -> bool {
        matches!(self, Self::Range { prefix: 0, .. })
    }

    /// The entry in the form that the proxy parses. Connections from the host come from the gateway of the proxy's
    /// network.
    #[must_use]
    pub fn range(self, gateway: Ipv4Addr) -> String {
        match self {
            Self::Host => format!("{gateway}/32"),
            Self::Range { .. } => self.to_string(),
        }
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Range { address, prefix } => write!(f, "{address}/{prefix}"),
        }
    }
}

impl From<TrustedProxy> for String {
    fn from(trusted: TrustedProxy) -> Self {
        trusted.to_string()
    }
}

impl FromStr for TrustedProxy {
    type Err = InvalidRange;

    fn from_str(text: &str) -> Result<Self, InvalidRange> {
        if text == "host" {
            return Ok(Self::Host);
        }
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address: IpAddr = address.parse().map_err(|_| InvalidRange::Malformed)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let digits = |prefix: &&str| !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        let prefix = match prefix {
            None => most,
            Some(prefix) => Some(prefix).filter(digits).and_then(|prefix| prefix.parse().ok()).unwrap_or(u8::MAX),
        };
        if prefix > most {
            return Err(InvalidRange::Malformed);
        }
        let network = masked(address, prefix);
        if network == address {
            Ok(Self::Range { address, prefix })
        } else {
            Err(InvalidRange::HostBits(format!("{network}/{prefix}")))
        }
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from(u32::from(address) & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            std::net::Ipv6Addr::from(u128::from(address) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_addresses_and_networks_of_both_families() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7/32"),
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
            ("host", "host"),
        ] {
            assert_eq!(text.parse::<TrustedProxy>().map(|range| range.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for text in [
            "",
            "/",
            "192.0.2.0/33",
            "192.0.2/24",
            "::/129",
            "192.0.2.0/",
            "192.0.2.0/+8",
            "a.example",
            "*",
            "1.2.3.4:80",
        ] {
            assert_eq!(text.parse::<TrustedProxy>(), Err(InvalidRange::Malformed), "{text}");
        }
        let network = InvalidRange::HostBits("10.0.0.0/8".to_owned());
        assert_eq!("10.1.2.3/8".parse::<TrustedProxy>(), Err(network));
    }

    #[test]
    fn every_private_network_can_be_read() {
        assert!(TrustedProxy::PRIVATE.iter().all(|text| text.parse::<TrustedProxy>().is_ok()));
    }
}
