//! TLS to targets: the trusted authorities, and the name to ask for.

use std::fmt;
use std::future::poll_fn;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, InvalidMessage, RootCertStore, SignatureScheme,
};

use super::certificates;
use super::pinned::Pinned;
use super::stream::Stream;
use crate::config::plan::{HttpVersions, Target, TargetHost, UpstreamTls};
use crate::worker::TcpStream;

/// The name of HTTP/2 in the handshake (RFC 9113, section 3.2).
pub const HTTP2_PROTOCOL: &[u8] = b"h2";

const HTTP1_PROTOCOL: &[u8] = b"http/1.1";

/// Opens TLS over connections to the targets of one upstream. Cheap to clone.
///
/// Two connectors are equal if a connection of one is verified for the other too. They trust the same
/// authorities, by their content, and ask for the same name.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    /// The trusted authorities; `None` if any certificate is accepted.
    trusted: Option<Arc<Trusted>>,
    sni: Option<Arc<str>>,
    /// The versions of HTTP that are offered.
    versions: HttpVersions,
}

/// The certificates that a target's certificate is checked against.
struct Trusted {
    roots: Arc<RootCertStore>,
    /// The certificates of the file in `tls.ca`, which are trusted themselves too. A renewed certificate may
    /// have the name and the key of the one before, so the roots do not tell them apart.
    pinned: Vec<CertificateDer<'static>>,
}

impl PartialEq for Connector {
    fn eq(&self, other: &Self) -> bool {
        let same = match (&self.trusted, &other.trusted) {
            (Some(one), Some(two)) => {
                Arc::ptr_eq(one, two) || one.roots.roots == two.roots.roots && one.pinned == two.pinned
            }
            (one, two) => one.is_none() && two.is_none(),
        };
        same && (&self.sni, self.versions) == (&other.sni, other.versions)
    }
}

impl Eq for Connector {}

impl Hash for Connector {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // Hundreds of authorities are not hashed, because few connectors differ in them alone.
        (&self.sni, self.versions).hash(state);
    }
}

/// The reason why a connector could not be created. Its text names the file or the certificate store.
#[derive(Debug)]
pub enum ConnectorError {
    /// The file of authorities could not be read or parsed.
    CaFile(PathBuf, String),
    /// The system's authorities could not be loaded, or there are none.
    SystemRoots(String),
    /// The provider refused the settings.
    Settings(rustls::Error),
}

impl fmt::Display for ConnectorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaFile(path, why) => write!(f, "`tls.ca` {} {why}", path.display()),
            Self::SystemRoots(why) => {
                write!(
                    f,
                    "no certificate authorities found on this system ({why}): install ca-certificates or set `tls.ca`"
                )
            }
            Self::Settings(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl Connector {
    /// Reads the authorities and sets TLS up. Blocks, so it is never called on the data plane.
    ///
    /// # Errors
    /// See [`ConnectorError`].
    pub fn new(tls: &UpstreamTls) -> Result<Self, ConnectorError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(ConnectorError::Settings)?;
        let trusted = if tls.insecure_skip_verify { None } else { Some(Arc::new(trusted(tls)?)) };
        let verifier: Arc<dyn ServerCertVerifier> = match &trusted {
            Some(trusted) => Arc::new(trusted.verifier(&provider)?),
            None => Arc::new(AcceptAnyCertificate(provider)),
        };
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = protocols(HttpVersions::Http1);
        let versions = HttpVersions::Http1;
        Ok(Self { config: Arc::new(config), trusted, sni: tls.sni.clone(), versions })
    }

    /// The same connector for a target to which these versions of HTTP are offered.
    pub fn offering(&self, versions: HttpVersions) -> Self {
        let mut other = self.clone();
        if versions != self.versions {
            other.versions = versions;
            Arc::make_mut(&mut other.config).alpn_protocols = protocols(versions);
        }
        other
    }

    /// The setup of handshakes, for connections that are not those of a worker.
    pub fn client_config(&self) -> Arc<ClientConfig> {
        self.config.clone()
    }

    /// The name to ask `target` for and to check its certificate against.
    ///
    /// # Errors
    /// If the host is neither a DNS name nor an address.
    pub fn server_name(&self, target: &Target) -> Result<ServerName<'static>, InvalidDnsNameError> {
        match (&self.sni, &target.host) {
            (Some(name), _) | (None, TargetHost::Name(name)) => ServerName::try_from(name.to_string()),
            (None, TargetHost::Address(address)) => Ok(ServerName::from(*address)),
            (None, TargetHost::Unix(_)) => ServerName::try_from("localhost"),
        }
    }

    /// A connection to `target` before its handshake, for the control plane.
    ///
    /// # Errors
    /// If the host has no valid name, or TLS cannot be set up.
    pub fn connection(&self, target: &Target) -> Result<ClientConnection, Box<dyn std::error::Error>> {
        Ok(ClientConnection::new(self.config.clone(), self.server_name(target)?)?)
    }

    /// Performs the handshake over `stream`. It has no deadline of its own.
    ///
    /// # Errors
    /// `InvalidData` with a [`rustls::Error`] inside if TLS fails, or the error of the connection.
    pub async fn connect(&self, name: ServerName<'static>, stream: TcpStream) -> io::Result<Stream> {
        let tls = ClientConnection::new(self.config.clone(), name).map_err(io::Error::other)?;
        let stream = Stream::encrypted(stream, tls.into(), None);
        poll_fn(|cx| stream.poll_handshake(cx, || {})).await?;
        Ok(stream)
    }
}

