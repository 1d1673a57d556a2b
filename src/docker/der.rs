//! As much of X.509 as it takes to find the day on which a certificate ends.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const EXPLICIT_VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The end of a certificate's validity; `None` when it is none.
pub(super) fn not_after(certificate: &[u8]) -> Option<Timestamp> {
    let (certificate, _) = inner(certificate, SEQUENCE)?;
    let (mut rest, _) = inner(certificate, SEQUENCE)?;
    if rest.first() == Some(&EXPLICIT_VERSION) {
        rest = element(rest)?.2;
    }
    // Serial number, signature algorithm, issuer.
    for _ in 0..3 {
        rest = element(rest)?.2;
    }
    let (validity, _) = inner(rest, SEQUENCE)?;
    let (_, _, after) = element(validity)?;
    let (tag, text, _) = element(after)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let text = match tag {
        // Two digits of the year: 50 and above are of the last century.
        UTC_TIME => format!("{}{text}", if text.get(..2)? >= "50" { "19" } else { "20" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = DateTime::strptime("%Y%m%d%H%M%S", text).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn inner(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, content, rest) = element(bytes)?;
    (found == tag).then_some((content, rest))
}

/// Tag, content and what follows.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            let count = usize::from(long & 0x7f);
            // Four bytes are 4 GiB; more is no certificate.
            let digits = rest.get(..count).filter(|digits| (1..=4).contains(&digits.len()))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), &rest[count..])
        }
    };
    Some((tag, rest.get(..length)?, &rest[length..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).expect("short");
        let head = if length < 0x80 { vec![tag, length] } else { vec![tag, 0x81, length] };
        [head, content].concat()
    }

    fn certificate(tag: u8, end: &str) -> Vec<u8> {
        let validity = wrapped(SEQUENCE, &[&wrapped(UTC_TIME, &[b"250101000000Z"]), &wrapped(tag, &[end.as_bytes()])]);
        let version = wrapped(EXPLICIT_VERSION, &[&[2, 1, 2]]);
        let issuer = wrapped(SEQUENCE, &[&[0; 100]]);
        let tbs = wrapped(SEQUENCE, &[&version, &[2, 1, 7], &wrapped(SEQUENCE, &[]), &issuer, &validity]);
        wrapped(SEQUENCE, &[&tbs])
    }

    #[test]
    fn the_end_is_found_in_both_forms_of_time() {
        let end = |tag, text: &str| not_after(&certificate(tag, text)).map(|end| end.to_string());
        assert_eq!(end(UTC_TIME, "270304050607Z").as_deref(), Some("2027-03-04T05:06:07Z"));
        assert_eq!(end(GENERALIZED_TIME, "20510304050607Z").as_deref(), Some("2051-03-04T05:06:07Z"));
        assert_eq!(end(UTC_TIME, "never"), None);
    }

    #[test]
    fn what_is_cut_or_no_certificate_is_none_and_no_panic() {
        let whole = certificate(UTC_TIME, "270304050607Z");
        for end in 0..whole.len() {
            assert_eq!(not_after(&whole[..end]), None, "{end}");
        }
        assert_eq!(not_after(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
