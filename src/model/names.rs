//! Validated names. They are parsed at the boundary and trusted afterwards.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name that the engine, the proxy or the compose specification does not accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid {kind} name `{text}`: {rule}")]
pub struct InvalidName {
    pub kind: &'static str,
    pub text: String,
    pub rule: &'static str,
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal, $valid:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(String);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(InvalidName { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $type {
            type Error = InvalidName;

            fn try_from(text: String) -> Result<Self, InvalidName> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

fn starts_alphanumeric(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
}

name!(
    /// A compose project. Its name prefixes everything that it owns on the engine.
    ProjectName,
    "project",
    |text| text.len() <= 40
        && text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_'),
    "lowercase letters, digits, `-` and `_`, starting with a letter or digit, at most 40 characters"
);

name!(
    /// A service of a project: an app (rolled) or an accessory (not rolled).
    AppName,
    "service",
    |text| text.len() <= 60
        && starts_alphanumeric(text)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')),
    "letters, digits, `-`, `_` and `.`, starting with a letter or digit, at most 60 characters"
);

name!(
    /// A proxy on a host. Names its container, network and volume.
    ProxyName,
    "proxy",
    |text| text.len() <= 40
        && starts_alphanumeric(text)
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
    "lowercase letters, digits and `-`, starting with a letter or digit, at most 40 characters"
);

impl ProxyName {
    /// The container that has the published ports.
    #[must_use]
    pub fn container(&self) -> String {
        format!("{self}-proxy")
    }

    /// The container that gets certificates by ACME.
    #[must_use]
    pub fn certificates(&self) -> String {
        format!("{self}-certificates")
    }

    /// The container that runs the nginx with this number.
    #[must_use]
    pub fn instance(&self, number: u32) -> String {
        format!("{self}-proxy-{number}")
    }

    /// The network on which the proxy reaches the replicas.
    #[must_use]
    pub fn network(&self) -> String {
        self.0.clone()
    }

    /// The volume that holds routes and history.
    #[must_use]
    pub fn volume(&self) -> String {
        format!("{self}-state")
    }
}

impl Default for ProxyName {
    /// One proxy per host is the normal case, so the default is shared by all projects.
    fn default() -> Self {
        Self("deploy-apps".to_owned())
    }
}

/// An app on a host: the key of its record in the proxy, `<project>/<app>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AppKey {
    pub project: ProjectName,
    pub app: AppName,
}

impl fmt::Display for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.project, self.app)
    }
}

impl FromStr for AppKey {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let rule = "`<project>/<app>`";
        let (project, app) =
            text.split_once('/').ok_or_else(|| InvalidName { kind: "app key", text: text.to_owned(), rule })?;
        Ok(Self { project: project.parse()?, app: app.parse()? })
    }
}

impl TryFrom<String> for AppKey {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Self, InvalidName> {
        text.parse()
    }
}

impl From<AppKey> for String {
    fn from(key: AppKey) -> Self {
        key.to_string()
    }
}

/// A release of one app, shown as `r7`. It rises by one with each attempt and is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReleaseNumber(pub u32);

impl ReleaseNumber {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for ReleaseNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("r{}", self.0))
    }
}

/// The number of a flip. The proxy increments it; 0 means that the app has no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}