/// The protocols that are offered in the handshake (ALPN), the best one first.
fn protocols(versions: HttpVersions) -> Vec<Vec<u8>> {
    let all: &[&[u8]] = match versions {
        HttpVersions::Http1 => &[HTTP1_PROTOCOL],
        HttpVersions::Http2 => &[HTTP2_PROTOCOL],
        HttpVersions::Either => &[HTTP2_PROTOCOL, HTTP1_PROTOCOL],
    };
    all.iter().map(|protocol| protocol.to_vec()).collect()
}

/// An error of a connection to a target in words, with the way out if it is one of TLS.
pub fn explained(error: &io::Error) -> String {
    let Some(advice) = advice(error) else { return error.to_string() };
    // The names that the certificate has are worth more than their form.
    let has_names = advice == OTHER_NAME;
    if has_names { format!("{error}; {advice}") } else { advice.to_owned() }
}

/// The way out after an error of a handshake with a target, if its text alone hardly tells it.
fn advice(error: &io::Error) -> Option<&'static str> {
    let error = match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(error) => error,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => return Some(NO_TLS),
        _ => return None,
    };
    // Some errors are webpki's, and rustls has only their text.
    let text = format!("{error:?}");
    ADVICE.iter().find(|(part, _)| text.contains(part)).map(|(_, advice)| *advice)
}

/// Parts of errors about certificates, each with the way out.
const ADVICE: [(&str, &str); 4] = [
    ("NotValidForName", OTHER_NAME),
    ("UnknownIssuer", NOT_KNOWN),
    // A self-signed certificate is mostly marked as an authority.
    ("CaUsedAsEndEntity", NOT_KNOWN),
    (
        "UnsupportedCertVersion",
        "the certificate of the target has version 1 of X.509, which holds no names: make it anew with a subjectAltName \
         (version 3), or name a file with this certificate as `tls: { ca: FILE }`",
    ),
];

const OTHER_NAME: &str = "if the target is the right one, name one of these names as `tls: { sni: NAME }`";

const NO_TLS: &str = "the target does not speak TLS: write `http://` instead of `https://`";

const NOT_KNOWN: &str = "no known authority has signed the certificate of the target: name a file with the authority, or \
                         with this certificate, as `tls: { ca: FILE }`";

impl Trusted {
    fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Pinned<dyn ServerCertVerifier>, ConnectorError> {
        let webpki = WebPkiServerVerifier::builder_with_provider(self.roots.clone(), provider.clone())
            .build()
            .map_err(|error| ConnectorError::Settings(rustls::Error::General(error.to_string())))?;
        Ok(Pinned::new(&self.pinned, provider.signature_verification_algorithms, webpki))
    }
}

fn trusted(tls: &UpstreamTls) -> Result<Trusted, ConnectorError> {
    if let Some(path) = &tls.ca {
        let (roots, pinned) =
            certificates::authorities(path).map_err(|why| ConnectorError::CaFile(path.clone(), why))?;
        return Ok(Trusted { roots: Arc::new(roots), pinned });
    }
    let mut roots = RootCertStore::empty();
    let loaded = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(loaded.certs);
    if roots.is_empty() {
        let why = loaded.errors.first().map_or_else(|| "the store is empty".into(), ToString::to_string);
        return Err(ConnectorError::SystemRoots(why));
    }
    Ok(Trusted { roots: Arc::new(roots), pinned: Vec::new() })
}

/// Accepts any certificate, for `insecure_skip_verify`. The signatures of the handshake are still checked, so
/// the server holds the key of its certificate.
#[derive(Debug)]
struct AcceptAnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AcceptAnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_tls_are_explained_in_words() {
        let told = |error: rustls::Error| explained(&io::Error::new(io::ErrorKind::InvalidData, error));
        assert_eq!(told(InvalidMessage::InvalidContentType.into()), NO_TLS);
        assert_eq!(told(rustls::CertificateError::UnknownIssuer.into()), NOT_KNOWN);
        assert_eq!(told(rustls::CertificateError::Expired.into()), "invalid peer certificate: Expired");
        let other = told(rustls::CertificateError::NotValidForName.into());
        assert!(other.ends_with(OTHER_NAME) && other.len() > OTHER_NAME.len(), "{other}");
        assert_eq!(explained(&io::Error::other("what the system says")), "what the system says");
    }
}
