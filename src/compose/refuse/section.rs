//! The keys of one section of the file, and what becomes of one that no reader took.

use crate::compose::context::Context;
use crate::compose::error::Problem;
use crate::compose::text::node::{Entry, Value, clip};
use crate::compose::text::suggest::nearest;

/// The keys of one section of the file.
pub(in crate::compose) struct Section {
    /// For messages, such as `service`.
    pub name: &'static str,
    /// Read by us.
    pub known: &'static [&'static str],
    /// Of the specification, without effect here and harmless, with why that is so.
    pub warned: &'static [(&'static str, &'static str)],
    /// Of the specification, with what to do instead.
    pub refused: &'static [(&'static str, &'static str)],
}

impl Section {
    /// What a key that no reader took comes to: a warning, a refusal, or nothing for extensions (`x-…`).
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

    /// The problem with a key that no reader took; `None` for extensions (`x-…`), which mean nothing to anyone.
    pub fn refusal(&self, entry: &Entry) -> Option<Problem> {
        let key = entry.key.as_str();
        if let Some((_, instead)) = self.refused.iter().find(|(refused, _)| *refused == key) {
            // Switched off is the same as not there.
            let off = matches!(&entry.value.value, Value::Scalar(text) if text == "false");
            return (!off).then(|| {
                Problem::at(entry.key_span, format!("`{key}` is not supported")).hint(*instead).unsupported()
            });
        }
        let near = nearest(key, self.known.iter().copied());
        // A mistyped block of our own would make an app an accessory, silently.
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
