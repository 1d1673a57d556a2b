//! What is shown of a certificate: its subject and its validity.

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::model::Validity;

/// A certificate used for the connection to the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateInfo {
    pub file: PathBuf,
    /// Its common name; empty if it has none.
    pub subject: String,
    pub not_before: Timestamp,
    pub not_after: Timestamp,
}

impl CertificateInfo {
    /// `None` when it is not a certificate.
    pub(in crate::docker) fn read(file: &Path, der: &[u8]) -> Option<Self> {
        let Validity { subject, not_before, not_after } = Validity::read(der)?;
        Some(Self { file: file.to_owned(), subject, not_before, not_after })
    }
}
