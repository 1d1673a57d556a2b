//! TLS to an engine: checks its files before connecting, and explains failed handshakes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::certificate::CertificateInfo;
use crate::local;
use crate::ports::{EngineError, EngineErrorKind};

/// The TLS files, and whether to verify the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsPlan {
    pub folder: PathBuf,
    pub verify: bool,
    pub ca: Option<PathBuf>,
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
}

/// The client configuration, and the certificates for display.
pub(super) struct Tls {
    pub config: Arc<ClientConfig>,
    pub certificates: Vec<CertificateInfo>,
}

fn refuse(message: String) -> EngineError {
    EngineError::new(EngineErrorKind::Unreachable, message)
}

impl TlsPlan {
    /// The files in DOCKER_CERT_PATH. `needs_ca`: the docker CLI requires a CA file in this case.
    pub(super) fn of_folder(folder: Option<&Path>, verify: bool, needs_ca: bool) -> Result<Self, EngineError> {
        let plan = Self::of_context(folder.unwrap_or(Path::new("")), verify);
        if needs_ca && plan.ca.is_none() {
            let message =
                format!("DOCKER_TLS_VERIFY is set, and there is no `{}`", plan.folder.join("ca.pem").display());
            return Err(refuse(message).hint("set DOCKER_CERT_PATH to the folder with ca.pem, cert.pem and key.pem"));
        }
        Ok(plan)
    }

    /// Those of the three files that exist.
    pub(super) fn of_context(folder: &Path, verify: bool) -> Self {
        let there = |name| Some(folder.join(name)).filter(|file| file.exists());
        let [ca, cert, key] = ["ca.pem", "cert.pem", "key.pem"].map(there);
        Self { folder: folder.to_owned(), verify, ca: ca.filter(|_| verify), cert, key }
    }

    pub(super) fn has_files(&self) -> bool {
        self.ca.is_some() || self.cert.is_some() || self.key.is_some()
    }

    /// Reads and checks everything local.
    pub(super) fn prepare(&self, now: Timestamp) -> Result<Tls, EngineError> {
        let mut certificates = Vec::new();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| refuse(format!("TLS cannot be set up: {error}")))?;
        let builder = if self.verify {
            builder.with_root_certificates(self.authorities(&mut certificates)?)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyServer(provider)))
        };
        let config = match (&self.cert, &self.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let chain = read_certificates(cert)?;
                if let Some(own) = chain.first().and_then(|own| CertificateInfo::read(cert, own)) {
                    in_time(&own, now)?;
                    certificates.push(own);
                }
                let ours = builder.with_client_auth_cert(chain, read_key(key)?);
                ours.map_err(|error| not_a_pair(cert, key, &error))?
            }
            (Some(there), None) => return Err(half_a_pair(there, "key.pem")),
            (None, Some(there)) => return Err(half_a_pair(there, "cert.pem")),
        };
        Ok(Tls { config: Arc::new(config), certificates })
    }

    /// Trusts only the CA in `ca.pem`, or without it the CAs of this machine.
    fn authorities(&self, certificates: &mut Vec<CertificateInfo>) -> Result<RootCertStore, EngineError> {
        let mut store = RootCertStore::empty();
        let Some(file) = &self.ca else {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            return Ok(store);
        };
        for authority in read_certificates(file)? {
            certificates.extend(CertificateInfo::read(file, &authority));
            store
                .add(authority)
                .map_err(|error| refuse(format!("`{}` is no valid authority: {error}", file.display())))?;
        }
        Ok(store)
    }

    /// Explains a failed handshake with `address`, with a hint.
    pub(super) fn explain(&self, address: &str, error: &Error) -> EngineError {
        use AlertDescription as Alert;
        let folder = self.folder.display();
        let server = |why: String| refuse(format!("the engine at `{address}` is not trusted: {why}"));
        let client = |why: &str| refuse(format!("the engine at `{address}` refused this client: {why}"));
        match error {
            Error::InvalidCertificate(wrong) => match wrong {
                CertificateError::UnknownIssuer | CertificateError::BadSignature => match &self.ca {
                    Some(ca) => server(format!("its certificate is not signed by the authority in `{}`", ca.display()))
                        .hint("take ca.pem from the host's own administrator; a wrong one may also mean a wrong host"),
                    None => server("its certificate is signed by nobody that this machine trusts".to_owned())
                        .hint(format!("put the authority that signed it into `{folder}/ca.pem`")),
                },
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    server("its certificate has expired".to_owned())
                        .hint("renew the certificate on the engine's host, and restart the engine")
                }
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    server("its certificate is not valid yet".to_owned()).hint("compare the clocks of both machines")
                }
                CertificateError::NotValidForName => {
                    server("its certificate is for another name".to_owned()).hint(RENAME)
                }
                CertificateError::NotValidForNameContext { presented, .. } => {
                    server(format!("its certificate is for other names: {}", names(presented))).hint(RENAME)
                }
                other => server(other.to_string()),
            },
            Error::AlertReceived(alert) => match alert {
                Alert::CertificateRequired | Alert::BadCertificate | Alert::HandshakeFailure if self.cert.is_none() => {
                    client("it wants a client certificate")
                        .hint(format!("put the client's cert.pem and key.pem into `{folder}`"))
                }
                Alert::CertificateExpired => client("the client certificate has expired")
                    .hint(format!("renew cert.pem and key.pem in `{folder}`")),
                Alert::UnknownCA | Alert::BadCertificate | Alert::DecryptError | Alert::CertificateUnknown => {
                    client("the client certificate is not signed by the authority that it trusts")
                        .hint(format!("use cert.pem and key.pem of the same authority, in `{folder}`"))
                }
                other => client(&format!("{other:?}")),
            },
            Error::InvalidMessage(_) => refuse(format!("the engine at `{address}` does not speak TLS"))
                .hint("for a plain engine unset DOCKER_TLS_VERIFY and DOCKER_TLS; who reaches it is root on that host"),
            other => refuse(format!("no TLS connection to the engine at `{address}`: {other}")),
        }
    }
}

