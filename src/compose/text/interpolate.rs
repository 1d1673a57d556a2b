//! `$NAME` and `${NAME…}` in values, by compose's rules.

use super::node::{Node, Span, Value, clip};

/// Why a text cannot be interpolated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::compose) struct Failure {
    /// Byte offset of the `$` in the text.
    pub offset: usize,
    pub message: String,
    pub hint: String,
}

/// The source of values, and names without a value.
pub(in crate::compose) struct Lookup<'a> {
    pub value: &'a dyn Fn(&str) -> Option<String>,
    /// Names used without a value or a default; they count as empty.
    pub unset: Vec<String>,
    /// The remaining number of bytes for results.
    pub left: usize,
}

impl<'a> Lookup<'a> {
    pub fn new(value: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { value, unset: Vec::new(), left: MOST_BYTES }
    }
}

/// Limit for all results together: a long value used repeatedly must not exhaust memory.
const MOST_BYTES: usize = 16 << 20;

/// Limit of nested defaults.
const MOST_NESTED: usize = 16;

/// `text` with its variables replaced.
pub(in crate::compose) fn interpolate(text: &str, lookup: &mut Lookup<'_>) -> Result<String, Failure> {
    if !text.contains('$') {
        return Ok(text.to_owned());
    }
    let mut reader = Reader { text, at: 0, unused: 0, lookup };
    reader.until_end(false, 0)
}

/// Interpolates every value of a tree (not the keys); collects failures and names without a value.
pub(in crate::compose) struct Tree<'a> {
    /// Used to find a variable's position in its line.
    source: &'a str,
    lookup: Lookup<'a>,
    pub failures: Vec<(Span, Failure)>,
    pub unset: Vec<(String, Span)>,
}

impl<'a> Tree<'a> {
    pub fn new(source: &'a str, value: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { source, lookup: Lookup::new(value), failures: Vec::new(), unset: Vec::new() }
    }

    pub fn walk(&mut self, node: &mut Node) {
        match &mut node.value {
            Value::Null => {}
            Value::List(items) => items.iter_mut().for_each(|item| self.walk(item)),
            Value::Map(map) => map.entries.iter_mut().for_each(|entry| self.walk(&mut entry.value)),
            Value::Scalar(text) => {
                match interpolate(text, &mut self.lookup) {
                    Ok(done) => {
                        node.plain &= *text == done;
                        *text = done;
                    }
                    Err(failure) => self.failures.push((inside(node.span, text, self.source, failure.offset), failure)),
                }
                self.unset.extend(self.lookup.unset.drain(..).map(|name| (name, node.span)));
            }
        }
    }
}

/// The position of a scalar's byte in the source if the scalar is written literally there, or else the position of the
/// scalar.
fn inside(span: Span, text: &str, source: &str, offset: usize) -> Span {
    let raw = source.get(span.start..span.end).unwrap_or_default();
    match raw.find(text).filter(|_| !text.contains('\n')) {
        Some(begin) if offset < text.len() => {
            let start = span.start + begin + offset;
            let column = span.column + raw[..begin + offset].chars().count();
            Span { start, end: span.start + begin + text.len(), column, ..span }
        }
        _ => span,
    }
}

struct Reader<'t, 'l, 'v> {
    text: &'t str,
    at: usize,
    /// Depth of texts whose result is not used: errors for required variables are not reported there.
    unused: usize,
    lookup: &'l mut Lookup<'v>,
}

