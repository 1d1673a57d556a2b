//! The little of DER that is read by hand: times and names in certificates.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const OBJECT_ID: u8 = 0x06;
/// 2.5.4.3
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// Whose a certificate is, and from when until when it is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validity {
    /// The common name; empty when it has none.
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl Validity {
    /// `None` when it is no certificate.
    #[must_use]
    pub fn read(der: &[u8]) -> Option<Self> {
        let mut certificate = Der(Der(der).content(SEQUENCE)?);
        let mut fields = Der(certificate.content(SEQUENCE)?);
        if fields.0.first() == Some(&VERSION) {
            fields.next()?;
        }
        let (_serial, _algorithm, _issuer) = (fields.next()?, fields.next()?, fields.next()?);
        let mut validity = Der(fields.content(SEQUENCE)?);
        let [not_before, not_after] = [validity.next()?, validity.next()?].map(time);
        let subject = common_name(fields.content(SEQUENCE)?).unwrap_or_default();
        Some(Self { subject, not_before: not_before?, not_after: not_after? })
    }
}

/// What is left of a run of DER values.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The tag and the content of the next value.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, length], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match length {
            short @ ..0x80 => (usize::from(short), rest),
            // Certificates are shorter than 16 MB.
            long => {
                let count = usize::from(long & 0x7f);
                let (bytes, rest) = rest.split_at_checked(count).filter(|_| (1..=3).contains(&count))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    fn content(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
}

fn time((tag, text): (u8, &[u8])) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?;
    // Two digits of a year are those from 1950 to 2049.
    let text = match tag {
        UTC_TIME => format!("{}{text}", if text.get(..2)? < "50" { "20" } else { "19" }),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

fn common_name(name: &[u8]) -> Option<String> {
    let mut sets = Der(name);
    while let Some((_, set)) = sets.next() {
        let mut pair = Der(Der(set).content(SEQUENCE)?);
        if pair.content(OBJECT_ID)? == COMMON_NAME {
            return Some(String::from_utf8_lossy(pair.next()?.1).into_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};

    use super::*;

    fn made(subject: Option<&str>, until: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(["far.test".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, "Ops");
        if let Some(subject) = subject {
            params.distinguished_name.push(DnType::CommonName, subject);
        }
        (params.not_before, params.not_after) = (date_time_ymd(1999, 12, 31), date_time_ymd(until, 3, 4));
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn subject_and_validity_are_read_in_both_forms_of_time() {
        for (subject, year) in [(Some("engine of Zoë"), 2031), (None, 2077)] {
            let read = Validity::read(&made(subject, year)).unwrap();
            assert_eq!(read.subject, subject.unwrap_or_default());
            assert_eq!(read.not_before.to_string(), "1999-12-31T00:00:00Z");
            assert_eq!(read.not_after.to_string(), format!("{year}-03-04T00:00:00Z"));
        }
    }

    #[test]
    fn no_part_of_a_certificate_is_taken_for_a_whole_one() {
        let whole = made(Some("a"), 2031);
        for length in 0..whole.len() {
            assert_eq!(Validity::read(&whole[..length]), None, "{length} bytes");
        }
        let endless = [SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(Validity::read(&endless), None);
        assert_eq!(time((UTC_TIME, b"never")), None);
        assert_eq!(time((SEQUENCE, b"20310304000000Z")), None);
    }
}
