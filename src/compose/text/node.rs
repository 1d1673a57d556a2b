//! A YAML tree with the position of every key and value, for error messages.

/// A range in a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(in crate::compose) struct Span {
    /// Index of the text in [`super::sources::Sources`]: a merged tree has nodes of several texts.
    pub file: u16,
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
pub(in crate::compose) struct Node {
    /// The span of the key if the value is empty or a collection in a map: messages point at the name.
    pub span: Span,
    pub value: Value,
    /// A scalar without quotes, tag or variable, which YAML may interpret as a number or boolean.
    pub plain: bool,
    pub steer: Option<Steer>,
}

/// How a value is merged with that of an earlier file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::compose) enum Steer {
    /// `!reset`: the key is removed.
    Reset,
    /// `!override`: the value replaces the other one without a merge.
    Override,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::compose) enum Value {
    Null,
    /// As written, without YAML's types: `1.10` stays `1.10` and `no` stays `no`.
    Scalar(String),
    List(Vec<Node>),
    Map(Map),
}

/// Entries in the order of the file, without duplicate keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::compose) struct Map {
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::compose) struct Entry {
    pub key: String,
    pub key_span: Span,
    pub value: Node,
}

impl Map {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    /// The value of a key; `None` also if it is null.
    pub fn value(&self, key: &str) -> Option<&Node> {
        self.get(key).map(|entry| &entry.value).filter(|node| !node.is_null())
    }

    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let at = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(at))
    }

    /// Sets the value of a key, at the position of an existing one.
    pub fn set(&mut self, key: &str, value: Node) {
        match self.get_mut(key) {
            Some(entry) => entry.value = value,
            None => self.entries.push(Entry { key: key.to_owned(), key_span: value.span, value }),
        }
    }
}

impl Node {
    pub fn new(span: Span, value: Value) -> Self {
        Self { span, value, plain: false, steer: None }
    }

    /// A text as if it was written in quotes.
    pub fn text_at(span: Span, text: impl Into<String>) -> Self {
        Self::new(span, Value::Scalar(text.into()))
    }

    pub fn as_map(&self) -> Option<&Map> {
        match &self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        match &mut self.value {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text) => Some(text),
            _ => None,
        }
    }

    /// Whether the values are equal, ignoring positions.
    pub fn means(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Scalar(one), Value::Scalar(two)) => one == two,
            (Value::List(one), Value::List(two)) => {
                one.len() == two.len() && one.iter().zip(two).all(|(one, two)| one.means(two))
            }
            (Value::Map(one), Value::Map(two)) => {
                one.entries.len() == two.entries.len()
                    && one
                        .entries
                        .iter()
                        .all(|entry| two.get(&entry.key).is_some_and(|other| entry.value.means(&other.value)))
            }
            _ => false,
        }
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// The number of nodes, including this one.
    pub fn size(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::size).sum::<usize>(),
            Value::Map(map) => 1 + map.entries.iter().map(|entry| 1 + entry.value.size()).sum::<usize>(),
        }
    }

    /// The depth of the tree, including this node.
    pub fn depth(&self) -> usize {
        match &self.value {
            Value::Null | Value::Scalar(_) => 1,
            Value::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(map) => 1 + map.entries.iter().map(|entry| entry.value.depth()).max().unwrap_or(0),
        }
    }

    /// The value as shown in messages.
    pub fn describe(&self) -> String {
        match &self.value {
            Value::Null => "nothing".to_owned(),
            Value::Scalar(text) => format!("`{}`", clip(text)),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// Shortens and escapes text for messages: a terminal must not interpret what a file contains.
pub(in crate::compose) fn clip(text: &str) -> String {
    const MOST: usize = 60;
    let mut shown: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}
