//! The result of a connection to the proxy's published port.

use super::names::ProxyName;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortAnswer {
    Answers {
        address: String,
    },
    /// No answer, although the proxy runs.
    Silent {
        address: String,
        why: String,
    },
    /// The port is not reachable from here.
    NotAsked {
        why: String,
    },
}

impl PortAnswer {
    /// The problem as a sentence; `None` when the port answers or was not checked.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Silent { address, why } => {
                Some(format!("the proxy runs, but its published port `{address}` does not answer: {why}"))
            }
            Self::Answers { .. } | Self::NotAsked { .. } => None,
        }
    }

    /// A restart makes the engine set up its port forwarding again; connections are refused for about one second.
    #[must_use]
    pub fn remedy(proxy: &ProxyName) -> String {
        let name = proxy.container();
        format!("`docker restart {name}` publishes it again (connections are refused for about a second)")
    }
}
