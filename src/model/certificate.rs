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
    /// How its last renewal has failed; `None` where none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renewal: Option<Renewal>,
}

/// A renewal that has failed. What there was is served on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// How many have failed in a row.
    pub failures: u32,
    /// When the last one was begun, and when the next one is, in milliseconds since 1970.
    pub at: i64,
    pub next_at: i64,
    /// In the words of the CA.
    pub error: String,
}

impl ObservedCertificate {
    /// The source of those that are got by ACME.
    pub const ACME: &'static str = "acme";

    /// Whether it was got by ACME, and is renewed without anybody.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.source.as_deref() == Some(Self::ACME)
    }

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
        let renewal = self.renewal.as_ref().map(|renewal| renewal.words(now)).unwrap_or_default();
        if expires <= now {
            return Some(format!("the certificate of `{}` has expired on {}{renewal}", self.host, day(expires)));
        }
        if !renewal.is_empty() {
            return Some(format!("the certificate of `{}` is valid until {}{renewal}", self.host, day(expires)));
        }
        let soon = left < Self::SOON_DAYS;
        soon.then(|| format!("the certificate of `{}` expires on {}, in {}", self.host, day(expires), days(left)))
    }
}

impl Renewal {
    fn words(&self, now: Timestamp) -> String {
        let minutes = (self.next_at - now.as_millisecond()).max(0) / 60_000;
        let next = match minutes {
            0 => "now".to_owned(),
            1..60 => format!("in {minutes} min"),
            _ => format!("in {} h", minutes / 60),
        };
        let times = if self.failures == 1 { String::new() } else { format!(" {} times", self.failures) };
        format!(", and its renewal has failed{times} (the next one is {next}): {}", self.error)
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
        let renewal =
            Renewal { failures: 2, at: 0, next_at: now.as_millisecond() + 5_400_000, error: "CA down".to_owned() };
        let failed = ObservedCertificate { renewal: Some(renewal), ..observed("2026-04-01T00:00:00Z") };
        let text = "the certificate of `a.test` is valid until 2026-04-01, and its renewal has failed 2 times (the next one is in \
                    1 h): CA down";
        assert_eq!(failed.trouble(now).as_deref(), Some(text));
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