/// Such as `far.test, 10.0.0.2`, from rustls' `DnsName("far.test")` and `IpAddress(10.0.0.2)`.
fn names(presented: &[String]) -> String {
    let name = |text: &String| {
        let inner = text.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
        inner.unwrap_or(text).trim_matches('"').to_owned()
    };
    presented.iter().map(name).collect::<Vec<_>>().join(", ")
}

const RENAME: &str = "use one of its names in the address, or give the engine a certificate for the name that you use";

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, EngineError> {
    let text = read_pem(file)?;
    let read = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let found = read.map_err(|error| invalid(file, &error))?;
    if found.is_empty() {
        return Err(refuse(format!("`{}` holds no certificate", file.display()))
            .hint("it begins with `-----BEGIN CERTIFICATE-----`"));
    }
    Ok(found)
}

fn read_key(file: &Path) -> Result<PrivateKeyDer<'static>, EngineError> {
    let text = read_pem(file)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            let text = String::from_utf8_lossy(&text);
            let plain = "`openssl pkey -in key.pem -out plain.pem` writes it without its passphrase";
            if text.contains("ENCRYPTED") {
                return Err(refuse(format!("the key in `{}` is encrypted", file.display())).hint(plain));
            }
            Err(refuse(format!("`{}` holds no private key", file.display()))
                .hint("it begins with `-----BEGIN PRIVATE KEY-----`, or with EC or RSA before PRIVATE"))
        }
        Err(error) => Err(invalid(file, &error)),
    }
}

/// Size limit of a PEM file; a bundle of all public CAs has a quarter of it.
const LARGEST_PEM: u64 = 1 << 20;

fn read_pem(file: &Path) -> Result<Vec<u8>, EngineError> {
    local::bytes(file, LARGEST_PEM).map_err(|error| {
        let shown = file.display();
        refuse(format!("`{shown}` {error}")).hint(format!("`ls -l {shown}` shows what it is, and who may read it"))
    })
}

fn invalid(file: &Path, error: &pem::Error) -> EngineError {
    refuse(format!("`{}` is no valid PEM file: {error:?}", file.display()))
}

fn in_time(own: &CertificateInfo, now: Timestamp) -> Result<(), EngineError> {
    let file = own.file.display();
    if own.not_after < now {
        return Err(refuse(format!("the client certificate `{file}` has expired on {}", own.not_after))
            .hint("ask whoever runs the engine's authority for a new cert.pem and key.pem"));
    }
    if own.not_before > now {
        return Err(refuse(format!("the client certificate `{file}` is not valid before {}", own.not_before))
            .hint("`date` shows whether this machine's clock is right"));
    }
    Ok(())
}

