//! How many replicas an app has, and who says so.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A number that `scale` has set, as the proxy remembers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scale {
    pub replicas: u32,
    /// What the compose file said at that time; `None`: nothing.
    pub file: Option<u32>,
}

/// A number of replicas with its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicaCount {
    pub count: u32,
    pub source: ReplicaSource,
}

/// Who says how many replicas there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplicaSource {
    /// `scale` or `--replicas`, since the compose file last said another number.
    Scaled,
    /// `deploy.replicas` or `scale` of the compose file.
    ComposeFile,
    /// Nobody: one.
    Default,
}

impl ReplicaCount {
    /// Far more than one host serves well; a typing mistake must not start thousands of containers.
    pub const MOST: u32 = 100;

    /// What the compose file alone asks for.
    #[must_use]
    pub fn of_file(file: Option<u32>) -> Self {
        match file {
            Some(count) => Self { count, source: ReplicaSource::ComposeFile },
            None => Self { count: 1, source: ReplicaSource::Default },
        }
    }

    /// The number that counts: what was scaled to holds for as long as the compose file says what it said then.
    #[must_use]
    pub fn wanted(file: Option<u32>, memory: Option<Scale>) -> Self {
        match memory {
            Some(scale) if scale.file == file => Self { count: scale.replicas, source: ReplicaSource::Scaled },
            _ => Self::of_file(file),
        }
    }

    /// What is to be remembered after scaling to `replicas`: nothing where the file asks for the same anyway.
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
    fn what_was_scaled_to_holds_until_the_file_says_another_number() {
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
    fn scaling_to_what_the_file_says_leaves_nothing_to_remember() {
        assert_eq!(ReplicaCount::scaled(2, Some(2)), (ReplicaCount::of_file(Some(2)), None));
        assert_eq!(ReplicaCount::scaled(1, None), (ReplicaCount::of_file(None), None));
    }
}
