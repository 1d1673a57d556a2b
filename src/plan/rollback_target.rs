//! A release that a rollback leads to, or why it cannot.

use std::fmt;

use crate::model::ReleaseNumber;

/// A release that can be rolled back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RollbackTarget {
    pub release: ReleaseNumber,
    pub version: String,
    /// When it was stored, in milliseconds since 1970.
    pub at: u64,
    pub owner: String,
    pub host: String,
}

/// Why a release cannot be rolled back to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoTarget {
    /// No release before this one is kept.
    NothingBefore(ReleaseNumber),
    Unknown(ReleaseNumber),
    NeverServed(ReleaseNumber),
    Serves(ReleaseNumber),
    NotKept(ReleaseNumber),
    NoImage(ReleaseNumber),
}

impl fmt::Display for NoTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NothingBefore(release) => write!(f, "no release before {release} is kept that has served"),
            Self::Unknown(release) => write!(f, "there is no {release}"),
            Self::NeverServed(release) => write!(f, "{release} has never served"),
            Self::Serves(release) => write!(f, "{release} serves already"),
            Self::NotKept(release) => write!(f, "what {release} was made of is no longer kept"),
            Self::NoImage(release) => write!(f, "the image of {release} is no longer on the engine"),
        }
    }
}
