//! What the printed model is made of.

use super::super::resolve::Model;

/// Brings the values of a model into their long forms.
pub(super) struct Writer<'a> {
    pub(super) model: &'a Model,
    pub(super) resolved: bool,
    /// Profiles have taken out all accessories, for which the apps join the default network.
    pub(super) hides_accessories: bool,
}
