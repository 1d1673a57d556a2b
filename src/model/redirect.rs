//! Requests that the proxy answers itself, by sending the client elsewhere.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The first redirect that matches a request of its app answers it. The request's path and query are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redirect {
    /// As of a route; `None` is every host of the app.
    pub host: Option<String>,
    /// A prefix that ends at a segment boundary.
    pub path: String,
    /// A host, a path, or a URL of `http` or `https`. A path in it takes the place of the prefix.
    pub to: String,
    pub status: u16,
}

/// What a target is made of.
struct Target<'t> {
    /// Without the port; `None` is the host of the request.
    host: Option<&'t str>,
    /// `None`: the whole path of the request is kept.
    path: Option<&'t str>,
}

impl Redirect {
    /// Browsers do not remember it, so that a rollback takes it back, and it changes no method.
    pub const DEFAULT_STATUS: u16 = 307;

    /// Whether a client that follows it would be redirected again and again. `hosts` are those of the app's routes.
    #[must_use]
    pub fn leads_to_itself<'h>(&'h self, mut hosts: impl Iterator<Item = &'h str>) -> bool {
        let target = self.target();
        let is_same_host = match (target.host, &self.host) {
            (None, _) => true,
            (Some(to), Some(from)) => covers(from, to),
            (Some(to), None) => hosts.any(|host| covers(host, to)),
        };
        let is_below = |path: &str| path.strip_prefix(self.path.trim_end_matches('/')).is_some_and(at_segment);
        is_same_host && target.path.is_none_or(is_below)
    }

    fn target(&self) -> Target<'_> {
        if self.to.starts_with('/') {
            return Target { host: None, path: Some(&self.to) };
        }
        let rest = self.to.split_once("://").map_or(self.to.as_str(), |(_, rest)| rest);
        let (host, path) = rest.find('/').map_or((rest, None), |slash| (&rest[..slash], Some(&rest[slash..])));
        Target { host: host.split(':').next(), path }
    }
}

fn at_segment(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('/')
}

fn covers(host: &str, name: &str) -> bool {
    host.strip_prefix('*').map_or(host == name, |suffix| name.ends_with(suffix))
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{} to {} ({})", self.host.as_deref().unwrap_or("*"), self.path, self.to, self.status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loops(host: Option<&str>, path: &str, to: &str) -> bool {
        let redirect = Redirect {
            host: host.map(str::to_owned),
            path: path.to_owned(),
            to: to.to_owned(),
            status: Redirect::DEFAULT_STATUS,
        };
        redirect.leads_to_itself(["shop.test", "*.shop.test"].into_iter())
    }

    #[test]
    fn a_redirect_to_itself_is_known() {
        for (host, path, to) in [
            (Some("shop.test"), "/", "shop.test"),
            (Some("shop.test"), "/", "https://shop.test:8443"),
            (Some("*.shop.test"), "/", "www.shop.test"),
            (None, "/old", "shop.test"),
            (None, "/old", "/old/new"),
            (None, "/old", "https://a.shop.test/old"),
            (Some("shop.test"), "/", "/new"),
        ] {
            assert!(loops(host, path, to), "{host:?} {path} {to}");
        }
        for (host, path, to) in [
            (Some("www.shop.test"), "/", "shop.test"),
            (Some("*.shop.test"), "/", "shop.test"),
            (None, "/old", "/new"),
            (None, "/old", "/older"),
            (None, "/docs", "https://docs.test"),
            (None, "/docs", "https://shop.test/"),
        ] {
            assert!(!loops(host, path, to), "{host:?} {path} {to}");
        }
    }
}
