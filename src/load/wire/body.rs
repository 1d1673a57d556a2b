//! Incremental parser of bodies in any framing.

use super::head::Framing;

/// State of the parser.
#[derive(Debug)]
pub(in super::super) struct BodyReader {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Length {
        left: u64,
    },
    UntilClose,
    /// In the hex digits of a chunk size; `digits` detects an empty size and overflow.
    Size {
        size: u64,
        digits: u8,
    },
    /// After the size, up to the end of the line. Chunk extensions are ignored.
    Extension {
        size: u64,
    },
    SizeEnd {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataReturn,
    DataEnd,
    /// At the start of a trailer line.
    TrailerStart,
    Trailer,
    LastEnd,
    Done,
}

impl BodyReader {
    pub(in super::super) fn new(framing: Framing) -> Self {
        Self {
            state: match framing {
                Framing::Length(0) => State::Done,
                Framing::Length(left) => State::Length { left },
                Framing::UntilClose => State::UntilClose,
                Framing::Chunked => State::Size { size: 0, digits: 0 },
            },
        }
    }

    pub(in super::super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Whether the body is complete when the connection ends here.
    pub(in super::super) fn ends_with_connection(&self) -> bool {
        self.state == State::UntilClose
    }

    /// Consumes bytes of `input` until it or the body ends, passes content to `sink` and returns the number consumed.
    ///
    /// # Errors
    /// When the chunk framing is invalid.
    pub(in super::super) fn take(&mut self, input: &[u8], sink: &mut impl FnMut(&[u8])) -> Result<usize, String> {
        let mut at = 0;
        while at < input.len() && self.state != State::Done {
            let (byte, rest) = (input[at], &input[at..]);
            at += 1;
            self.state = match self.state {
                State::Length { left } | State::Data { left } => {
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    sink(&rest[..length]);
                    at += length - 1;
                    self.after_content(left - length as u64)
                }
                State::UntilClose => {
                    sink(rest);
                    at = input.len();
                    State::UntilClose
                }
                State::Size { size, digits } => size_byte(byte, size, digits)?,
                State::Extension { size } if byte == b'\r' => State::SizeEnd { size },
                State::Extension { size } => State::Extension { size },
                State::SizeEnd { size: 0 } => expect(byte, b'\n', State::TrailerStart)?,
                State::SizeEnd { size } => expect(byte, b'\n', State::Data { left: size })?,
                State::DataReturn => expect(byte, b'\r', State::DataEnd)?,
                State::DataEnd => expect(byte, b'\n', State::Size { size: 0, digits: 0 })?,
                State::TrailerStart if byte == b'\r' => State::LastEnd,
                State::TrailerStart | State::Trailer if byte != b'\n' => State::Trailer,
                State::TrailerStart | State::Trailer => State::TrailerStart,
                State::LastEnd => expect(byte, b'\n', State::Done)?,
                State::Done => State::Done,
            };
        }
        Ok(at)
    }

    fn after_content(&self, left: u64) -> State {
        match (self.state, left) {
            (State::Length { .. }, 0) => State::Done,
            (State::Length { .. }, left) => State::Length { left },
            (_, 0) => State::DataReturn,
            (_, left) => State::Data { left },
        }
    }
}

fn size_byte(byte: u8, size: u64, digits: u8) -> Result<State, String> {
    match (char::from(byte).to_digit(16), byte) {
        (Some(_), _) if digits == 15 => Err("chunk of more than 15 digits".to_owned()),
        (Some(digit), _) => Ok(State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }),
        (None, b'\r') if digits > 0 => Ok(State::SizeEnd { size }),
        (None, b';' | b' ' | b'\t') if digits > 0 => Ok(State::Extension { size }),
        (None, _) => Err(format!("chunk size holds byte 0x{byte:02x}")),
    }
}

fn expect(byte: u8, wanted: u8, next: State) -> Result<State, String> {
    if byte == wanted { Ok(next) } else { Err(format!("chunk framing holds byte 0x{byte:02x}")) }
}

/// The byte count in an upload's answer: plain digits, or `{"bytes":N}`.
pub(in super::super) fn byte_count_in(body: &[u8]) -> Option<u64> {
    match serde_json::from_slice(body).ok()? {
        serde_json::Value::Number(count) => count.as_u64(),
        serde_json::Value::Object(fields) => fields.get("bytes")?.as_u64(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] =
        b"5\r\nhello\r\n1;name=\"x\"\r\n,\r\n0A\r\n wide\r\nwor\r\n2\r\nld\r\n0\r\nTrailer: x\r\n\r\n";
    const CONTENT: &[u8] = b"hello, wide\r\nworld";

    fn read_in_pieces(framing: Framing, pieces: &[&[u8]]) -> Result<(Vec<u8>, bool, usize), String> {
        let (mut reader, mut content, mut taken) = (BodyReader::new(framing), Vec::new(), 0);
        for piece in pieces {
            taken += reader.take(piece, &mut |bytes: &[u8]| content.extend_from_slice(bytes))?;
        }
        Ok((content, reader.is_done(), taken))
    }

    #[test]
    fn chunks_parse_in_every_fragmentation() {
        for first in 0..=CHUNKED.len() {
            for second in first..=CHUNKED.len() {
                let pieces = [&CHUNKED[..first], &CHUNKED[first..second], &CHUNKED[second..]];
                let read = read_in_pieces(Framing::Chunked, &pieces).expect("well-formed chunks");
                assert_eq!(read, (CONTENT.to_vec(), true, CHUNKED.len()), "cut at {first} and {second}");
            }
        }
        let bytes: Vec<&[u8]> = CHUNKED.chunks(1).collect();
        assert_eq!(read_in_pieces(Framing::Chunked, &bytes).expect("chunks").0, CONTENT);
    }

    #[test]
    fn a_body_is_not_done_before_its_last_byte() {
        for length in 0..CHUNKED.len() {
            assert!(!read_in_pieces(Framing::Chunked, &[&CHUNKED[..length]]).expect("chunks").1, "{length} bytes");
        }
        assert!(!read_in_pieces(Framing::Length(5), &[b"hell"]).expect("a body").1);
        assert!(!read_in_pieces(Framing::UntilClose, &[b"hello"]).expect("a body").1);
    }

    #[test]
    fn bytes_after_the_end_are_left_alone() {
        assert_eq!(read_in_pieces(Framing::Length(5), &[b"helloHTTP"]), Ok((b"hello".to_vec(), true, 5)));
        assert_eq!(read_in_pieces(Framing::Chunked, &[b"1\r\nx\r\n0\r\n\r\nHTTP"]), Ok((b"x".to_vec(), true, 11)));
    }

    #[test]
    fn broken_framing_is_an_error() {
        for broken in [&b"\r\n"[..], b"5\r\nhelloX", b"xyz\r\n", b"5\nhello", b"1234567890abcdef\r\n"] {
            assert!(read_in_pieces(Framing::Chunked, &[broken]).is_err(), "{}", broken.escape_ascii());
        }
    }

    #[test]
    fn byte_counts_are_read_as_digits_or_as_json() {
        assert_eq!(byte_count_in(b"1024\n"), Some(1024));
        assert_eq!(byte_count_in(br#"{"bytes":1024,"release":8}"#), Some(1024));
        assert_eq!(byte_count_in(b"thanks"), None);
    }
}
