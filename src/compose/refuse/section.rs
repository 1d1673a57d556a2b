//! The keys of one section of the file, and the check of keys that no reader handles.

use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::text::node::{Entry, Value, clip};
use crate::compose::text::suggest::nearest;

/// The keys of one section of the file.
pub(in crate::compose) struct Section {
    /// For messages, such as `service`.
    pub name: &'static str,
    /// Keys that are read.
    pub known: &'static [&'static str],
    /// Keys of the specification that are harmless but have no effect, with the reason.
    pub warned: &'static [(&'static str, &'static str)],
    /// Keys of the specification that are refused, with an alternative.
    pub refused: &'static [(&'static str, &'static str)],
}

impl Section {
    /// Reports a key that no reader handles: a warning, a refusal, or nothing for extensions (`x-…`).
    pub fn judge(&self, cx: &mut Context<'_>, entry: &Entry) {
        match self.warned.iter().find(|(warned, _)| *warned == entry.key) {
            Some((key, reason)) => {
                cx.warn(Problem::at(entry.key_span, format!("`{key}` has no effect: {reason}")));
            }
            None => {
                if let Some(problem) = self.refusal(entry) {
                    cx.refuse(problem);
                }
            }
        }
    }

    /// The problem of a key that no reader handles; `None` for extensions (`x-…`), which are ignored.
    pub fn refusal(&self, entry: &Entry) -> Option<Problem> {
        let key = entry.key.as_str();
        if let Some((_, instead)) = self.refused.iter().find(|(refused, _)| *refused == key) {
            // A disabled feature equals a missing key.
            let off = matches!(&entry.value.value, Value::Scalar(text) if text == "false");
            return (!off).then(|| {
                Problem::at(entry.key_span, format!("`{key}` is not supported")).hint(*instead).unsupported()
            });
        }
        let near = nearest(key, self.known.iter().copied());
        // A mistyped `x-deploy-apps` would silently make an app an accessory.
        if key.starts_with("x-") && near != Some("x-deploy-apps") {
            return None;
        }
        let problem = Problem::at(entry.key_span, format!("unknown key `{}` in `{}`", clip(key), self.name));
        Some(match near {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None if self.known.is_empty() => problem.hint("remove it"),
            None => problem.hint("remove it, or start its name with `x-` if it is yours"),
        })
    }
}
