//! The response head: status, framing of the body, and whether the connection stays open.

use httparse::{EMPTY_HEADER, Header, ParserConfig, Response, Status};

const MOST_HEADERS: usize = 96;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Head {
    pub(in super::super) status: u16,
    pub(in super::super) framing: Framing,
    /// The server closes the connection after this answer.
    pub(in super::super) close: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// Parses a head at the front of `bytes` and returns it with its length; `None` while it is incomplete.
///
/// # Errors
/// When the bytes cannot become a valid head.
pub(super) fn parse(bytes: &[u8], release_header: &str, release: &mut String) -> Result<Option<(Head, usize)>, String> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let mut headers = [EMPTY_HEADER; MOST_HEADERS];
    let mut response = Response::new(&mut headers);
    let parsed = ParserConfig::default().parse_response(&mut response, bytes);
    let Status::Complete(length) = parsed.map_err(|error| format!("answer is not HTTP: {error}"))? else {
        return Ok(None);
    };
    let status = response.code.unwrap_or_default();
    // HTTP/1.0 closes by default, HTTP/1.1 keeps the connection by default.
    let mut close = response.version == Some(0);
    let mut length_said = None;
    let mut chunked = false;
    release.clear();
    for header in response.headers.iter() {
        if named(header, "content-length") {
            length_said = Some(text(header).parse().map_err(|_| "content-length is not a number".to_owned())?);
        } else if named(header, "transfer-encoding") {
            chunked = lists(header, "chunked");
        } else if named(header, "connection") {
            close = (close && !lists(header, "keep-alive")) || lists(header, "close");
        } else if named(header, release_header) {
            release.push_str(text(header));
        }
    }
    let framing = match (status, length_said) {
        (100..=199 | 204 | 304, _) => Framing::Length(0),
        _ if chunked => Framing::Chunked,
        (_, Some(length)) => Framing::Length(length),
        (_, None) => Framing::UntilClose,
    };
    Ok(Some((Head { status, framing, close: close || framing == Framing::UntilClose }, length)))
}

fn named(header: &Header<'_>, name: &str) -> bool {
    header.name.eq_ignore_ascii_case(name)
}

fn text<'a>(header: &Header<'a>) -> &'a str {
    std::str::from_utf8(header.value).unwrap_or_default().trim()
}

fn lists(header: &Header<'_>, word: &str) -> bool {
    text(header).split(',').any(|part| part.trim().eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &str) -> Head {
        parse(text.as_bytes(), "x-release", &mut String::new()).expect("a head").expect("a whole head").0
    }

    #[test]
    fn a_head_is_incomplete_at_every_shorter_length() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Release: 8\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole.as_bytes()[..length], "x-release", &mut String::new()), Ok(None), "{length} bytes");
        }
        let mut release = String::new();
        let (head, length) = parse(whole.as_bytes(), "x-release", &mut release).expect("a head").expect("whole");
        assert_eq!((head.framing, length, release.as_str()), (Framing::Length(2), whole.len(), "8"));
    }

    #[test]
    fn keep_alive_follows_version_and_header() {
        assert!(!head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").close);
        assert!(head("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: foo, Close\r\n\r\n").close);
        assert!(head("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n").close);
        assert!(!head("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n").close);
        assert!(head("HTTP/1.1 200 OK\r\n\r\n").close, "a body until the close cannot be followed by another");
    }

    #[test]
    fn chunked_wins_over_a_length_and_204_has_no_body() {
        let both = head("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(both.framing, Framing::Chunked);
        assert_eq!(head("HTTP/1.1 204 No Content\r\n\r\n").framing, Framing::Length(0));
    }

    #[test]
    fn invalid_bytes_are_not_a_head() {
        assert!(parse(b"SSH-2.0-OpenSSH\r\n\r\n", "x-release", &mut String::new()).is_err());
        assert!(parse(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", "x-release", &mut String::new()).is_err());
    }
}
