//! Certificates of hosts: what a compose file gives, what the proxy has, and how a route uses HTTPS.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::names::{AppKey, ProjectName};
use super::webhook::Secret;

/// How a route uses HTTPS. Its certificate is that of its host, and is kept apart: it belongs to no release.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RouteTls {
    /// Whether plain HTTP is answered with 308 to the same address over HTTPS.
    pub redirect: bool,
    /// Seconds for which browsers shall come by HTTPS only; `None` sends no such header.
    pub hsts: Option<u64>,
}

/// A certificate with its key, as the compose file names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// SHA-256 over all certificates of the chain. The proxy works it out the same way.
    pub id: String,
    #[serde(serialize_with = "as_text")]
    pub not_before: Timestamp,
    #[serde(serialize_with = "as_text")]
    pub not_after: Timestamp,
    /// In PEM, the host's own first.
    #[serde(skip)]
    pub chain: String,
    #[serde(skip)]
    pub key: Secret,
}

fn as_text<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(at)
}

/// One change of a host's certificate at the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CertificateChange {
    pub host: String,
    pub project: ProjectName,
    /// The id of the one that is replaced; `None` when there is none.
    pub expect: Option<String>,
    /// `None` removes it.
    pub certificate: Option<Certificate>,
    /// The app whose routes of this host are about to be taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<AppKey>,
}

/// What the proxy tells of a host's certificate; never its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObservedCertificate {
    pub host: String,
    /// `None` when its file cannot be used; `error` says why.
    pub id: Option<String>,
    #[serde(default)]
    pub project: Option<ProjectName>,
    /// Where it comes from, such as `file`.
    #[serde(default)]
    pub source: Option<String>,
    /// What it is for, wildcards included.
    #[serde(default)]
    pub names: Vec<String>,
    /// Milliseconds since 1970, as all times of the proxy.
    #[serde(default)]
    pub not_before: Option<i64>,
    #[serde(default)]
    pub not_after: Option<i64>,
    #[serde(default)]
    pub issuer: Option<String>,
    #[serde(default)]
    pub serial: Option<String>,
    #[serde(default)]
    pub error: Option<String>,
}

impl ObservedCertificate {
    /// So little is left that somebody should do something about it.
    pub const SOON_DAYS: i64 = 14;

    #[must_use]
    pub fn expires(&self) -> Option<Timestamp> {
        self.not_after.and_then(|at| Timestamp::from_millisecond(at).ok())
    }

    /// What somebody should do something about; `None` when all is well.
    #[must_use]
    pub fn trouble(&self, now: Timestamp) -> Option<String> {
        if let Some(error) = &self.error {
            return Some(format!("the certificate of `{}` cannot be used: {error}", self.host));
        }
        let expires = self.expires()?;
        let left = days_left(expires, now);
        if expires <= now {
            return Some(format!("the certificate of `{}` has expired on {}", self.host, day(expires)));
        }
        let soon = left < Self::SOON_DAYS;
        soon.then(|| format!("the certificate of `{}` expires on {}, in {}", self.host, day(expires), days(left)))
    }
}

/// Whole days until then; negative afterwards.
#[must_use]
pub fn days_left(until: Timestamp, now: Timestamp) -> i64 {
    (until.as_second() - now.as_second()).div_euclid(86_400)
}

fn days(count: i64) -> String {
    if count == 1 { "1 day".to_owned() } else { format!("{count} days") }
}

/// The day in UTC, as `2031-03-04`.
#[must_use]
pub fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(not_after: &str) -> ObservedCertificate {
        let at: Timestamp = not_after.parse().unwrap();
        serde_json::from_value(serde_json::json!({"host": "a.test", "id": "1", "not_after": at.as_millisecond()}))
            .unwrap()
    }

    #[test]
    fn what_expires_soon_is_told_with_its_day() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let trouble = |until: &str| observed(until).trouble(now);
        assert_eq!(trouble("2026-03-15T12:00:00Z"), None);
        let soon = "the certificate of `a.test` expires on 2026-03-15, in 13 days";
        assert_eq!(trouble("2026-03-15T11:59:59Z").as_deref(), Some(soon));
        let gone = "the certificate of `a.test` has expired on 2026-03-01";
        assert_eq!(trouble("2026-03-01T12:00:00Z").as_deref(), Some(gone));
        assert_eq!(days_left("2026-03-01T11:00:00Z".parse().unwrap(), now), -1);
        let broken =
            ObservedCertificate { error: Some("its file is damaged".to_owned()), ..observed("2030-01-01T00:00:00Z") };
        assert!(broken.trouble(now).unwrap().ends_with("cannot be used: its file is damaged"));
    }

    #[test]
    fn a_key_is_shown_nowhere() {
        let at = Timestamp::UNIX_EPOCH;
        let key = Secret::new("PRIVATE".to_owned());
        let one = Certificate { id: "1".to_owned(), not_before: at, not_after: at, chain: "CHAIN".to_owned(), key };
        let shown = format!("{one:?} {}", serde_json::to_string(&one).unwrap());
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