fn half_a_pair(there: &Path, missing: &str) -> EngineError {
    let message = format!("there is a `{}`, but no `{missing}` beside it", there.display());
    refuse(message).hint("a client certificate needs both files; remove the one, or add the other")
}

fn not_a_pair(cert: &Path, key: &Path, error: &Error) -> EngineError {
    let [cert, key] = [cert, key].map(Path::display);
    match error {
        Error::InconsistentKeys(_) => {
            refuse(format!("the key in `{key}` does not belong to the certificate in `{cert}`"))
                .hint("bring both from the same place; they are made together")
        }
        other if other.to_string().contains("UnsupportedCertVersion") => {
            refuse(format!("the certificate in `{cert}` is of X.509 version 1, which is no longer used"))
                .hint("make it with extensions: `openssl x509 -req … -extfile`, with `extendedKeyUsage = clientAuth`")
        }
        other => refuse(format!("the certificate in `{cert}` with the key in `{key}` is of no use: {other}"))
            .hint("RSA from 2048 bits, ECDSA P-256, P-384 and Ed25519 keys work"),
    }
}

/// `DOCKER_TLS` without `DOCKER_TLS_VERIFY`: encrypted, but the server is not verified.
#[derive(Debug)]
struct AnyServer(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    struct Files(tempfile::TempDir);

    impl Files {
        /// A self-signed certificate that is valid until that year and is its own CA.
        fn new(until: i32) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let mut params = CertificateParams::new(["far.test".to_owned()]).unwrap();
            params.not_after = date_time_ymd(until, 1, 2);
            let key = KeyPair::generate().unwrap();
            let cert = params.self_signed(&key).unwrap().pem();
            for (name, text) in [("ca.pem", &cert), ("cert.pem", &cert), ("key.pem", &key.serialize_pem())] {
                std::fs::write(folder.path().join(name), text).unwrap();
            }
            Self(folder)
        }

        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.0.path().join(name), text).unwrap();
        }

        fn prepare(&self) -> Result<Tls, EngineError> {
            TlsPlan::of_folder(Some(self.0.path()), true, true)?.prepare("2026-06-01T00:00:00Z".parse().unwrap())
        }

        #[track_caller]
        fn fails(&self, wanted: &str) {
            let error = self.prepare().err().expect("a refusal");
            let folder = self.0.path().display().to_string();
            assert_eq!(error.message.replace(&folder, "FOLDER"), wanted);
        }
    }

    #[test]
    fn valid_files_are_listed_with_their_expiry() {
        let tls = Files::new(2030).prepare().unwrap();
        let ends: Vec<String> = tls.certificates.iter().map(|known| known.not_after.to_string()).collect();
        assert_eq!(ends, ["2030-01-02T00:00:00Z"; 2]);
    }

    #[test]
    fn each_invalid_file_is_named_with_the_reason() {
        let files = Files::new(2030);
        let other = KeyPair::generate().unwrap().serialize_pem();
        files.write("key.pem", &other);
        files.fails("the key in `FOLDER/key.pem` does not belong to the certificate in `FOLDER/cert.pem`");
        files.write("key.pem", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
        files.fails("the key in `FOLDER/key.pem` is encrypted");
        files.write("key.pem", "nothing");
        files.fails("`FOLDER/key.pem` holds no private key");
        files.write("cert.pem", "nothing");
        files.fails("`FOLDER/cert.pem` holds no certificate");
        std::fs::remove_file(files.0.path().join("cert.pem")).unwrap();
        files.fails("there is a `FOLDER/key.pem`, but no `cert.pem` beside it");
        files.write("ca.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        assert!(files.prepare().err().unwrap().message.contains("ca.pem` is no valid authority: "));
        std::fs::remove_file(files.0.path().join("ca.pem")).unwrap();
        files.fails("DOCKER_TLS_VERIFY is set, and there is no `FOLDER/ca.pem`");
        Files::new(2026).fails("the client certificate `FOLDER/cert.pem` has expired on 2026-01-02T00:00:00Z");
    }
}
