//! Switching maintenance and pauses on and off: what becomes of an app's record.

use std::time::Duration;

use super::features::Features;
use super::maintenance::{Maintenance, Page, Pause};
use super::names::AppKey;
use super::observed::InFlight;
use super::record::AppRecord;

/// What is to be switched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    MaintenanceOn { retry_after: Duration, allow: Vec<String>, page: Option<Page> },
    MaintenanceOff,
    Pause(Duration),
    Resume,
}

/// How an app is afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interrupted {
    pub app: AppKey,
    /// False: it was so already.
    pub changed: bool,
    pub maintenance: Option<Maintenance>,
    /// `None` also when it is over.
    pub pause: Option<Pause>,
    /// What was open at its replicas when it was looked at.
    pub in_flight: InFlight,
}

impl Interruption {
    /// As leases name it.
    #[must_use]
    pub fn purpose(&self) -> &'static str {
        match self {
            Self::MaintenanceOn { .. } | Self::MaintenanceOff => "maintenance",
            Self::Pause(_) => "pause",
            Self::Resume => "resume",
        }
    }

    /// What the proxy must know.
    #[must_use]
    pub fn feature(&self) -> &'static str {
        match self {
            Self::MaintenanceOn { .. } | Self::MaintenanceOff => Features::MAINTENANCE,
            Self::Pause(_) | Self::Resume => Features::PAUSE,
        }
    }

    /// The record afterwards; `None` when it stays as it is.
    #[must_use]
    pub fn applied(&self, before: &AppRecord, now_ms: u64, by: &str) -> Option<AppRecord> {
        let mut record = before.clone();
        match self {
            Self::MaintenanceOn { retry_after, allow, page } => {
                let wanted = Maintenance {
                    since_ms: now_ms,
                    by: by.to_owned(),
                    retry_after_s: u32::try_from(retry_after.as_secs()).unwrap_or(u32::MAX).max(1),
                    allow: allow.clone(),
                    page: page.clone(),
                };
                if before.maintenance.as_ref().is_none_or(|present| !present.does_as(&wanted)) {
                    let since_ms = before.maintenance.as_ref().map_or(now_ms, |present| present.since_ms);
                    record.maintenance = Some(Maintenance { since_ms, ..wanted });
                }
            }
            Self::MaintenanceOff => record.maintenance = None,
            Self::Pause(time) => {
                let for_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, Pause::LONGEST_MS);
                record.pause = Some(Pause { until_ms: now_ms.saturating_add(for_ms), for_ms, by: by.to_owned() });
            }
            Self::Resume => record.pause = None,
        }
        (record != *before).then_some(record)
    }
}
