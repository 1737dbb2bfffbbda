//! Whether a relay's certificate is believed: by its signer, by the name that clients are told, and by the time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_rustls::rustls::client::WebPkiServerVerifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A certificate that ends sooner than this should have been renewed: public authorities give them for 45 days or more.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);

/// Which certificates are believed.
#[derive(Clone, Debug, Default)]
pub enum Trust {
    /// Those that this system believes, as browsers do.
    #[default]
    System,
    /// Those that this system believes, and those that these signed or are.
    Also(Vec<CertificateDer<'static>>),
    /// Every one.
    Any,
}

impl Trust {
    /// A TLS client that believes so; what it was shown last can be asked afterwards.
    pub(super) fn client(&self) -> anyhow::Result<(ClientConfig, Arc<Shown>)> {
        let provider = Arc::new(ring::default_provider());
        let belief = match self {
            Self::Any => Belief::Any,
            Self::System | Self::Also(_) => {
                let mut roots = RootCertStore::empty();
                // A system whose list cannot be read believes nobody: that is said when a certificate is not believed.
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if let Self::Also(more) = self {
                    roots.add_parsable_certificates(more.iter().cloned());
                }
                // Without a single root no verifier can be made: that matters to lines with TLS alone.
                let builder = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
                builder.build().map_or(Belief::Nobody, Belief::Signed)
            }
        };
        let shown = Arc::new(Shown { belief, provider: Arc::clone(&provider), certificate: Mutex::default() });
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&shown) as _)
            .with_no_client_auth();
        Ok((config, shown))
    }
}

/// Which certificate will do.
#[derive(Debug)]
enum Belief {
    /// Every one.
    Any,
    /// One that this verifier finds signed.
    Signed(Arc<WebPkiServerVerifier>),
    /// None: this system knows of no authority.
    Nobody,
}

/// What a server showed.
#[derive(Debug)]
pub(super) struct Shown {
    belief: Belief,
    provider: Arc<CryptoProvider>,
    certificate: Mutex<Option<CertificateDer<'static>>>,
}

impl Shown {
    /// Until when the certificate is good, in words; nothing if none was shown.
    pub(super) fn expiry(&self) -> Option<String> {
        let certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
        let end = certificate.validity().not_after.to_datetime().date();
        Some(match certificate.validity().time_to_expiration() {
            None => format!("its certificate ended on {end}: renew it"),
            Some(left) => {
                let days = left.whole_days();
                let renew = if left <= SOON { ": renew it now" } else { "" };
                format!("its certificate is good until {end}, for {days} more days{renew}")
            }
        })
    }

    /// Why a handshake failed and what to do, if it was for the certificate. `host` is the name that clients are told.
    pub(super) fn fault(&self, error: &io::Error, host: &str) -> Option<(String, String)> {
        let error = error.get_ref()?.downcast_ref::<Error>()?;
        let Error::InvalidCertificate(error) = error else { return None };
        Some(match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                self.expiry().unwrap_or_else(|| "its certificate has ended".to_owned()),
                "renew the certificate of PARLOR_TLS_CERT; the server takes a new file by itself.".to_owned(),
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                "its certificate is not good yet".to_owned(),
                "set the clocks of both machines, or wait.".to_owned(),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => (
                format!("its certificate is for {}, and clients are told {host}", self.names()),
                "set PARLOR_TURN__HOST or PARLOR_PUBLIC_URL to a name that is in the certificate, or get one for this name."
                    .to_owned(),
            ),
            CertificateError::UnknownIssuer if matches!(self.belief, Belief::Nobody) => (
                "this system has no certificates of authorities, so it believes nobody's".to_owned(),
                "install them (the package is called ca-certificates on most systems), or try it with --ca FILE or --insecure."
                    .to_owned(),
            ),
            CertificateError::UnknownIssuer => (
                "nobody here believes who signed its certificate".to_owned(),
                "browsers refuse it too: use a certificate of a public authority (PARLOR_TLS_CERT, with the certificates in between), \
                 or try it with --ca FILE or --insecure."
                    .to_owned(),
            ),
            other => (format!("its certificate is not believed: {other}"), "use another one (PARLOR_TLS_CERT).".to_owned()),
        })
    }

    /// The names in the certificate.
    fn names(&self) -> String {
        let certificate = self.certificate.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let certificate = certificate.as_deref().and_then(|der| X509Certificate::from_der(der).ok());
        let Some((_, certificate)) = certificate else { return "nobody".to_owned() };
        let alternatives = certificate.subject_alternative_name().ok().flatten();
        let names = alternatives.iter().flat_map(|names| &names.value.general_names);
        let names: Vec<String> = names
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                GeneralName::IPAddress(bytes) => match *bytes {
                    [a, b, c, d] => Some(std::net::Ipv4Addr::new(*a, *b, *c, *d).to_string()),
                    bytes => <[u8; 16]>::try_from(bytes).ok().map(|bytes| std::net::Ipv6Addr::from(bytes).to_string()),
                },
                _ => None,
            })
            .collect();
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    }
}

impl ServerCertVerifier for Shown {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.certificate.lock().unwrap_or_else(PoisonError::into_inner) = Some(certificate.clone().into_owned());
        match &self.belief {
            Belief::Signed(verifier) => verifier.verify_server_cert(certificate, between, name, ocsp, now),
            Belief::Any => Ok(ServerCertVerified::assertion()),
            Belief::Nobody => Err(CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls12_signature(message, certificate, signed, known)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let known = &self.provider.signature_verification_algorithms;
        tokio_rustls::rustls::crypto::verify_tls13_signature(message, certificate, signed, known)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
