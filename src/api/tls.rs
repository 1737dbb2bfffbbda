//! Certificates: from the operator's files, read again when they change, or made by the server for itself.

use std::fs;
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_util::sync::CancellationToken;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// How often the files are looked at. Two `stat` calls; a renewed certificate has days.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why TLS cannot be served; a sentence each.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or closed to us.
    #[error("{} cannot be read: {source}", path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file has no certificate or key in it.
    #[error("{} holds no {what} in PEM form", path.display())]
    Empty {
        /// Which file.
        path: PathBuf,
        /// "certificate" or "private key".
        what: &'static str,
    },
    /// The key belongs to another certificate, or is of an unknown kind.
    #[error("the certificate {} and its key do not belong together: {source}", path.display())]
    Mismatch {
        /// The certificate.
        path: PathBuf,
        /// What rustls says.
        source: rustls::Error,
    },
    /// Browsers refuse it.
    #[error("the certificate {} has expired", path.display())]
    Expired {
        /// The certificate.
        path: PathBuf,
    },
    /// Only one of the two is named.
    #[error("PARLOR_TLS_CERT and PARLOR_TLS_KEY go together: one of them is not set")]
    Half,
    /// The server's own certificate cannot be made.
    #[error("a self-signed certificate cannot be made: {0}")]
    SelfSigned(#[from] rcgen::Error),
    /// The cipher suites of this build do not go together.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// Where a certificate comes from.
#[derive(Clone, Debug)]
pub struct Files {
    cert: PathBuf,
    key: PathBuf,
}

impl Files {
    /// The files of the configuration; `None` without TLS. A self-signed pair is made here when there is none yet.
    ///
    /// # Errors
    /// When only one of the two is named, or the own pair cannot be made.
    pub fn find(config: &crate::config::Config) -> Result<Option<Self>, TlsError> {
        match (&config.tls_cert, &config.tls_key, config.tls) {
            (Some(cert), Some(key), _) => Ok(Some(Self { cert: cert.clone(), key: key.clone() })),
            (None, None, crate::config::Tls::Off) => Ok(None),
            (None, None, crate::config::Tls::SelfSigned) => {
                let files = Self {
                    cert: config.data_dir.join("self-signed.crt"),
                    key: config.data_dir.join("self-signed.key"),
                };
                if files.read().is_err() {
                    files.make(&config.announced_address)?;
                }
                Ok(Some(files))
            }
            _ => Err(TlsError::Half),
        }
    }

    /// Checks that the pair is usable.
    ///
    /// # Errors
    /// What makes it unusable.
    pub fn check(&self) -> Result<(), TlsError> {
        self.read().map(drop)
    }

    /// Reads the pair.
    fn read(&self) -> Result<CertifiedKey, TlsError> {
        let readable =
            |path: &Path| fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source });
        let (cert, key) = (readable(&self.cert)?, readable(&self.key)?);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert).filter_map(Result::ok).collect();
        let Some(first) = chain.first() else {
            return Err(TlsError::Empty { path: self.cert.clone(), what: "certificate" });
        };
        let Ok(key) = PrivateKeyDer::from_pem_slice(&key) else {
            return Err(TlsError::Empty { path: self.key.clone(), what: "private key" });
        };
        let valid = X509Certificate::from_der(first).is_ok_and(|(_, parsed)| parsed.validity().is_valid());
        if !valid {
            return Err(TlsError::Expired { path: self.cert.clone() });
        }
        let mismatch = |source| TlsError::Mismatch { path: self.cert.clone(), source };
        CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(mismatch)
    }

    fn make(&self, announced: &[IpAddr]) -> Result<(), TlsError> {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
        names.extend(announced.iter().map(ToString::to_string));
        let mut params = rcgen::CertificateParams::new(names)?;
        // Apple's browsers refuse a certificate that is valid for longer than 825 days.
        let now = SystemTime::now();
        params.not_before = (now - DAY).into();
        params.not_after = (now + 824 * DAY).into();
        params.distinguished_name.push(rcgen::DnType::CommonName, "Parlor, self-signed");
        let key = rcgen::KeyPair::generate()?;
        let cert = params.self_signed(&key)?;
        write(&self.cert, &cert.pem(), 0o644)?;
        write(&self.key, &key.serialize_pem(), 0o600)
    }

    fn changed_at(&self) -> (Option<SystemTime>, Option<SystemTime>) {
        let of = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).ok();
        (of(&self.cert), of(&self.key))
    }
}

fn write(path: &Path, text: &str, mode: u32) -> Result<(), TlsError> {
    let unwritable = |source| TlsError::Unreadable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(unwritable)?;
    }
    let mut file =
        fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(path).map_err(unwritable)?;
    file.write_all(text.as_bytes()).map_err(unwritable)
}

/// Holds the certificate of the moment; handshakes read it, [`Current::follow`] replaces it.
#[derive(Debug)]
pub(crate) struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl Current {
    /// Takes over a changed pair until `stop`. A pair that cannot be used (half written, mostly) leaves the old one in place.
    async fn follow(self: Arc<Self>, files: Files, stop: CancellationToken) {
        let mut seen = files.changed_at();
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            let now = files.changed_at();
            if now == seen {
                continue;
            }
            match files.read() {
                Ok(pair) => {
                    *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(pair);
                    tracing::info!("the TLS certificate was replaced");
                }
                Err(error) => tracing::warn!(%error, "the changed TLS certificate is not used"),
            }
            seen = now;
        }
    }
}

/// The acceptor of the configured certificate, and a task that follows its files until `stop`.
pub(crate) fn acceptor(files: Files, stop: CancellationToken) -> Result<TlsAcceptor, TlsError> {
    let mut config = follow(files, stop)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The same certificate, in step with its files, for those who relay calls; `None` without TLS.
///
/// # Errors
/// When it cannot be used.
pub fn relay_tls(config: &crate::config::Config) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let files = Files::find(config)?;
    // It follows for as long as the process lives: a task that waits, and two `stat` calls now and then.
    let follow = |files| follow(files, CancellationToken::new()).map(Arc::new);
    files.map(follow).transpose()
}

/// TLS with the certificate of those files, which a task reads again until `stop` when they change.
fn follow(files: Files, stop: CancellationToken) -> Result<ServerConfig, TlsError> {
    let current = Arc::new(Current(RwLock::new(Arc::new(files.read()?))));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::clone(&current) as _);
    tokio::spawn(current.follow(files, stop));
    Ok(config)
}
