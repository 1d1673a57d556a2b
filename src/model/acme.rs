//! Certificates by ACME: the account and the CA, one order, and what a CA's refusal usually means.

use std::time::Duration;

use indexmap::IndexMap;
use serde::Serialize;

use super::files::ContainerFile;
use super::hooks::Hook;
use super::names::{AppKey, ProjectName};

/// Where certificates come from, and how the CA is shown that a host is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AcmeSpec {
    /// Of the account. Giving it agrees to the CA's terms.
    pub email: String,
    /// The CA's directory.
    pub server: String,
    /// The root certificates of a private CA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<ContainerFile>,
    /// `None`: the CA asks over HTTP at port 80.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dns: Option<AcmeDns>,
}

/// How records are set at the provider of a domain's DNS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AcmeDns {
    /// As lego names it.
    pub provider: String,
    pub environment: IndexMap<String, String>,
    /// Values of variables that are secret: each file is named by the variable `…_FILE`.
    pub secrets: Vec<ContainerFile>,
    /// `host:port`; empty: the system's.
    pub resolvers: Vec<String>,
    /// Whether it is awaited that all name servers of the domain have the record.
    pub propagation_check: bool,
}

impl AcmeSpec {
    /// Let's Encrypt.
    pub const SERVER: &'static str = "https://acme-v02.api.letsencrypt.org/directory";

    /// The CA's host, for people.
    #[must_use]
    pub fn place(&self) -> &str {
        let rest = self.server.split_once("://").map_or(self.server.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// One order of a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateOrder {
    pub host: String,
    pub project: ProjectName,
    /// The container that orders it.
    pub container: String,
    /// The CA's host.
    pub from: String,
    /// Whether the CA is shown a record of DNS; else it asks over HTTP.
    pub by_dns: bool,
    /// Also where the proxy has one that is valid.
    pub again: bool,
    /// The app whose routes of this host are about to be taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<AppKey>,
    pub timeout: Duration,
}

impl CertificateOrder {
    /// Two orders, the one before and this one, with all that the CA and DNS may take.
    pub const TIMEOUT: Duration = Duration::from_secs(600);
    /// The command's exit code where the CA is not asked, because too many orders have failed.
    pub const TOO_SOON: i64 = 2;

    /// The command that orders it.
    #[must_use]
    pub fn command(&self) -> Hook {
        let when = if self.again { "always" } else { "missing" };
        let fixed = ["/etc/nginx/certificates/run.sh", "order", &self.host, self.project.as_str(), when];
        let command = fixed.into_iter().map(str::to_owned).chain(self.replaces.as_ref().map(ToString::to_string));
        Hook { command: command.collect(), timeout: self.timeout, ..Hook::default() }
    }

    /// What somebody can do about it, by the CA's words.
    #[must_use]
    pub fn remedy(&self, words: &str) -> String {
        let host = &self.host;
        let says = |kind: &str| words.contains(&format!("urn:ietf:params:acme:error:{kind}"));
        if says("rateLimited") {
            return "the CA's limit is reached; its words say until when".to_owned();
        }
        if says("caa") {
            return format!("a CAA record of `{host}` allows other CAs only; allow this one, or remove the record");
        }
        if says("rejectedIdentifier") {
            return format!("this CA gives no certificate for `{host}`; use a public name, or another `acme.server`");
        }
        if self.by_dns {
            return "check the provider's name and its credentials in `acme.dns`, and that the domain's name servers are \
                    the provider's"
                .to_owned();
        }
        let name = host.strip_prefix("*.").unwrap_or(host);
        if says("dns") {
            return format!("`{name}` has no address yet: add an A or AAAA record that points to this host");
        }
        let (port, points) = (
            format!("port 80 of this host must be open from outside for `{name}`"),
            format!("`{name}` must point to this host, in its AAAA record too"),
        );
        if says("connection") {
            return format!("{port}, and {points}");
        }
        if says("unauthorized") || says("incorrectResponse") {
            return format!("{points}, and {port}");
        }
        format!("{points}; {port}; and the CA `{}` must be reachable from it", self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(host: &str, by_dns: bool) -> CertificateOrder {
        CertificateOrder {
            host: host.to_owned(),
            project: "shop".parse().unwrap(),
            container: "deploy-apps-certificates".to_owned(),
            from: "ca.test".to_owned(),
            by_dns,
            again: false,
            replaces: None,
            timeout: CertificateOrder::TIMEOUT,
        }
    }

    #[test]
    fn a_refusal_has_the_usual_cause() {
        let remedy =
            |kind: &str| order("a.test", false).remedy(&format!("400 :: urn:ietf:params:acme:error:{kind} :: x"));
        assert!(remedy("dns").starts_with("`a.test` has no address yet"));
        assert!(remedy("connection").starts_with("port 80 of this host must be open from outside for `a.test`, and"));
        assert!(remedy("unauthorized").starts_with("`a.test` must point to this host"));
        assert!(remedy("rateLimited").contains("limit is reached"));
        assert!(remedy("caa").contains("CAA record of `a.test`"));
        assert!(
            order("a.test", false)
                .remedy("dial tcp: connection refused")
                .ends_with("`ca.test` must be reachable from it")
        );
        assert!(order("*.a.test", true).remedy("401 of the provider").contains("`acme.dns`"));
    }

    #[test]
    fn the_command_names_what_is_ordered() {
        let again =
            CertificateOrder { again: true, replaces: Some("old/web".parse().unwrap()), ..order("a.test", false) };
        assert_eq!(again.command().command[1..], ["order", "a.test", "shop", "always", "old/web"]);
        assert_eq!(order("a.test", false).command().command[1..], ["order", "a.test", "shop", "missing"]);
    }

    #[test]
    fn the_place_of_a_ca_is_its_host() {
        let spec = AcmeSpec { email: String::new(), server: AcmeSpec::SERVER.to_owned(), ca: None, dns: None };
        assert_eq!(spec.place(), "acme-v02.api.letsencrypt.org");
    }
}
