//! The YAML tree with the place of every key and value, so that each message can point at its cause.

/// A range of one source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Span {
    /// In bytes.
    pub start: usize,
    /// In bytes, exclusive; may lie on a later line.
    pub end: usize,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// That of the key where the value is empty or a collection in a map: there is the name to point at.
    pub span: Span,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    /// As written, not as YAML would type it: `1.10` stays `1.10` and `no` stays `no`.
    Scalar(String),
    List(Vec<Node>),
    Map(Map),
}

/// Entries in the order of the file; no key appears twice.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Map {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Map {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl Node {
    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// How many nodes this is, itself included.
    pub fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(map) => 1 + map.entries.iter().map(|entry| 1 + entry.value.size()).sum::<usize>(),
        }
    }

    /// How many levels of nodes this is, itself included.
    pub fn depth(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(map) => 1 + map.entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }

    /// For messages: what the user wrote.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar(text) => format!("`{}`", clip(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// Short enough and safe enough to stand in a message: a terminal must not act on what a file says.
pub(super) fn clip(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
