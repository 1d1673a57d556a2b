//! Reads the access log files of the proxy with a script in its container.

use std::future::ready;
use std::pin::Pin;

use futures_util::{FutureExt, StreamExt, TryFutureExt, stream};
use jiff::Timestamp;
use tokio::io::AsyncWrite;

use super::{DockerEngine, shell};
use crate::ports::{EngineError, LogLine, LogRequest, LogStream, OutputStream, Shell, ShellRequest};

const SCRIPT: &str = "/etc/nginx/read-log.pl";

pub(super) fn access_log(engine: &DockerEngine, container: &str, request: &LogRequest) -> LogStream {
    let since = request.since.map(|at| at.strftime("%Y-%m-%dT%H:%M:%S").to_string()).unwrap_or_default();
    let tail = request.tail.map(|count| count.to_string()).unwrap_or_default();
    let follow = if request.follow { "1" } else { "" };
    let command = [SCRIPT, &since, &tail, follow].map(str::to_owned).to_vec();
    let shell = ShellRequest { container: container.to_owned(), command, terminal: None };
    let (engine, since) = (engine.clone(), request.since);
    let opened = async move {
        let Shell { input, output, .. } = shell::shell(&engine, &shell).await?;
        let mut reader = Reader { _input: input, partial: Vec::new(), at: Timestamp::UNIX_EPOCH, since };
        let ended = stream::once(ready(None));
        let lines = output.map(Some).chain(ended).map(move |chunk| match chunk {
            Some(Ok((_, bytes))) => reader.push(&bytes),
            Some(Err(error)) => vec![Err(error)],
            None => reader.finish(),
        });
        Ok(lines.flat_map(stream::iter))
    };
    Box::pin(opened.map_err(|error: EngineError| error).into_stream().flat_map(|opened| match opened {
        Ok(lines) => lines.left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    }))
}

struct Reader {
    /// The script exits when its stdin is closed.
    _input: Pin<Box<dyn AsyncWrite + Send>>,
    partial: Vec<u8>,
    /// Time of the previous line, used for text that is not a valid log line.
    at: Timestamp,
    since: Option<Timestamp>,
}

type Lines = Vec<Result<LogLine, EngineError>>;

impl Reader {
    fn push(&mut self, bytes: &[u8]) -> Lines {
        self.partial.extend_from_slice(bytes);
        let Some(end) = self.partial.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.partial.split_off(end + 1);
        let whole = std::mem::replace(&mut self.partial, rest);
        whole[..end].split(|byte| *byte == b'\n').filter_map(|text| self.line(text)).map(Ok).collect()
    }

    fn finish(&mut self) -> Lines {
        let text = std::mem::take(&mut self.partial);
        let last = (!text.is_empty()).then(|| self.line(&text)).flatten();
        last.map(Ok).into_iter().collect()
    }

    /// `None` when the line is too old: the script only compares whole seconds.
    fn line(&mut self, text: &[u8]) -> Option<LogLine> {
        self.at = ended_at(text).unwrap_or(self.at);
        let is_wanted = text.is_empty() || self.since.is_none_or(|since| self.at >= since);
        is_wanted.then(|| LogLine { at: self.at, stream: OutputStream::Stdout, text: text.to_vec() })
    }
}

/// `{"time":"…","at":1795177457.163,…`
fn ended_at(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    let (seconds, milliseconds) = text.split_once("\"at\":")?.1.split_once(',')?.0.split_once('.')?;
    let (seconds, milliseconds): (i64, i64) = (seconds.parse().ok()?, milliseconds.parse().ok()?);
    Timestamp::from_millisecond(seconds.checked_mul(1000)?.checked_add(milliseconds)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reader(since: Option<Timestamp>) -> Reader {
        Reader { _input: Box::pin(tokio::io::sink()), partial: Vec::new(), at: Timestamp::UNIX_EPOCH, since }
    }

    fn texts(lines: Lines) -> Vec<String> {
        lines.into_iter().map(|line| String::from_utf8(line.unwrap().text).unwrap()).collect()
    }

    #[test]
    fn a_line_has_the_end_time_of_its_request() {
        let mut reader = reader(None);
        let line = b"{\"time\":\"2026-11-20T12:52:10+00:00\",\"at\":1795179130.007,\"path\":\"/\"}\n";
        let read = reader.push(line).remove(0).unwrap();
        assert_eq!(read.at.to_string(), "2026-11-20T12:52:10.007Z");
        assert_eq!(read.text, line[..line.len() - 1]);
        assert_eq!(reader.push(b"torn\n").remove(0).unwrap().at, read.at);
    }

    #[test]
    fn lines_are_joined_and_old_ones_dropped() {
        let mut reader = reader(Some("2026-11-20T12:52:10.5Z".parse().unwrap()));
        assert!(reader.push(b"{\"at\":1795179130.499,\"n\":1}\n{\"at\":17951").is_empty());
        assert_eq!(texts(reader.push(b"79130.500,\"n\":2}\n\n")), ["{\"at\":1795179130.500,\"n\":2}", ""]);
        assert!(reader.push(b"{\"at\":1795179131.000,\"n\":3}").is_empty());
        assert_eq!(texts(reader.finish()), ["{\"at\":1795179131.000,\"n\":3}"]);
    }
}
