//! Parses YAML text to a tree, with limits for malicious or broken files.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, Tag};

use super::merge_keys;
use super::node::{Entry, Map, Node, Span, Steer, Value, clip};
use crate::compose::error::{Problem, Read};

/// Counts every value, key and copy of an anchor: ten lines of nested aliases could otherwise create billions.
pub(in crate::compose) const MOST_NODES: usize = 200_000;

/// Limit for recursion, far deeper than any compose file.
const MOST_LEVELS: usize = 64;

/// The documents of the text, each of which is merged over the previous ones; none in an empty text.
pub(in crate::compose) fn parse(text: &str, file: u16) -> Read<Vec<Node>> {
    let mut builder = Builder { text, file, ..Builder::default() };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|error| {
            let mark = error.marker();
            let start = mark.byte_offset().unwrap_or(text.len()).min(text.len());
            let span = Span { file, start, end: start, line: mark.line(), column: mark.col() + 1 };
            Problem::at(builder.within(span), format!("not valid YAML: {}", error.info()))
                .hint("check indentation, quotes and colons around here")
        })?;
        let span = builder.convert(span);
        builder.take(event, span)?;
    }
    // An empty document, such as after a last `---`, has no effect.
    let mut roots = builder.roots;
    roots.retain(|root| !root.is_null());
    Ok(roots)
}

#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    /// The open collections, outermost first.
    open: Vec<Frame>,
    anchors: HashMap<usize, Node>,
    spent: usize,
    file: u16,
    roots: Vec<Node>,
}

struct Frame {
    span: Span,
    anchor: usize,
    steer: Option<Steer>,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        places: HashMap<String, Span>,
        key: Option<(Key, Span)>,
        merged: Option<(Span, Box<Node>)>,
    },
}

