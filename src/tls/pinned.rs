//! Trust in a certificate itself: a peer may show a certificate that is, byte for byte, in the file of
//! authorities.
//!
//! webpki takes such a certificate only if it could be a peer's in a chain of a public authority. A self-signed
//! one is mostly marked as an authority, or has version 1. Here the file decides that it is trusted, as with
//! OpenSSL and Go. Its dates, its purposes and its name are checked. webpki checks all other certificates.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{
    WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::certificates::x509::{self, CertificateInfo};

/// A verifier that asks `inner` about certificates that are not in the file.
#[derive(Debug)]
pub(super) struct Pinned<V: ?Sized> {
    certificates: Vec<(CertificateDer<'static>, CertificateInfo)>,
    algorithms: WebPkiSupportedAlgorithms,
    inner: Arc<V>,
}

impl<V: ?Sized> Pinned<V> {
    pub(super) fn new(
        certificates: &[CertificateDer<'static>],
        algorithms: WebPkiSupportedAlgorithms,
        inner: Arc<V>,
    ) -> Self {
        let read = |der: &CertificateDer<'static>| Some((der.clone(), x509::read(der)?));
        Self { certificates: certificates.iter().filter_map(read).collect(), algorithms, inner }
    }

    fn find(&self, certificate: &CertificateDer<'_>) -> Option<&CertificateInfo> {
        self.certificates.iter().find(|(one, _)| one == certificate).map(|(_, info)| info)
    }

    fn tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        // webpki reads version 3 only.
        match (ParsedCertificate::try_from(certificate), self.find(certificate)) {
            (Err(_), Some(info)) => verify_with_key(message, info, signature, &self.algorithms),
            _ => verify_tls12_signature(message, certificate, signature, &self.algorithms),
        }
    }

    fn tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match (ParsedCertificate::try_from(certificate), self.find(certificate)) {
            (Err(_), Some(info)) => {
                let key = SubjectPublicKeyInfoDer::from(&*info.public_key);
                verify_tls13_signature_with_raw_key(message, &key, signature, &self.algorithms)
            }
            _ => verify_tls13_signature(message, certificate, signature, &self.algorithms),
        }
    }
}

/// Verifies a signature of TLS 1.2 by the key of a certificate. A scheme of TLS 1.2 names no curve, so it has
/// several algorithms, and the key's is the one that counts.
fn verify_with_key(
    message: &[u8],
    info: &CertificateInfo,
    signature: &DigitallySignedStruct,
    algorithms: &WebPkiSupportedAlgorithms,
) -> Result<HandshakeSignatureValid, Error> {
    let (id, key) = x509::public_key(&info.public_key).ok_or(CertificateError::BadEncoding)?;
    let of_scheme = algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signature.scheme);
    let algorithm = of_scheme.flat_map(|(_, all)| *all).find(|one| one.public_key_alg_id().as_ref() == id);
    let algorithm = algorithm.ok_or(CertificateError::BadSignature)?;
    algorithm
        .verify_signature(key, message, signature.signature())
        .map(|()| HandshakeSignatureValid::assertion())
        .map_err(|_| CertificateError::BadSignature.into())
}

fn check_dates(info: &CertificateInfo, time: UnixTime) -> Result<(), CertificateError> {
    let unix = |seconds: i64| {
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    };
    let (not_before, not_after) = (unix(info.not_before), unix(info.not_after));
    if time < not_before {
        return Err(CertificateError::NotValidYetContext { time, not_before });
    }
    if time > not_after {
        return Err(CertificateError::ExpiredContext { time, not_after });
    }
    Ok(())
}

/// Checks the subjectAltName. A certificate without one has its name in the commonName, where curl and nginx
/// look too.
fn check_name(
    certificate: &CertificateDer<'_>,
    info: &CertificateInfo,
    name: &ServerName<'_>,
) -> Result<(), Error> {
    if !info.names.is_empty() || !info.addresses.is_empty() {
        return verify_server_name(&ParsedCertificate::try_from(certificate)?, name);
    }
    let same = info.common_name.as_deref().is_some_and(|own| match name {
        ServerName::DnsName(name) => name.as_ref().eq_ignore_ascii_case(own),
        ServerName::IpAddress(address) => {
            own.parse().is_ok_and(|own: std::net::IpAddr| *address == own.into())
        }
        _ => false,
    });
    if same {
        return Ok(());
    }
    let presented = info.common_name.iter().cloned().collect();
    Err(CertificateError::NotValidForNameContext { expected: name.to_owned(), presented }.into())
}

impl ServerCertVerifier for Pinned<dyn ServerCertVerifier> {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(info) = self.find(certificate) else {
            return self.inner.verify_server_cert(certificate, intermediates, name, ocsp, now);
        };
        check_dates(info, now)?;
        if !info.uses.server {
            return Err(CertificateError::InvalidPurpose.into());
        }
        check_name(certificate, info, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for Pinned<dyn ClientCertVerifier> {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let Some(info) = self.find(certificate) else {
            return self.inner.verify_client_cert(certificate, intermediates, now);
        };
        check_dates(info, now)?;
        if !info.uses.client {
            return Err(CertificateError::InvalidPurpose.into());
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
