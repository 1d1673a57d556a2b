//! Version 1 of the JSON event stream, one object per line.
//!
//! `v` is 1, `app` is `<project>/<app>` or null for the host, `event` names the fact, and every duration is an
//! integer of milliseconds in a field that ends in `_ms`. Fields are added, never renamed or removed.

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::Reporter;
use crate::event::Event;

pub struct JsonReporter<W> {
    out: Mutex<W>,
}

impl<W: Write + Send> JsonReporter<W> {
    pub fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }
}

impl<W: Write + Send> Reporter for JsonReporter<W> {
    fn event(&self, event: &Event) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        // A closed output must not end the deploy.
        drop(writeln!(out, "{}", line(event)).and_then(|()| out.flush()));
    }

    fn finish(&self) {}
}

fn line(event: &Event) -> Value {
    let mut object = Map::new();
    object.insert("v".to_owned(), json!(1));
    // An event is a struct with text keys, which always serialises.
    if let Value::Object(fields) = serde_json::to_value(event).unwrap_or_default() {
        object.extend(fields.into_iter().map(|(name, value)| with_milliseconds(name, value)));
    }
    Value::Object(object)
}

/// Serde writes a duration as `{"secs":…,"nanos":…}`, which is hard to use.
fn with_milliseconds(name: String, value: Value) -> (String, Value) {
    let Value::Object(fields) = &value else { return (name, value) };
    let number = |field: &str| fields.get(field).and_then(Value::as_u64);
    match (number("secs"), number("nanos")) {
        (Some(secs), Some(nanos)) => (format!("{name}_ms"), json!(secs * 1000 + (nanos + 500_000) / 1_000_000)),
        _ => (name, value),
    }
}
