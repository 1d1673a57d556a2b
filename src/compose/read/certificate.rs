//! Judges a certificate and its key, as files hold them: whether the proxy can serve a host with it.

use jiff::Timestamp;
use rustls::client::verify_server_name;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys};
use sha2::{Digest, Sha256};

use crate::model::{Certificate, Secret, Validity, day};

/// The proxy takes no more.
const MOST_CERTIFICATES: usize = 10;
const MOST_BYTES: usize = 65_536;

/// What is wrong, as a sentence that begins with the name of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Else of the certificate.
    pub is_of_key: bool,
    pub message: String,
    pub hint: String,
}

fn of_chain(message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { is_of_key: false, message: message.into(), hint: hint.into() }
}

fn of_key(message: impl Into<String>, hint: impl Into<String>) -> Fault {
    Fault { is_of_key: true, message: message.into(), hint: hint.into() }
}

pub(super) fn read(host: &str, chain: &[u8], key: &[u8], now: Timestamp) -> Result<Certificate, Fault> {
    const PEM: &str =
        "it begins with `-----BEGIN CERTIFICATE-----`; `openssl x509 -inform der -in FILE` turns DER into PEM";
    let text = std::str::from_utf8(chain).ok().filter(|_| chain.len() <= MOST_BYTES);
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain).collect();
    let (Some(text), Ok(certificates)) = (text, certificates) else {
        return Err(of_chain("cannot be read as PEM", PEM));
    };
    let Some(own) = certificates.first() else {
        return Err(of_chain("holds no certificate in PEM", PEM));
    };
    if certificates.len() > MOST_CERTIFICATES {
        let message = format!("holds {} certificates, and at most {MOST_CERTIFICATES} are sent", certificates.len());
        return Err(of_chain(message, "keep the host's own and those that lead to its CA"));
    }
    let Some(validity) = Validity::read(own) else {
        return Err(of_chain("begins with what is no certificate", PEM));
    };
    let key_text = check_key(&certificates, key)?;
    check_host(host, own)?;
    let until = day(validity.not_after);
    if validity.not_after <= now {
        return Err(of_chain(format!("has expired on {until}"), "get a new one from your CA"));
    }
    if validity.not_before > now {
        let from = validity.not_before;
        return Err(of_chain(
            format!("is not valid before {from}"),
            "`date` says whether this machine's clock is right",
        ));
    }
    Ok(Certificate {
        id: id(&certificates),
        not_before: validity.not_before,
        not_after: validity.not_after,
        chain: text.to_owned(),
        key: Secret::new(key_text),
    })
}

/// Of the same bytes as the proxy's.
fn id(certificates: &[CertificateDer<'_>]) -> String {
    let mut hash = Sha256::new();
    for certificate in certificates {
        hash.update(certificate);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns its text when it is the key of the first certificate.
fn check_key(certificates: &[CertificateDer<'static>], key: &[u8]) -> Result<String, Fault> {
    let text = String::from_utf8_lossy(key).into_owned();
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") || text.contains("Proc-Type: 4,ENCRYPTED") {
        let hint = "`openssl pkey -in FILE -out PLAIN` takes the passphrase away; then `chmod 600 PLAIN`";
        return Err(of_key("has a passphrase, which nobody is there to type when the proxy starts", hint));
    }
    let Ok(parsed) = PrivateKeyDer::from_pem_slice(key) else {
        return Err(of_key("holds no private key in PEM", "it begins with `-----BEGIN PRIVATE KEY-----`"));
    };
    match CertifiedKey::from_der(certificates.to_vec(), parsed, &ring::default_provider()) {
        Ok(_) => Ok(text),
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            let hint =
                "the host's own certificate must come first in its file; else the two belong to different requests";
            Err(of_key("is not the key of the certificate", hint))
        }
        Err(_) => {
            let hint = "RSA of 2048 to 4096 bits, ECDSA P-256 or P-384 and Ed25519 are served";
            Err(of_key("is of a kind that cannot be used", hint))
        }
    }
}

fn check_host(host: &str, own: &CertificateDer<'_>) -> Result<(), Fault> {
    // A wildcard is covered when any name in it is.
    let name = host.strip_prefix("*.").map_or_else(|| host.to_owned(), |rest| format!("any-name-of-it.{rest}"));
    let hint = "name the certificate of this host, or the route's host as the certificate has it";
    let unusable = || of_chain("cannot be used", hint);
    let server = ServerName::try_from(name.as_str()).map_err(|_| unusable())?;
    let parsed = ParsedCertificate::try_from(own).map_err(|_| unusable())?;
    match verify_server_name(&parsed, &server) {
        Ok(()) => Ok(()),
        Err(Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. })) => {
            let names: Vec<String> = presented.iter().map(|name| shown(name)).collect();
            let names = if names.is_empty() { "no host".to_owned() } else { names.join(" and ") };
            Err(of_chain(format!("is for {names}"), hint))
        }
        Err(_) => Err(of_chain("is for other hosts", hint)),
    }
}

/// `DnsName("a.example")` as `` `a.example` ``.
fn shown(presented: &str) -> String {
    let name = presented.split('"').nth(1).unwrap_or(presented);
    format!("`{name}`")
}
