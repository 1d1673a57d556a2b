//! Log lines of several containers in one stream, each with its source as a prefix.

use console::Style;
use serde_json::{Value, json};

use crate::model::{ContainerState, ObservedContainer, ReleaseNumber, Role};
use crate::ports::{LogLine, OutputStream};

/// The source of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogSource {
    pub container: String,
    /// An app, an accessory, or `proxy`.
    pub app: String,
    pub release: Option<ReleaseNumber>,
    pub replica: Option<u32>,
}

impl LogSource {
    #[must_use]
    pub fn of(container: &ObservedContainer) -> Self {
        let labels = &container.labels;
        let app = match (labels.role, &labels.service) {
            (Role::Proxy | Role::ProxyInstance, _) | (_, None) => "proxy".to_owned(),
            (_, Some(service)) => service.to_string(),
        };
        Self { container: container.name.clone(), app, release: labels.release, replica: labels.replica }
    }

    /// Such as `go-app r8-1`.
    #[must_use]
    pub fn label(&self) -> String {
        match (self.release, self.replica) {
            (Some(release), Some(replica)) => format!("{} {release}-{replica}", self.app),
            (Some(release), None) => format!("{} {release} command", self.app),
            (None, _) => self.app.clone(),
        }
    }

    /// A label has the same colour in each run.
    fn style(&self) -> Style {
        let sum = self.label().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let style = Style::new();
        match sum % 6 {
            0 => style.cyan(),
            1 => style.green(),
            2 => style.yellow(),
            3 => style.magenta(),
            4 => style.blue(),
            _ => style.cyan().bright(),
        }
    }
}

/// Formats log lines as text.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogStyle {
    pub colour: bool,
    pub timestamps: bool,
    /// Width of the widest label so far.
    pub width: usize,
}

impl LogStyle {
    /// The prefix, the line and a line end. The app's bytes are not changed.
    #[must_use]
    pub fn line(self, source: &LogSource, line: &LogLine) -> Vec<u8> {
        let label = format!("{:<width$} |", source.label(), width = self.width);
        let mut text = source.style().force_styling(self.colour).apply_to(label).to_string().into_bytes();
        if self.timestamps {
            text.extend(format!(" {}", line.at).into_bytes());
        }
        text.push(b' ');
        text.extend_from_slice(&line.text);
        text.push(b'\n');
        text
    }
}

/// The line as JSON.
#[must_use]
pub fn document(source: &LogSource, line: &LogLine) -> Value {
    json!({
        "v": 1,
        "at": line.at.to_string(),
        "app": source.app,
        "container": source.container,
        "release": source.release,
        "replica": source.replica,
        "stream": match line.stream {
            OutputStream::Stdout => "stdout",
            OutputStream::Stderr => "stderr",
        },
        "text": String::from_utf8_lossy(&line.text),
    })
}

/// A container that was never started has no log.
#[must_use]
pub fn has_log(container: &ObservedContainer) -> bool {
    container.state != ContainerState::Created
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_has_written_is_left_as_it_is() {
        let source = LogSource {
            container: "p-web-r2-1".to_owned(),
            app: "web".to_owned(),
            release: Some(ReleaseNumber(2)),
            replica: Some(1),
        };
        let at = "2026-11-20T12:52:10.1Z".parse().unwrap();
        let line = LogLine { at, stream: OutputStream::Stderr, text: b"{\"a\":\t1} \xff".to_vec() };
        let plain = LogStyle { width: 10, ..LogStyle::default() };
        assert_eq!(plain.line(&source, &line), b"web r2-1   | {\"a\":\t1} \xff\n");
        let stamped = LogStyle { timestamps: true, ..LogStyle::default() };
        assert!(stamped.line(&source, &line).starts_with(b"web r2-1 | 2026-11-20T12:52:10.1Z {"));
        assert_eq!(document(&source, &line)["text"], "{\"a\":\t1} \u{fffd}");
    }
}
