//! The number of replicas of an app, and its source.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number set by `scale`, as stored by the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    pub replicas: u32,
    /// The number in the compose file at that time; `None`: not set.
    pub file: Option<u32>,
}

/// A number of replicas with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaCount {
    pub count: u32,
    pub source: ReplicaSource,
}

/// Where the number of replicas comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaSource {
    /// `scale` or `--replicas`; the number in the compose file has not changed since.
    Scaled,
    /// `deploy.replicas` or `scale` of the compose file.
    ComposeFile,
    /// Not set: one replica.
    Default,
}

impl ReplicaCount {
    /// Far more than one host serves well. Prevents a typo from starting thousands of containers.
    pub const MOST: u32 = 100;

    /// The number without `scale`.
    #[must_use]
    pub fn of_file(file: Option<u32>) -> Self {
        match file {
            Some(count) => Self { count, source: ReplicaSource::ComposeFile },
            None => Self { count: 1, source: ReplicaSource::Default },
        }
    }

    /// The effective number: the one set by `scale` is valid while the number in the compose file is unchanged.
    #[must_use]
    pub fn wanted(file: Option<u32>, memory: Option<Scale>) -> Self {
        match memory {
            Some(scale) if scale.file == file => Self { count: scale.replicas, source: ReplicaSource::Scaled },
            _ => Self::of_file(file),
        }
    }

    /// The number after scaling to `replicas`, and what to store: nothing when the file has the same number.
    #[must_use]
    pub fn scaled(replicas: u32, file: Option<u32>) -> (Self, Option<Scale>) {
        let own = Self::of_file(file);
        if own.count == replicas {
            return (own, None);
        }
        (Self { count: replicas, source: ReplicaSource::Scaled }, Some(Scale { replicas, file }))
    }
}

impl fmt::Display for ReplicaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scaled => "scaled",
            Self::ComposeFile => "compose file",
            Self::Default => "default",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scaled_number_is_valid_until_the_file_changes() {
        for file in [None, Some(2)] {
            let (count, memory) = ReplicaCount::scaled(4, file);
            assert_eq!((count.count, count.source), (4, ReplicaSource::Scaled));
            assert_eq!(ReplicaCount::wanted(file, memory), count);
            assert_eq!(ReplicaCount::wanted(Some(3), memory), ReplicaCount::of_file(Some(3)));
        }
        let (_, memory) = ReplicaCount::scaled(4, None);
        assert_eq!(ReplicaCount::wanted(Some(1), memory).source, ReplicaSource::ComposeFile, "also 1 is a number");
        let (_, memory) = ReplicaCount::scaled(4, Some(2));
        assert_eq!(ReplicaCount::wanted(None, memory), ReplicaCount::of_file(None));
    }

    #[test]
    fn scaling_to_the_number_in_the_file_stores_nothing() {
        assert_eq!(ReplicaCount::scaled(2, Some(2)), (ReplicaCount::of_file(Some(2)), None));
        assert_eq!(ReplicaCount::scaled(1, None), (ReplicaCount::of_file(None), None));
    }
}
