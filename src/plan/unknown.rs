//! What a plan that is only shown cannot know, because a deploy finds it out on its way.

use std::fmt;

use crate::model::AppName;

/// A reason why a deploy might find another plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// A deploy pulls the image before it plans. `service`: whose image decides its release.
    ImageAbsent { reference: String, service: Option<AppName> },
    /// Every deploy pulls the image; the plan is made with the one that the engine has.
    ImageMayMove { reference: String, service: AppName },
    /// Only the proxy can read its volume, and its container is absent.
    History { volume: String },
}

impl Unknown {
    /// What makes it known, for a hint.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ImageAbsent { .. } | Self::ImageMayMove { .. } => "`--pull` pulls images first",
            Self::History { .. } => "deploy without a saved plan",
        }
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageAbsent { reference, service: Some(service) } => {
                write!(f, "image `{reference}` of `{service}` is not on the engine; a deploy pulls it before it plans")
            }
            Self::ImageAbsent { reference, service: None } => {
                write!(f, "image `{reference}` is not on the engine; a deploy pulls it first")
            }
            Self::ImageMayMove { reference, service } => write!(
                f,
                "image `{reference}` of `{service}` is pulled by every deploy; this is the plan with the one that is here"
            ),
            Self::History { volume } => write!(
                f,
                "volume `{volume}` is there without its proxy; the releases that it remembers are not known yet"
            ),
        }
    }
}
