//! What keeps requests from an app although it serves: maintenance and a pause. Somebody has asked for it, and neither is part of a
//! release.

use serde::{Deserialize, Serialize};

/// A page that the proxy answers with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// One of [`Page::TYPES`].
    #[serde(rename = "type")]
    pub kind: String,
    pub body: String,
}

impl Page {
    /// In bytes. Every worker of the proxy keeps it.
    pub const LARGEST: u64 = 64 << 10;
    /// By the ending of its file.
    pub const TYPES: [(&'static str, &'static str); 4] = [
        ("html", "text/html; charset=utf-8"),
        ("htm", "text/html; charset=utf-8"),
        ("json", "application/json"),
        ("txt", "text/plain; charset=utf-8"),
    ];

    /// `None`: the file's name does not tell what it is.
    #[must_use]
    pub fn of(file_name: &str, body: String) -> Option<Self> {
        let (_, ending) = file_name.rsplit_once('.')?;
        let (_, kind) = Self::TYPES.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known))?;
        Some(Self { kind: (*kind).to_owned(), body })
    }
}

/// The proxy answers the requests with 503, until this is switched off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// By the proxy's clock, since 1970.
    pub since_ms: u64,
    /// User and machine.
    pub by: String,
    /// After which time clients are asked to come again.
    pub retry_after_s: u32,
    /// Networks in CIDR form whose clients get through.
    pub allow: Vec<String>,
    /// `None` is the proxy's own.
    pub page: Option<Page>,
}

impl Maintenance {
    /// Whether requests are treated alike; who has asked for it and when does not matter.
    #[must_use]
    pub fn does_as(&self, other: &Self) -> bool {
        let what = |one: &Self| (one.retry_after_s, one.allow.clone(), one.page.clone());
        what(self) == what(other)
    }
}

/// New requests wait at the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// By the proxy's clock, since 1970. It is over then without anybody's doing.
    pub until_ms: u64,
    /// How long it was to last, and so how long a request waits at most.
    pub for_ms: u64,
    /// User and machine.
    pub by: String,
}

impl Pause {
    /// Clients do not wait for longer than a few minutes either.
    pub const LONGEST_MS: u64 = 600_000;

    /// Whether it is not over at this time.
    #[must_use]
    pub fn lasts_at(&self, now_ms: u64) -> bool {
        self.until_ms > now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_a_file_tells_what_a_page_is() {
        let kind = |name: &str| Page::of(name, String::new()).map(|page| page.kind);
        assert_eq!(kind("pages/sorry.HTML").as_deref(), Some("text/html; charset=utf-8"));
        assert_eq!(kind("sorry.json").as_deref(), Some("application/json"));
        assert_eq!((kind("sorry"), kind("sorry.png")), (None, None));
    }
}
