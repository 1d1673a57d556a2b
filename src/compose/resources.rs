//! The top-level `networks` and `volumes`: what the file declares, and which of it services use.

use indexmap::IndexMap;

use super::collect;
use super::context::Context;
use super::error::{Problem, Read};
use super::node::{Entry, Map, Span, clip};
use super::refuse::{self, Section};
use super::suggest::nearest;

#[derive(Debug, Default)]
struct Declared {
    /// On the engine.
    name: String,
    external: bool,
    internal: bool,
    used: bool,
}

/// The declared networks or the declared volumes, by their key in the file.
#[derive(Debug)]
pub(super) struct Resources {
    kind: &'static str,
    declared: IndexMap<String, Declared>,
}

impl Resources {
    pub fn networks(cx: &mut Context<'_>, root: &Map) -> Self {
        Self::read(cx, root.get("networks"), "network", &refuse::NETWORK, &["bridge", "default"])
    }

    pub fn volumes(cx: &mut Context<'_>, root: &Map) -> Self {
        Self::read(cx, root.get("volumes"), "volume", &refuse::VOLUME, &["local", "default"])
    }

    fn read(
        cx: &mut Context<'_>,
        entry: Option<&Entry>,
        kind: &'static str,
        section: &Section,
        drivers: &[&str],
    ) -> Self {
        let mut declared = IndexMap::new();
        for item in entry.and_then(|entry| cx.keep(collect::map(entry))).map_or(&[][..], |map| &map.entries) {
            if let Some(found) = declare(cx, item, section, drivers) {
                declared.insert(item.key.clone(), found);
            }
        }
        Self { kind, declared }
    }

    pub fn declares(&self, key: &str) -> bool {
        self.declared.contains_key(key)
    }

    /// The name on the engine of what a service names; from now on it is used.
    pub fn resolve(&mut self, key: &str, span: Span) -> Read<String> {
        if let Some(found) = self.declared.get_mut(key) {
            found.used = true;
            return Ok(found.name.clone());
        }
        let kind = self.kind;
        let problem = Problem::at(span, format!("{kind} `{}` is not declared", clip(key)));
        Err(match nearest(key, self.declared.keys().map(String::as_str)) {
            Some(near) => problem.hint(format!("did you mean `{near}`?")),
            None => problem.hint(format!("add it at the end of the file: `{kind}s: {{ {}: }}`", clip(key))),
        })
    }

    /// The project's own network, which exists without being declared.
    pub fn default_network(&mut self, project: &str) -> String {
        let own = || Declared { name: format!("{project}_default"), ..Declared::default() };
        let found = self.declared.entry("default".to_owned()).or_insert_with(own);
        found.used = true;
        found.name.clone()
    }

    /// Name on the engine and whether it is internal, of all that is used and ours to make.
    pub fn own(&self) -> impl Iterator<Item = (String, bool)> {
        let own = self.declared.values().filter(|found| found.used && !found.external);
        own.map(|found| (found.name.clone(), found.internal))
    }

    /// Names on the engine of all that is used and must exist.
    pub fn external(&self) -> impl Iterator<Item = String> {
        self.declared.values().filter(|found| found.used && found.external).map(|found| found.name.clone())
    }
}

fn declare(cx: &mut Context<'_>, item: &Entry, section: &Section, drivers: &[&str]) -> Option<Declared> {
    let map = cx.keep(collect::map(item))?;
    let (mut name, mut external, mut internal) = (None, false, false);
    for field in map.entries.iter().filter(|field| !field.value.is_null()) {
        match field.key.as_str() {
            "name" => cx.set_some(&mut name, field.text()),
            "external" => {
                let hint = "write `external: true`, and the name beside it: `name: …`";
                cx.set(&mut external, field.boolean().map_err(|problem| problem.hint(hint)));
            }
            "internal" if section.known.contains(&"internal") => cx.set(&mut internal, field.boolean()),
            "driver" => {
                if let Some(driver) = cx.keep(field.text()).filter(|driver| !drivers.contains(&driver.as_str())) {
                    let message = format!("{} driver `{}` is not supported", section.name, clip(&driver));
                    let hint = format!(
                        "make it with `docker {} create`, and name it here with `external: true`",
                        section.name
                    );
                    cx.refuse(Problem::at(field.value.span, message).hint(hint));
                }
            }
            // The engine sets labels when it makes a resource; one that exists would differ for ever.
            "labels" => {
                let message = format!("`labels` of {} `{}` are not set", section.name, clip(&item.key));
                cx.warn(Problem::at(field.key_span, message));
            }
            _ => section.judge(cx, field),
        }
    }
    // Compose's own naming, so that a project that it started keeps its data.
    let prefixed = || if external { item.key.clone() } else { format!("{}_{}", cx.project, item.key) };
    let name = name.unwrap_or_else(prefixed);
    let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) || !name.chars().all(valid) {
        let message = format!("`{}` is not a {} name", clip(&name), section.name);
        cx.refuse(Problem::at(item.key_span, message).hint("use letters, digits, `_`, `.` and `-`"));
    }
    Some(Declared { name, external, internal, used: false })
}