enum Key {
    Name(String),
    /// An unquoted `<<`; a quoted one is an ordinary key.
    Merge,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: Span) -> Read<()> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = scalar(&text, style, tag.as_deref(), span)?;
                let plain = style == ScalarStyle::Plain;
                if self.awaits_key() { self.key(&node, plain) } else { self.complete(node, anchor) }
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(Problem::at(span, "an alias cannot be used inside its own anchor"));
                };
                self.spend(node.size(), span)?;
                self.check_depth(node.depth(), span)?;
                if self.awaits_key() { self.key(&Node { span, ..node }, false) } else { self.complete(node, 0) }
            }
            Event::SequenceStart(_, anchor, tag) => {
                let steer = read_tag(tag.as_deref(), span)?;
                self.begin(span, anchor, steer, Content::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                let steer = read_tag(tag.as_deref(), span)?;
                self.begin(
                    span,
                    anchor,
                    steer,
                    Content::Map { entries: Vec::new(), places: HashMap::new(), key: None, merged: None },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            _ => Ok(()),
        }
    }

    fn convert(&self, span: granit_parser::Span) -> Span {
        let start = span.start.byte_offset().unwrap_or(0);
        let end = span.end.byte_offset().unwrap_or(start);
        Span { file: self.file, start, end: end.max(start), line: span.start.line(), column: span.start.col() + 1 }
    }

    fn begin(&mut self, span: Span, anchor: usize, steer: Option<Steer>, content: Content) -> Read<()> {
        if self.awaits_key() {
            return Err(Problem::at(span, "a key must be text, not a list or map").hint("quote it if it is text"));
        }
        self.check_depth(1, span)?;
        self.open.push(Frame { span, anchor, steer, content });
        Ok(())
    }

    fn end(&mut self) -> Read<()> {
        let Some(Frame { span, anchor, steer, content }) = self.open.pop() else { return Ok(()) };
        let value = match content {
            Content::List(items) => Value::List(items),
            Content::Map { mut entries, merged, .. } => {
                if let Some((key_span, node)) = merged {
                    let added = merge_keys::into(&mut entries, key_span, *node)?;
                    self.spend(added, key_span)?;
                }
                Value::Map(Map { entries })
            }
        };
        self.complete(Node { steer, ..Node::new(span, value) }, anchor)
    }

    fn awaits_key(&self) -> bool {
        matches!(self.open.last(), Some(Frame { content: Content::Map { key: None, .. }, .. }))
    }

    fn key(&mut self, node: &Node, plain: bool) -> Read<()> {
        let Value::Scalar(name) = &node.value else {
            return Err(Problem::at(self.within(node.span), format!("a key must be text, not {}", node.describe())));
        };
        if let Some(Frame { content: Content::Map { places, key, merged, .. }, .. }) = self.open.last_mut() {
            let merge = plain && name == "<<";
            let first =
                if merge { merged.as_ref().map(|(span, _)| *span) } else { places.insert(name.clone(), node.span) };
            if let Some(first) = first {
                let message = format!("key `{}` appears twice, first in line {}", clip(name), first.line);
                let hint = if merge { "give it a list: `<<: [*a, *b]`" } else { "keep one of them" };
                return Err(Problem::at(node.span, message).hint(hint));
            }
            *key = Some((if merge { Key::Merge } else { Key::Name(name.clone()) }, node.span));
        }
        self.spend(1, node.span)
    }

    fn complete(&mut self, mut node: Node, anchor: usize) -> Read<()> {
        self.spend(1, node.span)?;
        if anchor != 0 {
            self.spend(node.size(), node.span)?;
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|frame| &mut frame.content) {
            None => self.roots.push(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, merged, .. }) => match key.take() {
                None => {}
                Some((Key::Merge, key_span)) => *merged = Some((key_span, Box::new(node))),
                Some((Key::Name(name), key_span)) => {
                    if !matches!(node.value, Value::Scalar(_)) {
                        node.span = key_span;
                    }
                    entries.push(Entry { key: name, key_span, value: node });
                }
            },
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, span: Span) -> Read<()> {
        self.spent = self.spent.saturating_add(nodes);
        if self.spent <= MOST_NODES {
            return Ok(());
        }
        let message = format!("more than {MOST_NODES} values after aliases are put in");
        Err(Problem::at(self.within(span), message).hint("use fewer nested aliases"))
    }

    fn check_depth(&self, levels: usize, span: Span) -> Read<()> {
        if self.open.len() + levels <= MOST_LEVELS {
            return Ok(());
        }
        Err(Problem::at(self.within(span), format!("nested more than {MOST_LEVELS} levels deep")))
    }

    /// Some errors are detected after the last line; they are shown at the end of that line.
    fn within(&self, span: Span) -> Span {
        let text = self.text.trim_end();
        if span.start < text.len() || text.is_empty() {
            return span;
        }
        let line = text.lines().count();
        let column = text.lines().last().map_or(1, |last| last.chars().count().max(1));
        Span { start: text.len(), end: text.len(), line, column, ..span }
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span) -> Read<Node> {
    let steer = read_tag(tag, span)?;
    let plain = style == ScalarStyle::Plain && (tag.is_none() || steer.is_some());
    let untyped = plain || (style == ScalarStyle::Plain && tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("null")));
    let null = untyped && matches!(text, "" | "~" | "null" | "Null" | "NULL");
    let value = if null { Value::Null } else { Value::Scalar(text.to_owned()) };
    Ok(Node { span, value, plain, steer })
}

fn read_tag(tag: Option<&Tag>, span: Span) -> Read<Option<Steer>> {
    let Some(tag) = tag else { return Ok(None) };
    let name = tag.original();
    let core = ["str", "int", "float", "bool", "null", "map", "seq"];
    if core.iter().any(|known| tag.is_yaml_core_schema_tag(known)) || matches!(name.as_str(), "!" | "!!merge") {
        return Ok(None);
    }
    match name.as_str() {
        "!reset" => Ok(Some(Steer::Reset)),
        "!override" => Ok(Some(Steer::Override)),
        _ => Err(Problem::at(span, format!("unknown tag `{}`", clip(&name))).hint("remove it, or quote the text")),
    }
}