impl Reader<'_, '_, '_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn failure(&self, offset: usize, message: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure { offset, message: message.into(), hint: hint.into() }
    }

    /// Reads to the end of the text, or to the `}` that closes a default.
    fn until_end(&mut self, nested: bool, level: usize) -> Result<String, Failure> {
        let mut out = String::new();
        // A default may be JSON, whose braces are balanced.
        let mut braces = 0_usize;
        while let Some(c) = self.rest().chars().next() {
            match c {
                '}' if nested && braces == 0 => break,
                '$' => {
                    let start = self.at;
                    let value = self.variable(level)?;
                    let Some(left) = self.lookup.left.checked_sub(value.len()) else {
                        let message = format!("the values of variables are longer than {MOST_BYTES} bytes together");
                        return Err(self.failure(start, message, "check the variables that are used here"));
                    };
                    self.lookup.left = left;
                    out.push_str(&value);
                }
                _ => {
                    match c {
                        '{' => braces += 1,
                        '}' => braces = braces.saturating_sub(1),
                        _ => {}
                    }
                    out.push(c);
                    self.at += c.len_utf8();
                }
            }
        }
        Ok(out)
    }

    fn variable(&mut self, level: usize) -> Result<String, Failure> {
        let start = self.at;
        self.at += 1;
        match self.rest().chars().next() {
            Some('$') => {
                self.at += 1;
                Ok("$".to_owned())
            }
            Some('{') => {
                self.at += 1;
                self.braced(start, level)
            }
            _ => match self.name() {
                Some(name) => Ok(self.plain(name)),
                // For example `^/(.*)$` or `$1`; compose keeps it unchanged.
                None => Ok("$".to_owned()),
            },
        }
    }

    fn name(&mut self) -> Option<String> {
        let rest = self.rest();
        let first = rest.chars().next().filter(|c| c.is_ascii_alphabetic() || *c == '_')?;
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest[..end.max(first.len_utf8())].to_owned();
        self.at += name.len();
        Some(name)
    }

    fn plain(&mut self, name: String) -> String {
        (self.lookup.value)(&name).unwrap_or_else(|| {
            self.lookup.unset.push(name);
            String::new()
        })
    }

    /// After `${`: a name, then nothing or one of `:- - :? ? :+ +` with a text that may contain variables.
    fn braced(&mut self, start: usize, level: usize) -> Result<String, Failure> {
        if level >= MOST_NESTED {
            let message = format!("variables are nested more than {MOST_NESTED} levels deep");
            return Err(self.failure(start, message, "use fewer defaults of defaults"));
        }
        let invalid = |reader: &Self| {
            let shown = clip(&reader.text[start..]);
            let message = format!("invalid variable `{shown}`");
            reader.failure(start, message, "write `${NAME}`, `${NAME:-default}` or, for a dollar sign, `$$`")
        };
        let Some(name) = self.name() else { return Err(invalid(self)) };
        let operators = [":-", ":?", ":+", "-", "?", "+"];
        let operator = operators.into_iter().find(|operator| self.rest().starts_with(operator));
        self.at += operator.map_or(0, str::len);

        let value = (self.lookup.value)(&name);
        let colon = operator.is_some_and(|operator| operator.starts_with(':'));
        let present = value.clone().filter(|text| !colon || !text.is_empty());
        let used = match operator.map(|operator| operator.trim_start_matches(':')) {
            Some("+") => present.is_some(),
            _ => present.is_none(),
        };

        // A missing variable is reported only if the text that requires it is used.
        let before = self.lookup.unset.len();
        self.unused += usize::from(!used);
        let argument = if operator.is_some() { self.until_end(true, level + 1)? } else { String::new() };
        self.unused -= usize::from(!used);
        if !self.rest().starts_with('}') {
            return Err(invalid(self));
        }
        self.at += 1;
        let Some(operator) = operator else { return Ok(self.plain(name)) };

        if !used {
            self.lookup.unset.truncate(before);
        }
        Ok(match (operator.trim_start_matches(':'), present) {
            ("-", None) | ("+", Some(_)) => argument,
            ("+", None) => String::new(),
            (_, Some(value)) => value,
            (_, None) if self.unused > 0 => String::new(),
            (_, None) => {
                let state = if value.is_some() { "is empty" } else { "is not set" };
                let reason = if argument.is_empty() { String::new() } else { format!(": {}", clip(&argument)) };
                let message = format!("required variable `{name}` {state}{reason}");
                return Err(self.failure(start, message, format!("set it: `export {name}=…`, or put it into `.env`")));
            }
        })
    }
}
