//! Container logs, line by line with the engine's timestamps; and events of container starts.

use bollard::container::LogOutput;
use bollard::models::EventMessage;
use bollard::query_parameters::{EventsOptionsBuilder, LogsOptionsBuilder};
use futures_util::StreamExt;
use jiff::Timestamp;

use super::{DockerEngine, errors};
use crate::model::{Label, ProxyName};
use crate::ports::{EngineError, LogLine, LogRequest, LogStream, OutputStream, Starts};

pub(super) fn logs(engine: &DockerEngine, container: &str, request: &LogRequest) -> LogStream {
    let doing = format!("read the log of container `{container}`");
    let mut options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true).follow(request.follow);
    if let Some(tail) = request.tail {
        options = options.tail(&tail.to_string());
    }
    // Bollard only supports whole seconds; earlier lines are dropped below.
    if let Some(since) = request.since {
        options = options.since(i32::try_from(since.as_second()).unwrap_or(i32::MAX));
    }
    let since = request.since;
    let chunks = engine.client.logs(container, Some(options.build()));
    let ended = futures_util::stream::once(std::future::ready(None));
    let mut lines = [Stamped::new(OutputStream::Stdout), Stamped::new(OutputStream::Stderr)];
    let parsed = chunks.map(Some).chain(ended).map(move |chunk| match chunk {
        Some(Ok(LogOutput::StdErr { message })) => lines[1].frame(&message),
        Some(Ok(LogOutput::Console { message })) => lines[0].text(&message),
        Some(Ok(LogOutput::StdOut { message } | LogOutput::StdIn { message })) => lines[0].frame(&message),
        Some(Err(error)) if errors::is_ragged_end(&error) => Vec::new(),
        Some(Err(error)) => vec![Err(errors::explain(&doing, &error))],
        None => lines.iter_mut().filter_map(Stamped::finish).map(Ok).collect(),
    });
    let wanted = move |line: &Result<LogLine, EngineError>| match (line, since) {
        (Ok(line), Some(since)) => line.at >= since,
        _ => true,
    };
    Box::pin(parsed.flat_map(futures_util::stream::iter).filter(move |line| std::future::ready(wanted(line))))
}

/// Parses lines that start with the engine's timestamp.
struct Stamped {
    stream: OutputStream,
    /// An incomplete line: the engine splits lines longer than 16 KiB and stamps each part.
    open: Option<(Timestamp, Vec<u8>)>,
    /// Terminal output that is not a complete line yet.
    pending: Vec<u8>,
}

impl Stamped {
    fn new(stream: OutputStream) -> Self {
        Self { stream, open: None, pending: Vec::new() }
    }

    /// A frame is one message of the engine's log: a complete line, or a part without a newline.
    fn frame(&mut self, frame: &[u8]) -> Vec<Result<LogLine, EngineError>> {
        let (at, text) = stamp(frame);
        let (text, is_whole) = match text.strip_suffix(b"\n") {
            Some(text) => (text, true),
            None => (text, false),
        };
        let (_, line) = self.open.get_or_insert_with(|| (at, Vec::new()));
        line.extend_from_slice(text);
        if is_whole { self.finish().map(Ok).into_iter().collect() } else { Vec::new() }
    }

    /// A container with a terminal has no frames, only text.
    fn text(&mut self, text: &[u8]) -> Vec<Result<LogLine, EngineError>> {
        self.pending.extend_from_slice(text);
        let Some(end) = self.pending.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.pending.split_off(end + 1);
        let whole = std::mem::replace(&mut self.pending, rest);
        whole.split_inclusive(|byte| *byte == b'\n').flat_map(|line| self.frame(line)).collect()
    }

    /// The text after the last newline.
    fn finish(&mut self) -> Option<LogLine> {
        let (at, mut text) = self.open.take()?;
        if text.last() == Some(&b'\r') {
            text.pop();
        }
        Some(LogLine { at, stream: self.stream, text })
    }
}

/// The engine always writes `2026-11-20T12:52:10.123456789Z `.
fn stamp(line: &[u8]) -> (Timestamp, &[u8]) {
    let stamped = || {
        let end = line.iter().position(|byte| *byte == b' ')?;
        let at = std::str::from_utf8(&line[..end]).ok()?.parse().ok()?;
        Some((at, &line[end + 1..]))
    };
    stamped().unwrap_or((Timestamp::UNIX_EPOCH, line))
}

pub(super) fn starts(engine: &DockerEngine, proxy: &ProxyName, since: Timestamp) -> Starts {
    let filters = [
        ("type".to_owned(), vec!["container".to_owned()]),
        ("event".to_owned(), vec!["start".to_owned()]),
        ("label".to_owned(), vec![format!("{}={proxy}", Label::PROXY)]),
    ];
    let since = since.as_second().to_string();
    let options = EventsOptionsBuilder::default().since(&since).filters(&filters.into_iter().collect()).build();
    let events = engine.client.events(Some(options));
    Box::pin(events.filter_map(|event| {
        std::future::ready(match event {
            Ok(event) => name(event).map(Ok),
            Err(error) => Some(Err(errors::explain("follow the engine's events", &error))),
        })
    }))
}

fn name(event: EventMessage) -> Option<String> {
    event.actor?.attributes?.remove("name")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: Vec<Result<LogLine, EngineError>>) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line.unwrap().text).unwrap()).collect()
    }

    #[test]
    fn only_the_timestamp_is_removed_from_a_line() {
        let mut stdout = Stamped::new(OutputStream::Stdout);
        let line = stdout.frame(b"2026-11-20T12:52:10.123456789Z \x1b[1m{\"a\": 1} \xff\n").remove(0).unwrap();
        assert_eq!(line.text, b"\x1b[1m{\"a\": 1} \xff");
        assert_eq!(line.at.to_string(), "2026-11-20T12:52:10.123456789Z");
    }

    #[test]
    fn a_line_split_by_the_engine_is_joined() {
        let mut stdout = Stamped::new(OutputStream::Stdout);
        assert!(stdout.frame(b"2026-11-20T12:52:10.1Z begin").is_empty());
        assert_eq!(texts(stdout.frame(b"2026-11-20T12:52:10.2Z  end\n")), ["begin end"]);
        assert!(stdout.frame(b"2026-11-20T12:52:10.3Z torn").is_empty());
        assert_eq!(stdout.finish().unwrap().text, b"torn");
        assert_eq!(stdout.finish(), None);
    }

    #[test]
    fn terminal_output_may_be_split_anywhere() {
        let mut stdout = Stamped::new(OutputStream::Stdout);
        assert!(stdout.text(b"2026-11-20T12:52:10.1Z on").is_empty());
        assert_eq!(texts(stdout.text(b"e\r\n2026-11-20T12:52:10.2Z two\r\n2026")), ["one", "two"]);
    }
}
