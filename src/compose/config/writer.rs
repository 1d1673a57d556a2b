//! The state of the conversion to long forms.

use super::super::resolve::Model;

/// Converts the values of a model to their long forms.
pub(super) struct Writer<'a> {
    pub(super) model: &'a Model,
    pub(super) resolved: bool,
    /// Inactive profiles have removed all accessories, for which the apps join the default network.
    pub(super) hides_accessories: bool,
}
