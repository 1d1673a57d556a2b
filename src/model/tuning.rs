//! Proxy settings that are not part of its identity: a running proxy keeps them until it is replaced.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::bytes::Bytes;

/// How to apply the settings of the compose file.
pub const PROXY_DRIFT_REMEDY: &str = "`deploy-apps proxy upgrade` applies what the compose file asks for";

/// Where the proxy writes its access log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// To its own files, written by nginx without the engine: `deploy-apps logs proxy` reads them.
    #[default]
    File,
    /// To stdout, so that log collectors for containers see it.
    Stdout,
    Off,
}

impl AccessLog {
    pub const ALL: [Self; 3] = [Self::File, Self::Stdout, Self::Off];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Stdout => "stdout",
            Self::Off => "off",
        }
    }
}

impl fmt::Display for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When a proxy of another build, or with other settings, is replaced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpgradePolicy {
    /// By `deploy-apps proxy upgrade`.
    #[default]
    Manual,
    /// By the next deploy, where no connection is refused for it.
    Auto,
}

impl UpgradePolicy {
    pub const ALL: [Self; 2] = [Self::Manual, Self::Auto];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Auto => "auto",
        }
    }

    #[must_use]
    pub fn is_manual(&self) -> bool {
        *self == Self::Manual
    }
}

/// The settings in a label of the proxy's container, so that a list of containers shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTuning {
    /// `None` for a proxy made before there was a limit.
    pub memory_bytes: Option<i64>,
    pub access_log: AccessLog,
    /// `None`: as many as take half of all.
    #[serde(default)]
    pub connections_per_client: Option<u32>,
}

impl ProxyTuning {
    /// The settings of a proxy without the label.
    pub const BEFORE: Self = Self { memory_bytes: None, access_log: AccessLog::Stdout, connections_per_client: None };

    /// The settings that differ from `wanted`, such as `memory unlimited instead of 1 GiB`; `None` when they are equal.
    #[must_use]
    pub fn difference(self, wanted: Self) -> Option<String> {
        let memory = (self.memory_bytes != wanted.memory_bytes)
            .then(|| format!("memory {} instead of {}", memory(self.memory_bytes), memory(wanted.memory_bytes)));
        let log = (self.access_log != wanted.access_log)
            .then(|| format!("access log `{}` instead of `{}`", self.access_log, wanted.access_log));
        let (has, asks) = (self.connections_per_client, wanted.connections_per_client);
        let connections = (has != asks)
            .then(|| format!("connections per client {} instead of {}", connections(has), connections(asks)));
        let all: Vec<String> = memory.into_iter().chain(log).chain(connections).collect();
        (!all.is_empty()).then(|| all.join(" and "))
    }
}

fn memory(bytes: Option<i64>) -> String {
    let bytes = bytes.and_then(|bytes| u64::try_from(bytes).ok());
    bytes.map_or_else(|| "unlimited".to_owned(), |bytes| Bytes(bytes).to_string())
}

fn connections(limit: Option<u32>) -> String {
    limit.map_or_else(|| "half of all".to_owned(), |limit| limit.to_string())
}

impl fmt::Display for ProxyTuning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory_bytes.map(|bytes| format!("memory={bytes} ")).unwrap_or_default();
        write!(f, "{memory}access_log={}", self.access_log)?;
        self.connections_per_client.map_or(Ok(()), |limit| write!(f, " connections_per_client={limit}"))
    }
}

/// A label in an unknown format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownTuning;

impl FromStr for ProxyTuning {
    type Err = UnknownTuning;

    /// Words of a newer version are ignored.
    fn from_str(text: &str) -> Result<Self, UnknownTuning> {
        let mut tuning = Self::BEFORE;
        for word in text.split_whitespace() {
            match word.split_once('=').ok_or(UnknownTuning)? {
                ("memory", bytes) => tuning.memory_bytes = Some(bytes.parse().map_err(|_| UnknownTuning)?),
                ("connections_per_client", limit) => {
                    tuning.connections_per_client = Some(limit.parse().map_err(|_| UnknownTuning)?);
                }
                ("access_log", name) => {
                    let known = AccessLog::ALL.into_iter().find(|log| log.as_str() == name);
                    tuning.access_log = known.ok_or(UnknownTuning)?;
                }
                _ => {}
            }
        }
        Ok(tuning)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_round_trips() {
        let tuning =
            ProxyTuning { memory_bytes: Some(1 << 30), access_log: AccessLog::File, connections_per_client: None };
        assert_eq!(tuning.to_string(), "memory=1073741824 access_log=file");
        let limited = ProxyTuning { connections_per_client: Some(500), ..tuning };
        assert_eq!(limited.to_string(), "memory=1073741824 access_log=file connections_per_client=500");
        for tuning in [tuning, limited, ProxyTuning::BEFORE] {
            assert_eq!(tuning.to_string().parse(), Ok(tuning));
        }
        assert_eq!("memory=5 colour=red".parse(), Ok(ProxyTuning { memory_bytes: Some(5), ..ProxyTuning::BEFORE }));
        assert_eq!("access_log=tape".parse::<ProxyTuning>(), Err(UnknownTuning));
    }

    #[test]
    fn differences_are_named() {
        let wanted =
            ProxyTuning { memory_bytes: Some(1 << 30), access_log: AccessLog::File, connections_per_client: None };
        assert_eq!(wanted.difference(wanted), None);
        assert_eq!(
            ProxyTuning::BEFORE.difference(wanted).as_deref(),
            Some("memory unlimited instead of 1 GiB and access log `stdout` instead of `file`")
        );
        assert_eq!(
            wanted.difference(ProxyTuning { connections_per_client: Some(500), ..wanted }).as_deref(),
            Some("connections per client half of all instead of 500")
        );
    }
}
