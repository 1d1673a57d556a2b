//! What came of a connection to the proxy's published port.

use super::names::ProxyName;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortAnswer {
    Answers {
        address: String,
    },
    /// Nobody answers there, although the proxy runs.
    Silent {
        address: String,
        why: String,
    },
    /// No way leads there from here.
    NotAsked {
        why: String,
    },
}

impl PortAnswer {
    /// As a sentence; `None` when it answers, or was not asked.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Silent { address, why } => {
                Some(format!("the proxy runs, but its published port `{address}` does not answer: {why}"))
            }
            Self::Answers { .. } | Self::NotAsked { .. } => None,
        }
    }

    /// The engine forwards again when the container starts again; connections wait about a second.
    #[must_use]
    pub fn remedy(proxy: &ProxyName) -> String {
        let name = proxy.container();
        format!("`docker restart {name}` publishes it again (new connections wait about a second)")
    }
}
