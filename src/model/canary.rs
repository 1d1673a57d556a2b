//! A canary: a release on trial, which gets a share of an app's requests beside the one that serves.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::names::ReleaseNumber;

/// A part of all requests, in hundredths of a percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Share(u32);

impl Share {
    const ALL: u32 = 10_000;

    #[must_use]
    pub const fn of_percent(percent: u32) -> Self {
        Self(percent * 100)
    }

    /// From 0 to 1.
    #[must_use]
    pub fn fraction(self) -> f64 {
        f64::from(self.0) / f64::from(Self::ALL)
    }

    /// Whether it can be a canary's: neither nobody nor everybody.
    #[must_use]
    pub fn is_part(self) -> bool {
        (1..Self::ALL).contains(&self.0)
    }
}

/// The text is not such as `5%`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a share of at most 100%, such as `5%` or `0.5%`")]
pub struct InvalidShare;

impl FromStr for Share {
    type Err = InvalidShare;

    fn from_str(text: &str) -> Result<Self, InvalidShare> {
        let number = text.trim().strip_suffix('%').ok_or(InvalidShare)?.trim_end();
        let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
        let is_number =
            |digits: &str, most| (1..=most).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole, 3) || !is_number(part, 2) {
            return Err(InvalidShare);
        }
        let hundredths = format!("{whole}{part:0<2}").parse().map_err(|_| InvalidShare)?;
        if hundredths > Self::ALL { Err(InvalidShare) } else { Ok(Self(hundredths)) }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        write!(f, "{} %", text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// A ratio in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ratio(u32);

impl Ratio {
    /// Of hundredths.
    #[must_use]
    pub const fn new(hundredths: u32) -> Self {
        Self(hundredths)
    }

    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.value());
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

/// What an app's record says of its canary. The canary's peers stand among the record's, and are known by their release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    pub release: ReleaseNumber,
    pub weight: Share,
    pub sticky: Sticky,
    #[serde(rename = "match")]
    pub testers: Option<Testers>,
}

/// By what a client stays with the release that it was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sticky {
    /// A page and what it loads are of one version, also for clients behind one address.
    #[default]
    Cookie,
    /// By its address.
    Client,
    /// Each request is drawn by itself.
    None,
}

/// Whose requests the canary always gets: those with this header or this cookie.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testers {
    pub header: Option<String>,
    pub cookie: Option<String>,
    pub value: String,
}

/// How a new release is tried on a part of the traffic before it gets all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryPolicy {
    /// Rising weights. After the last one comes the flip.
    pub steps: Vec<CanaryStep>,
    pub gate: CanaryGate,
    pub sticky: Sticky,
    #[serde(rename = "match")]
    pub testers: Option<Testers>,
}

impl Default for CanaryPolicy {
    fn default() -> Self {
        let steps = [(5, 120), (25, 120), (50, 60)];
        let step = |(percent, seconds)| CanaryStep {
            weight: Share::of_percent(percent),
            duration: Duration::from_secs(seconds),
        };
        Self {
            steps: steps.into_iter().map(step).collect(),
            gate: CanaryGate::default(),
            sticky: Sticky::default(),
            testers: None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryStep {
    pub weight: Share,
    #[serde(rename = "for")]
    pub duration: Duration,
}

impl CanaryStep {
    /// Where nothing is said of it.
    pub const DEFAULT_DURATION: Duration = Duration::from_secs(120);
}

/// When a canary counts as worse than what serves beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CanaryGate {
    /// The share of failed requests, canary minus stable.
    pub max_error_increase: Share,
    /// The canary's 99th percentile against the stable release's. `None`: how long requests take is not compared.
    pub max_latency_ratio: Option<Ratio>,
    /// With fewer requests than these a step goes on.
    pub min_requests: u64,
    /// From the beginning of a step.
    pub max_wait: Duration,
    pub on_silence: OnSilence,
}

impl Default for CanaryGate {
    fn default() -> Self {
        Self {
            max_error_increase: Share::of_percent(1),
            // Many a process is slow in its first minute, and no worse for that.
            max_latency_ratio: None,
            // Enough to see every third failure of what fails always, and few enough for a small app at 5 %.
            min_requests: 200,
            max_wait: Duration::from_secs(600),
            on_silence: OnSilence::default(),
        }
    }
}

/// What becomes of a step that has had too few requests when its time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnSilence {
    /// It goes on, until there are enough or until somebody promotes or aborts it.
    Hold,
    /// Nobody has complained: as without a canary.
    #[default]
    Promote,
    Abort,
}

/// What somebody asks of a canary that another run watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CanaryOrder {
    Promote,
    Abort,
}

impl CanaryOrder {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promote => "promote",
            Self::Abort => "abort",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_and_shown() {
        for (text, shown) in
            [("5%", "5 %"), ("0.5%", "0.5 %"), ("12.25 %", "12.25 %"), ("100%", "100 %"), ("0%", "0 %")]
        {
            assert_eq!(text.parse::<Share>().map(|share| share.to_string()), Ok(shown.to_owned()), "{text}");
        }
        for text in ["5", "", "%", "101%", "-1%", "1.234%", "1e1%", ".5%", "5.%", "1000%"] {
            assert_eq!(text.parse::<Share>(), Err(InvalidShare), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let policy = CanaryPolicy::default();
        let text = serde_json::to_string(&policy).expect("JSON");
        assert_eq!(serde_json::from_str::<CanaryPolicy>(&text).expect("a policy"), policy, "{text}");
    }
}
