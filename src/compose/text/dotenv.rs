//! `.env` and `env_file` files, by compose's rules.

use indexmap::IndexMap;

use super::interpolate::{Lookup, interpolate};

/// An invalid line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::compose) struct BadLine {
    /// From 1.
    pub line: usize,
    pub message: String,
    pub hint: String,
}

/// The file's variables in order. A name without a value takes the value of `outer`, or is omitted.
///
/// Values may refer to variables: `outer` takes precedence over earlier lines, like the environment over `.env`.
///
/// Also returns names that are used without a value, each with its line.
pub(in crate::compose) fn parse(text: &str, outer: &dyn Fn(&str) -> Option<String>) -> Result<Parsed, BadLine> {
    let mut values = IndexMap::new();
    let unset = parse_onto(&mut values, text, outer)?;
    Ok((values, unset))
}

/// Values in the order of the file, and names without a value.
pub(super) type Parsed = (IndexMap<String, String>, Unset);
/// Names that are used without a value, each with the line of its use.
pub(super) type Unset = Vec<(String, usize)>;

/// Like [`parse`], with the variables of previous files, which this file may use and replace.
pub(in crate::compose) fn parse_onto(
    values: &mut IndexMap<String, String>,
    text: &str,
    outer: &dyn Fn(&str) -> Option<String>,
) -> Result<Unset, BadLine> {
    let mut unset = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1 };
    // Lines can repeatedly double the values of others, so the limit is for all of them together.
    let mut left = None;
    while let Some((line, name)) = reader.name()? {
        let Some(raw) = reader.value(&name)? else {
            if let Some(value) = outer(&name) {
                values.insert(name, value);
            }
            continue;
        };
        let value = match raw {
            Raw::Literal(text) => text,
            Raw::Template(text) => {
                let known = |name: &str| outer(name).or_else(|| values.get(name).cloned());
                let mut lookup = Lookup::new(&known);
                lookup.left = left.unwrap_or(lookup.left);
                let done = interpolate(&text, &mut lookup).map_err(|failure| BadLine {
                    line,
                    message: failure.message,
                    hint: format!("{}, or put the value into single quotes", failure.hint),
                })?;
                left = Some(lookup.left);
                unset.extend(lookup.unset.into_iter().map(|name| (name, line)));
                done
            }
        };
        values.insert(name, value);
    }
    Ok(unset)
}

/// `format: raw`: everything after the first `=` is the value, like in `docker run --env-file`.
pub(in crate::compose) fn parse_raw(
    values: &mut IndexMap<String, String>,
    text: &str,
    outer: &dyn Fn(&str) -> Option<String>,
) -> Result<Unset, BadLine> {
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').map_or((line, None), |(name, value)| (name, Some(value)));
        if name.is_empty() || name.contains(char::is_whitespace) {
            let message = format!("`{}` is not a variable's name", super::node::clip(name));
            return Err(BadLine { line: index + 1, message, hint: "write `NAME=value`, one to a line".to_owned() });
        }
        if let Some(value) = value.map(str::to_owned).or_else(|| outer(name)) {
            values.insert(name.to_owned(), value);
        }
    }
    Ok(Vec::new())
}

enum Raw {
    Literal(String),
    Template(String),
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn advance(&mut self, bytes: usize) {
        self.line += self.rest[..bytes].matches('\n').count();
        self.rest = &self.rest[bytes..];
    }

    fn bad(&self, message: impl Into<String>, hint: &str) -> BadLine {
        BadLine { line: self.line, message: message.into(), hint: hint.to_owned() }
    }

    /// Name and line of the next variable; stops before `=`, `:` or the end of the line.
    fn name(&mut self) -> Result<Option<(usize, String)>, BadLine> {
        loop {
            self.advance(self.rest.len() - self.rest.trim_start().len());
            if !self.rest.starts_with('#') {
                break;
            }
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
        }
        if self.rest.is_empty() {
            return Ok(None);
        }
        if let Some(after) = self.rest.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
            let blanks = after.len() - after.trim_start_matches([' ', '\t']).len();
            self.advance("export".len() + blanks);
        }
        // Compose accepts `NAME: value` too.
        let end = self.rest.find(['=', ':', '\n', '\r', '#']).unwrap_or(self.rest.len());
        let name = self.rest[..end].trim();
        let valid = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
        if name.is_empty() || !name.chars().all(valid) {
            let message = format!("`{}` is not a variable's name", super::node::clip(name));
            return Err(self.bad(message, "write `NAME=value`, one to a line"));
        }
        let found = (self.line, name.to_owned());
        self.advance(end);
        Ok(Some(found))
    }

    /// The value after the name; `None` if there is none.
    fn value(&mut self, name: &str) -> Result<Option<Raw>, BadLine> {
        if !self.rest.starts_with(['=', ':']) {
            self.advance(self.rest.find('\n').unwrap_or(self.rest.len()));
            return Ok(None);
        }
        let blanks = self.rest[1..].len() - self.rest[1..].trim_start_matches([' ', '\t']).len();
        self.advance(1 + blanks);
        match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(name, quote).map(Some),
            _ => {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                let line = &self.rest[..end];
                // A `#` starts a comment only after a space: `a#b` is a value.
                let value = line.find(" #").map_or(line, |cut| &line[..cut]).trim().to_owned();
                self.advance(end);
                Ok(Some(Raw::Template(value)))
            }
        }
    }

    /// A quoted value may span lines. Escapes and variables are processed in double quotes only.
    fn quoted(&mut self, name: &str, quote: char) -> Result<Raw, BadLine> {
        let mut value = String::new();
        let mut chars = self.rest.char_indices().skip(1);
        let end = loop {
            match (quote, chars.next()) {
                (_, None) => {
                    return Err(self.bad(format!("the value of `{name}` has no closing {quote}"), "close the quotes"));
                }
                (_, Some((at, c))) if c == quote => break at + 1,
                ('\'', Some((_, '\\'))) => match chars.next() {
                    Some((_, '\'')) => value.push('\''),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => value.push('\\'),
                },
                ('"', Some((_, '\\'))) => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 'r')) => value.push('\r'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, 'a')) => value.push('\u{7}'),
                    Some((_, 'b')) => value.push('\u{8}'),
                    Some((_, 'f')) => value.push('\u{c}'),
                    Some((_, 'v')) => value.push('\u{b}'),
                    // The escaped dollar must survive the following interpolation.
                    Some((_, '$')) => value.push_str("$$"),
                    Some((_, c @ ('"' | '\\'))) => value.push(c),
                    Some((_, other)) => value.extend(['\\', other]),
                    None => value.push('\\'),
                },
                (_, Some((_, c))) => value.push(c),
            }
        };
        self.advance(end);
        let tail = &self.rest[..self.rest.find('\n').unwrap_or(self.rest.len())];
        if !tail.trim().is_empty() && !tail.trim_start().starts_with('#') {
            return Err(self.bad(format!("text after the closing {quote} of `{name}`"), "quote the whole value"));
        }
        let length = tail.len();
        self.advance(length);
        Ok(if quote == '"' { Raw::Template(value) } else { Raw::Literal(value) })
    }
}
